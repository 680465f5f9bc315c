#include "store_workload.hpp"

#include <charconv>
#include <set>
#include <vector>

#include "base/encoding.hpp"

namespace peat::test {

namespace {

using store::DocumentStore;
using store::WriteBatch;

constexpr int kDocuments = 40;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U) {}
  std::uint64_t below(std::uint64_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % n;
  }

 private:
  std::uint64_t state_;
};

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

automerge::Heads heads_of(std::string_view text) {
  return {automerge::ChangeHash{sha256(as_bytes(text))}};
}

struct Step {
  enum class Kind : std::uint8_t { replace, append, erase, bury } kind;
  std::string id;
  std::string content;
};

// The same steps, told to a store's batch and to the model.
std::vector<Step> steps_of(std::uint64_t n) {
  Dice dice(n);
  std::vector<Step> steps;
  const auto number = std::to_string(n);
  const auto count = 1 + dice.below(4);
  for (std::uint64_t i = 0; i < count; ++i) {
    Step step;
    step.id = std::to_string(dice.below(kDocuments));
    // Mostly small, sometimes larger than a page of the database.
    const auto size = dice.below(8) == 0 ? 3000 + dice.below(9000) : 20 + dice.below(900);
    step.content = number + ':' + std::string(size, static_cast<char>('a' + dice.below(26)));
    switch (dice.below(6)) {
      case 0:
        step.kind = Step::Kind::erase;
        break;
      case 1:
        step.kind = Step::Kind::bury;
        break;
      case 2:
      case 3:
        step.kind = Step::Kind::append;
        break;
      default:
        step.kind = Step::Kind::replace;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

std::string key_of(const Step& step) { return "load:" + step.id; }

std::string content_of(const store::DocumentRecord& record) {
  std::string text(as_text(record.stored));
  for (const auto& chunk : record.tail) {
    text += '+';
    text += as_text(chunk);
  }
  return text;
}

}  // namespace

WriteBatch workload_batch(std::uint64_t n) {
  WriteBatch batch;
  const auto number = std::to_string(n);
  batch.replace("pair:a", bytes_of(number), heads_of(number), std::nullopt);
  for (auto& step : steps_of(n)) {
    const auto heads = heads_of(step.content);
    switch (step.kind) {
      case Step::Kind::replace:
        batch.replace(key_of(step), bytes_of(step.content), heads, std::nullopt);
        break;
      case Step::Kind::append:
        batch.append(key_of(step), {bytes_of(step.content)}, heads, std::nullopt);
        break;
      case Step::Kind::erase:
        batch.erase(key_of(step), std::nullopt);
        break;
      case Step::Kind::bury: {
        wire::Tombstone stone;
        stone.collection = "load";
        stone.id = step.id;
        stone.lamport = n;
        batch.bury(key_of(step), stone, {}, std::nullopt);
        break;
      }
    }
  }
  batch.replace("pair:b", bytes_of(number), heads_of(number), std::nullopt);
  batch.put_meta("batches", bytes_of(number));
  return batch;
}

void Model::advance(std::uint64_t n) {
  while (batches_ < n) {
    const auto number = std::to_string(++batches_);
    documents_["pair:a"] = documents_["pair:b"] = number;
    for (const auto& step : steps_of(batches_)) {
      const auto key = key_of(step);
      switch (step.kind) {
        case Step::Kind::replace:
          documents_[key] = step.content;
          break;
        case Step::Kind::append:
          documents_[key] += '+' + step.content;
          break;
        case Step::Kind::erase:
          documents_.erase(key);
          break;
        case Step::Kind::bury:
          documents_.erase(key);
          tombstones_[key] = batches_;
          break;
      }
    }
  }
}

std::string Model::difference(const DocumentStore& store) const {
  for (auto check :
       {&Model::document_difference, &Model::tombstone_difference, &Model::feed_difference}) {
    if (auto text = (this->*check)(store); !text.empty()) {
      return "after " + std::to_string(batches_) + " batches: " + text;
    }
  }
  return {};
}

std::string Model::document_difference(const DocumentStore& store) const {
  const auto keys = store.keys("", "", 10'000);
  if (!keys) return keys.error().message;
  if (keys->size() != documents_.size() || store.count() != documents_.size()) {
    return std::to_string(documents_.size()) + " documents expected, " +
           std::to_string(keys->size()) + " listed, " + std::to_string(store.count()) + " counted";
  }
  for (const auto& [key, content] : documents_) {
    const auto record = store.document(key);
    if (!record) return record.error().message;
    if (!*record) return "document " + key + " is missing";
    if (content_of(**record) != content) {
      return "document " + key + " is of '" + content_of(**record).substr(0, 20) + "', not '" +
             content.substr(0, 20) + "'";
    }
  }
  return {};
}

std::string Model::tombstone_difference(const DocumentStore& store) const {
  for (int i = 0; i < kDocuments; ++i) {
    const auto key = "load:" + std::to_string(i);
    const auto record = store.tombstone(key);
    if (!record) return record.error().message;
    const auto expected = tombstones_.find(key);
    const std::uint64_t lamport = *record ? (*record)->tombstone.lamport : 0;
    if (lamport != (expected == tombstones_.end() ? 0 : expected->second)) {
      return "tombstone of " + key + " is of batch " + std::to_string(lamport);
    }
  }
  return {};
}

std::string Model::feed_difference(const DocumentStore& store) const {
  const auto rows = store.feed(0, 10'000);
  if (!rows) return rows.error().message;
  if (rows->size() != documents_.size() + tombstones_.size()) {
    return "the feed has " + std::to_string(rows->size()) + " rows";
  }
  for (const auto& row : *rows) {
    store::Seq seq = 0;
    if (row.kind == store::FeedKind::document) {
      const auto record = store.document(row.key);
      if (record && *record) seq = (*record)->seq;
    } else {
      const auto record = store.tombstone(row.key);
      if (record && *record) seq = (*record)->seq;
    }
    if (seq != row.seq) return "the feed's row of " + row.key + " is at another position";
  }
  return {};
}

Result<std::uint64_t> batches_in(const DocumentStore& store) {
  PEAT_TRY(const auto value, store.meta("batches"));
  if (!value) return 0;
  const auto text = as_text(*value);
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace peat::test
