// The new device's side of enrolment, without I/O.
//
//   open a bidirectional stream to the server named in the link, write to_send() and the FIN
//   on_stream_bytes …                    until outcome() has a value; on_timeout at deadline()
//
// The device believes nothing that it has not checked (D-13): the answer's certificate must be for
// its own key and this mesh, be valid now, and lead to the authority of the link. What comes
// before the connection ends counts: existing servers drop it as soon as they have answered
// (D-34).
//
// Threading: one thread. Errors in outcome(): permission_denied (with the authority's reason),
// unavailable (pending: ask again later), timeout, not_trusted, malformed, limit_exceeded.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "security/enrollment.hpp"

namespace peat::security {

inline constexpr Duration kEnrollmentDeadline = std::chrono::seconds(30);

struct EnrollmentTask {
  EndpointId server;     // the endpoint that is asked
  EndpointId authority;  // pinned
  std::string mesh_id;
  std::string node_id;
  Bytes token;  // of the invitation; empty: renew
  Limits limits;
};

struct Enrolled {
  Certificate certificate;
  std::optional<crypto::SecretBytes> formation_secret;
  std::optional<EnrollmentResponse::Extension> extension;
};

class EnrollmentClient {
 public:
  // `key` is the device's own, with which it also connects.
  static Result<EnrollmentClient> begin(const crypto::SecretKey& key, EnrollmentTask task, Now now);

  const Bytes& to_send() const { return message_; }
  void on_stream_bytes(Now now, ByteView bytes, bool fin);
  void on_closed(Now now);
  void on_timeout(Now now);
  Instant deadline() const { return outcome_ ? kNever : deadline_; }
  std::optional<Result<Enrolled>>& outcome() { return outcome_; }

 private:
  EnrollmentClient() = default;
  void judge(ByteView response, WallTime now);
  Result<Enrolled> check(EnrollmentResponse response, WallTime now) const;
  void fail_with(Code code, std::string message);

  EndpointId subject_;
  EnrollmentTask task_;
  Bytes message_;
  Instant deadline_{};
  Bytes input_;
  std::optional<Result<Enrolled>> outcome_;
};

}  // namespace peat::security
