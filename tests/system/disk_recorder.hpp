// Watches what this process does to one file: the system calls that liblmdb makes resolve to the
// test program's own definitions, which record, and then do as told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "peat/bytes.hpp"

namespace peat::test {

struct DiskEvent {
  enum class Kind : std::uint8_t {
    write,         // in the page cache only
    synced_write,  // O_DSYNC: itself on the disk when it returns
    flush,         // everything written before is on the disk
    note,          // said by the test
  };
  Kind kind = Kind::note;
  std::uint64_t offset = 0;
  Bytes bytes;
  std::uint64_t number = 0;  // of a note
};

class DiskRecorder {
 public:
  // Records from now on what happens to files whose name ends in `suffix`. One at a time.
  explicit DiskRecorder(std::string suffix);
  ~DiskRecorder();
  DiskRecorder(const DiskRecorder&) = delete;
  DiskRecorder& operator=(const DiskRecorder&) = delete;

  void note(std::uint64_t number);
  std::vector<DiskEvent> take();

  // After this many more written bytes writes fail as on a full disk (the first one in part);
  // by default never.
  void set_room(std::uint64_t bytes);
  // Maps of the file that are larger than this fail as if there were no address space.
  void set_largest_map(std::uint64_t bytes);
};

}  // namespace peat::test
