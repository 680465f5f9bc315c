// What holds for each collection: how it travels, how it ends, how urgent it is.
//
// Names without a rule of their own have the default rule: full history, tombstones, delete wins,
// normal class. The named defaults are those of the field's peers (spec/storage.md 9.1, 10.1 and
// 10.5; spec/transport_qos.md 18.1), except that a collection unknown to them deletes by tombstone
// and not softly.
//
// Mode: what is kept of a document's past, by the writer and by all who do not keep their full
// history of it (documents.hpp, Snapshots). On `cap/automerge/1` latest-only and windowed
// documents travel as saved documents, everything else as Automerge sync messages; on
// `peat/sync/2` every collection travels as changes.
//
// Ages (ttl, retention) count the time that the node runs, never the wall clock: a clock that
// jumps deletes nothing, and a node that was switched off keeps what it holds that much longer.
//
// Threading: values; a registry is replaced as a whole (Documents::set_collections). Cost: one
// look-up.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace peat::sync {

enum class SyncMode : std::uint8_t {
  full_history,
  latest_only,  // the present state
  windowed,     // the changes since it began anew, at most a window ago when it was last written
};

enum class DeletionPolicy : std::uint8_t {
  tombstone,     // the content goes at once, a tombstone stays for the retention
  soft_delete,   // marked `_deleted`; the content goes when the retention is over
  implicit_ttl,  // goes by itself `ttl` after its last change; deleted by hand it leaves a
                 // tombstone
  immutable,     // is never deleted, by nobody
};

// What happens when a deletion meets a change that the deleter had not seen.
enum class DeletionRule : std::uint8_t {
  delete_wins,
  update_wins,  // alerts: the document stays (documents.hpp says which changes count)
};

// The five classes of spec/transport_qos.md 10.1, most urgent first.
enum class QosClass : std::uint8_t { critical, high, normal, low, bulk };
inline constexpr std::size_t kQosClasses = 5;
std::string_view to_string(QosClass qos);

// The bundles of ages of spec/transport_qos.md 17.2.
enum class TtlPreset : std::uint8_t { standard, tactical, long_duration, offline_node };

struct CollectionRule {
  SyncMode mode = SyncMode::full_history;
  Duration window = std::chrono::seconds(300);  // of a windowed history
  DeletionPolicy deletion = DeletionPolicy::tombstone;
  DeletionRule wins = DeletionRule::delete_wins;
  // How long a tombstone, or softly deleted content, stays at least; the preset's if that is more.
  Duration retention{};
  Duration ttl{};  // implicit_ttl alone
  QosClass qos = QosClass::normal;
};

class Collections {
 public:
  explicit Collections(TtlPreset preset = TtlPreset::standard);

  const CollectionRule& rule(std::string_view collection) const;
  void set(std::string collection, const CollectionRule& rule);
  const std::map<std::string, CollectionRule, std::less<>>& named() const { return rules_; }

  SyncMode mode(std::string_view collection) const { return rule(collection).mode; }
  DeletionRule deletion_rule(std::string_view collection) const { return rule(collection).wins; }
  // The greater of the collection's and the preset's.
  Duration retention(std::string_view collection) const;
  Duration preset_retention() const { return preset_retention_; }

 private:
  CollectionRule default_;
  Duration preset_retention_;
  std::map<std::string, CollectionRule, std::less<>> rules_;
};

}  // namespace peat::sync
