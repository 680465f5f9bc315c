#include "node/query_source.hpp"

namespace peat::node {

QuerySource::QuerySource(sync::Documents& documents, DocumentIndex& index,
                         const crypto::SecretKey& identity)
    : documents_(documents),
      index_(index),
      // A signature is the same each time and known to nobody without the key.
      token_key_(sha256(identity.sign(as_bytes(std::string_view("peat query tokens 1"))))) {}

Result<std::vector<std::string>> QuerySource::keys(std::string_view prefix, std::string_view after,
                                                   std::size_t limit) {
  return documents_.store().keys(prefix, after, limit);
}

Result<std::optional<std::string>> QuerySource::json(std::string_view key) {
  PEAT_TRY(auto view, documents_.glance(key));
  if (!view) return std::nullopt;
  return std::move(view->json);
}

std::uint64_t QuerySource::count(std::string_view collection) const {
  return documents_.store().count(collection);
}

std::optional<std::uint32_t> QuerySource::find_index(std::string_view collection,
                                                     std::string_view path) {
  return index_.find(collection, path);
}

Result<std::vector<query::IndexEntry>> QuerySource::index_entries(std::uint32_t index,
                                                                  const query::KeyRange& range,
                                                                  std::string_view after,
                                                                  bool descending,
                                                                  std::size_t limit) {
  return index_.entries(index, range, after, descending, limit);
}

}  // namespace peat::node
