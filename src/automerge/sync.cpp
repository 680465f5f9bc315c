// The sync state machine. What it must agree on with the Rust implementation is when it speaks
// and what a message says; which changes travel in what packing is each side's own affair.
#include "peat/automerge/sync.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <unordered_map>
#include <unordered_set>

#include "automerge/bloom.hpp"
#include "automerge/document_impl.hpp"

namespace peat::automerge {

// The change graph and the queue of a document, whose hashes are known.
class SyncAccess {
 public:
  static Result<SyncAccess> open(const Document& document) {
    PEAT_TRY_VOID(document.impl_->ensure_hashes());
    return SyncAccess(*document.impl_);
  }
  const ChangeGraph& graph() const { return impl_.graph; }
  const std::vector<QueuedChange>& queue() const { return impl_.queue; }

 private:
  explicit SyncAccess(const Document::Impl& impl) : impl_(impl) {}
  const Document::Impl& impl_;
};

namespace {

constexpr std::uint8_t kBitField = 0x80;
constexpr std::uint8_t kSyncReset = 1;
constexpr std::uint8_t kReadOnly = 2;
constexpr std::uint8_t kKnowsSyncReset = 4;
constexpr std::uint8_t kReadsVersion2 = 0x02;

// From this many changes on a saved document may be smaller than its changes one by one; below,
// building it would cost more than it could save.
constexpr std::size_t kWholeDocumentChanges = 16;

Bytes our_flags() { return {kReadsVersion2, kBitField | kKnowsSyncReset}; }

std::uint8_t flag_bits(const Bytes& flags) {
  std::uint8_t bits = 0;
  for (const auto byte : flags) {
    if ((byte & kBitField) != 0) bits = static_cast<std::uint8_t>(bits | (byte & ~kBitField));
  }
  return bits;
}

bool knows_all(const ChangeGraph& graph, std::span<const ChangeHash> hashes) {
  return std::ranges::all_of(hashes,
                             [&](const auto& hash) { return graph.find(hash).has_value(); });
}

bool contains(const Heads& heads, const ChangeHash& hash) {
  return std::ranges::binary_search(heads, hash);
}

// What we lack of `heads` and their ancestors as far as we know of them. Orphans that came from
// elsewhere do not count: this peer may know nothing of them, and would be asked for ever.
std::vector<ChangeHash> missing_of(const SyncAccess& access, const Heads& heads) {
  std::unordered_map<ChangeHash, const QueuedChange*> queued;
  for (const auto& change : access.queue()) queued.emplace(change.hash, &change);
  std::vector<ChangeHash> missing;
  std::vector<ChangeHash> open(heads.begin(), heads.end());
  while (!open.empty()) {
    const auto hash = open.back();
    open.pop_back();
    if (access.graph().find(hash)) continue;
    const auto found = queued.find(hash);
    if (found == queued.end()) {
      missing.push_back(hash);
      continue;
    }
    const auto& deps = found->second->deps;
    open.insert(open.end(), deps.begin(), deps.end());
    queued.erase(found);
  }
  std::ranges::sort(missing);
  const auto repeated = std::ranges::unique(missing);
  missing.erase(repeated.begin(), repeated.end());
  return missing;
}

// Changes after the last sync that are in no filter, and, since a filter may lie, everything that
// depends on one of those.
void append_missing(const ChangeGraph& graph, const std::vector<SyncHave>& haves,
                    std::vector<ChangeHash>& out) {
  std::vector<std::uint32_t> last_sync;
  std::vector<BloomView> filters;
  for (const auto& have : haves) {
    for (const auto& hash : have.last_sync) {
      if (const auto row = graph.find(hash)) last_sync.push_back(*row);
    }
    if (auto filter = BloomView::parse(have.bloom)) filters.push_back(*filter);
  }
  const auto shared = graph.closure(last_sync);
  std::vector<bool> missing(graph.size());
  for (std::size_t row = 0; row < graph.size(); ++row) {
    if (shared[row]) continue;
    const auto& hash = graph.row(row).hash;
    const bool filtered =
        std::ranges::any_of(filters, [&](const auto& f) { return f.contains(hash); });
    missing[row] =
        !filtered || std::ranges::any_of(graph.deps(row), [&](auto dep) { return missing[dep]; });
    if (missing[row]) out.push_back(hash);
  }
}

std::vector<ChangeHash> hashes_to_send(const ChangeGraph& graph, const SyncState& state) {
  std::vector<ChangeHash> missing;
  if (state.peer_is_read_only || !state.their_have || !state.their_need) return missing;
  if (state.their_heads != graph.heads() && !state.their_have->empty()) {
    append_missing(graph, *state.their_have, missing);
  }
  const std::unordered_set<ChangeHash> chosen(missing.begin(), missing.end());
  std::vector<ChangeHash> out;
  for (const auto& hash : *state.their_need) {
    if (!chosen.contains(hash) && graph.find(hash)) out.push_back(hash);
  }
  out.insert(out.end(), missing.begin(), missing.end());
  std::erase_if(out, [&](const auto& hash) { return state.sent_hashes.contains(hash); });
  return out;
}

// Puts the changes into the message in the form the peer reads. With many of them the whole saved
// document goes instead where that is smaller; a document that cannot be materialised has none.
Status add_changes(const Document& document, const SyncState& state,
                   std::span<const ChangeHash> hashes, SyncMessage& message) {
  if (hashes.empty()) return {};
  std::vector<ByteView> chunks;
  std::size_t size = 0;
  for (const auto& hash : hashes) {
    PEAT_TRY(const auto chunk, document.change_bytes(hash));
    chunks.push_back(chunk);
    size += chunk.size();
  }
  if (!state.peer_is_v2) {
    for (const auto chunk : chunks) message.changes.emplace_back(chunk.begin(), chunk.end());
    return {};
  }
  message.version = 2;
  if (hashes.size() >= kWholeDocumentChanges && hashes.size() > document.change_count() / 3) {
    auto saved = document.save({.deflate = true, .retain_orphans = false});
    if (saved && saved->size() < size) {
      message.changes.push_back(std::move(*saved));
      return {};
    }
  }
  auto& joined = message.changes.emplace_back();
  joined.reserve(size);
  for (const auto chunk : chunks) joined.insert(joined.end(), chunk.begin(), chunk.end());
  return {};
}

// Heads that are new since `before`, and old shared ones that are still heads.
Heads advance_shared(const Heads& before, const Heads& now, const Heads& shared) {
  Heads out;
  for (const auto& hash : now) {
    if (!contains(before, hash) || contains(shared, hash)) out.push_back(hash);
  }
  return out;
}

// A peer that lost its document (or its memory of this session) says so in one of three ways: the
// flag, no heads after we shared some, or the filter of a document without history beside heads.
bool says_reset(const SyncMessage& message, const SyncState& state) {
  if (message.flags && (flag_bits(*message.flags) & kSyncReset) != 0) return true;
  if (message.heads.empty()) return !state.shared_heads.empty() || !state.sent_hashes.empty();
  return message.have.size() == 1 && message.have[0].last_sync.empty() &&
         message.have[0].bloom.empty();
}

void forget_ancestors(const Document& document, const Heads& heads, SyncState& state) {
  if (state.sent_hashes.empty()) return;
  if (heads == document.heads()) {
    state.sent_hashes.clear();
    return;
  }
  const auto unseen = document.hashes_since(heads);
  const std::unordered_set<ChangeHash> keep(unseen.begin(), unseen.end());
  std::erase_if(state.sent_hashes, [&](const auto& hash) { return !keep.contains(hash); });
}

void note_flags(const SyncMessage& message, SyncState& state) {
  if (!message.flags) return;
  state.peer_is_v2 = true;
  state.peer_is_read_only = (flag_bits(*message.flags) & kReadOnly) != 0;
}

// What the peer's heads tell of what both sides have.
void note_heads(const Document& document, const Heads& heads, SyncState& state) {
  Heads known;
  std::ranges::copy_if(heads, std::back_inserter(known),
                       [&](const auto& hash) { return document.has_change(hash); });
  if (known.size() == heads.size()) {
    state.shared_heads = heads;
    if (heads.empty()) state.last_sent_heads.clear();
    return;
  }
  Heads joined;
  std::ranges::set_union(state.shared_heads, known, std::back_inserter(joined));
  state.shared_heads = std::move(joined);
}

Result<std::optional<Bytes>> generate(const Document& document, SyncState& state) {
  const auto& heads = document.heads();
  const bool said_so = state.have_responded && state.last_sent_heads == heads;
  if (said_so && state.in_flight) return std::nullopt;

  PEAT_TRY(const auto access, SyncAccess::open(document));
  SyncMessage message;
  message.heads = heads;
  message.flags = our_flags();
  std::vector<ChangeHash> hashes;
  const bool lost_history = state.their_have && !state.their_have->empty() &&
                            !knows_all(access.graph(), state.their_have->front().last_sync);
  if (lost_history) {
    message.have.emplace_back();
  } else {
    const auto theirs = state.their_heads.value_or(Heads{});
    hashes = hashes_to_send(access.graph(), state);
    if (said_so && hashes.empty() && state.their_heads == heads) return std::nullopt;
    message.need = missing_of(access, theirs);
    if (std::ranges::includes(theirs, message.need)) {
      message.have.push_back(
          {state.shared_heads, build_bloom(document.hashes_since(state.shared_heads))});
      // The filter says it already; only where it erred must the peer be told by name.
      if (!state.have_responded) message.need.clear();
    }
    PEAT_TRY_VOID(add_changes(document, state, hashes, message));
  }
  auto bytes = message.encode();
  state.sent_hashes.insert(hashes.begin(), hashes.end());
  state.have_responded = true;
  state.in_flight = true;
  state.last_sent_heads = heads;
  return bytes;
}

// What a message whose changes have been applied says of the peer.
void settle(const Document& document, const Heads& before, SyncMessage message,
            const ReceiveReport& report, SyncState& state) {
  state.in_flight = false;
  note_flags(message, state);
  if (!message.changes.empty()) {
    state.shared_heads = advance_shared(before, document.heads(), state.shared_heads);
  } else if (message.heads == before) {
    state.last_sent_heads = message.heads;
  }
  if (report.peer_was_reset) {
    state.sent_hashes.clear();
    state.shared_heads.clear();
  }
  forget_ancestors(document, message.heads, state);
  note_heads(document, message.heads, state);
  state.their_heads = std::move(message.heads);
  state.their_need = std::move(message.need);
  state.their_have = std::move(message.have);
}

Result<ReceiveReport> receive(Document& document, SyncState& state, ByteView input,
                              const LoadLimits& limits) {
  PEAT_TRY(auto message, SyncMessage::decode(input, limits));
  PEAT_TRY_VOID(SyncAccess::open(document));
  ReceiveReport report;
  const Heads before = document.heads();
  auto next = state;
  if (!message.changes.empty()) {
    Bytes joined = std::move(message.changes.front());
    for (std::size_t i = 1; i < message.changes.size(); ++i) {
      joined.insert(joined.end(), message.changes[i].begin(), message.changes[i].end());
    }
    PEAT_TRY(report.applied, document.load_incremental(joined, limits));
  }
  report.heads_changed = document.heads() != before;
  report.peer_was_reset = says_reset(message, state);
  try {
    settle(document, before, std::move(message), report, next);
    state = std::move(next);
  } catch (const std::bad_alloc&) {
    if (report.applied.applied + report.applied.queued == 0) throw;
    // The changes are in and stay; of the peer we know what we knew, as if it had said no more.
    state.in_flight = false;
  }
  return report;
}

}  // namespace

Result<std::optional<Bytes>> generate_sync_message(const Document& document, SyncState& state) {
  return guarded([&] { return generate(document, state); });
}

Result<ReceiveReport> receive_sync_message(Document& document, SyncState& state, ByteView message,
                                           const LoadLimits& limits) {
  return guarded([&] { return receive(document, state, message, limits); });
}

}  // namespace peat::automerge
