// The file that holds a node's private key: exactly the 32 bytes of its seed, mode 0600.
//
// Created under a temporary name, flushed, then renamed, and the directory flushed, so that a
// crash leaves either no key or a whole one. A file that group or others may touch, a symbolic
// link, anything but a regular file and any other length are refused (Code::bad_key_file, the
// message names the remedy): a key is never silently replaced. Other failures of the system are
// Code::io_error with the path and the system's words.
#pragma once

#include <string>

#include "base/random.hpp"
#include "crypto/keys.hpp"
#include "peat/error.hpp"

namespace peat::crypto {

// Code::not_found if there is no file.
Result<SecretKey> load_key_file(const std::string& path);

// Writes a new key file; Code::bad_key_file if `path` exists.
Status create_key_file(const std::string& path, const SecretKey& key, Random& random);

// Loads the key, or generates and writes one where there is none. Of two processes that start at
// once, both get the key of the first.
Result<SecretKey> load_or_create_key_file(const std::string& path, Random& random);

}  // namespace peat::crypto
