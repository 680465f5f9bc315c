#include "sync/session_old.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"

namespace peat::sync {
namespace {

constexpr std::size_t kRowsPerTurn = 256;  // of the feed: others wait for the loop meanwhile
// Farther behind the feed's end than this, a new change goes out ahead of its turn.
constexpr store::Seq kUrgentDistance = 64;
constexpr std::size_t kLeastBatchBytes = 4U << 10;
constexpr std::uint32_t kOthersEvery = 4;

// The heads that a sync message announces; empty if it cannot be read.
Bytes heads_of(ByteView message) {
  Bytes out;
  if (const auto decoded = automerge::SyncMessage::decode(message)) {
    for (const auto& head : decoded->heads) {
      out.insert(out.end(), head.bytes.begin(), head.bytes.end());
    }
  }
  return out;
}

}  // namespace

OldSession::OldSession(SyncChannel& channel, const SessionContext& context,
                       SessionCounters& counters, std::function<void()> wake)
    : channel_(channel),
      context_(context),
      counters_(counters),
      store_(context.documents.store()),
      peer_(channel.peer_id()),
      wake_(std::move(wake)),
      start_(store_.last_seq()),
      // Five classes of them: see the header.
      urgent_(std::min(context.limits.sync_urgent_keys / 5, context.limits.sync_states / 20),
              context.documents),
      pacer_(kLeastBatchBytes, wire::kMaxBatchBytesSent / 2),
      wanted_(context.limits.wire_batch_entries),  // all that one batch can announce
      replies_(context.limits.sync_states / 4),
      retry_(context.limits.sync_needs),
      begging_(context.limits.sync_needs),
      states_(context.limits.sync_states),
      known_(context.limits.sync_known_heads),
      snapshots_(context.limits.sync_known_heads),
      told_(context.limits.sync_known_heads),
      refused_(context.limits.sync_known_heads) {}

OldSession::~OldSession() { write_settled(); }

void OldSession::on_change(const store::ChangeEvent& event) {
  if (event.action == store::ChangeEvent::Action::erase) {
    states_.erase(event.key);
    snapshots_.erase(event.key);
    known_.erase(event.key);
    settled_.erase_sync_state(peer_, event.key);
  }
  if (event.origin != peer_ && event.seq - cursor_ > kUrgentDistance) urgent_.push(event.key);
}

// --- receiving ----------------------------------------------------------------------------------

void OldSession::on_frame(wire::Frame frame) {
  if (frame.type == wire::FrameType::delta) {
    on_delta(frame.key, frame.payload);
  } else if (frame.type == wire::FrameType::snapshot) {
    on_snapshot(frame.key, frame.payload);
  } else if (frame.type == wire::FrameType::tombstone) {
    on_tombstone(wire::decode_tombstone(frame.payload, context_.limits));
  } else if (frame.type == wire::FrameType::tombstone_batch) {
    auto batch = wire::decode_tombstone_batch(frame.payload, context_.limits);
    counters_.violations += batch ? batch->malformed : 1;
    if (!batch) return undecodable();
    for (auto& tombstone : batch->tombstones) on_tombstone(std::move(tombstone));
  } else if (frame.type == wire::FrameType::batch) {
    const auto batch = wire::decode_batch(frame.payload, context_.limits);
    counters_.violations += batch ? batch->skipped : 1;
    if (!batch) return undecodable();
    for (const auto& entry : batch->entries) on_entry(entry.type, entry.key, entry.payload);
  }
  write_settled();
}

void OldSession::undecodable() {
  ++counters_.nonsense;
  channel_.count_undecodable();
}

void OldSession::on_entry(wire::EntryType type, std::string_view key, ByteView payload) {
  if (type == wire::EntryType::delta) return on_delta(key, payload);
  if (type == wire::EntryType::snapshot) return on_snapshot(key, payload);
  on_tombstone(wire::decode_tombstone(payload, context_.limits));
}

automerge::SyncState& OldSession::state_of(std::string_view key) {
  if (auto* known = states_.find(key)) return *known;
  automerge::SyncState state;
  if (const auto kept = store_.sync_state(peer_, key); kept && *kept) {
    if (auto decoded = automerge::SyncState::decode(**kept)) state = std::move(*decoded);
  }
  return states_.put(key, std::move(state));
}

void OldSession::on_delta(std::string_view key, ByteView message) {
  const auto offered = heads_of(message);
  if (was_refused(key, offered)) return;
  auto& state = state_of(key);
  const auto result = context_.documents.apply_sync_message(key, state, message, peer_);
  if (!result) return on_document_error(key, result.error());
  if (result->refused) return refuse(key, offered);
  if (result->changed) ++counters_.documents_received;
  if (result->superseded) known_.erase(key);
  keep_if_settled(key, state, result->heads);
  // An answer that finds no room is due again with the peer's next message, at the latest after a
  // reconnect; then what has arrived meanwhile no longer stands before it. What we had to add of
  // our own goes by the cursor.
  auto& queue = result->heads.empty() || result->changed ? wanted_ : replies_;
  if (!queue.push(key)) skip_own_rows_ = false;
}

void OldSession::on_snapshot(std::string_view key, ByteView saved) {
  // The field's peers send every snapshot again every five seconds.
  const auto digest = sha256(saved);
  if (const auto* last = snapshots_.find(key); last != nullptr && *last == digest) return;

  if (was_refused(key, digest)) return;
  const auto before = store_.heads(key);
  const bool caught_up = cursor_ >= store_.last_seq();
  const auto result = context_.documents.apply_snapshot(key, saved, peer_);
  if (!result) return on_document_error(key, result.error());
  if (result->refused) return refuse(key, Bytes(digest.begin(), digest.end()));
  snapshots_.put(key, digest);
  if (result->superseded) {
    known_.erase(key);
    urgent_.push(key);
  }
  if (!result->changed) return;
  ++counters_.documents_received;
  // Its feed row now says that it came from the peer. If the version before had not gone out yet,
  // what we had of our own would be passed by.
  const auto* known = known_.find(key);
  const bool ours_sent = caught_up || !before || !*before || (known && *known == **before);
  known_.put(key, result->heads);
  if (!ours_sent) {
    known_.erase(key);
    if (!urgent_.push(key)) skip_own_rows_ = false;
  }
}

void OldSession::on_tombstone(const Result<wire::Tombstone>& tombstone) {
  if (!tombstone) {
    ++counters_.violations;
    return;
  }
  const auto key = tombstone->key();
  const auto applied = context_.documents.apply_tombstone(*tombstone, peer_);
  if (!applied && is_local(applied.error()) &&
      retry_tombstones_.size() < context_.limits.sync_needs) {
    retry_tombstones_.push_back(*tombstone);
    return await_store();
  }
  if (!applied) return counters_.fault(key, applied.error(), context_.limits);
  if (*applied) ++counters_.tombstones_received;
  told_.put(key, epoch_of(*tombstone));
}

void OldSession::on_document_error(std::string_view key, const Error& error) {
  if (!is_local(error) || !retry_.push(key)) {
    return counters_.fault(key, error, context_.limits);
  }
  states_.erase(key);
  await_store();
}

void OldSession::await_store() {
  if (std::exchange(store_awaited_, true)) return;
  store_.on_durable([this, alive = std::weak_ptr(alive_)](const Status& status) {
    if (alive.expired()) return;
    store_awaited_ = false;
    if (!status) return await_store();
    on_store_takes_writes();
  });
}

void OldSession::on_store_takes_writes() {
  auto tombstones = std::exchange(retry_tombstones_, {});
  for (auto& tombstone : tombstones) on_tombstone(std::move(tombstone));
  while (!retry_.empty() && begging_.push(retry_.front())) retry_.pop();
  if (!retry_.empty()) await_store();
  wake_();
}

void OldSession::refuse(std::string_view key, Bytes what) {
  ++counters_.refused;
  states_.erase(key);
  if (auto epoch = context_.documents.epoch(key)) {
    refused_.put(key, {std::move(*epoch), std::move(what)});
  }
  urgent_.push(key);  // its tombstone, and what was created after it
}

// The field's peers can hold a document beside its tombstone and offer it for ever.
bool OldSession::was_refused(std::string_view key, ByteView what) {
  const auto* refused = refused_.find(key);
  if (refused == nullptr || !std::ranges::equal(refused->what, what)) return false;
  const auto heads = store_.heads(key);
  const auto epoch = context_.documents.epoch(key);
  return heads && !*heads && epoch && *epoch == refused->epoch;
}

// --- on request ---------------------------------------------------------------------------------

// From the beginning: what both sides once had may be what is damaged here.
void OldSession::request(std::string_view key, const automerge::Heads& have) {
  if (have.empty()) {
    states_.put(key, {});
    settled_.erase_sync_state(peer_, std::string(key));
  }
  snapshots_.erase(key);
  refused_.erase(key);
  wanted_.push(key);
}

void OldSession::resend(std::string_view key) {
  known_.erase(key);
  told_.erase(key);
  urgent_.push(key);
}

KeyPlace OldSession::locate(std::string_view key) const {
  KeyPlace place;
  place.qos = urgent_.class_of(key);
  place.ahead = urgent_.of(place.qos).place(key);
  place.asked = wanted_.place(key).has_value() || replies_.place(key).has_value();
  const auto heads = store_.heads(key);
  const auto* known = known_.peek(key);
  place.known = known != nullptr && heads && *heads && *known == **heads;
  return place;
}

// --- sending ------------------------------------------------------------------------------------

bool OldSession::send_next() {
  pacer_.ready(context_.executor.now().mono);
  const bool sent = send_one();
  if (sent) pacer_.sent(context_.executor.now().mono, batch_bytes_);
  return sent;
}

bool OldSession::send_one() {
  if (unsent_frame_) {
    if (!channel_.send_frame(*unsent_frame_)) return false;
    unsent_frame_.reset();
    return true;
  }
  if (unsent_) return send_batch(std::move(*std::exchange(unsent_, std::nullopt)));
  wants_turn_ = false;
  if (!tombstones_done_) {
    if (send_tombstones()) return true;
    wants_turn_ = !tombstones_done_ && !unsent_frame_;
    if (wants_turn_ || unsent_frame_) return false;
  }

  wire::SyncBatch batch;
  batch_bytes_ = wire::kBatchHeaderBytes;
  const bool urgent_last = ++batches_ % kOthersEvery == 0;
  if (!urgent_last) fill_urgent(batch);
  fill_begging(batch);
  fill_answers(batch);
  if (batch.entries.empty()) fill_from_feed(batch);
  if (batch.entries.empty() && urgent_last) fill_urgent(batch);
  write_settled();
  return !batch.entries.empty() && send_batch(std::move(batch));
}

void OldSession::collect_tombstones() {
  const auto rows = store_.feed(tombstones_sent_, kRowsPerTurn);
  if (!rows || rows->empty()) tombstones_done_ = true;
  if (!rows) return counters_.fault("", rows.error(), context_.limits);
  for (const auto& row : *rows) {
    if (row.seq > start_) break;
    if (buried_bytes_ >= wire::kMaxTombstoneFrameBytes / 2) return;  // more than a frame takes
    tombstones_sent_ = row.seq;
    if (row.kind != store::FeedKind::tombstone) continue;
    auto buried = store_.tombstone(row.key);
    if (!buried || !*buried) continue;
    auto& tombstone = (*buried)->tombstone;
    if (!travels(tombstone)) continue;
    told_.put(row.key, epoch_of(tombstone));
    buried_bytes_ += row.key.size() + tombstone.deleted_by.size() + tombstone.reason.size() + 32;
    buried_.push_back(std::move(tombstone));
  }
  tombstones_done_ = tombstones_done_ || rows->back().seq >= start_;
}

// A frame when it is full or the last.
bool OldSession::send_tombstones() {
  collect_tombstones();
  const bool full = buried_.size() + kRowsPerTurn > wire::kMaxTombstonesPerFrame ||
                    buried_bytes_ >= wire::kMaxTombstoneFrameBytes / 2;
  if (buried_.empty() || (!full && !tombstones_done_)) return false;
  const auto found = std::exchange(buried_, {});
  buried_bytes_ = 0;
  wire::Frame frame{std::string(wire::kTombstoneBatchKey), wire::FrameType::tombstone_batch, {}};
  const auto encoded = wire::encode_tombstone_batch(found, frame.payload, context_.limits);
  if (!encoded) {
    counters_.fault(found.front().key(), encoded.error(), context_.limits);
    return false;
  }
  counters_.tombstones_sent += *encoded;
  if (!channel_.send_frame(frame)) unsent_frame_ = std::move(frame);
  return !unsent_frame_;
}

bool OldSession::send_batch(wire::SyncBatch batch) {
  Status sent;
  if (batch.entries.size() == 1) {
    auto& entry = batch.entries.front();
    const bool buried = entry.type == wire::EntryType::tombstone;
    sent = channel_.send_frame(
        {buried ? std::string(wire::kTombstoneKeyPrefix) + entry.key : entry.key,
         static_cast<wire::FrameType>(entry.type), entry.payload});
  } else {
    batch.id = next_batch_++;
    batch.created_at_ms = static_cast<std::uint64_t>(context_.executor.now().wall.ms);
    sent = channel_.send(batch);
  }
  if (sent) return true;
  if (sent.error().code == Code::limit_exceeded) {
    counters_.fault(batch.entries.front().key, sent.error(), context_.limits);
    return true;
  }
  unsent_ = std::move(batch);
  return false;
}

bool OldSession::is_full(const wire::SyncBatch& batch) const {
  return batch.entries.size() + 2 > wire::kMaxBatchEntriesSent || batch_bytes_ >= pacer_.bytes();
}

void OldSession::fill_urgent(wire::SyncBatch& batch) {
  for (std::size_t i = 0; i < kQosClasses; ++i) {
    auto& keys = urgent_.of(static_cast<QosClass>(i));
    while (!keys.empty() && !is_full(batch)) {
      add_document(keys.front(), batch);
      keys.pop();
    }
  }
}

void OldSession::fill_answers(wire::SyncBatch& batch) {
  for (auto* queue : {&wanted_, &replies_}) {
    while (!queue->empty() && !is_full(batch)) {
      add_message(queue->front(), batch);
      queue->pop();
    }
  }
}

void OldSession::fill_begging(wire::SyncBatch& batch) {
  while (!begging_.empty() && !is_full(batch)) {
    // No heads, nothing in common: all of it is lacking.
    automerge::SyncMessage nothing;
    nothing.have.emplace_back();
    states_.erase(begging_.front());
    add(begging_.front(), wire::EntryType::delta, nothing.encode(), batch);
    begging_.pop();
  }
}

void OldSession::fill_from_feed(wire::SyncBatch& batch) {
  const auto rows = store_.feed(cursor_, kRowsPerTurn);
  if (!rows) return counters_.fault("", rows.error(), context_.limits);
  for (const auto& row : *rows) {
    if (is_full(batch)) break;
    cursor_ = row.seq;
    if (row.seq > start_ && skip_own_rows_ && row.origin == peer_) continue;
    if (row.kind == store::FeedKind::tombstone) {
      if (row.seq > start_) add_tombstone(row.key, batch);
    } else {
      add_document(row.key, batch);
    }
  }
  if (rows->empty()) cursor_ = std::max(cursor_, store_.last_seq());
  counters_.sent = cursor_;
  wants_turn_ = !rows->empty() && batch.entries.empty();
}

void OldSession::add(std::string_view key, wire::EntryType type, Bytes payload,
                     wire::SyncBatch& batch) {
  if (payload.size() > context_.limits.wire_payload_bytes / 2) {
    return counters_.fault(
        key,
        {Code::limit_exceeded, "message of " + std::to_string(payload.size()) +
                                   " bytes: more than a peer surely takes; not sent"},
        context_.limits);
  }
  batch_bytes_ += wire::kFrameOverhead + key.size() + payload.size();
  batch.entries.push_back({std::string(key), type, std::move(payload)});
}

void OldSession::add_tombstone(std::string_view key, wire::SyncBatch& batch) {
  const auto buried = store_.tombstone(key);
  if (!buried || !*buried || !travels((*buried)->tombstone)) return;
  auto epoch = epoch_of((*buried)->tombstone);
  if (const auto* told = told_.find(key); told != nullptr && *told >= epoch) return;
  Bytes payload;
  if (const auto encoded = wire::encode((*buried)->tombstone, payload); !encoded) {
    return counters_.fault(key, encoded.error(), context_.limits);
  }
  told_.put(key, std::move(epoch));
  ++counters_.tombstones_sent;
  add(key, wire::EntryType::tombstone, std::move(payload), batch);
}

void OldSession::add_document(std::string_view key, wire::SyncBatch& batch) {
  if (!may_read(context_, peer_, key, counters_)) return;
  const auto heads = store_.heads(key);
  const auto epoch = context_.documents.epoch(key);
  if (!heads || !epoch) {
    return counters_.fault(key, heads ? epoch.error() : heads.error(), context_.limits);
  }
  const bool created_again = !epoch->deleted_by.empty();  // after somebody's deletion
  if (created_again) add_tombstone(key, batch);
  if (!*heads) return;
  const auto parts = split_key(key);
  const bool whole =
      parts && context_.documents.collections().mode(parts->collection) != SyncMode::full_history;
  if (!whole && !created_again) return add_message(key, batch);
  if (const auto* known = known_.find(key); known != nullptr && *known == **heads) return;
  known_.put(key, **heads);
  add_snapshot(key, batch);
}

void OldSession::add_snapshot(std::string_view key, wire::SyncBatch& batch) {
  auto saved = context_.documents.snapshot(key);
  if (!saved) return counters_.fault(key, saved.error(), context_.limits);
  if (!*saved) return;
  ++counters_.documents_sent;
  add(key, wire::EntryType::snapshot, std::move(**saved), batch);
}

void OldSession::add_message(std::string_view key, wire::SyncBatch& batch) {
  if (!may_read(context_, peer_, key, counters_)) return;
  auto message = context_.documents.sync_message(key, state_of(key));
  if (!message) return counters_.fault(key, message.error(), context_.limits);
  if (!*message) return;
  ++counters_.documents_sent;
  add(key, wire::EntryType::delta, std::move(**message), batch);
}

// An old peer blocks the key of a tombstone for days, and has an expiry of its own.
bool OldSession::travels(const wire::Tombstone& tombstone) const {
  return !is_expiry(tombstone) && may_travel(tombstone.direction, context_.relation) &&
         may_read(context_, peer_, tombstone.key(), counters_);
}

void OldSession::note_time(Instant now) {
  if (!arriving_ || now - arriving_->second >= kSurelyArrived) {
    if (arriving_) counters_.acked = std::max(counters_.acked, arriving_->first);
    arriving_ = {tombstones_done_ ? cursor_ : 0, now};
  }
}

// --- shared heads -------------------------------------------------------------------------------

void OldSession::keep_if_settled(std::string_view key, const automerge::SyncState& state,
                                 const automerge::Heads& heads) {
  if (heads.empty() || state.their_heads != heads || state.shared_heads != heads) return;
  auto encoded = state.encode();
  const auto kept = store_.sync_state(peer_, key);
  if (kept && *kept && **kept == encoded) return;
  settled_.put_sync_state(peer_, std::string(key), std::move(encoded));
}

void OldSession::write_settled() {
  if (settled_.empty()) return;
  // Not kept is only slower: the next connection begins without shared heads.
  auto settled = std::exchange(settled_, store::WriteBatch());
  if (!noted_ && !note_peer(store_, peer_, context_.limits.sync_peers)) return;
  noted_ = true;
  static_cast<void>(store_.write(std::move(settled)));
}

}  // namespace peat::sync
