// `peat/cert/1`: two members that have not heard of each other show their certificates.
//
// Certificates travel as documents, but two machines that meet where nobody else is have no
// documents of each other yet. Whoever dialled and was not let in, or does not know whom it
// dials, sends its own certificate and its issuer's, and is answered with the other's, if what it
// sent proves that its key belongs to the mesh. Then the next dial succeeds. Strangers learn
// nothing.
//
//   request, answer := chain (security/certificate.hpp), framed as request_server.hpp says
//
// Threading: the loop; `done` is called once, on the loop. The endpoint and the executor outlive
// the call. Errors: those of dials, and truncated, malformed, limit_exceeded, timeout.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "security/certificate.hpp"
#include "transport/connection.hpp"

namespace peat::node {

inline constexpr std::string_view kAlpnIntroduce = "peat/cert/1";

void introduce(transport::Endpoint& endpoint, Executor& executor, const EndpointId& peer,
               const std::string& address, const std::vector<security::Certificate>& own,
               std::function<void(Result<std::vector<security::Certificate>>)> done);

}  // namespace peat::node
