#include "node/store_keys.hpp"

#include <fmt/format.h>

#include "base/encoding.hpp"
#include "crypto/aead.hpp"
#include "crypto/secret_file.hpp"

namespace peat::node {
namespace {

using store::StoreKey;

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

Result<StoreKey> read_key(const Path& file) {
  PEAT_TRY(auto content,
           crypto::read_secret_file(file.string(), {.what = "key file", .follow_link = true}));
  if (content.size() == crypto::kAeadKeyBytes) {
    return StoreKey{StoreKey::Kind::key, std::move(content), {}};
  }
  auto decoded = from_base64(first_line(as_text(content.view())));
  if (!decoded || decoded->size() != crypto::kAeadKeyBytes) {
    return fail(Code::bad_key_file,
                fmt::format("key file {} holds neither 32 bytes nor their base64; 'peat secret "
                            "new' makes a key",
                            file.string()));
  }
  StoreKey key{StoreKey::Kind::key, crypto::SecretBytes(ByteView(*decoded)), {}};
  crypto::wipe(*decoded);
  return key;
}

Result<StoreKey> read_passphrase(const Path& file) {
  PEAT_TRY(const auto content, crypto::read_secret_file(file.string(), {.what = "passphrase file",
                                                                        .follow_link = true}));
  return StoreKey{StoreKey::Kind::passphrase,
                  crypto::SecretBytes(as_bytes(first_line(as_text(content.view())))),
                  {}};
}

Result<std::optional<StoreKey>> read_one(const Path& key, const Path& passphrase,
                                         std::string_view settings) {
  if (!key.empty() && !passphrase.empty()) {
    return fail(Code::bad_setting, fmt::format("{}: give one of them", settings));
  }
  if (key.empty() && passphrase.empty()) return std::optional<StoreKey>();
  PEAT_TRY(auto out, key.empty() ? read_passphrase(passphrase) : read_key(key));
  return std::optional(std::move(out));
}

}  // namespace

Result<store::StoreKeys> load_store_keys(const Settings& settings) {
  store::StoreKeys keys;
  PEAT_TRY(keys.key, read_one(settings.store_key_file, settings.store_passphrase_file,
                              "store_key_file and store_passphrase_file"));
  PEAT_TRY(keys.previous,
           read_one(settings.store_previous_key_file, settings.store_previous_passphrase_file,
                    "store_previous_key_file and store_previous_passphrase_file"));
  if (keys.previous && !keys.key) {
    return fail(Code::bad_setting,
                "store_previous_key_file: the key before is given, and none that takes its place");
  }
  return keys;
}

Error explain_store_error(const Settings& settings, Error error) {
  if (error.code == Code::missing_setting) {
    error.message = fmt::format("{}: {} (store_key_file or store_passphrase_file)",
                                settings.data_dir.string(), error.message);
  } else if (error.code == Code::decryption_failed || error.code == Code::weak_secret) {
    const auto& file =
        settings.store_key_file.empty() ? settings.store_passphrase_file : settings.store_key_file;
    error.message =
        fmt::format("{}: {} ({})", settings.data_dir.string(), error.message, file.string());
  }
  return error;
}

}  // namespace peat::node
