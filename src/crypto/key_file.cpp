#include "crypto/key_file.hpp"

#include "crypto/secret_file.hpp"

namespace peat::crypto {

namespace {

constexpr std::string_view kWhat = "key file";
constexpr SecretFileRules kRules{
    kWhat, kSeedBytes, kSeedBytes,
    "a key is exactly 32 raw bytes. Restore it from a backup, or move it away to get a new "
    "identity"};

}  // namespace

Result<SecretKey> load_key_file(const std::string& path) {
  PEAT_TRY(const auto seed, read_secret_file(path, kRules));
  return SecretKey::from_seed(seed.view().first<kSeedBytes>());
}

Status create_key_file(const std::string& path, const SecretKey& key, Random& random) {
  return write_secret_file(path, key.seed(), Existing::refuse, random, kWhat);
}

Result<SecretKey> load_or_create_key_file(const std::string& path, Random& random) {
  auto loaded = load_key_file(path);
  if (loaded || loaded.error().code != Code::not_found) return loaded;
  auto key = SecretKey::generate(random);
  const auto created = create_key_file(path, key, random);
  if (created) return key;
  if (created.error().code == Code::bad_key_file) return load_key_file(path);
  return std::unexpected(created.error());
}

}  // namespace peat::crypto
