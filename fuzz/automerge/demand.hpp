// Ends a fuzz run with the promise that an input broke.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace peat::fuzz {

inline void demand(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

}  // namespace peat::fuzz
