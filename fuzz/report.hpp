// What a fuzz target did, told when it ends: how many inputs got past the checksum or the header.
//
// A target counts with `static FuzzReport report("wire_batch"); report.input(accepted);`.
#pragma once

#include <cstdint>
#include <cstdio>

class FuzzReport {
 public:
  explicit FuzzReport(const char* target) : target_(target) {}
  ~FuzzReport() {
    std::fprintf(stderr, "accepted %llu of %llu inputs in %s\n",
                 static_cast<unsigned long long>(accepted_),
                 static_cast<unsigned long long>(inputs_), target_);
  }

  void input(bool accepted) {
    ++inputs_;
    accepted_ += accepted ? 1 : 0;
  }

 private:
  const char* target_;
  std::uint64_t inputs_ = 0;
  std::uint64_t accepted_ = 0;
};
