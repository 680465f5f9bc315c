// The boundary that no exception crosses.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <vector>

#include "peat/error.hpp"

namespace peat::automerge {

// Runs `body`; running out of memory becomes an error value, whose message has to fit into the
// string itself: there may be no memory for another.
template <class Body>
auto guarded(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Code::out_of_memory, "out of memory");
  } catch (const std::length_error&) {
    return fail(Code::out_of_memory, "an Automerge document grew beyond what can be addressed");
  }
}

// Memory for so many more elements, at least half of what there is: adding them throws nothing.
template <class T>
void grow(std::vector<T>& v, std::size_t more) {
  if (v.capacity() - v.size() < more) v.reserve(v.size() + std::max(more, v.size() / 2));
}

}  // namespace peat::automerge
