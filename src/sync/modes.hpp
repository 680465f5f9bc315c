// How each collection travels and how its deletions are settled.
//
// The mode is the sender's choice (spec/storage.md 9.1): a receiver takes whatever comes. On
// `cap/automerge/1` a latest-only document travels as one saved document, everything else as
// Automerge sync messages; a windowed collection is full history on the wire, as in the field's
// peers. On `peat/sync/2` every collection travels as changes.
//
// Threading: values; a registry is filled before it is shared. Cost: one look-up.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace peat::sync {

enum class SyncMode : std::uint8_t {
  full_history,
  latest_only,  // snapshots on the old dialect
  windowed,     // the last 300 s are of interest; full history on the wire
};

// What happens when a deletion meets a change that the deleter had not seen.
enum class DeletionRule : std::uint8_t {
  delete_wins,
  update_wins,  // alerts: the document stays (documents.hpp says which changes count)
};

class SyncModeRegistry {
 public:
  SyncModeRegistry();  // the defaults of the field's peers

  SyncMode mode(std::string_view collection) const;  // full_history when nobody said otherwise
  DeletionRule deletion_rule(std::string_view collection) const;

  void set_mode(std::string collection, SyncMode mode);
  void set_deletion_rule(std::string collection, DeletionRule rule);

 private:
  std::map<std::string, SyncMode, std::less<>> modes_;
  std::map<std::string, DeletionRule, std::less<>> rules_;
};

}  // namespace peat::sync
