// A load on a document store of which every state is known: after n batches the store must hold
// exactly what Model::advance(n) says, no matter which crash came in between.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "store/document_store.hpp"

namespace peat::test {

// Batch number `n` (from 1): documents replaced, extended, erased and buried, a pair of documents
// that always change together, and the batch's own number.
store::WriteBatch workload_batch(std::uint64_t n);

class Model {
 public:
  // Goes on to the state after `n` batches.
  void advance(std::uint64_t n);
  std::uint64_t batches() const { return batches_; }
  // Empty if `store` holds exactly this state; else the first difference, in words.
  std::string difference(const store::DocumentStore& store) const;

 private:
  std::string document_difference(const store::DocumentStore& store) const;
  std::string tombstone_difference(const store::DocumentStore& store) const;
  std::string feed_difference(const store::DocumentStore& store) const;

  std::uint64_t batches_ = 0;
  std::map<std::string, std::string> documents_;
  std::map<std::string, std::uint64_t> tombstones_;  // key → lamport
};

// How many batches the store holds, by its own account.
Result<std::uint64_t> batches_in(const store::DocumentStore& store);

}  // namespace peat::test
