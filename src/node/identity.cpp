#include "node/identity.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <system_error>

#include <cerrno>

#include "crypto/key_file.hpp"
#include "crypto/secret_file.hpp"
#include "node/mesh_files.hpp"

namespace peat::node {

namespace {

std::string last_error() { return std::generic_category().message(errno); }

Result<crypto::SecretBytes> read_secret(const std::filesystem::path& file) {
  auto content =
      crypto::read_secret_file(file.string(), {.what = "secret file", .follow_link = true});
  if (!content && content.error().code != Code::bad_key_file) {
    return fail(Code::bad_key_file, std::move(content).error().message);
  }
  return content;
}

}  // namespace

Result<crypto::SecretKey> load_identity(const std::filesystem::path& data_dir, Random& random) {
  std::error_code error;
  std::filesystem::create_directories(data_dir.parent_path(), error);
  if (mkdir(data_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(Code::io_error,
                fmt::format("data_dir {}: cannot be made: {}", data_dir.string(), last_error()));
  }
  return crypto::load_or_create_key_file((data_dir / "identity.key").string(), random);
}

Result<std::optional<crypto::SecretBytes>> load_formation_secret(const Settings& settings) {
  auto text = settings.formation_secret.text();
  if (!text.empty() && !settings.formation_secret_file.empty()) {
    return fail(Code::bad_setting,
                "formation_secret: PEAT_FORMATION_SECRET and a secret file are both given; give "
                "one of them");
  }
  crypto::SecretBytes from_file;
  if (!settings.formation_secret_file.empty()) {
    PEAT_TRY(from_file, read_secret(settings.formation_secret_file));
    text = as_text(from_file.view());
  }
  PEAT_TRY(auto credentials, MeshFiles{settings.data_dir}.load_credentials());
  if (credentials && !text.empty()) {
    return fail(Code::bad_setting,
                fmt::format("formation_secret: this node belongs to the mesh {} ({}), whose secret "
                            "is in its data directory; give no other",
                            credentials->mesh_name, credentials->mesh_id));
  }
  if (credentials) return std::optional(std::move(credentials->formation_secret));
  if (text.empty()) {
    if (settings.allow_unauthenticated_peers) return std::optional<crypto::SecretBytes>();
    return fail(Code::missing_setting,
                "there is no formation secret: begin a mesh with 'peat mesh init', join one with "
                "'peat mesh join', or have 'peat secret new' print a secret; put it in a file "
                "that only you can read, for --formation-secret-file, or in "
                "PEAT_FORMATION_SECRET, the same on every node of the formation");
  }
  const auto weak =
      settings.allow_weak_secret ? security::WeakSecrets::allow : security::WeakSecrets::refuse;
  auto secret = security::parse_formation_secret(text, weak);
  if (!secret) return std::unexpected(std::move(secret).error());
  return std::optional(std::move(*secret));
}

Result<std::optional<crypto::SecretBytes>> load_other_secret(const Settings& settings) {
  if (settings.formation_other_secret_file.empty()) return std::optional<crypto::SecretBytes>();
  PEAT_TRY(const auto text, read_secret(settings.formation_other_secret_file));
  const auto weak =
      settings.allow_weak_secret ? security::WeakSecrets::allow : security::WeakSecrets::refuse;
  PEAT_TRY(auto secret, security::parse_formation_secret(as_text(text.view()), weak));
  return std::optional(std::move(secret));
}

Result<crypto::SecretKey> choose_identity(const Settings& settings,
                                          const std::optional<crypto::SecretBytes>& secret,
                                          Random& random) {
  if (!settings.legacy_identity) return load_identity(settings.data_dir, random);
  if (!secret) {
    return fail(Code::missing_setting,
                "legacy_identity derives the key from the formation secret, and there is none");
  }
  return security::derive_endpoint_key(secret->view(), settings.node_id);
}

}  // namespace peat::node
