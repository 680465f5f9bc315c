#include "node/mesh_files.hpp"

#include <fmt/format.h>

#include "crypto/key_file.hpp"
#include "crypto/secret_file.hpp"

namespace peat::node {

namespace {

constexpr std::size_t kMaxCredentialsBytes = 75 + 65535;
constexpr std::size_t kMaxPeersBytes = 64 * 1024;

std::unexpected<Error> in_file(const std::string& path, const Error& error) {
  return fail(error.code, fmt::format("{}: {}", path, error.message));
}

// nullopt: there is no such file.
Result<std::optional<crypto::SecretBytes>> read_if_there(const std::string& path,
                                                         std::string_view what, std::size_t max) {
  auto content = crypto::read_secret_file(path, {.what = what, .max_bytes = max});
  if (content) return std::optional(std::move(*content));
  if (content.error().code == Code::not_found) return std::optional<crypto::SecretBytes>();
  return std::unexpected(std::move(content).error());
}

}  // namespace

Result<std::optional<security::MeshCredentials>> MeshFiles::load_credentials() const {
  PEAT_TRY(const auto content,
           read_if_there(credentials(), "credentials file", kMaxCredentialsBytes));
  if (!content) return std::optional<security::MeshCredentials>();
  auto decoded = security::MeshCredentials::decode(content->view());
  if (!decoded) return in_file(credentials(), decoded.error());
  return std::optional(std::move(*decoded));
}

Status MeshFiles::save_credentials(const security::MeshCredentials& value, Random& random) const {
  PEAT_TRY(const auto bytes, value.encode());
  return crypto::write_secret_file(credentials(), bytes.view(), crypto::Existing::refuse, random,
                                   "credentials file");
}

Result<std::vector<security::Certificate>> MeshFiles::load_certificates() const {
  PEAT_TRY(const auto content,
           read_if_there(certificates(), "certificate file", security::kChainMaxBytes));
  if (!content) return std::vector<security::Certificate>();
  auto chain = security::decode_chain(content->view());
  if (!chain) return in_file(certificates(), chain.error());
  return chain;
}

Status MeshFiles::save_certificates(const std::vector<security::Certificate>& list,
                                    Random& random) const {
  PEAT_TRY(const auto bytes, security::encode_chain(list));
  return crypto::write_secret_file(certificates(), bytes, crypto::Existing::replace, random);
}

Result<Peers> MeshFiles::load_peers() const {
  PEAT_TRY(const auto content, read_if_there(peers(), "peers file", kMaxPeersBytes));
  Peers out;
  if (!content) return out;
  auto text = as_text(content->view());
  for (int line = 1; !text.empty(); ++line) {
    const auto end = text.find('\n');
    const auto entry = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (entry.empty() || entry.front() == '#') continue;
    auto peer = PeerSetting::parse(entry);
    if (!peer) {
      return fail(Code::malformed,
                  fmt::format("{} line {}: {}", peers(), line, peer.error().message));
    }
    out.push_back(std::move(*peer));
  }
  return out;
}

Status MeshFiles::save_peers(const Peers& list, Random& random) const {
  std::string text = "# Where this mesh is reached; written when this node joined.\n";
  for (const auto& peer : list) text += peer.to_string() + "\n";
  return crypto::write_secret_file(peers(), as_bytes(text), crypto::Existing::replace, random);
}

Result<std::optional<crypto::SecretKey>> MeshFiles::load_authority_key() const {
  auto key = crypto::load_key_file(authority_key());
  if (key) return std::optional(std::move(*key));
  if (key.error().code == Code::not_found) return std::optional<crypto::SecretKey>();
  return std::unexpected(std::move(key).error());
}

}  // namespace peat::node
