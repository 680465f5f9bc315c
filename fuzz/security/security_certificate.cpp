// Certificates, chains, revocations and their documents: claims of strangers.
//
// Input: u8 kind, then the bytes. Signatures are made anew over what decodes, so that what lies
// behind them is reached. Whatever decodes encodes to what decodes alike; and however many
// certificates and revocations a trust store is given, nobody is authorised whom the authority,
// or a delegate within its rights, did not certify.
#include <cstdlib>

#include "../report.hpp"
#include "base/encoding.hpp"
#include "security/trust.hpp"
#include "security/trust_documents.hpp"

namespace {

using namespace peat;
using namespace peat::security;

void require(bool condition) {
  if (!condition) std::abort();
}

crypto::SecretKey key_of(std::uint8_t byte) {
  const Bytes seed(32, byte);
  return crypto::SecretKey::from_seed(ByteView(seed).first<32>());
}

const crypto::SecretKey& authority() {
  static const auto kKey = key_of(0x42);
  return kKey;
}
const crypto::SecretKey& stranger() {
  static const auto kKey = key_of(0x66);
  return kKey;
}

constexpr WallTime kNow{1'700'000'000'000};

bool certificate(ByteView bytes) {
  auto decoded = Certificate::decode(bytes);
  if (!decoded) return false;
  const auto encoded = decoded->encode();
  if (!encoded) return true;  // times that documents cannot hold
  require(Bytes(bytes.begin(), bytes.end()) == *encoded);
  TrustOptions options;
  options.mesh_id = decoded->mesh_id;
  options.authorities = {authority().public_key()};
  TrustStore trust(options);
  // As it came, and signed by a stranger: never believed.
  const bool self = decoded->subject == authority().public_key();
  if (!decoded->signature_matches()) {
    require(!trust.add_certificate(*decoded, kNow) || decoded->issuer != authority().public_key());
  }
  require(decoded->sign(stranger()).has_value());
  (void)trust.add_certificate(*decoded, kNow);
  require(!trust.authorize(decoded->subject, 0, kNow));
  // Signed by the authority: believed in its time, for what it says.
  require(decoded->sign(authority()).has_value());
  const auto added = trust.add_certificate(*decoded, kNow);
  require(added.has_value());
  const auto allowed = trust.authorize(decoded->subject, decoded->permissions, kNow);
  require(allowed.has_value() == decoded->valid_at(kNow, kDefaultClockSkew));
  if (!self) {
    const auto json = certificate_json(*decoded, kNow);
    require(json && parse_certificate_json(*json, decoded->subject).value() == *decoded);
  }
  return true;
}

bool chain(ByteView bytes) {
  const auto decoded = decode_chain(bytes);
  if (!decoded) return false;
  const auto encoded = encode_chain(*decoded);
  if (encoded) require(*encoded == Bytes(bytes.begin(), bytes.end()));
  return true;
}

bool revocation(ByteView bytes) {
  const auto decoded = Revocation::decode(bytes);
  if (!decoded) return false;
  require(decoded->encode() == Bytes(bytes.begin(), bytes.end()));
  if (decoded->timestamp_ms <= kMaxTimeMs &&
      (!decoded->seal || decoded->seal->serial <= kMaxTimeMs)) {
    require(parse_revocation_json(revocation_json(*decoded), decoded->subject).value() == *decoded);
  }
  TrustOptions options;
  options.mesh_id = "0B6CA76F";
  options.authorities = {authority().public_key()};
  TrustStore trust(options);
  // Nobody here has signed it.
  require(!trust.add_revocation(*decoded, kNow));
  return true;
}

bool documents(ByteView bytes) {
  const auto text = as_text(bytes);
  EndpointId subject;
  subject.bytes.fill(0x11);
  const bool one = parse_certificate_json(text, subject).has_value();
  const bool two = parse_revocation_json(text, subject).has_value();
  (void)subject_of_key(text);
  return one || two;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("security_certificate");
  if (size < 1) return 0;
  const ByteView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      report.input(certificate(bytes));
      break;
    case 1:
      report.input(chain(bytes));
      break;
    case 2:
      report.input(revocation(bytes));
      break;
    default:
      report.input(documents(bytes));
  }
  return 0;
}
