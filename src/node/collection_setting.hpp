// What a setting says about one collection: "NAME:option,option".
//
//   mode=full|latest|windowed     how it travels and what is kept of its past
//   window=DURATION               of a windowed history
//   delete=tombstone|soft|ttl|immutable
//   wins=delete|update            when a deletion meets a change it had not seen
//   retention=DURATION            of tombstones and of softly deleted content
//   ttl=DURATION                  with delete=ttl
//   class=critical|high|normal|low|bulk
//
// What it does not name stays as the defaults of sync/collections.hpp have it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "peat/error.hpp"
#include "sync/collections.hpp"

namespace peat::node {

struct CollectionSetting {
  std::string name;
  std::optional<sync::SyncMode> mode;
  std::optional<std::chrono::milliseconds> window;
  std::optional<sync::DeletionPolicy> deletion;
  std::optional<sync::DeletionRule> wins;
  std::optional<std::chrono::milliseconds> retention;
  std::optional<std::chrono::milliseconds> ttl;
  std::optional<sync::QosClass> qos;
  std::string text;  // as it was written

  static Result<CollectionSetting> parse(std::string_view text);
  sync::CollectionRule over(sync::CollectionRule rule) const;
};

}  // namespace peat::node
