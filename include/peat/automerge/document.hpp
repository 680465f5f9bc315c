// An Automerge document: a JSON-like value with its whole history, merged without conflicts.
//
//   auto doc = peat::automerge::Document();
//   auto tx = doc.begin();
//   tx.put(kRoot, "name", std::string_view("north depot"));
//   auto hash = tx.commit({.time = now_seconds});
//   auto bytes = doc.save();
//
// Bytes, hashes and the rule that settles conflicts are those of the Rust and JavaScript
// implementations (automerge 0.7 and newer): what one saves, the others load.
//
// Laziness. A document holds a change graph (hash, actor, sequence number, counters,
// dependencies of each change) and the bytes of its chunks. The operations are materialised when
// something reads or edits them, not before: storing, relaying and synchronising a document costs
// no op set. What only materialising can find (an operation on an object that does not exist) is
// Code::document_invalid from the first read on; such a document still relays its changes.
//
// Errors are values; a failed call leaves the document as it was. Malformed input of any kind is
// an error that names the rule, the chunk and the byte offset.
//
// Threading: a Document belongs to one thread at a time; different documents are independent.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "peat/automerge/patch.hpp"
#include "peat/automerge/types.hpp"
#include "peat/automerge/view.hpp"
#include "peat/export.hpp"

namespace peat::automerge {

class Transaction;

// How much of a loaded document is proved at once.
enum class Verify : std::uint8_t {
  full,  // every change is rebuilt and the heads must match: for bytes from outside
  lazy,  // checksum and structure now; hashes when first needed, the error then sticks
  none,  // the heads that the file names are not compared: those of the rebuilt changes take their
         // place. Opens documents that others saved after they took in a change that they cannot
         // rebuild; what comes of it is not the history that peers know.
};

// What a fault behind the first chunk of an input does.
enum class OnPartialLoad : std::uint8_t {
  error,   // nothing is loaded
  ignore,  // what stands before the fault is loaded, load_fault() says what was left; changes whose
           // dependencies are missing wait
};

struct LoadOptions {
  Verify verify = Verify::full;
  LoadLimits limits{};
  OnPartialLoad on_partial = OnPartialLoad::error;
  std::optional<ActorId> actor{};  // of later edits; random if absent
  TextUnit text_unit = TextUnit::code_point;
};

struct SaveOptions {
  bool deflate = true;         // columns of 256 bytes and more
  bool retain_orphans = true;  // append queued changes whose dependencies are missing
};

struct CommitOptions {
  std::int64_t time = 0;  // seconds since the epoch, recorded as given
  std::string message{};
  bool allow_empty = false;  // make a change even without operations
};

// What applying changes did.
struct ApplyReport {
  std::size_t applied = 0;  // new changes that are now in the graph
  std::size_t queued = 0;   // new changes that wait for dependencies
  std::size_t known = 0;    // already here
};

class PEAT_API Document {
 public:
  Document();  // empty, random actor
  explicit Document(ActorId actor);
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  // --- bytes in and out -----------------------------------------------------------------------

  // Any concatenation of chunks as `save`, `save_incremental`, `bundle` and others' saves write
  // them.
  // Empty input is an empty document.
  static Result<Document> load(ByteView input, const LoadOptions& options = {});
  Result<Bytes> save(const SaveOptions& options = {}) const;
  // The changes since the last save or save_incremental, as uncompressed change chunks.
  Result<Bytes> save_incremental();
  // The changes that are not ancestors of (or in) `heads`, likewise; unknown hashes are ignored.
  Result<Bytes> save_after(std::span<const ChangeHash> heads) const;
  // Applies every change found in `input`.
  // What cut a load with OnPartialLoad::ignore short: rule, chunk and byte.
  const std::optional<Error>& load_fault() const;
  Result<ApplyReport> load_incremental(ByteView input, const LoadLimits& limits = {});

  // The form a store keeps: change graph and chunks, opened again in O(changes) without
  // materialising and without proving hashes again (the store's record is trusted). `tail` are
  // change chunks applied since, oldest first; they were verified when they came.
  // While a document has few changes (64 and 64 KiB beyond its last document chunk) this is a copy
  // of their chunks; later a document chunk, which costs materialising and a save.
  Result<Bytes> to_stored() const;
  static Result<Document> from_stored(ByteView stored, std::span<const ByteView> tail = {},
                                      const LoadOptions& options = {});
  // Estimated heap bytes of this object now, for caches.
  std::size_t memory_bytes() const;

  // --- history -------------------------------------------------------------------------------

  const Heads& heads() const;
  std::size_t change_count() const;
  std::uint64_t max_op() const;
  const ActorId& actor() const;
  Status set_actor(ActorId actor);  // fails while a transaction is open

  // Who edits here: up to 65,535 bytes that the application knows people by (a public key, an
  // account). Written with this actor's first change, where every replica reads it; an actor keeps
  // its author, so Code::invalid_argument once it has made a change. Forks keep the author: give
  // theirs with set_author.
  Status set_author(std::optional<Bytes> author);
  const std::optional<Bytes>& author() const;
  // Who made the changes of `actor`, if they say so. Cost: the changes, at the first question.
  std::optional<Bytes> author_of(const ActorId& actor) const;

  bool has_change(const ChangeHash& hash) const;
  // Information on every change in the order this replica applied them.
  std::vector<ChangeInfo> changes() const;
  std::optional<ChangeInfo> change(const ChangeHash& hash) const;
  // The uncompressed chunk of a change; the view lives until the next mutation. Rebuilds it from
  // the document chunk when needed (Code::document_invalid if that proves false).
  Result<ByteView> change_bytes(const ChangeHash& hash) const;
  // Chunks of all changes that are not ancestors of (or in) `have`, in graph order. Unknown
  // hashes in `have` are ignored.
  Result<std::vector<ByteView>> changes_since(std::span<const ChangeHash> have) const;
  // These changes as one bundle chunk, column-wise like a document and about as compact, without
  // their ancestors: for load_incremental of who has those. Code::not_found names a hash that is
  // not here. Order and repetition do not matter.
  Result<Bytes> bundle(std::span<const ChangeHash> hashes) const;
  std::vector<ChangeHash> hashes_since(std::span<const ChangeHash> have) const;
  // Ancestors of `heads` (and of queued changes) that are missing here, ascending.
  std::vector<ChangeHash> missing_deps(std::span<const ChangeHash> heads = {}) const;

  // Each change is verified as by inspect_change, then: dependencies present (else queued),
  // sequence contiguous and not equivocating, counters above every dependency's. One bad change
  // refuses the whole call and changes nothing.
  Result<ApplyReport> apply_changes(std::span<const ByteView> chunks,
                                    const LoadLimits& limits = {});
  // Brings every change that `other` has and this lacks.
  Result<ApplyReport> merge(const Document& other);
  // A copy that goes on under another actor (random if absent).
  Result<Document> fork(std::optional<ActorId> actor = {}) const;
  // A new document whose one change (the actor's first, without dependencies) makes all that this
  // one shows: winners only, types kept, marks and blocks of texts not. Its operations are numbered
  // above every one of this document, so that merged into a copy of it the change wins every key
  // that it holds. Materialises. Code::limit_exceeded when numbers would run out.
  Result<Document> snapshot(ActorId actor, const CommitOptions& options = {}) const;
  // As it was at these heads, without what came later. Costs applying that history again.
  // Code::not_found names a head that is not here.
  Result<Document> fork_at(std::span<const ChangeHash> heads,
                           std::optional<ActorId> actor = {}) const;

  // --- views (view.hpp): reading at any heads, marks, cursors ---------------------------------

  View read() const;  // of what the document holds at each call
  Result<View> at(std::span<const ChangeHash> heads) const;

  // --- reading (materialises) ---------------------------------------------------------------

  // Makes the op set now; Ok means every later read succeeds.
  Status materialise() const;

  // The winner of a key; nullopt if absent or deleted. Wrong object type: Code::wrong_type.
  Result<std::optional<Value>> get(ObjectId object, std::string_view key) const;
  Result<std::optional<Value>> get(ObjectId object, std::size_t index) const;
  // All concurrent values, ascending by operation id; the winner is last.
  Result<std::vector<Value>> get_all(ObjectId object, std::string_view key) const;
  Result<std::vector<Value>> get_all(ObjectId object, std::size_t index) const;
  Result<std::vector<std::string_view>> keys(ObjectId object) const;  // bytewise ascending
  Result<std::size_t> length(ObjectId object) const;  // keys, elements, or text in the text unit
  Result<std::string> text(ObjectId object) const;
  Result<ObjectType> object_type(ObjectId object) const;
  ActorId actor_of(OpId op) const;

  // --- ids outside this document --------------------------------------------------------------

  // Text and bytes that name an object in every replica that has it, in the forms of the Rust and
  // JavaScript implementations. Reading gives Code::malformed for other forms, Code::not_found for
  // an object that is not here.
  std::string object_text(ObjectId object) const;  // "_root" or "counter@actorhex"
  Result<ObjectId> parse_object(std::string_view text) const;
  Bytes encode_object(ObjectId object) const;
  Result<ObjectId> decode_object(ByteView bytes) const;
  std::string op_text(OpId op) const;  // "counter@actorhex"

  // --- text unit ------------------------------------------------------------------------------

  // What positions and lengths in texts count from now on, everywhere in this document: code
  // points unless told otherwise. An edit at a position inside a character takes effect behind it.
  // It is a setting of this object: not saved, taken over by forks. Free of cost.
  void set_text_unit(TextUnit unit);
  TextUnit text_unit() const;

  // --- JSON (json.cpp says how each type maps) ----------------------------------------------

  // Winners only, compact. Text objects are strings, counters and timestamps numbers, bytes
  // base64 strings, non-finite doubles null; keys bytewise ascending. Materialises.
  // JsonForm::typed shows everything as it is: what JSON has no type for becomes an object of one
  // member, {"$bytes": base64}, {"$counter": n}, {"$timestamp": n}, {"$uint": n}, {"$int": n},
  // {"$double": "NaN"}, {"$text": s}, {"$unknown": [type, base64]}, and a map that looks like one
  // of these {"$map": {…}}. Integers beyond ±(2^53 - 1) stand in such an object as a string, since
  // many languages read JSON numbers as doubles. update_from_json of the same form makes the same
  // values.
  Result<std::string> to_json(JsonForm form = JsonForm::plain) const;
  // An object (the root) in one change: breadth first, keys bytewise ascending. Strings become
  // scalar strings, integers that fit int64 ints, those that fit uint64 uints, others doubles.
  // Writes only what differs: a nested map merges field by field (what `json` does not name is
  // deleted), lists change by the fewest insertions and erasures (where more than 1,024 would
  // be needed, from the first to the last difference), texts by update_text, and a field whose
  // to_json form equals the given value is left alone, numbers by value (1 and 1.0 are equal). A
  // text, counter or timestamp stays one: it is spliced, incremented or set. Returns nullopt when
  // nothing differed. Limits: 64 levels, 4 Mi values. Errors: Code::malformed with the byte offset
  // (not JSON, not UTF-8, a number beyond a double), Code::limit_exceeded, Code::invalid_argument
  // (the root is no object); the document is unchanged then. Cost: about 13 us to make and 6 us to
  // compare 1 KiB of 23 fields.
  Result<std::optional<ChangeHash>> update_from_json(std::string_view json,
                                                     const CommitOptions& options,
                                                     JsonForm form = JsonForm::plain);
  // The same result the way existing peers write it: every object and list becomes a new one, so
  // that of two concurrent replacements one wins as a whole; equal scalars of the root are left
  // alone.
  Result<std::optional<ChangeHash>> replace_from_json(std::string_view json,
                                                      const CommitOptions& options,
                                                      JsonForm form = JsonForm::plain);
  // RFC 7386 merge patch applied to the root: null deletes, objects merge, all else replaces.
  Result<std::optional<ChangeHash>> merge_patch(std::string_view patch,
                                                const CommitOptions& options,
                                                JsonForm form = JsonForm::plain);
  // Settles conflicts in one change, all or none: [{"path": ["items", 0, "name"], "value": …}, …].
  // A path is as View::conflicts gives it; of a list also an index in decimal digits. A value that
  // is there already, the winner or one that lost, stays as it is and keeps its type: counters,
  // timestamps, texts and bytes are recognised by what to_json shows. If it is the winner only the
  // others go, so that edits that others make in a winning object are kept. Errors:
  // Code::precondition_failed where nothing is in conflict (any more), as for merge_patch
  // otherwise.
  Result<std::optional<ChangeHash>> settle(std::string_view settlements,
                                           const CommitOptions& options,
                                           JsonForm form = JsonForm::plain);

  // --- what changed (patch.hpp) ---------------------------------------------------------------

  // From one state to another, in any direction. Code::not_found names a head that is not here.
  Result<std::vector<Patch>> diff(std::span<const ChangeHash> before,
                                  std::span<const ChangeHash> after) const;
  // Tells `observer` of every change from now on; an empty one ends that. Nothing is spent on
  // patches while nobody observes. Forks are not observed. While the document cannot be
  // materialised nothing is told.
  Status observe(Observer observer);

  // --- editing --------------------------------------------------------------------------------

  // One at a time; the document must not be moved while it is open.
  Result<Transaction> begin();
  // A transaction that sees and changes the document as it was at these heads, as if nobody had
  // gone on since; its change depends on them alone. What it did merges with everything else at
  // commit. If the own actor has gone on since, an actor derived from it makes the change (bytes 13
  // b2 23 09, ULEB level, actor). To go on isolated, begin the next one at the hash of this one's
  // change. Costs applying the history of these heads again; the document's own state is untouched
  // until commit. Heads that lie below others of them are left out.
  Result<Transaction> begin_at(std::span<const ChangeHash> heads);

  struct Impl;  // the library's own

 private:
  friend class Transaction;
  friend class SyncAccess;
  friend class View;
  friend struct ViewAccess;
  std::unique_ptr<Impl> impl_;
};

// A set of edits that becomes one change. Destroyed without commit it rolls back.
//
// An edit that is an error changes nothing, but for Code::out_of_memory: after that the transaction
// can only be rolled back.
//
// Which operations an edit makes decides the hash, and follows the Rust implementation:
// a put equal to the current value makes none; inserts come before the deletes of one splice.
class PEAT_API Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Status put(ObjectId object, std::string_view key, const Scalar& value);
  Status put(ObjectId object, std::size_t index, const Scalar& value);
  Result<ObjectId> put_object(ObjectId object, std::string_view key, ObjectType type);
  Result<ObjectId> put_object(ObjectId object, std::size_t index, ObjectType type);
  Status insert(ObjectId list, std::size_t index, const Scalar& value);
  Result<ObjectId> insert_object(ObjectId list, std::size_t index, ObjectType type);
  Status erase(ObjectId object, std::string_view key);
  Status erase(ObjectId object, std::size_t index);
  // Ends a conflict in favour of its winner: the others go. Nothing if there is none.
  Status keep_winner(ObjectId object, std::string_view key);
  Status keep_winner(ObjectId object, std::size_t index);
  // Adds to a counter; Code::missing_counter if none of the visible values is one.
  Status increment(ObjectId object, std::string_view key, std::int64_t by);
  Status increment(ObjectId object, std::size_t index, std::int64_t by);
  // Positions and lengths in the document's text unit. A negative `erase` deletes before `index`;
  // what would be erased beyond the end is not there to be erased, which is no error.
  Status splice_text(ObjectId text, std::size_t index, std::ptrdiff_t erase,
                     std::string_view insert);
  Status splice(ObjectId list, std::size_t index, std::ptrdiff_t erase,
                std::span<const Scalar> insert);

  // Marks and blocks of texts (marks.hpp). The mark of an empty range covers nothing, not even what
  // is typed there later; one that expands nowhere is no edit at all.
  Status mark(ObjectId text, std::size_t start, std::size_t end, std::string_view name,
              const Scalar& value, Expand expand = Expand::after);
  // Takes the name away from a range: a mark of value null.
  Status unmark(ObjectId text, std::size_t start, std::size_t end, std::string_view name,
                Expand expand = Expand::after);
  // Puts a block at an index; its keys are set like those of any map. join_block removes it:
  // Code::wrong_type if what stands there is none.
  Result<ObjectId> split_block(ObjectId text, std::size_t index);
  Status join_block(ObjectId text, std::size_t index);

  // --- nested values ---

  // Makes a new object and all in it: breadth first, keys bytewise ascending. Of texts the
  // characters count, not marks and blocks. Code::invalid_argument if the tree is a scalar.
  Result<ObjectId> put_tree(ObjectId object, std::string_view key, const Tree& tree);
  Result<ObjectId> put_tree(ObjectId object, std::size_t index, const Tree& tree);
  Result<ObjectId> insert_tree(ObjectId list, std::size_t index, const Tree& tree);
  // Makes an object equal to a tree of its kind: of maps first the keys that are there, then new
  // ones, then those that go; lists element by element from the first on; texts by update_text.
  // What is equal is left alone. Code::wrong_type for a tree of another kind.
  Status update_object(ObjectId object, const Tree& tree);
  // The fewest erasures and insertions of code points that make a text say this. Search is given up
  // after 16 Mi steps (texts of 4,000 characters with nothing in common): what is left then is
  // replaced whole.
  Status update_text(ObjectId text, std::string_view wanted);

  // The document as this transaction sees it.
  const Document& document() const;
  std::size_t pending_ops() const;

  // Nullopt if there was nothing to commit.
  Result<std::optional<ChangeHash>> commit(const CommitOptions& options = {});
  void rollback();

 private:
  friend class Document;
  explicit Transaction(Document& document);
  Document::Impl* impl() const;
  template <class Make>
  Result<ObjectId> make_tree(const Tree& tree, Make make);
  Result<std::optional<ChangeHash>> commit_past(const CommitOptions& options);
  Document* document_;              // null once ended
  std::unique_ptr<Document> past_;  // of begin_at: the document as it was
};

}  // namespace peat::automerge
