// Files that hold secrets: mode 0600, written under a temporary name, flushed, then renamed, and
// the directory flushed, so that a crash leaves either the old file or the whole new one.
//
// A file that group or others may touch, that another user owns, a symbolic link (unless the rules
// follow it), anything but a regular file and a size outside the given bounds are refused with
// Code::bad_key_file; the message begins with `what` ("key file") and names the remedy. Other
// failures of the system are Code::io_error with the path and the system's words.
//
// A credential of systemd, a file in the directory that $CREDENTIALS_DIRECTORY names, belongs to
// root and shows its access list as bits of the group: there the group may read.
//
// Threading: any. Cost: two flushes of the disk for a write.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::crypto {

// What a file may be.
struct SecretFileRules {
  std::string_view what = "secret file";
  std::size_t min_bytes = 0;
  std::size_t max_bytes = 4096;
  std::string_view size_remedy = {};  // what to do about a file of another size
  // For files that the operator names, which some systems hand over as links. The file itself is
  // held to the same rules.
  bool follow_link = false;
};

// Code::not_found if there is no file.
Result<SecretBytes> read_secret_file(const std::string& path, const SecretFileRules& rules);

enum class Existing : bool { refuse, replace };

// Code::bad_key_file if `path` exists and is not to be replaced.
Status write_secret_file(const std::string& path, ByteView content, Existing existing,
                         Random& random, std::string_view what = "secret file");

}  // namespace peat::crypto
