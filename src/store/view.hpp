// What a reader of the store sees: the rows that are not committed yet over those that are.
//
// A View is one read transaction of the backend; it must not outlive the call that opened it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "store/backend.hpp"
#include "store/record.hpp"

namespace peat::store {

class View {
 public:
  static constexpr std::size_t kMaxLayers = 3;

  // `layers`: newest first; null ones are skipped. They must not change meanwhile.
  static Result<View> open(Backend& backend, std::array<const Rows*, kMaxLayers> layers);
  View(View&& other) noexcept
      : backend_(std::exchange(other.backend_, nullptr)), layers_(other.layers_) {}
  View& operator=(View&&) = delete;
  ~View() {
    if (backend_ != nullptr) backend_->end_read();
  }

  // The content of a record; valid as long as the view.
  Result<std::optional<ByteView>> get(Table table, std::string_view key) const;

  struct Entry {
    std::string_view key;
    ByteView record;
    bool committed = false;  // it is the backend's
  };
  // The first row at or after `from`, or strictly after it.
  Result<std::optional<Entry>> next(Table table, std::string_view from, bool inclusive) const;
  // The last row strictly before `before`.
  Result<std::optional<Entry>> previous(Table table, std::string_view before) const;

  // The content of its record; keys alone cost nothing.
  Result<ByteView> content(Table table, const Entry& entry) const;

  Result<std::optional<DocumentRow>> document(std::string_view key) const;
  Result<std::optional<TombstoneRow>> tombstone(std::string_view key) const;

 private:
  View(Backend& backend, std::array<const Rows*, kMaxLayers> layers)
      : backend_(&backend), layers_(layers) {}

  Backend* backend_;
  std::array<const Rows*, kMaxLayers> layers_;
};

// A content that passed its checksum and still breaks its grammar: names the row.
std::unexpected<Error> corrupt_row(Table table, std::string_view key, const Error& why);

// Document keys in bytewise order; see DocumentStore::keys.
Result<std::vector<std::string>> list_keys(const View& view, std::string_view prefix,
                                           std::string_view after, std::size_t limit);

}  // namespace peat::store
