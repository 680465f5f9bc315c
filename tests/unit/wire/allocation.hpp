// How much memory a piece of code asked for at once: proof that no length is believed unchecked.
#pragma once

#include <cstddef>
#include <functional>

namespace peat::test {

// The largest single allocation (operator new) while `action` ran on this thread.
std::size_t largest_allocation(const std::function<void()>& action);

}  // namespace peat::test
