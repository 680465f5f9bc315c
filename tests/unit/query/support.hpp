// Queries in a line.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.hpp"
#include "peat/query.hpp"
#include "query/run.hpp"

namespace peat::query {

inline Query parsed(std::string_view text) {
  auto query = Query::parse(text);
  EXPECT_TRUE(query) << text << ": " << (query ? "" : query.error().message);
  return query ? *query : Query::all("broken");
}

// Whether a document passes a condition.
inline bool passes(std::string_view condition, std::string_view json, std::string_view id = "x") {
  return parsed("from t where " + std::string(condition)).matches(id, json);
}

// Documents in memory.
class MapSource final : public Source {
 public:
  Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                        std::size_t limit) override {
    std::vector<std::string> out;
    auto it = after >= prefix ? documents.upper_bound(after) : documents.lower_bound(prefix);
    for (; it != documents.end() && out.size() < limit && it->first.starts_with(prefix); ++it) {
      out.push_back(it->first);
    }
    return out;
  }
  Result<std::optional<std::string>> json(std::string_view key) override {
    ++reads;
    const auto found = documents.find(key);
    if (found == documents.end()) return std::nullopt;
    if (found->second == "unreadable") return fail(Code::document_invalid, "broken");
    return found->second;
  }
  std::uint64_t count(std::string_view) const override { return documents.size(); }
  ByteView token_key() const override { return as_bytes(secret); }

  std::map<std::string, std::string, std::less<>> documents;
  std::string secret = "a secret of this node";
  std::size_t reads = 0;
};

struct Page {
  std::vector<std::string> ids;
  std::string next;
  std::uint64_t examined = 0;
};

inline Page page(Source& source, std::string_view text, std::string_view token = "",
                 std::uint64_t default_rows = 1000) {
  Page out;
  auto run = Run::begin(parsed(text), source, token, default_rows);
  EXPECT_TRUE(run) << (run ? "" : run.error().message);
  if (!run) return out;
  for (auto state = Run::State::more; state == Run::State::more;) {
    std::vector<Row> rows;
    const auto stepped = run->step(rows);
    EXPECT_TRUE(stepped) << (stepped ? "" : stepped.error().message);
    state = stepped.value_or(Run::State::done);
    for (const auto& row : rows) out.ids.push_back(row.id);
  }
  out.next = run->next().value_or("");
  out.examined = run->examined();
  return out;
}

// All pages, each once.
inline std::vector<std::string> all_pages(Source& source, std::string_view text) {
  std::vector<std::string> ids;
  std::string token;
  do {
    auto next = page(source, text, token);
    ids.insert(ids.end(), next.ids.begin(), next.ids.end());
    token = next.next;
  } while (!token.empty());
  return ids;
}

}  // namespace peat::query
