// The boundary that no exception crosses.
#pragma once

#include <new>
#include <stdexcept>

#include "peat/error.hpp"

namespace peat::automerge {

// Runs `body`; running out of memory becomes an error value.
template <class Body>
auto guarded(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Code::out_of_memory, "memory ran out while handling an Automerge document");
  } catch (const std::length_error&) {
    return fail(Code::out_of_memory, "an Automerge document grew beyond what can be addressed");
  }
}

}  // namespace peat::automerge
