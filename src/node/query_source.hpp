// What queries of a node read: its documents, as they are visible.
//
// Threading: the loop. Lifetime: documents outlive it.
#pragma once

#include "base/encoding.hpp"
#include "crypto/keys.hpp"
#include "node/document_index.hpp"
#include "query/source.hpp"
#include "sync/documents.hpp"

namespace peat::node {

class QuerySource final : public query::Source {
 public:
  // The key of tokens comes from the node's identity, so that they stay good over a restart.
  QuerySource(sync::Documents& documents, DocumentIndex& index, const crypto::SecretKey& identity);

  Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                        std::size_t limit) override;
  Result<std::optional<std::string>> json(std::string_view key) override;
  std::uint64_t count(std::string_view collection) const override;
  std::optional<std::uint32_t> find_index(std::string_view collection,
                                          std::string_view path) override;
  Result<std::vector<query::IndexEntry>> index_entries(std::uint32_t index,
                                                       const query::KeyRange& range,
                                                       std::string_view after, bool descending,
                                                       std::size_t limit) override;
  ByteView token_key() const override { return token_key_; }

 private:
  sync::Documents& documents_;
  DocumentIndex& index_;
  Sha256Digest token_key_;
};

}  // namespace peat::node
