// Asking a person for something that is not to be seen, or reading it from where it is kept.
#pragma once

#include <string>

#include "crypto/keys.hpp"
#include "peat/error.hpp"

namespace peat::cli {

// A line from the terminal, not shown while it is typed. Code::invalid_argument without a terminal.
Result<crypto::SecretBytes> ask_secret(const std::string& prompt);

// A new passphrase: the first line of `file` ("-": standard input), or asked for twice.
Result<crypto::SecretBytes> new_passphrase(const std::string& file);
// A known one: from `file`, or asked for once.
Result<crypto::SecretBytes> known_passphrase(const std::string& file);

}  // namespace peat::cli
