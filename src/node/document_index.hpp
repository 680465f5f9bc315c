// Secondary indexes: which documents of a collection have which value in a field.
//
// An index follows the change feed: it holds a position, and for every document up to there one
// entry if the document has the field. So writes and what peers send cost nothing more and stay
// unread (design rule 7); a document is read for its indexes when the node has nothing better to
// do, or when a query comes that wants them. The entries and the position that they are good for
// are written in one batch behind the documents: whatever a crash takes, they are never ahead of
// what is there, and what is missing is made from the feed. A new index is one at position 0.
//
// In the store (DocumentStore::put_index), numbers big-endian:
//   'i' u32 number                       → u16 length, collection, u64 position, path
//   'v' u32 number, value key, id key    → id
//   'e' u32 number, id key               → value key
// The keys of values are those of query/index_key.hpp, of ids those of id_key().
//
// Threading: the loop. Cost: two rows per document and index; a change of a document reads it once
// and writes nothing if its values stayed. Limit: query_indexes. Lifetime: documents and executor
// outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.hpp"
#include "node/collection_setting.hpp"
#include "peat/error.hpp"
#include "query/ast.hpp"
#include "query/source.hpp"
#include "sync/documents.hpp"

namespace peat::node {

class DocumentIndex {
 public:
  // Reads what there is.
  static Result<std::unique_ptr<DocumentIndex>> open(sync::Documents& documents,
                                                     Executor& executor);
  ~DocumentIndex();
  DocumentIndex(const DocumentIndex&) = delete;
  DocumentIndex& operator=(const DocumentIndex&) = delete;

  // The ones wanted from now on: new ones are made, others dropped, both by and by.
  // Code::bad_setting in an encrypted store, whose row keys are not: values would be in them.
  Status set(const std::vector<IndexName>& wanted);
  // The store has changed.
  void on_change();

  // nullopt: there is none, or it is behind by more than is worth waiting for.
  std::optional<std::uint32_t> find(std::string_view collection, std::string_view path);
  Result<std::vector<query::IndexEntry>> entries(std::uint32_t number, const query::KeyRange& range,
                                                 std::string_view after, bool descending,
                                                 std::size_t limit) const;

  struct State {
    IndexName name;
    std::uint64_t behind = 0;  // positions of the feed
  };
  std::vector<State> states() const;

 private:
  struct Index {
    std::uint32_t number = 0;
    IndexName name;
    query::Ast fields;        // reads the path
    store::Seq position = 0;  // entries are those of the documents up to here
    store::Seq saved = 0;     // as the store has it
    bool dropped = false;
  };

  DocumentIndex(sync::Documents& documents, Executor& executor)
      : documents_(documents), store_(documents.store()), executor_(executor) {}

  Status load();
  static Result<Index> make(std::uint32_t number, IndexName name, store::Seq position);
  void schedule(Duration pause);
  // One turn of it; true if there is more.
  Result<bool> follow();
  Result<bool> drop(Index& index);
  Status note(store::WriteBatch& batch, const Index& index, std::string_view id,
              const std::optional<std::string>& json) const;
  static void save(store::WriteBatch& batch, Index& index, store::Seq position);
  store::Seq behind_most() const;

  sync::Documents& documents_;
  store::DocumentStore& store_;
  Executor& executor_;
  std::vector<Index> indexes_;
  std::uint32_t next_number_ = 1;
  TimerId timer_ = 0;
};

}  // namespace peat::node
