// Genesis, credentials, sealed messages and records: files and messages that anybody may have
// changed.
//
// Input: u8 kind, then the bytes. What decodes encodes to the same bytes; what was not sealed with
// the key never opens, and a refused message changes nothing for the next.
#include <cstdlib>

#include "../report.hpp"
#include "base/encoding.hpp"
#include "security/encryption.hpp"
#include "security/enrollment_service.hpp"
#include "security/genesis.hpp"

namespace {

using namespace peat;
using namespace peat::security;

void require(bool condition) {
  if (!condition) std::abort();
}

bool equal(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool genesis(ByteView bytes) {
  const auto decoded = MeshGenesis::decode(bytes);
  if (decoded) require(equal(decoded->encode().view(), bytes));
  const auto credentials = MeshCredentials::decode(bytes);
  if (credentials) require(equal(credentials->encode()->view(), bytes));
  return decoded.has_value() || credentials.has_value();
}

bool group(ByteView bytes) {
  GroupKeys keys("cell");
  require(keys.install({1, crypto::SecretBytes(Bytes(32, 7)), 1, 0}, Instant{}).has_value());
  GroupKeys sender("cell");
  require(sender.install({1, crypto::SecretBytes(Bytes(32, 7)), 2, 0}, Instant{}).has_value());
  const auto opened = keys.open(bytes, Instant{});
  require(keys.open(*sender.seal(as_bytes("x")), Instant{}).has_value());
  return opened.has_value();
}

bool peer(ByteView bytes) {
  const auto key = [](std::uint8_t byte) {
    const Bytes secret(32, byte);
    return crypto::AgreementKey::from_secret(ByteView(secret).first<32>());
  };
  auto a = *PeerChannel::establish(key(1), key(2).public_key(), PeerChannel::Role::initiator);
  auto b = *PeerChannel::establish(key(2), key(1).public_key(), PeerChannel::Role::responder);
  require(!b.open(bytes));
  require(b.open(*a.seal(as_bytes("x"))).has_value());
  return false;
}

bool store(ByteView bytes) {
  const auto cipher = StoreCipher::from_base64(to_base64(Bytes(32, 0xab))).value();
  (void)decode_token_uses(bytes);
  return cipher.open(as_text(bytes), "cargo:7").has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("security_sealed");
  if (size < 1) return 0;
  const ByteView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      report.input(genesis(bytes));
      break;
    case 1:
      report.input(group(bytes));
      break;
    case 2:
      report.input(peer(bytes));
      break;
    default:
      report.input(store(bytes));
  }
  return 0;
}
