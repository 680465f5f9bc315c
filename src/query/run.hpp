// Running a query: one page of rows, found in small steps so that a loop goes on in between.
//
//   auto run = Run::begin(query, source, page_token);
//   for (std::vector<Row> rows; run->step(rows) == more; rows.clear()) { … give way … }
//
// Where it looks: the documents that `_id` names where the query says so; else those that an index
// names for one of its tests, if they are few enough to be worth it; else, with one key of `order
// by` that has an index, along that until the page is full; else every document of the collection.
// Every candidate is read and tested.
//
// What a page is made of: each document as it was when the run came to it; changes meanwhile may
// show or not. With `order by` only the places of the best rows are kept, and they are read (and
// tested) again when they go out.
//
// Memory: order key, id key and id of limit + offset rows; the ids that an index named (as many as
// a scan would have to read for the page); one document. Threading: the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peat/error.hpp"
#include "peat/query.hpp"
#include "query/page_token.hpp"
#include "query/source.hpp"

namespace peat::query {

struct Row {
  std::string id;
  std::string json;
};

class Run {
 public:
  enum class State : std::uint8_t { more, done };

  // `page`: the `next()` of the page before, "" for the first. The source must outlive the run.
  static Result<Run> begin(Query query, Source& source, std::string_view page,
                           std::uint64_t default_rows);

  // Appends the rows that are ready. After an error the run is over.
  Result<State> step(std::vector<Row>& rows);

  // Good once it is done.
  const std::optional<std::string>& next() const { return next_; }  // there may be more: a token
  std::uint64_t examined() const { return examined_; }              // documents read
  const std::string& index() const { return index_; }               // path of the one used, or ""
  // Documents that could not be read, the first of them by name.
  std::uint64_t unreadable_count() const { return unreadable_count_; }
  const std::vector<std::pair<std::string, std::string>>& unreadable() const { return unreadable_; }

 private:
  // What ends a step.
  struct Budget {
    std::size_t documents = 0;
    std::size_t bytes = 0;
    bool spent() const;
  };

  Run(Query query, Source& source, std::uint64_t default_rows);

  Status start(std::string_view page);
  void choose_index();
  Status step_probe();
  Result<std::vector<std::string>> candidates();
  Result<std::vector<std::string>> along_index();
  bool end_of_index();
  Result<State> step_by_id(std::vector<Row>& rows, Budget& budget);
  Result<State> step_ordered(Budget& budget);
  Result<State> step_output(std::vector<Row>& rows, Budget& budget);
  void keep(Place place, std::string_view id);
  // nullopt: not there, or not to be read.
  std::optional<std::string> read(const std::string& key, Budget& budget);
  std::string_view id_of(std::string_view key) const { return key.substr(prefix_bytes_); }

  Query query_;
  Source* source_;
  std::uint64_t rows_left_;
  std::uint64_t offset_left_ = 0;
  std::size_t prefix_bytes_;  // of "collection:"

  // where to look
  std::string scan_prefix_;
  std::optional<std::vector<std::string>> listed_;  // keys, ascending
  std::string after_;                               // key
  std::string index_;

  // asking an index for the documents that pass one of the tests
  struct Probe {
    std::uint32_t index = 0;
    std::string path;
    std::vector<KeyRange> ranges;
    std::size_t range = 0;
    std::string place;
    std::size_t most = 0;  // more of them are not worth it
    std::vector<std::string> keys;
  };
  std::optional<Probe> probe_;
  // following an index that is the order wanted
  struct Walk {
    std::uint32_t index = 0;
    std::string path;
    KeyRange range;
    std::string place;
    bool descending = false;
    bool missing_too = true;  // documents without the field may pass
  };
  std::optional<Walk> walk_;

  // ordered
  struct Kept {
    Place place;
    std::string id;
    friend bool operator<(const Kept& a, const Kept& b) { return a.place < b.place; }
  };
  std::optional<Place> begin_after_;
  std::vector<Kept> kept_;  // a heap, the last row on top; ascending once collected
  std::size_t most_kept_ = 0;
  bool collected_ = false;
  std::size_t output_ = 0;

  std::optional<std::string> next_;
  std::uint64_t examined_ = 0;
  std::uint64_t unreadable_count_ = 0;
  std::vector<std::pair<std::string, std::string>> unreadable_;
};

}  // namespace peat::query
