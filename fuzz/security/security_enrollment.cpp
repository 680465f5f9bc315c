// Enrolment: messages, invitations, links, and the service as a stranger meets it.
//
// Input: u8 kind, then the bytes. Requests are signed anew by their sender, so that what lies
// behind the signature is reached. Whatever decodes encodes to what decodes alike; and no request
// gets a certificate whose token the authority did not make.
#include <cstdlib>

#include "../report.hpp"
#include "base/encoding.hpp"
#include "security/enrollment_client.hpp"
#include "security/enrollment_service.hpp"

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

constexpr WallTime kNow{1'700'000'000'000};

struct Authority {
  crypto::SecretKey key = key_of(0x42);
  crypto::SecretKey device = key_of(1);
  crypto::SecretBytes secret{Bytes(32, 7)};
  TrustStore trust{[this] {
    TrustOptions options;
    options.mesh_id = "0B6CA76F";
    options.authorities = {key.public_key()};
    return options;
  }()};
  EnrollmentService service{
      key,
      secret,
      trust,
      {key_of(100).public_key(), "TEST", MembershipPolicy::controlled, kDefaultValidity, {}}};
};

bool request(ByteView bytes) {
  Authority authority;
  auto decoded = EnrollmentRequest::decode(bytes);
  const auto verdict = authority.service.process(bytes, authority.device.public_key(), kNow);
  require(!verdict.issued);
  if (!decoded) return false;
  const auto encoded = decoded->encode();
  require(encoded && std::equal(encoded->begin(), encoded->end(), bytes.begin()));
  decoded->subject = authority.device.public_key();
  decoded->mesh_id = "0B6CA76F";
  decoded->timestamp_ms = static_cast<std::uint64_t>(kNow.ms);
  require(decoded->sign(authority.device).has_value());
  const auto again =
      authority.service.process(*decoded->encode(), authority.device.public_key(), kNow);
  require(!again.issued && again.response.status == EnrollmentStatus::denied);
  require(EnrollmentResponse::decode(again.response.encode()->view()).has_value());
  return true;
}

bool response(ByteView bytes) {
  Authority authority;
  EnrollmentTask task;
  task.server = key_of(100).public_key();
  task.authority = authority.key.public_key();
  task.mesh_id = "0B6CA76F";
  task.node_id = "truck";
  auto client = EnrollmentClient::begin(authority.device, task, {{}, kNow}).value();
  client.on_stream_bytes({{}, kNow}, bytes, true);
  require(client.outcome().has_value());
  // The authority's key is used nowhere here.
  require(!client.outcome()->has_value());
  const auto decoded = EnrollmentResponse::decode(bytes);
  if (!decoded) return false;
  const auto encoded = decoded->encode();
  if (encoded) require(EnrollmentResponse::decode(encoded->view()).has_value());
  return true;
}

bool token(ByteView bytes) {
  const auto key = InvitationKey::of(key_of(0x42));
  require(!key.check(bytes, {}));
  const auto terms = read_token(bytes);
  return terms.has_value();
}

bool link(ByteView bytes) {
  // The checksum is made anew.
  Bytes payload(bytes.begin(), bytes.end());
  const auto checksum = sha256(payload);
  payload.insert(payload.end(), checksum.begin(), checksum.begin() + 4);
  const auto parsed = JoinLink::parse("peat:join?" + to_base64url(payload));
  (void)JoinLink::parse(as_text(bytes));
  if (!parsed) return false;
  const auto text = parsed->to_text();
  if (text) require(JoinLink::parse(*text)->token == parsed->token);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("security_enrollment");
  if (size < 1) return 0;
  const ByteView bytes(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      report.input(request(bytes));
      break;
    case 1:
      report.input(response(bytes));
      break;
    case 2:
      report.input(token(bytes));
      break;
    default:
      report.input(link(bytes));
  }
  return 0;
}
