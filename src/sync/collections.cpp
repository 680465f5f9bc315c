#include "sync/collections.hpp"

#include <algorithm>
#include <array>

namespace peat::sync {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

struct Ages {
  hours tombstones;
  seconds beacons;
  seconds positions;
  seconds capabilities;
};

constexpr std::array<Ages, 4> kPresets = {{
    {hours(168), seconds(600), seconds(600), seconds(7200)},
    {hours(168), seconds(300), seconds(600), seconds(7200)},
    {hours(168), seconds(600), seconds(3600), seconds(172800)},
    {hours(72), seconds(30), seconds(60), seconds(300)},
}};

CollectionRule latest(QosClass qos = QosClass::normal) {
  CollectionRule rule;
  rule.mode = SyncMode::latest_only;
  rule.qos = qos;
  return rule;
}

CollectionRule tombstones(CollectionRule rule, Duration retention) {
  rule.retention = retention;
  return rule;
}

// What was written after the expiry stays: no node knows of every refresh.
CollectionRule expiring(CollectionRule rule, Duration ttl) {
  rule.deletion = DeletionPolicy::implicit_ttl;
  rule.wins = DeletionRule::update_wins;
  rule.ttl = ttl;
  return rule;
}

CollectionRule soft(QosClass qos) {
  CollectionRule rule;
  rule.deletion = DeletionPolicy::soft_delete;
  rule.qos = qos;
  return rule;
}

CollectionRule of_class(QosClass qos) {
  CollectionRule rule;
  rule.qos = qos;
  return rule;
}

}  // namespace

std::string_view to_string(QosClass qos) {
  constexpr std::array<std::string_view, kQosClasses> kNames = {"critical", "high", "normal", "low",
                                                                "bulk"};
  return kNames[static_cast<std::size_t>(qos)];
}

Collections::Collections(TtlPreset preset) {
  const auto& ages = kPresets[static_cast<std::size_t>(preset)];
  preset_retention_ = ages.tombstones;

  rules_["beacons"] = expiring(latest(QosClass::low), ages.beacons);
  rules_["platforms"] = expiring(latest(), seconds(3600));
  rules_["node_positions"] = expiring({}, ages.positions);
  rules_["capabilities"] = expiring({}, ages.capabilities);

  rules_["tracks"] = tombstones(latest(QosClass::low), seconds(3600));
  rules_["nodes"] = tombstones(latest(QosClass::low), hours(24));
  rules_["cells"] = tombstones(latest(), hours(24));
  for (const auto* name :
       {"node_states", "squad_summaries", "platoon_summaries", "company_summaries"}) {
    rules_[name] = latest();
  }

  auto alerts = tombstones(of_class(QosClass::critical), hours(4));
  alerts.wins = DeletionRule::update_wins;
  rules_["alerts"] = alerts;
  rules_["certificates"] = of_class(QosClass::critical);
  rules_["revocations"] = of_class(QosClass::critical);

  rules_["contact_reports"] = soft(QosClass::high);
  rules_["commands"] = soft(QosClass::critical);
  rules_["audit_logs"] = soft(QosClass::normal);

  for (const auto* name : {"track_history", "capability_history"}) {
    rules_[name].mode = SyncMode::windowed;
  }
}

const CollectionRule& Collections::rule(std::string_view collection) const {
  const auto found = rules_.find(collection);
  return found == rules_.end() ? default_ : found->second;
}

void Collections::set(std::string collection, const CollectionRule& rule) {
  rules_.insert_or_assign(std::move(collection), rule);
}

Duration Collections::retention(std::string_view collection) const {
  return std::max(rule(collection).retention, preset_retention_);
}

}  // namespace peat::sync
