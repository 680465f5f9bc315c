// What a setting says about one collection: "NAME:option,option".
//
//   mode=full|latest|windowed     how it travels and what is kept of its past
//   window=DURATION               of a windowed history
//   delete=tombstone|soft|ttl|immutable
//   wins=delete|update            when a deletion meets a change it had not seen
//   retention=DURATION            of tombstones and of softly deleted content
//   ttl=DURATION                  with delete=ttl
//   class=critical|high|normal|low|bulk
//   index=PATH                    a secondary index (docs/query.md); may be repeated
//
// What it does not name stays as the defaults of sync/collections.hpp have it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/error.hpp"
#include "sync/collections.hpp"

namespace peat::node {

// "collection" and the text of a path in it.
struct IndexName {
  std::string collection;
  std::string path;
  friend auto operator<=>(const IndexName&, const IndexName&) = default;
};

struct CollectionSetting {
  std::string name;
  std::optional<sync::SyncMode> mode;
  std::optional<std::chrono::milliseconds> window;
  std::optional<sync::DeletionPolicy> deletion;
  std::optional<sync::DeletionRule> wins;
  std::optional<std::chrono::milliseconds> retention;
  std::optional<std::chrono::milliseconds> ttl;
  std::optional<sync::QosClass> qos;
  std::vector<std::string> indexes;  // paths
  std::string text;                  // as it was written

  static Result<CollectionSetting> parse(std::string_view text);
  sync::CollectionRule over(sync::CollectionRule rule) const;
};

}  // namespace peat::node
