#include "node/peer_book.hpp"

#include <fmt/format.h>

namespace peat::node {

namespace {

constexpr std::string_view kVersionLine = "1\n";

}  // namespace

Status PeerBook::decode(ByteView record) {
  auto text = as_text(record);
  if (!text.starts_with(kVersionLine)) {
    return fail(Code::store_corrupt, "the record of kept peers begins with no known version");
  }
  text.remove_prefix(kVersionLine.size());
  added_.clear();
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto peer = PeerSetting::parse(text.substr(0, end));
    if (!peer) {
      return fail(Code::store_corrupt, "the record of kept peers: " + peer.error().message);
    }
    added_.insert_or_assign(peer->id, *peer);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

Bytes PeerBook::encode() const {
  std::string text(kVersionLine);
  for (const auto& [id, peer] : added_) text += peer.to_string() + '\n';
  return {text.begin(), text.end()};
}

PeerBook::Difference PeerBook::set_from_settings(const Peers& peers) {
  Difference difference;
  std::map<EndpointId, PeerSetting> next;
  for (const auto& peer : peers) {
    next.emplace(peer.id, peer);
    const auto old = from_settings_.find(peer.id);
    if (old == from_settings_.end() || !(old->second == peer)) difference.added.push_back(peer);
  }
  for (const auto& [id, peer] : from_settings_) {
    if (!next.contains(id) && !added_.contains(id)) difference.removed.push_back(id);
  }
  from_settings_ = std::move(next);
  return difference;
}

Status PeerBook::add(const PeerSetting& peer) {
  if (added_.size() >= limit_ && !added_.contains(peer.id)) {
    return fail(Code::limit_exceeded,
                fmt::format("{} peers are kept already; remove some (limit peers_kept)", limit_));
  }
  added_.insert_or_assign(peer.id, peer);
  return {};
}

bool PeerBook::remove(const EndpointId& peer) {
  return from_settings_.erase(peer) + added_.erase(peer) > 0;
}

sync::Relation PeerBook::relation(const EndpointId& peer) const {
  for (const auto* peers : {&added_, &from_settings_}) {
    const auto found = peers->find(peer);
    if (found != peers->end()) return found->second.relation;
  }
  return sync::Relation::unknown;
}

Peers PeerBook::all() const {
  auto peers = from_settings_;
  for (const auto& [id, peer] : added_) peers.insert_or_assign(id, peer);
  Peers list;
  for (const auto& [id, peer] : peers) list.push_back(peer);
  return list;
}

}  // namespace peat::node
