// Rows of the store's tables: what a commit puts and erases, and what the memory twin keeps.
//
// Keys order as unsigned bytes, a prefix first, in every backend.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "peat/bytes.hpp"

namespace peat::store {

enum class Table : std::uint8_t {
  meta,         // name → format, incarnation, positions: the store's own
  settings,     // name → what put_meta keeps for the node
  documents,    // document key → where and what the document is
  bodies,       // document number, 0 → stored form; document number, n → n-th appended chunk
  feed,         // position → kind, key, origin
  tombstones,   // document key → tombstone
  counts,       // collection ':' → number of documents
  sync_states,  // peer, document key → Automerge sync state
  index,        // name → what put_index keeps for who finds documents by their content
};
inline constexpr std::size_t kTableCount = 9;
inline constexpr std::array<const char*, kTableCount> kTableNames{
    "meta",       "settings", "documents",   "bodies", "feed",
    "tombstones", "counts",   "sync_states", "index"};

constexpr std::size_t index(Table table) { return static_cast<std::size_t>(table); }
constexpr const char* name(Table table) { return kTableNames[index(table)]; }

class Rows {
 public:
  // nullopt: the row is erased.
  using Values = std::map<std::string, std::optional<Bytes>, std::less<>>;

  void put(Table table, std::string key, Bytes value);
  void erase(Table table, std::string key);
  // Adds all of `newer`, which wins.
  void absorb(Rows&& newer);

  const Values& operator[](Table table) const { return tables_[index(table)]; }
  bool empty() const { return count() == 0; }
  std::size_t count() const;
  std::size_t bytes() const { return bytes_; }  // of keys and values

  // Carries the puts and erasures out: no erased rows remain.
  void apply(const Rows& changes);

 private:
  void set(Table table, std::string key, std::optional<Bytes> value);

  std::array<Values, kTableCount> tables_;
  std::size_t bytes_ = 0;
};

}  // namespace peat::store
