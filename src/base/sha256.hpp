// SHA-256 of what comes piece by piece (encoding.hpp has it of what is there as a whole).
#pragma once

#include <memory>

#include "base/encoding.hpp"

namespace peat {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(ByteView data);
  Sha256Digest finish();  // of all so far; begins anew

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace peat
