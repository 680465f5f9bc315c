#include "sync/modes.hpp"

#include <array>

namespace peat::sync {
namespace {

constexpr std::array<std::string_view, 9> kLatestOnly = {
    "beacons",
    "platforms",
    "tracks",
    "nodes",
    "cells",
    "node_states",
    "squad_summaries",
    "platoon_summaries",
    "company_summaries",
};
constexpr std::array<std::string_view, 2> kWindowed = {"track_history", "capability_history"};

}  // namespace

SyncModeRegistry::SyncModeRegistry() {
  for (const auto name : kLatestOnly) set_mode(std::string(name), SyncMode::latest_only);
  for (const auto name : kWindowed) set_mode(std::string(name), SyncMode::windowed);
  set_deletion_rule("alerts", DeletionRule::update_wins);
}

SyncMode SyncModeRegistry::mode(std::string_view collection) const {
  const auto found = modes_.find(collection);
  return found == modes_.end() ? SyncMode::full_history : found->second;
}

DeletionRule SyncModeRegistry::deletion_rule(std::string_view collection) const {
  const auto found = rules_.find(collection);
  return found == rules_.end() ? DeletionRule::delete_wins : found->second;
}

void SyncModeRegistry::set_mode(std::string collection, SyncMode mode) {
  modes_.insert_or_assign(std::move(collection), mode);
}

void SyncModeRegistry::set_deletion_rule(std::string collection, DeletionRule rule) {
  rules_.insert_or_assign(std::move(collection), rule);
}

}  // namespace peat::sync
