// Operation tables: reading, checking and writing the rows of changes and documents.
//
// In a change, operation i has the id (start_op + i, author); actor 0 is the author and 1...
// are the other actors. Columns (rows agree in number):
//
//   01 object actor   rle      02 object counter  rle      null, null: the root
//   11 element actor  rle      13 element counter delta    null, 0: the head of a sequence
//   15 key            rle text                             map keys; null for sequences
//   34 insert         boolean  42 action          rle
//   56 value metadata rle      57 value bytes (length << 4 | type; bytes side by side)
//   70 predecessors   rle      71 their actors    rle      73 their counters delta
//   94 expand         boolean  a5 mark name       rle text
//
// A document's operation table is the same plus 21/23 (id) with successors 80/81/83 in place of
// 70/71/73. Columns whose rows are all null are left out, 94 also when all false.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "automerge/columns.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

enum class Action : std::uint8_t {
  kMakeMap,
  kSet,
  kMakeList,
  kDelete,
  kMakeText,
  kIncrement,
  kMakeTable,
  kMark,
};
inline constexpr std::uint64_t kLastAction = 7;

inline bool makes_object(Action action) {
  return action == Action::kMakeMap || action == Action::kMakeList || action == Action::kMakeText ||
         action == Action::kMakeTable;
}

// Value types of the metadata column.
enum ValueType : std::uint8_t {
  kTypeNull,
  kTypeFalse,
  kTypeTrue,
  kTypeUint,
  kTypeInt,
  kTypeDouble,
  kTypeText,
  kTypeBytes,
  kTypeCounter,
  kTypeTimestamp,
};

// One operation, or a run of `count` operations with consecutive ids. Which actor table its ids
// refer to is the context's business. Runs take two forms, because editing does:
//   typing:   inserts of one code point each, all of the same number of bytes, side by side in
//             `value`; each is keyed to the one before, the first to `elem`. In a document each
//             may have one link: the first is links[0], the next lie `step` apart.
//   deleting: deletions of elements that nothing but their insertion has set: elem and links[0]
//             are the first, the next lie `step` apart.
struct OpView {
  OpId object;  // none: the root
  OpId elem;    // sequences: the element, or for inserts the one before; none: the head
  std::string_view key;
  ByteView value;
  std::span<const OpId> links;  // predecessors (changes) or successors (documents)
  std::string_view mark_name;
  std::uint32_t meta = 0;  // value length << 4 | value type; of each operation
  std::uint32_t count = 1;
  std::int8_t step = 0;  // -1 or 1 if count > 1 and there are links
  Action action = Action::kSet;
  bool has_key = false;  // a map key; otherwise a sequence element
  bool insert = false;
  bool expand = false;
  bool has_mark_name = false;

  std::uint8_t value_type() const { return static_cast<std::uint8_t>(meta & 15); }
};

// Whether the bytes are the UTF-8 of exactly one code point.
bool is_code_point(ByteView bytes);
// Empty if the bytes are what the type says; otherwise what is wrong.
const char* value_fault(std::uint64_t meta, ByteView bytes);

// The value that such bytes are; a counter's is the one it began with.
Scalar scalar_of(std::uint32_t meta, ByteView bytes);

// Indexes of the operation columns.
enum OpColumn : std::uint8_t {
  kColObjActor,
  kColObjCounter,
  kColKeyActor,
  kColKeyCounter,
  kColKey,
  kColIdActor,
  kColIdCounter,
  kColInsert,
  kColAction,
  kColMeta,
  kColValue,
  kColLinks,
  kColLinkActor,
  kColLinkCounter,
  kColExpand,
  kColMarkName,
  kOpColumns,
};

enum class Table : std::uint8_t { kChange, kDocument };

// How many rows an action column claims, without walking them; what is above `limit` counts little.
std::uint64_t count_rows(ByteView column, std::uint64_t limit);

// The columns of one operation table: bytes and, for messages, where they began.
struct OpColumnSet {
  std::array<ByteView, kOpColumns> bytes;
  std::array<std::size_t, kOpColumns> offset{};
};
// What names each column in a directory; 0: this kind of table has none.
const std::array<std::uint32_t, kOpColumns>& op_column_specs(Table table);
// The column that `spec` names in this kind of table.
std::optional<OpColumn> op_column(Table table, std::uint64_t spec);

// Reads an operation table run by run in constant memory, and checks what one row can show:
// shape, references below the row's own counter, value bytes, text, limits. Cost: of the records,
// not of the rows.
class OpReader {
 public:
  // `actors`: entries of the table that the ids refer to. For changes, `start_op` numbers the rows.
  OpReader(Table table, const OpColumnSet& columns, std::uint32_t actors, std::uint64_t start_op,
           std::uint64_t max_links);

  // False at the end or on failure. `id`: of the first operation. Views in `op` live until the
  // next call.
  bool next(OpView& op, OpId& id);
  // As next, but always one operation.
  bool next_single(OpView& op, OpId& id);
  // The failure, or that a column has rows left over.
  Status finish() const;
  // After a change was read: the first actor that no row refers to (0 never counts), or 0.
  std::uint32_t unreferenced_actor() const;
  std::uint64_t rows() const { return row_; }

 private:
  bool refuse(std::string_view what, Code code = Code::malformed);
  bool read_id(OpId& id);
  bool read_object(OpView& op, OpId id);
  bool read_key(OpView& op, OpId id);
  bool read_value(OpView& op);
  bool read_links(OpView& op, OpId id);
  bool check_shape(const OpView& op);
  void extend_typing(OpView& op, OpId id);
  void extend_deleting(OpView& op);
  std::uint64_t same_object(OpView& op);
  void skip_row(std::uint64_t n);
  bool reference(std::uint64_t actor, std::int64_t counter, OpId& out);
  bool column_failed();

  Table table_;
  std::uint32_t actors_;
  std::uint64_t row_ = 0;
  std::uint64_t start_op_;
  std::uint64_t max_links_;
  std::uint64_t links_read_ = 0;
  RleDecoder<UlebValue> obj_actor_, obj_counter_, key_actor_, id_actor_, action_, meta_, links_,
      link_actor_;
  DeltaDecoder key_counter_, id_counter_, link_counter_;
  RleDecoder<TextValue> key_, mark_name_;
  BooleanDecoder insert_, expand_;
  Input value_;
  std::vector<OpId> link_buffer_;
  std::vector<std::uint8_t> referenced_;
  std::optional<Error> error_;
};

// Writes an operation table. Texts and values must stay where they are until finish().
class OpWriter {
 public:
  explicit OpWriter(Table table) : table_(table) {}
  void clear();
  // An operation or a run. `id` only for documents, and where `op` is a run of typing.
  void append(const OpView& op, OpId id = {});
  struct Column {
    std::uint32_t spec;
    ByteView bytes;
  };
  // The columns that are not left out, in order; valid until clear().
  std::span<const Column> finish();

 private:
  Table table_;
  void append_element(const OpView& op, OpId id);
  void append_links(const OpView& op);

  RleEncoder<UlebValue> obj_actor_, obj_counter_, key_actor_, id_actor_, action_, meta_, links_,
      link_actor_;
  DeltaEncoder key_counter_, id_counter_, link_counter_;
  RleEncoder<TextValue> key_, mark_name_;
  BooleanEncoder insert_, expand_;
  Bytes value_;
  std::array<Column, kOpColumns> finished_;
};

// A spec as messages name it.
std::string hex_spec(std::uint64_t spec);

// Reads a column directory, keeping each spec's place in the bytes that follow it.
struct DirectoryEntry {
  std::uint64_t spec = 0;
  std::uint64_t length = 0;
};
Result<std::vector<DirectoryEntry>> read_directory(Input& in, std::string_view what);

}  // namespace peat::automerge
