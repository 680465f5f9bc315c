// The sending half. What comes in: session_native_receive.cpp.
#include "sync/session_native.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace peat::sync {
namespace {

// A frame is closed when it has this much: large enough to cost little per document, small enough
// that a receiver's loop takes it in a few milliseconds.
constexpr std::size_t kFrameBytes = 128U << 10;
constexpr std::size_t kLeastFrameBytes = 2U << 10;
constexpr std::size_t kFrameEntries = 512;
constexpr std::size_t kNeedEntries = 256;
constexpr std::size_t kOffersOpen = 4;
constexpr std::size_t kRowsPerLook = 256;
// Rows that the peer does not need to see move our position silently; it is stated at the latest
// after so many.
constexpr store::Seq kSilentRows = 512;
// Farther behind the feed's end than this, a new change goes out ahead of its turn.
constexpr store::Seq kUrgentDistance = 64;
constexpr store::Seq kUrgentDistanceHigh = 8;  // of the two highest classes
// The five classes, answers, and the feed.
constexpr std::array<std::uint64_t, kQosClasses + 2> kWeights = {40, 30, 20, 8, 2, 20, 20};

}  // namespace

bool NativeSession::Load::full() const {
  return bytes >= most || changes.documents.size() >= kFrameEntries ||
         heads.documents.size() >= kFrameEntries || tombstones.tombstones.size() >= kFrameEntries;
}

bool NativeSession::Load::empty() const {
  return changes.documents.empty() && heads.documents.empty() && tombstones.tombstones.empty();
}

NativeSession::NativeSession(SyncChannel& channel, const SessionContext& context,
                             SessionCounters& counters, std::function<void()> wake)
    : channel_(channel),
      context_(context),
      counters_(counters),
      store_(context.documents.store()),
      peer_(channel.peer_id()),
      wake_(std::move(wake)),
      urgent_(context.limits.sync_urgent_keys, context.documents),
      share_(kWeights),
      pacer_(kLeastFrameBytes, kFrameBytes),
      known_(context.limits.sync_known_heads),
      told_(context.limits.sync_known_heads),
      declined_(context.limits.sync_needs),
      retry_(context.limits.sync_needs) {
  if (context_.access == nullptr) return;
  const auto walked_under = load_rights(store_, peer_);
  anew_ = !walked_under || *walked_under != context_.access->fingerprint(peer_);
  if (anew_) counters_.held = {};
}

// What was heard since the last note: positions that came alone were not worth a commit.
NativeSession::~NativeSession() {
  if (reached_ > saved_) static_cast<void>(save(reached_));
}

Status NativeSession::note_once() {
  if (!noted_) PEAT_TRY_VOID(note_peer(store_, peer_, context_.limits.sync_peers));
  noted_ = true;
  return {};
}

void NativeSession::note_time(Instant now) {
  if (!anew_ || !hello_ || given() < start_ || reached_ < hello_->last_position) return;
  if (!walked_) walked_ = now;
  if (now - *walked_ < kSurelyArrived) return;
  // Not kept, the feeds are only walked once more.
  anew_ = !note_once() || !save_rights(store_, peer_, context_.access->fingerprint(peer_));
}

Status NativeSession::save(store::Seq position) {
  PEAT_TRY_VOID(note_once());
  return save_position(store_, peer_, {hello_->store_id, position});
}

void NativeSession::on_change(const store::ChangeEvent& event) {
  if (event.origin == peer_ || !hello_) return;
  // What does not fit waits for the cursor.
  const bool deleted = event.action == store::ChangeEvent::Action::erase;
  const auto qos = deleted ? QosClass::critical : urgent_.class_of(event.key);
  const auto distance = qos <= QosClass::high ? kUrgentDistanceHigh : kUrgentDistance;
  if (offers_.empty() && event.seq - cursor_ <= distance) return;
  urgent_.of(qos).push(event.key);
}

wire::Hello NativeSession::make_hello() const {
  auto hello = wire::make_hello(context_.limits);
  hello.store_id = store_.incarnation().store_id;
  hello.incarnation = store_.incarnation().run;
  hello.wall_clock_ms = static_cast<std::uint64_t>(context_.executor.now().wall.ms);
  hello.last_position = store_.last_seq();
  hello.document_count = store_.count();
  hello.resume = counters_.held;
  hello.node_id = context_.node_id;
  hello.lamport = context_.documents.lamport();
  hello.horizon = context_.documents.horizon();
  return hello;
}

bool NativeSession::send_next() {
  pacer_.ready(context_.executor.now().mono);
  if (ready_.empty()) {
    auto frame = next_frame();
    if (!frame) return false;
    ready_.push_front(std::move(*frame));
  }
  if (context_.access != nullptr && !withhold(ready_.front(), *context_.access, peer_)) {
    ready_.pop_front();
    return true;
  }
  const auto sent = channel_.send_native(ready_.front());
  if (!sent) {
    if (sent.error().code != Code::limit_exceeded) return false;
    counters_.fault("", sent.error(), context_.limits);
  }
  ready_.pop_front();
  pacer_.sent(context_.executor.now().mono, std::exchange(filled_, 0));
  return true;
}

wire::DurableAck NativeSession::make_ack() {
  constexpr std::size_t kNamed = 256;  // in one frame; the rest goes with the next
  wire::DurableAck ack{acked_, {}};
  while (!declined_.empty() && ack.documents.size() < kNamed) {
    const auto& key = declined_.front();
    const auto heads = store_.heads(key);
    const auto epoch = context_.documents.epoch(key);
    ack.documents.push_back(
        {key, epoch ? *epoch : Epoch{}, heads && *heads ? **heads : automerge::Heads{}});
    declined_.pop();
  }
  return ack;
}

// Answers before news, news before bulk.
std::optional<wire::NativeFrame> NativeSession::next_frame() {
  if (!hello_sent_) {
    hello_sent_ = true;
    return make_hello();
  }
  if (goodbye_) return *std::exchange(goodbye_, std::nullopt);
  if (!hello_ || ended_) return std::nullopt;
  if (pong_) return wire::Pong{*std::exchange(pong_, std::nullopt)};
  if (durable_ > acked_) {
    auto ack = make_ack();
    // A position holds for all below it but those named: it waits for the last name.
    if (declined_.empty()) {
      acked_ = durable_;
      state_position_ = true;
    }
    ack.position = acked_;
    return ack;
  }
  if (!needs_.empty()) {
    auto need = std::move(needs_.front());
    needs_.pop_front();
    return need;
  }
  for (const auto flow : share_.order()) {
    if (!fill(flow)) continue;
    share_.charge(flow, filled_);
    auto frame = std::move(ready_.front());
    ready_.pop_front();
    return frame;
  }
  const auto silent = given() - stated_;
  const bool moment = std::exchange(state_position_, !offers_.empty());
  if (silent >= kSilentRows || (silent > 0 && moment)) return wire::FeedDone{take_position()};
  return std::nullopt;
}

// --- on request ---------------------------------------------------------------------------------

// No answer is awaited: the peer need not have the document.
void NativeSession::request(std::string_view key, const automerge::Heads& have) {
  if (!hello_ || ended_) return;
  if (needs_.empty() || needs_.back().answer || needs_.back().documents.size() >= kNeedEntries) {
    needs_.emplace_back();
  }
  needs_.back().documents.push_back({std::string(key), {}, have});
}

void NativeSession::resend(std::string_view key) {
  known_.erase(key);
  told_.erase(key);
  urgent_.push(key);
}

KeyPlace NativeSession::locate(std::string_view key) const {
  KeyPlace place;
  place.qos = urgent_.class_of(key);
  place.ahead = urgent_.of(place.qos).place(key);
  place.asked = std::ranges::any_of(asked_, [&](const auto& ask) { return ask.key == key; });
  const auto heads = store_.heads(key);
  place.known = heads && *heads && peer_has_all(key, **heads);
  return place;
}

// --- positions ----------------------------------------------------------------------------------

// Up to here the peer has been given everything, once what is `ready_` has left.
store::Seq NativeSession::given() const {
  return offers_.empty() ? cursor_ : offers_.front().before;
}

store::Seq NativeSession::take_position() {
  const auto position = given();
  if (position <= stated_) return 0;
  stated_ = position;
  counters_.sent = position;
  return position;
}

void NativeSession::resolve_offers() {
  while (!offers_.empty() && offers_.front().answered && offers_.front().owed == 0) {
    offers_.pop_front();
    ++first_offer_;
  }
}

// --- what the peer has --------------------------------------------------------------------------

bool NativeSession::peer_has_all(std::string_view key, const automerge::Heads& heads) const {
  const auto* known = known_.peek(key);
  return known != nullptr && std::ranges::all_of(heads, [&](const auto& hash) {
           return std::ranges::find(*known, hash) != known->end();
         });
}

void NativeSession::learn(std::string_view key, const automerge::Heads& heads) {
  constexpr std::size_t kMost = 16;  // concurrent heads; a document with more is asked about
  if (heads.size() > kMost) return known_.erase(key);
  auto* known = known_.find(key);
  if (known == nullptr || known->size() + heads.size() > kMost) {
    known_.put(key, heads);
    return;
  }
  for (const auto& hash : heads) {
    if (std::ranges::find(*known, hash) == known->end()) known->push_back(hash);
  }
}

// --- filling frames -----------------------------------------------------------------------------

bool NativeSession::fill(std::size_t flow) {
  if (flow == kAsked) return fill_asked();
  if (flow == kFeed) return fill_from_feed();
  return fill_urgent(static_cast<QosClass>(flow));
}

bool NativeSession::put_ready(Load load) {
  if (load.empty()) return false;
  filled_ = load.bytes;
  auto* position = &load.heads.position;  // of the frame that leaves last
  if (load.heads.documents.empty()) {
    position = load.changes.documents.empty() ? &load.tombstones.position : &load.changes.position;
  }
  *position = take_position();
  counters_.tombstones_sent += load.tombstones.tombstones.size();
  counters_.documents_sent += load.changes.documents.size();
  if (!load.tombstones.tombstones.empty()) ready_.push_back(std::move(load.tombstones));
  if (!load.changes.documents.empty()) ready_.push_back(std::move(load.changes));
  if (!load.heads.documents.empty()) ready_.push_back(std::move(load.heads));
  return true;
}

bool NativeSession::fill_urgent(QosClass qos) {
  auto& keys = urgent_.of(qos);
  Load load;
  load.most = pacer_.bytes();
  while (!keys.empty() && !load.full()) {
    add_live_document(keys.front(), load);
    keys.pop();
  }
  return put_ready(std::move(load));
}

bool NativeSession::fill_asked() {
  Load load;
  load.most = pacer_.bytes();
  while (!asked_.empty() && !load.full()) {
    const auto ask = std::move(asked_.front());
    asked_.pop_front();
    asked_hashes_ -= ask.have.size();
    add_document(ask.key, context_.documents.outgoing(ask.key, ask.have), load, ask.offer == 0);
    if (ask.offer != 0) --offers_[ask.offer - first_offer_].owed;
    resolve_offers();
  }
  return put_ready(std::move(load));
}

bool NativeSession::fill_from_feed() {
  if (offers_.size() >= kOffersOpen) return false;
  Load load;
  load.most = pacer_.bytes();
  const auto before = given();
  while (!load.full()) {
    const auto rows = store_.feed(cursor_, kRowsPerLook);
    if (!rows) {
      counters_.fault("", rows.error(), context_.limits);
      break;
    }
    if (rows->empty()) {
      cursor_ = std::max(cursor_, store_.last_seq());
      break;
    }
    for (const auto& row : *rows) {
      if (load.full()) break;
      add_row(row, load);
      cursor_ = row.seq;
    }
  }
  if (!load.heads.documents.empty()) offers_.push_back({before, false, 0});
  return put_ready(std::move(load));
}

void NativeSession::add_row(const store::FeedRow& row, Load& load) {
  const bool live = row.seq > start_;
  if (live && skip_own_rows_ && row.origin == peer_) return;
  if (row.kind == store::FeedKind::tombstone) {
    add_tombstone(row.key, load, Expired::skip);
  } else if (live) {
    add_live_document(row.key, load);
  } else if (hello_->document_count == 0) {
    add_document(row.key, context_.documents.outgoing(row.key, {}), load);
  } else {
    add_offer(row, load);
  }
}

void NativeSession::add_tombstone(std::string_view key, Load& load, Expired expired) {
  const auto buried = store_.tombstone(key);
  if (!buried || !*buried || !may_read(context_, peer_, key, counters_)) return;
  const auto& tombstone = (*buried)->tombstone;
  if (!may_travel(tombstone.direction, context_.relation)) return;
  if (expired == Expired::skip && is_expiry(tombstone)) return;
  auto epoch = epoch_of(tombstone);
  const auto* told = told_.find(key);
  if (told != nullptr && *told >= epoch) return;
  told_.put(key, std::move(epoch));
  known_.erase(key);
  load.bytes += key.size() + tombstone.deleted_by.size() + tombstone.reason.size() + 32;
  load.tombstones.tombstones.push_back(tombstone);
}

void NativeSession::add_document(std::string_view key, Result<std::optional<Outgoing>> document,
                                 Load& load, bool even_if_empty) {
  if (!may_read(context_, peer_, key, counters_)) return;
  if (!document) {
    counters_.fault(key, document.error(), context_.limits);
    return;
  }
  if (!*document) {
    add_tombstone(key, load);
    return;
  }
  auto& out = **document;
  if (out.epoch != Epoch{}) add_tombstone(key, load);
  if (out.changes.empty() && !even_if_empty) return;
  const auto size = key.size() + out.changes.size() + 32 * out.heads.size() + 64;
  if (size > send_limits_.wire_native_frame_bytes) {
    counters_.fault(
        key,
        Error{Code::limit_exceeded, "document of " + std::to_string(size) +
                                        " bytes: the peer takes frames of " +
                                        std::to_string(send_limits_.wire_native_frame_bytes)},
        context_.limits);
    return;
  }
  learn(key, out.heads);
  load.bytes += size;
  load.changes.documents.push_back(
      {std::string(key), std::move(out.epoch), std::move(out.heads), std::move(out.changes)});
}

void NativeSession::add_live_document(std::string_view key, Load& load) {
  if (!may_read(context_, peer_, key, counters_)) return;
  const auto* known = known_.find(key);
  if (known == nullptr) {
    add_document(key, context_.documents.outgoing_newest(key), load);
    return;
  }
  const auto heads = store_.heads(key);
  if (heads && *heads && peer_has_all(key, **heads)) return;
  add_document(key, context_.documents.outgoing(key, *known), load);
}

void NativeSession::add_offer(const store::FeedRow& row, Load& load) {
  if (!may_read(context_, peer_, row.key, counters_)) return;
  auto heads = store_.heads(row.key);
  auto epoch = context_.documents.epoch(row.key);
  if (!heads || !epoch) {
    counters_.fault(row.key, heads ? epoch.error() : heads.error(), context_.limits);
    return;
  }
  if (!*heads || peer_has_all(row.key, **heads)) return;
  load.bytes += row.key.size() + 32 * (*heads)->size() + 16;
  load.heads.documents.push_back({row.key, std::move(*epoch), std::move(**heads)});
}

}  // namespace peat::sync
