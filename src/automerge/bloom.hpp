// The Bloom filter of the sync protocol: which changes a peer already has, 1 % false positives.
#pragma once

#include <span>

#include "peat/automerge/types.hpp"

namespace peat::automerge {

// A filter of `hashes` in its wire form; no bytes for no hashes.
Bytes build_bloom(std::span<const ChangeHash> hashes);

// A parsed filter; views the bytes it was parsed from.
class BloomView {
 public:
  // Refuses a filter shorter than it claims, or with more probes than the limit sync_bloom_probes:
  // a look-up costs as many steps as the sender of the filter asks for.
  static Result<BloomView> parse(ByteView input);

  bool contains(const ChangeHash& hash) const;

 private:
  std::uint32_t probes_ = 0;
  ByteView bits_;  // empty: contains nothing
};

}  // namespace peat::automerge
