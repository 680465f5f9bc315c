// Errors are values.
//
// Every fallible function returns Result<T>. An Error names what went wrong (`code`, stable
// and numbered), says it in one sentence that names the input, the place and the remedy
// (`message`), and classifies whether trying again can help (`retry_class`). The table of all
// codes is error_codes.def; the HTTP status of the broker and the exit code of the command line
// come from the same rows.
//
// Threading: values, no shared state. Cost: one string. Exceptions never leave a module of this
// library; std::bad_alloc is turned into Code::out_of_memory at the module's boundary.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "peat/export.hpp"

namespace peat {

// What a caller may do about an error.
enum class RetryClass : std::uint8_t {
  never,       // the same call will fail again: correct the input
  later,       // a passing shortage or outage: try again after a pause
  reconnect,   // this connection is lost: dial again
  quarantine,  // this document is unusable here; others go on
  fatal,       // this process cannot go on
};

enum class Code : std::uint16_t {
#define PEAT_ERROR(name, number, retry, http, exit_code, text) name = number,
#include "peat/error_codes.def"
#undef PEAT_ERROR
};

struct Error {
  Code code = Code::internal;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}

// The row of a code in error_codes.def.
struct CodeInfo {
  std::string_view name;
  Code code;
  RetryClass retry;
  int http_status;
  int exit_code;
  std::string_view text;
};
PEAT_API const CodeInfo& info(Code code);

}  // namespace peat

// Returns the error of `expr` from the calling function, or goes on.
#define PEAT_TRY_VOID(expr)                                     \
  do {                                                          \
    if (auto peat_status_ = (expr); !peat_status_) [[unlikely]] \
      return std::unexpected(std::move(peat_status_).error());  \
  } while (false)

#define PEAT_CONCAT_INNER(a, b) a##b
#define PEAT_CONCAT(a, b) PEAT_CONCAT_INNER(a, b)

// PEAT_TRY(auto x, f()): declares x from the value of f(), or returns f()'s error.
#define PEAT_TRY(decl, expr) PEAT_TRY_IMPL(PEAT_CONCAT(peat_result_, __LINE__), decl, expr)
#define PEAT_TRY_IMPL(tmp, decl, expr)              \
  auto tmp = (expr);                                \
  if (!tmp) [[unlikely]]                            \
    return std::unexpected(std::move(tmp).error()); \
  decl = std::move(tmp).value()
