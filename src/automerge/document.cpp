#include "peat/automerge/document.hpp"

#include <algorithm>

#include "automerge/author.hpp"
#include "automerge/document_chunk.hpp"
#include "automerge/document_impl.hpp"

namespace peat::automerge {

LoadLimits no_limits() {
  LoadLimits limits;
  limits.input_bytes = limits.inflated_bytes = UINT64_MAX;
  limits.ops = limits.changes = UINT32_MAX;
  return limits;
}

Unit unit_of(TextUnit unit) {
  if (unit == TextUnit::utf8) return &Units::utf8;
  return unit == TextUnit::utf16 ? &Units::utf16 : &Units::points;
}

// --- Impl -----------------------------------------------------------------------------------

Result<ByteView> Document::Impl::chunk_of(std::size_t row) {
  if (row >= base_count) return tail_chunk(row);
  PEAT_TRY_VOID(rebuild_base());
  return rebuilt->chunk(row);
}

Status Document::Impl::rebuild_base() {
  if (rebuilt || base_count == 0) return {};
  PEAT_TRY_VOID(materialise());
  auto kept = std::make_shared<ChangeLog>();
  Rebuilder rebuilder(*ops, actors, graph, base_count);
  PEAT_TRY_VOID(rebuilder.assign());
  PEAT_TRY_VOID(rebuilder.write(hashes_known, kept.get()));
  rebuilt = std::move(kept);
  return {};
}

// The rebuilt hashes of the rows that nothing depends on must be the heads that the file names.
Status Document::Impl::check_heads() const {
  std::vector<bool> has_child(graph.size());
  for (std::size_t i = 0; i < graph.size(); ++i) {
    for (const auto dep : graph.deps(i)) has_child[dep] = true;
  }
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const auto& hash = graph.row(i).hash;
    if (!has_child[i] && !std::ranges::binary_search(graph.heads(), hash)) {
      return fail(Code::hash_mismatch, "the rebuilt change " + hash.to_string() +
                                           " is none of the heads that the document names");
    }
  }
  return {};
}

// Where the file's heads are not to be believed, those of the changes themselves are.
void Document::Impl::take_rebuilt_heads() {
  std::vector<bool> has_child(graph.size());
  for (std::size_t i = 0; i < graph.size(); ++i) {
    for (const auto dep : graph.deps(i)) has_child[dep] = true;
  }
  Heads heads;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    if (!has_child[i]) heads.push_back(graph.row(i).hash);
  }
  std::ranges::sort(heads);
  graph.set_heads(std::move(heads));
}

// A lazily loaded document learns its hashes, and whether its file told the truth.
Status Document::Impl::ensure_hashes() {
  if (hashes_known) return {};
  if (invalid) return std::unexpected(*invalid);
  auto status = rebuild_base();
  if (status) status = check_heads();
  if (!status) {
    invalid = status.error();
    return status;
  }
  hashes_known = true;
  graph.hashes_are_known();
  return {};
}

std::vector<std::uint32_t> Document::Impl::local_actors(const ChangeView& change) {
  std::vector<std::uint32_t> local(change.actor_count());
  for (std::uint32_t i = 0; i < local.size(); ++i) local[i] = actors.add(change.actor_at(i));
  return local;
}

namespace {

// Small op sets grow in memory that was used before and then move into memory of their size: pages
// that nobody has touched yet are the dearest part of making one.
constexpr std::size_t kMostSpare = std::size_t{64} << 10;
thread_local std::unique_ptr<OpSet> spare_ops;

void keep_spare(std::unique_ptr<OpSet> set) noexcept {
  if (set && set->memory_bytes() <= kMostSpare) spare_ops = std::move(set);
}

}  // namespace

std::unique_ptr<OpSet> Document::Impl::new_ops() const {
  if (!spare_ops) return std::make_unique<OpSet>(actors);
  spare_ops->clear(actors);
  return std::move(spare_ops);
}

std::unique_ptr<OpSet> Document::Impl::settled(std::unique_ptr<OpSet> set) const noexcept {
  if (set->memory_bytes() > kMostSpare) return set;
  try {
    auto copy = std::make_unique<OpSet>(*set, actors);
    keep_spare(std::move(set));
    return copy;
  } catch (const std::bad_alloc&) {
    return set;
  }
}

void Document::Impl::drop_ops() noexcept { keep_spare(std::move(ops)); }

Status Document::Impl::materialise() {
  if (ops) return {};
  if (invalid) return std::unexpected(*invalid);
  auto status = materialise_tail(false);
  // A change may touch what a concurrent one made. By ascending ids every operation comes after
  // those it refers to, so that the verdict depends on the set of changes alone, not on the order
  // in which this replica met them.
  if (!status && graph.size() - base_count > 1) status = materialise_tail(true);
  if (!status) {
    ops.reset();
    invalid = Error{Code::document_invalid, status.error().message};
    return std::unexpected(*invalid);
  }
  return {};
}

Status Document::Impl::materialise_tail(bool by_id) {
  const auto limits = no_limits();
  auto set = new_ops();
  if (base_count != 0) {
    PEAT_TRY(const auto chunk, read_chunk(*base, 0));
    ChangeGraph scratch;
    PEAT_TRY_VOID(read_document(chunk, limits, actors, scratch, *set));
  }
  struct OwnedOp {
    OpView op;
    OpId id;
    std::vector<OpId> links;
  };
  std::vector<OwnedOp> all;
  for (std::size_t row = base_count; row < graph.size(); ++row) {
    PEAT_TRY(const auto chunk, read_chunk(tail_chunk(row), 0));
    PEAT_TRY(const auto change, parse_change_body(chunk, graph.row(row).hash, limits));
    const auto local = local_actors(change);
    if (!by_id) {
      PEAT_TRY_VOID(set->apply_change(change, local));
      continue;
    }
    const auto map = [&local](OpId id) {
      return id.none() ? id : OpId(id.counter(), local[id.actor()]);
    };
    auto reader = change.ops();
    OwnedOp next;
    while (reader.next_single(next.op, next.id)) {
      auto& op = all.emplace_back(next);
      op.id = map(op.id);
      op.op.object = map(op.op.object);
      op.op.elem = map(op.op.elem);
      for (const auto link : next.op.links) op.links.push_back(map(link));
    }
    PEAT_TRY_VOID(reader.finish());
  }
  std::ranges::sort(all,
                    [this](const OwnedOp& a, const OwnedOp& b) { return actors.less(a.id, b.id); });
  for (auto& op : all) {
    op.op.links = op.links;
    PEAT_TRY_VOID(set->apply(op.op, op.id));
  }
  ops = settled(std::move(set));
  return {};
}

std::vector<bool> Document::Impl::ancestors(std::span<const ChangeHash> have) const {
  std::vector<std::uint32_t> rows;
  for (const auto& hash : have) {
    if (const auto row = graph.find(hash)) rows.push_back(*row);
  }
  return graph.closure(rows);
}

std::vector<ChangeHash> Document::Impl::dep_hashes(std::size_t row) const {
  std::vector<ChangeHash> out;
  for (const auto dep : graph.deps(row)) out.push_back(graph.row(dep).hash);
  return out;
}

ChangeInfo Document::Impl::info(std::size_t i) const {
  const auto& row = graph.row(i);
  ChangeInfo out;
  out.hash = row.hash;
  const auto id = actors.bytes(row.actor);
  out.actor.bytes.assign(id.begin(), id.end());
  out.seq = row.seq;
  out.start_op = row.start_op;
  out.op_count = row.op_count;
  out.time = row.time;
  out.message = std::string(graph.message(i));
  out.deps = dep_hashes(i);
  if (const auto footer = author_in(graph.extra(i)))
    out.author.emplace(footer->begin(), footer->end());
  return out;
}

Bytes Document::Impl::write(bool deflate) {
  Bytes out;
  write_document(actors, graph, *ops, deflate, out);
  return out;
}

std::unique_ptr<Document::Impl> Document::Impl::copy() const {
  auto out = std::make_unique<Impl>(actor);
  out->author = author;
  out->actors = actors;
  out->graph = graph;
  out->base = base;
  out->base_count = base_count;
  out->tail = tail;
  out->hashes_known = hashes_known;
  out->rebuilt = rebuilt;
  out->saved = saved;
  out->invalid = invalid;
  out->queue = queue;
  out->text_unit = text_unit;
  return out;
}

std::size_t Document::Impl::memory_bytes() const {
  std::size_t bytes = sizeof(Impl) + actor.bytes.capacity() + actors.memory_bytes() +
                      graph.memory_bytes() + tail.memory_bytes();
  if (base) bytes += base->capacity();
  if (rebuilt) bytes += rebuilt->memory_bytes();
  if (ops) bytes += ops->memory_bytes();
  for (const auto& queued : queue) {
    bytes += sizeof queued + queued.chunk.capacity() + queued.deps.capacity() * sizeof(ChangeHash);
  }
  return bytes;
}

// --- Document -------------------------------------------------------------------------------

Document::Document() : Document(ActorId::random()) {}
Document::Document(ActorId actor) : impl_(std::make_unique<Impl>(std::move(actor))) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Result<Bytes> Document::save(const SaveOptions& options) const {
  return guarded([&]() -> Result<Bytes> {
    PEAT_TRY_VOID(impl_->materialise());
    auto out = impl_->write(options.deflate);
    if (options.retain_orphans) {
      for (const auto& queued : impl_->queue) put_bytes(out, queued.chunk);
    }
    impl_->saved = impl_->graph.size();
    return out;
  });
}

Result<Bytes> Document::save_incremental() {
  return guarded([&]() -> Result<Bytes> {
    Bytes out;
    for (auto row = impl_->saved; row < impl_->graph.size(); ++row) {
      PEAT_TRY(const auto chunk, impl_->chunk_of(row));
      put_bytes(out, chunk);
    }
    impl_->saved = impl_->graph.size();
    return out;
  });
}

Result<Bytes> Document::save_after(std::span<const ChangeHash> have) const {
  return guarded([&]() -> Result<Bytes> {
    PEAT_TRY(const auto chunks, changes_since(have));
    Bytes out;
    for (const auto chunk : chunks) put_bytes(out, chunk);
    return out;
  });
}

const std::optional<Error>& Document::load_fault() const { return impl_->load_fault; }

std::size_t Document::memory_bytes() const { return sizeof(*this) + impl_->memory_bytes(); }

const Heads& Document::heads() const { return impl_->graph.heads(); }
std::size_t Document::change_count() const { return impl_->graph.size(); }
std::uint64_t Document::max_op() const { return impl_->graph.max_op(); }
const ActorId& Document::actor() const { return impl_->actor; }

Status Document::set_actor(ActorId actor) {
  if (impl_->pending) {
    return fail(Code::invalid_argument, "the actor cannot change while a transaction is open");
  }
  if (actor.bytes.empty() || actor.bytes.size() > LoadLimits().actor_bytes) {
    return fail(Code::invalid_argument,
                "an actor id has 1 to 65,535 bytes, got " + std::to_string(actor.bytes.size()));
  }
  impl_->actor = std::move(actor);
  return {};
}

bool Document::has_change(const ChangeHash& hash) const {
  return impl_->graph.find(hash).has_value() ||
         (!impl_->hashes_known && impl_->ensure_hashes() && impl_->graph.find(hash).has_value());
}

std::vector<ChangeInfo> Document::changes() const {
  std::vector<ChangeInfo> out;
  if (!impl_->ensure_hashes()) return out;
  out.reserve(impl_->graph.size());
  for (std::size_t i = 0; i < impl_->graph.size(); ++i) out.push_back(impl_->info(i));
  return out;
}

std::optional<ChangeInfo> Document::change(const ChangeHash& hash) const {
  if (!impl_->ensure_hashes()) return std::nullopt;
  const auto row = impl_->graph.find(hash);
  if (!row) return std::nullopt;
  return impl_->info(*row);
}

Result<ByteView> Document::change_bytes(const ChangeHash& hash) const {
  return guarded([&]() -> Result<ByteView> {
    PEAT_TRY_VOID(impl_->ensure_hashes());
    const auto row = impl_->graph.find(hash);
    if (!row) return fail(Code::not_found, "no change " + hash.to_string() + " in this document");
    return impl_->chunk_of(*row);
  });
}

Result<std::vector<ByteView>> Document::changes_since(std::span<const ChangeHash> have) const {
  return guarded([&]() -> Result<std::vector<ByteView>> {
    PEAT_TRY_VOID(impl_->ensure_hashes());
    const auto known = impl_->ancestors(have);
    std::vector<ByteView> out;
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (known[i]) continue;
      PEAT_TRY(const auto chunk, impl_->chunk_of(i));
      out.push_back(chunk);
    }
    return out;
  });
}

std::vector<ChangeHash> Document::hashes_since(std::span<const ChangeHash> have) const {
  std::vector<ChangeHash> out;
  if (!impl_->ensure_hashes()) return out;
  const auto known = impl_->ancestors(have);
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (!known[i]) out.push_back(impl_->graph.row(i).hash);
  }
  return out;
}

std::vector<ChangeHash> Document::missing_deps(std::span<const ChangeHash> heads) const {
  std::vector<ChangeHash> missing;
  const auto queued = [this](const ChangeHash& hash) {
    return std::ranges::any_of(impl_->queue, [&](const auto& q) { return q.hash == hash; });
  };
  const auto look = [&](const ChangeHash& hash) {
    if (!has_change(hash) && !queued(hash)) missing.push_back(hash);
  };
  for (const auto& hash : heads) look(hash);
  for (const auto& q : impl_->queue) std::ranges::for_each(q.deps, look);
  std::ranges::sort(missing);
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  return missing;
}

namespace {

// What `mine` lacks of `theirs`, in the order of the reference's merge: depth first from the heads,
// then backwards. The order in which changes are applied decides the bytes of a save.
std::vector<std::uint32_t> rows_to_merge(const ChangeGraph& mine, const ChangeGraph& theirs) {
  std::vector<std::uint32_t> open;
  for (const auto& hash : theirs.heads()) open.push_back(*theirs.find(hash));
  std::vector<bool> seen(theirs.size());
  std::vector<std::uint32_t> rows;
  while (!open.empty()) {
    const auto row = open.back();
    open.pop_back();
    if (seen[row] || mine.find(theirs.row(row).hash)) continue;
    seen[row] = true;
    rows.push_back(row);
    const auto deps = theirs.deps(row);
    open.insert(open.end(), deps.begin(), deps.end());
  }
  std::ranges::reverse(rows);
  return rows;
}

}  // namespace

Result<ApplyReport> Document::merge(const Document& other) {
  return guarded([&]() -> Result<ApplyReport> {
    PEAT_TRY_VOID(impl_->ensure_hashes());
    PEAT_TRY_VOID(other.impl_->ensure_hashes());
    return impl_->take(*other.impl_, rows_to_merge(impl_->graph, other.impl_->graph));
  });
}

Result<Document> Document::fork(std::optional<ActorId> actor) const {
  return guarded([&]() -> Result<Document> {
    Document out(actor ? std::move(*actor) : ActorId::random());
    auto mine = std::move(out.impl_->actor);
    out.impl_ = impl_->copy();
    out.impl_->actor = std::move(mine);
    return out;
  });
}

Status Document::materialise() const {
  return guarded([&] { return impl_->materialise(); });
}

void Document::set_text_unit(TextUnit unit) {
  impl_->text_unit = unit_of(unit);
  if (impl_->pending) impl_->pending->typed.object = kNone;
}

TextUnit Document::text_unit() const {
  if (impl_->text_unit == &Units::utf8) return TextUnit::utf8;
  return impl_->text_unit == &Units::utf16 ? TextUnit::utf16 : TextUnit::code_point;
}

}  // namespace peat::automerge
