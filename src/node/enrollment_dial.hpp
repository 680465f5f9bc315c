// Asking an authority for a certificate: a dial, one request, one answer.
//
// The addresses are tried one after the other; an answer from the endpoint, of whatever content,
// ends the search. Used by `peat mesh join` and by nodes that renew.
//
// Threading: the loop; `done` is called once, on the loop, not from inside enroll(). The endpoint,
// the executor and the key outlive the call. Errors: those of EnrollmentClient and of dials.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "crypto/keys.hpp"
#include "security/enrollment_client.hpp"
#include "transport/connection.hpp"

namespace peat::node {

struct EnrollmentResult {
  Result<security::Enrolled> enrolled;
  std::string address;  // that answered; "": none did
};

void enroll(transport::Endpoint& endpoint, Executor& executor, const crypto::SecretKey& key,
            security::EnrollmentTask task, std::vector<std::string> addresses,
            std::function<void(EnrollmentResult)> done);

}  // namespace peat::node
