// Secondary indexes: how the value of a field becomes bytes, and which of an index's rows a query
// needs.
//
// A value's key orders as `order by` does (evaluate.cpp), so that an index is also an order. What
// is missing is not in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "query/ast.hpp"
#include "query/source.hpp"

namespace peat::query {

inline constexpr std::size_t kValueKeyBytes = 132;  // at most

// nullopt: there is no value.
std::optional<std::string> value_key(const Found& found);

// The first key behind all that begin with this one; "" if there is none.
std::string behind(std::string key);

// What a query demands of one path: every document that it finds has there a value in one of the
// ranges (it may demand more besides).
struct PathDemand {
  std::size_t path = 0;
  std::vector<KeyRange> ranges;
  int rank = 0;  // the lower, the fewer documents to expect
};
// From the conditions that must all hold; the best first.
std::vector<PathDemand> demands(const Ast& ast);

}  // namespace peat::query
