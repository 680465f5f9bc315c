// Changes and documents from outside entering a document.
#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "automerge/author.hpp"
#include "automerge/bundle.hpp"
#include "automerge/document_chunk.hpp"
#include "automerge/document_impl.hpp"
#include "base/limits.hpp"
#include "peat/automerge/inspect.hpp"

namespace peat::automerge {

namespace {

Status check_size(ByteView input, const LoadLimits& limits) {
  if (input.size() <= limits.input_bytes) return {};
  return fail(Code::limit_exceeded, "an input of " + std::to_string(input.size()) +
                                        " bytes; the limit is " +
                                        std::to_string(limits.input_bytes));
}

std::string name(const ChangeView& change) {
  return "change " + std::to_string(change.seq) + " of actor " + to_hex(change.actor) + " (" +
         change.hash.to_string() + ")";
}

// Decides which of some candidate changes can enter a graph now, and in which order: first in,
// first out among those whose dependencies are here; a change waits also for its actor's
// preceding one. Touches nothing, so that a refusal leaves no trace.
class Admission {
 public:
  struct Admitted {
    std::uint32_t candidate = 0;
    std::vector<std::uint32_t> deps;  // rows, as they will be
  };

  // The first `old` candidates come from the queue: a bad one is dropped, not an error.
  Admission(const ActorTable& actors, const ChangeGraph& graph,
            std::span<const ChangeView> candidates, std::size_t old)
      : actors_(actors),
        graph_(graph),
        candidates_(candidates),
        old_(old),
        waits_(candidates.size()),
        state_(candidates.size()) {}

  Status run() {
    std::vector<std::uint32_t> ready;
    for (std::uint32_t i = 0; i < candidates_.size(); ++i) {
      for (std::size_t d = 0; d < candidates_[i].dep_count(); ++d) {
        const auto dep = candidates_[i].dep(d);
        if (graph_.find(dep)) continue;
        ++waits_[i];
        dependents_[dep].push_back(i);
      }
      if (waits_[i] == 0) ready.push_back(i);
    }
    for (std::size_t next = 0; next < ready.size(); ++next) {
      const auto i = ready[next];
      const auto& change = candidates_[i];
      auto& last = last_change(change.actor);
      if (change.seq > last.seq + 1) {
        last.waiting.emplace_back(change.seq, i);
        continue;
      }
      if (auto status = admit(i, last); !status) {
        if (i >= old_) return status;
        state_[i] = State::kDropped;
        continue;
      }
      for (const auto& [seq, waiting] : last.waiting) {
        if (seq == last.seq + 1) ready.push_back(waiting);
      }
      const auto freed = dependents_.find(change.hash);
      if (freed == dependents_.end()) continue;
      for (const auto dependent : freed->second) {
        if (--waits_[dependent] == 0) ready.push_back(dependent);
      }
    }
    return {};
  }

  std::span<const Admitted> admitted() const { return admitted_; }
  bool waits(std::size_t candidate) const { return state_[candidate] == State::kWaits; }

 private:
  enum class State : std::uint8_t { kWaits, kAdmitted, kDropped };
  struct LastChange {
    std::uint64_t seq = 0;
    std::uint64_t max_op = 0;
    bool has_author = false;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> waiting;
  };

  LastChange& last_change(ByteView actor) {
    const auto [at, fresh] = last_.try_emplace(as_text(actor));
    if (!fresh) return at->second;
    if (const auto index = actors_.find(actor)) {
      if (const auto row = graph_.last_of(*index); row != kNone) {
        at->second.seq = graph_.row(row).seq;
        at->second.max_op = graph_.row(row).max_op();
      }
    }
    return at->second;
  }

  Status admit(std::uint32_t i, LastChange& last) {
    const auto& change = candidates_[i];
    if (change.seq <= last.seq) {
      return fail(Code::equivocation, name(change) +
                                          ": another change has that actor and "
                                          "sequence number; a device was copied");
    }
    Admitted out;
    out.candidate = i;
    auto floor = last.max_op;
    for (std::size_t d = 0; d < change.dep_count(); ++d) {
      const auto dep = change.dep(d);
      if (const auto row = graph_.find(dep)) {
        out.deps.push_back(*row);
        floor = std::max<std::uint64_t>(floor, graph_.row(*row).max_op());
      } else {
        const auto k = admitted_index_.at(dep);
        out.deps.push_back(static_cast<std::uint32_t>(graph_.size() + k));
        const auto& other = candidates_[admitted_[k].candidate];
        floor = std::max(floor, other.start_op + other.op_count - 1);
      }
    }
    if (change.start_op <= floor) {
      return fail(Code::malformed, name(change) + " counts its operations from " +
                                       std::to_string(change.start_op) + ", not above " +
                                       std::to_string(floor) + " of a change it depends on");
    }
    if (author_in(change.extra)) {
      const auto index = actors_.find(change.actor);
      if (last.has_author || (index && graph_.author_row_of(*index) != kNone)) {
        return fail(Code::malformed, name(change) + " names an author, but its actor has one");
      }
      last.has_author = true;
    }
    last.seq = change.seq;
    last.max_op = change.start_op + change.op_count - 1;
    admitted_index_.emplace(change.hash, admitted_.size());
    admitted_.push_back(std::move(out));
    state_[i] = State::kAdmitted;
    return {};
  }

  const ActorTable& actors_;
  const ChangeGraph& graph_;
  std::span<const ChangeView> candidates_;
  std::size_t old_;
  std::vector<std::uint32_t> waits_;
  std::vector<State> state_;
  std::unordered_map<ChangeHash, std::vector<std::uint32_t>> dependents_;
  std::unordered_map<std::string_view, LastChange> last_;
  std::unordered_map<ChangeHash, std::size_t> admitted_index_;
  std::vector<Admitted> admitted_;
};

Status check_queue(std::span<const QueuedChange> queue) {
  static const Limits kLimits;
  std::uint64_t bytes = 0;
  for (const auto& queued : queue) bytes += queued.chunk.size();
  if (queue.size() <= kLimits.automerge_queued_changes && bytes <= kLimits.automerge_queued_bytes) {
    return {};
  }
  return fail(Code::limit_exceeded, std::to_string(queue.size()) + " changes (" +
                                        std::to_string(bytes) +
                                        " bytes) would wait for dependencies; send older changes "
                                        "first");
}

QueuedChange queued_change(const ChangeView& change) {
  QueuedChange queued;
  queued.hash = change.hash;
  queued.chunk.assign(change.chunk.begin(), change.chunk.end());
  for (std::size_t d = 0; d < change.dep_count(); ++d) queued.deps.push_back(change.dep(d));
  return queued;
}

GraphRow graph_row(const ChangeView& change, std::uint32_t actor) {
  GraphRow row;
  row.hash = change.hash;
  row.time = change.time;
  row.actor = actor;
  row.seq = static_cast<std::uint32_t>(change.seq);
  row.start_op = static_cast<std::uint32_t>(change.start_op);
  row.op_count = static_cast<std::uint32_t>(change.op_count);
  return row;
}

// The error of one chunk of an input, with its place.
std::unexpected<Error> in_chunk(Error error, const Chunk& chunk, std::size_t index) {
  error.message += " (chunk " + std::to_string(index) + ", a " +
                   std::string(inspect::name(static_cast<inspect::ChunkKind>(chunk.type))) +
                   " at byte " + std::to_string(chunk.offset) + ")";
  return std::unexpected(std::move(error));
}

}  // namespace

Status Document::Impl::collect_change(Chunk chunk, const LoadLimits& limits, Incoming& incoming) {
  if (chunk.type == ChunkType::kCompressedChange) {
    const auto offset = chunk.offset;
    auto left = limits;
    left.inflated_bytes -= std::min(left.inflated_bytes, incoming.inflated);
    PEAT_TRY(auto inflated, inflate_change(chunk, left));
    incoming.inflated += inflated.size();
    PEAT_TRY(chunk, read_chunk(incoming.owned.emplace_back(std::move(inflated)), 0));
    chunk.offset = offset;
  }
  PEAT_TRY(auto change, parse_change(chunk, limits));
  incoming.ops += change.op_count;
  if (incoming.ops > limits.ops) {
    return fail(Code::limit_exceeded,
                "changes of more than " + std::to_string(limits.ops) + " operations in one call");
  }
  if (!graph.find(change.hash)) PEAT_TRY_VOID(verify_operations(change, limits));
  incoming.changes.push_back(std::move(change));
  return {};
}

Status Document::Impl::collect_bundle(const Chunk& chunk, const LoadLimits& limits,
                                      Incoming& incoming) {
  PEAT_TRY(const auto bundle, read_bundle(chunk, limits));
  const auto left = limits.inflated_bytes - std::min(limits.inflated_bytes, incoming.inflated);
  PEAT_TRY(auto changes, unbundle(bundle, left));
  for (auto& bytes : changes) {
    incoming.inflated += bytes.size();
    PEAT_TRY(auto change, read_chunk(incoming.owned.emplace_back(std::move(bytes)), 0));
    change.offset = chunk.offset;
    PEAT_TRY_VOID(collect_change(change, limits, incoming));
  }
  return {};
}

// Every change in the chunks from `offset` on, the first of which is number `index`. After an
// error `incoming` holds the changes before it.
Status Document::Impl::collect(ByteView input, std::size_t offset, std::size_t index,
                               const LoadLimits& limits, Incoming& incoming) {
  for (; offset < input.size(); ++index) {
    const auto chunk = read_chunk(input, offset);
    if (!chunk) {
      auto error = chunk.error();
      error.message += " (chunk " + std::to_string(index) + ")";
      return std::unexpected(std::move(error));
    }
    offset += chunk->bytes.size();
    const auto status =
        chunk->type == ChunkType::kDocument ? collect_document(*chunk, limits, incoming)
        : chunk->type == ChunkType::kBundle ? collect_bundle(*chunk, limits, incoming)
                                            : collect_change(*chunk, limits, incoming);
    if (!status) return in_chunk(status.error(), *chunk, index);
  }
  return {};
}

Status Document::Impl::collect_document(const Chunk& chunk, const LoadLimits& limits,
                                        Incoming& incoming) {
  LoadOptions options;
  options.limits = limits;
  options.limits.ops -= incoming.ops;
  options.verify = Verify::lazy;
  Impl other(actor);
  PEAT_TRY_VOID(other.load_document(chunk, options));
  const bool known = std::ranges::all_of(
      other.graph.heads(), [this](const auto& head) { return graph.find(head).has_value(); });
  if (known) {
    incoming.known += other.graph.size();
    return {};
  }
  PEAT_TRY_VOID(other.ensure_hashes());
  for (std::size_t i = 0; i < other.graph.size(); ++i) {
    const auto& row = other.graph.row(i);
    incoming.ops += row.op_count;
    if (graph.find(row.hash)) {
      ++incoming.known;
      continue;
    }
    PEAT_TRY(const auto bytes, other.chunk_of(i));
    PEAT_TRY(const auto rebuilt_chunk, read_chunk(bytes, 0));
    PEAT_TRY(auto change, parse_change_body(rebuilt_chunk, row.hash, limits));
    incoming.changes.push_back(std::move(change));
  }
  incoming.rebuilt.push_back(std::move(other.rebuilt));
  return {};
}

// Fills an empty document from a document chunk.
Status Document::Impl::load_document(const Chunk& chunk, const LoadOptions& options) {
  PEAT_TRY_VOID(check_checksum(chunk, hash_chunk(ChunkType::kDocument, chunk.data)));
  auto set = new_ops();
  PEAT_TRY(auto document, read_document(chunk, options.limits, actors, graph, *set));
  const auto count = static_cast<std::uint32_t>(graph.size());
  ops = std::move(set);
  base_count = count;
  saved = count;
  hashes_known = false;
  for (std::size_t i = 0; i < document.head_rows.size(); ++i) {
    graph.set_hash(document.head_rows[i], document.heads[i]);
  }
  graph.set_heads(std::move(document.heads));
  const auto keep_base = [&] {
    base = std::make_shared<const Bytes>(chunk.bytes.begin(), chunk.bytes.end());
  };
  if (options.verify == Verify::lazy) {
    keep_base();
    return {};
  }

  Rebuilder rebuilder(*ops, actors, graph, count);
  PEAT_TRY_VOID(rebuilder.assign());
  ChangeLog chunks;
  const bool small = count <= kChunkFormChanges;
  if (small) {
    PEAT_TRY_VOID(rebuilder.write(false, &chunks));
  } else {
    PEAT_TRY_VOID(rebuilder.write(false, nullptr));
  }
  if (options.verify == Verify::none) {
    take_rebuilt_heads();
  } else {
    PEAT_TRY_VOID(check_heads());
  }
  hashes_known = true;
  graph.hashes_are_known();
  if (small && chunks.bytes() <= kChunkFormBytes) {
    tail = std::move(chunks);
    base_count = 0;
    drop_ops();  // soon made again, and most of the memory
    return {};
  }
  if (small) rebuilt = std::make_shared<const ChangeLog>(std::move(chunks));
  keep_base();
  return {};
}

Result<std::vector<ChangeView>> Document::Impl::queued_views() const {
  std::vector<ChangeView> views;
  views.reserve(queue.size() + 1);
  for (const auto& queued : queue) {
    PEAT_TRY(const auto chunk, read_chunk(queued.chunk, 0));
    PEAT_TRY(auto change, parse_change_body(chunk, queued.hash, no_limits()));
    views.push_back(std::move(change));
  }
  return views;
}

// Without an op set, materialise makes one and says what is wrong with it.
void Document::Impl::apply_operations(const ChangeView& change,
                                      std::span<const std::uint32_t> local) noexcept {
  try {
    if (ops && !ops->apply_change(change, local)) ops.reset();
  } catch (...) {
    ops.reset();
  }
}

Result<ApplyReport> Document::Impl::apply(Incoming& incoming) {
  PEAT_TRY_VOID(ensure_hashes());
  if (pending) {
    return fail(Code::invalid_argument, "changes cannot be applied while a transaction is open");
  }
  ApplyReport report;
  report.known = incoming.known;
  std::unordered_set<ChangeHash> seen;
  for (const auto& queued : queue) seen.insert(queued.hash);
  std::vector<const ChangeView*> fresh;
  for (const auto& change : incoming.changes) {
    if (!graph.find(change.hash) && seen.insert(change.hash).second) {
      fresh.push_back(&change);
    } else {
      ++report.known;
    }
  }
  if (fresh.empty()) return report;
  const auto old = queue.size();
  PEAT_TRY(auto candidates, queued_views());
  for (const auto* change : fresh) candidates.push_back(*change);

  Admission admission(actors, graph, candidates, old);
  PEAT_TRY_VOID(admission.run());

  std::vector<QueuedChange> waiting;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!admission.waits(i)) continue;
    waiting.push_back(queued_change(candidates[i]));
    report.queued += i >= old;
  }
  PEAT_TRY_VOID(check_queue(waiting));

  // From here on nothing is refused.
  const auto admitted = admission.admitted();
  std::vector<std::vector<std::uint32_t>> local;
  std::size_t bytes = 0;
  std::size_t deps = 0;
  std::size_t text = 0;
  for (const auto& entry : admitted) {
    const auto& change = candidates[entry.candidate];
    local.push_back(local_actors(change));
    bytes += change.chunk.size();
    deps += entry.deps.size();
    text += change.message.size() + change.extra.size();
  }
  tail.make_room(admitted.size(), bytes);
  graph.make_room(admitted.size(), deps, text, actors.size());
  // From here on nothing needs memory but the op set, which can be made again.
  for (std::size_t i = 0; i < admitted.size(); ++i) {
    const auto& change = candidates[admitted[i].candidate];
    tail.append(change.chunk);
    graph.add(graph_row(change, local[i][0]), admitted[i].deps, change.message, change.extra);
    apply_operations(change, local[i]);
  }
  report.applied = admitted.size();
  if (report.applied != 0) invalid.reset();
  queue = std::move(waiting);
  notify();
  return report;
}

Result<Document> Document::load(ByteView input, const LoadOptions& options) {
  return guarded([&]() -> Result<Document> {
    PEAT_TRY_VOID(check_size(input, options.limits));
    Document out(options.actor ? *options.actor : ActorId::random());
    out.set_text_unit(options.text_unit);
    if (input.empty()) return out;
    auto& impl = *out.impl_;
    PEAT_TRY(const auto first, read_chunk(input, 0));
    std::size_t offset = 0;
    const bool document = first.type == ChunkType::kDocument;
    if (document) {
      if (auto status = impl.load_document(first, options); !status) {
        return in_chunk(std::move(status).error(), first, 0);
      }
      offset = first.bytes.size();
    }
    if (offset == input.size()) return out;
    Incoming incoming;
    PEAT_TRY_VOID(impl.ensure_hashes());
    const bool whole = options.on_partial == OnPartialLoad::error;
    const auto status = impl.collect(input, offset, document ? 1 : 0, options.limits, incoming);
    if (!status) {
      if (whole || status.error().code == Code::out_of_memory)
        return std::unexpected(status.error());
      impl.load_fault = status.error();
    }
    PEAT_TRY_VOID(impl.apply(incoming));
    if (whole && !document && !impl.queue.empty()) {
      return fail(Code::missing_dependency, std::to_string(impl.queue.size()) +
                                                " changes of the input depend on changes "
                                                "that it does not hold");
    }
    impl.saved = impl.graph.size();
    return out;
  });
}

Result<ApplyReport> Document::load_incremental(ByteView input, const LoadLimits& limits) {
  return guarded([&]() -> Result<ApplyReport> {
    PEAT_TRY_VOID(check_size(input, limits));
    if (input.empty()) return ApplyReport{};
    if (impl_->graph.size() == 0 && impl_->queue.empty() && !impl_->pending) {
      LoadOptions options;
      options.limits = limits;
      options.actor = impl_->actor;
      options.text_unit = text_unit();
      PEAT_TRY(const auto first, read_chunk(input, 0));
      if (first.type == ChunkType::kDocument) {
        PEAT_TRY(auto loaded, load(input, options));
        loaded.impl_->author = std::move(impl_->author);
        loaded.impl_->observed = std::move(impl_->observed);
        impl_ = std::move(loaded.impl_);
        impl_->notify();
        return ApplyReport{impl_->graph.size(), impl_->queue.size(), 0};
      }
    }
    PEAT_TRY_VOID(impl_->ensure_hashes());
    Incoming incoming;
    PEAT_TRY_VOID(impl_->collect(input, 0, 0, limits, incoming));
    return impl_->apply(incoming);
  });
}

Result<ApplyReport> Document::apply_changes(std::span<const ByteView> chunks,
                                            const LoadLimits& limits) {
  return guarded([&]() -> Result<ApplyReport> {
    PEAT_TRY_VOID(impl_->ensure_hashes());
    Incoming incoming;
    incoming.changes.reserve(chunks.size());
    for (const auto bytes : chunks) {
      PEAT_TRY_VOID(check_size(bytes, limits));
      PEAT_TRY(const auto chunk, read_chunk(bytes, 0));
      if (chunk.bytes.size() != bytes.size() || chunk.type == ChunkType::kDocument ||
          chunk.type == ChunkType::kBundle) {
        return fail(Code::malformed,
                    "apply_changes takes one change chunk per entry; use "
                    "load_incremental for other bytes");
      }
      PEAT_TRY_VOID(impl_->collect_change(chunk, limits, incoming));
    }
    return impl_->apply(incoming);
  });
}

}  // namespace peat::automerge
