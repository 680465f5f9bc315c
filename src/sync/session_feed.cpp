#include "sync/session_feed.hpp"

#include <algorithm>

#include "base/reader.hpp"

namespace peat::sync {
namespace {

constexpr std::string_view kLinesName = "sync.lines";
constexpr std::string_view kPeersName = "sync.peers";
constexpr std::size_t kLinesKept = 32;  // lives of a store that crashes daily for a month

std::string position_name(const EndpointId& peer) { return "sync.from." + peer.to_string(); }
std::string ack_name(const EndpointId& peer) { return "sync.acked." + peer.to_string(); }
std::string rights_name(const EndpointId& peer) { return "sync.rights." + peer.to_string(); }

Result<wire::Resume> read_place(Reader& reader, std::string_view what) {
  wire::Resume place;
  PEAT_TRY(const auto id, reader.take(place.store_id.size(), what));
  std::ranges::copy(id, place.store_id.begin());
  PEAT_TRY(place.position, reader.u64be(what));
  return place;
}

void put_place(Writer& writer, const store::StoreId& id, store::Seq position) {
  writer.bytes(id);
  writer.u64be(position);
}

Result<std::vector<EndpointId>> load_peers(const store::DocumentStore& store) {
  std::vector<EndpointId> peers;
  PEAT_TRY(const auto value, store.meta(kPeersName));
  if (!value) return peers;
  Reader reader(*value);
  while (!reader.done()) {
    auto& peer = peers.emplace_back();
    PEAT_TRY(const auto id, reader.take(peer.bytes.size(), "the peers of whom something is kept"));
    std::ranges::copy(id, peer.bytes.begin());
  }
  return peers;
}

void put_peers(store::WriteBatch& batch, const std::vector<EndpointId>& peers) {
  Bytes value;
  Writer writer(value);
  for (const auto& peer : peers) writer.bytes(peer.bytes);
  batch.put_meta(std::string(kPeersName), std::move(value));
}

void erase_rows(store::WriteBatch& batch, const EndpointId& peer) {
  batch.erase_meta(position_name(peer));
  batch.erase_meta(ack_name(peer));
  batch.erase_meta(rights_name(peer));
  batch.erase_sync_states(peer);
}

}  // namespace

Result<FeedLines> FeedLines::open(store::DocumentStore& store) {
  FeedLines lines(store);
  PEAT_TRY(const auto known, store.meta(kLinesName));
  if (known) {
    Reader reader(*known);
    while (!reader.done()) {
      PEAT_TRY(const auto place, read_place(reader, "the former feeds of the store"));
      lines.former_.push_back({place.store_id, place.position});
    }
  }
  const auto& now = store.incarnation().store_id;
  if (!lines.former_.empty() && lines.former_.back().id == now) {
    lines.former_.pop_back();
    return lines;
  }
  // The newest known life ended where this one found the feed.
  if (!lines.former_.empty()) lines.former_.back().end = store.last_seq();
  if (lines.former_.size() >= kLinesKept) lines.former_.erase(lines.former_.begin());
  Bytes value;
  Writer writer(value);
  for (const auto& line : lines.former_) put_place(writer, line.id, line.end);
  put_place(writer, now, 0);
  store::WriteBatch batch;
  batch.put_meta(std::string(kLinesName), std::move(value));
  PEAT_TRY_VOID(store.write(std::move(batch)));
  return lines;
}

store::Seq FeedLines::resume_point(const wire::Resume& resume) const {
  if (resume.store_id == store_->incarnation().store_id) {
    return std::min(resume.position, store_->last_seq());
  }
  const auto found = std::ranges::find(former_, resume.store_id, &Line::id);
  return found == former_.end() ? 0 : std::min(resume.position, found->end);
}

Result<wire::Resume> load_position(const store::DocumentStore& store, const EndpointId& peer) {
  PEAT_TRY(const auto value, store.meta(position_name(peer)));
  if (!value) return wire::Resume{};
  Reader reader(*value);
  return read_place(reader, "the position in a peer's feed");
}

Status save_position(store::DocumentStore& store, const EndpointId& peer,
                     const wire::Resume& position) {
  Bytes value;
  Writer writer(value);
  put_place(writer, position.store_id, position.position);
  store::WriteBatch batch;
  batch.put_meta(position_name(peer), std::move(value));
  PEAT_TRY_VOID(store.write(std::move(batch)));
  return {};
}

Status note_peer(store::DocumentStore& store, const EndpointId& peer, std::uint64_t limit) {
  PEAT_TRY(auto peers, load_peers(store));
  // Among the newer half is good enough: a peer that reconnects often does not rewrite the list.
  const auto newer = peers.begin() + static_cast<std::ptrdiff_t>(peers.size() / 2);
  if (std::find(newer, peers.end(), peer) != peers.end()) return {};
  std::erase(peers, peer);
  peers.push_back(peer);
  store::WriteBatch batch;
  const auto over = peers.size() - std::min<std::size_t>(peers.size(), limit);
  for (std::size_t i = 0; i < over; ++i) erase_rows(batch, peers[i]);
  peers.erase(peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(over));
  put_peers(batch, peers);
  PEAT_TRY_VOID(store.write(std::move(batch)));
  return {};
}

Result<std::vector<EndpointId>> noted_peers(const store::DocumentStore& store) {
  return load_peers(store);
}

Result<std::optional<PeerAck>> load_ack(const store::DocumentStore& store, const EndpointId& peer) {
  PEAT_TRY(const auto value, store.meta(ack_name(peer)));
  if (!value) return std::nullopt;
  Reader reader(*value);
  PeerAck ack;
  PEAT_TRY(ack.held, read_place(reader, "what a peer has acknowledged"));
  PEAT_TRY(const auto clock, reader.u64be("when a peer was last seen"));
  ack.last_seen = std::chrono::milliseconds(static_cast<std::int64_t>(clock));
  return ack;
}

Status save_ack(store::DocumentStore& store, const EndpointId& peer, const PeerAck& ack) {
  Bytes value;
  Writer writer(value);
  put_place(writer, ack.held.store_id, ack.held.position);
  writer.u64be(static_cast<std::uint64_t>(ack.last_seen.count()));
  store::WriteBatch batch;
  batch.put_meta(ack_name(peer), std::move(value));
  PEAT_TRY_VOID(store.write(std::move(batch)));
  return {};
}

Result<Access::Fingerprint> load_rights(const store::DocumentStore& store, const EndpointId& peer) {
  Access::Fingerprint rights{};
  PEAT_TRY(const auto value, store.meta(rights_name(peer)));
  if (!value) return rights;
  Reader reader(*value);
  PEAT_TRY(const auto bytes, reader.take(rights.size(), "the rights of a peer"));
  std::ranges::copy(bytes, rights.begin());
  return rights;
}

Status save_rights(store::DocumentStore& store, const EndpointId& peer,
                   const Access::Fingerprint& rights) {
  store::WriteBatch batch;
  batch.put_meta(rights_name(peer), Bytes(rights.begin(), rights.end()));
  PEAT_TRY_VOID(store.write(std::move(batch)));
  return {};
}

Status forget_peer(store::DocumentStore& store, const EndpointId& peer) {
  PEAT_TRY(auto peers, load_peers(store));
  store::WriteBatch batch;
  erase_rows(batch, peer);
  if (std::erase(peers, peer) > 0) put_peers(batch, peers);
  PEAT_TRY_VOID(store.write(std::move(batch)));
  return {};
}

}  // namespace peat::sync
