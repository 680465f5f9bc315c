#include "sync/lag.hpp"

#include <algorithm>
#include <limits>

#include "sync/documents.hpp"

namespace peat::sync {

void Lag::add(const Lag& other) {
  documents += other.documents;
  bytes += other.bytes;
  if (other.oldest_ms) oldest_ms = std::max(oldest_ms.value_or(0), *other.oldest_ms);
}

LagSurvey::LagSurvey(const store::DocumentStore& store, const std::vector<Peer>& peers,
                     WallTime now)
    : store_(store), now_(now), at_(store.last_seq()), end_(at_) {
  for (const auto& peer : peers) {
    result.push_back({peer.id, peer.position, {}, {}});
    at_ = std::min(at_, peer.position);
  }
}

Result<bool> LagSurvey::step(std::size_t rows) {
  if (at_ >= end_) return false;
  PEAT_TRY(const auto found, store_.feed(at_, rows));
  for (const auto& row : found) {
    at_ = row.seq;
    if (row.seq > end_) return false;
    PEAT_TRY_VOID(add(row));
  }
  return found.size() == rows && at_ < end_;
}

Status LagSurvey::add(const store::FeedRow& row) {
  const auto behind = [&row](const PeerLag& peer) {
    return peer.position < row.seq && row.origin != peer.peer;
  };
  if (std::ranges::none_of(result, behind)) return {};
  const auto weight = weigh(row);
  // One that cannot be read is behind all the same.
  const auto lag = weight ? *weight : Lag{1, 0, std::nullopt};
  const auto parts = split_key(row.key).value_or(KeyParts{});
  for (auto& peer : result) {
    if (!behind(peer)) continue;
    peer.total.add(lag);
    peer.collections[std::string(parts.collection)].add(lag);
  }
  return {};
}

Result<Lag> LagSurvey::weigh(const store::FeedRow& row) const {
  Lag lag{1, row.key.size(), std::nullopt};
  constexpr auto kLast = std::numeric_limits<std::int64_t>::max() / 1000;
  std::optional<std::int64_t> changed;  // seconds
  if (row.kind == store::FeedKind::tombstone) {
    PEAT_TRY(const auto buried, store_.tombstone(row.key));
    if (buried) changed = static_cast<std::int64_t>(buried->tombstone.deleted_at_ms / 1000);
  } else {
    PEAT_TRY(const auto version, store_.version(row.key));
    PEAT_TRY(const auto bytes, store_.stored_bytes(row.key));
    if (version) changed = version->time;
    lag.bytes = bytes.value_or(0);
  }
  // Peers write any time.
  if (changed) {
    const auto since = now_.ms - std::clamp<std::int64_t>(*changed, 0, kLast) * 1000;
    lag.oldest_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(since, 0));
  }
  return lag;
}

}  // namespace peat::sync
