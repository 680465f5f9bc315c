// The rows of bench/automerge/run.py on our engine: `side_by_side ROW INPUTS` prints the figures of
// one row, `side_by_side prepare INPUTS` writes the saved traces that every engine loads.
//
// Inputs, edits and order are those of the peers' programs in bench/automerge/peers; the digests
// show that what comes out is the same.
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <vector>

#include "measure.hpp"
#include "peat/automerge/document.hpp"
#include "peat/automerge/sync.hpp"

namespace peat::automerge {
namespace {

using bench::Digest;
using bench::measure;

struct Done {};  // the result of work whose subject is what matters

std::filesystem::path inputs;

// The value, or the end of this program with the reason.
template <class T>
T need(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(*result);
}
void need(const Status& status) {
  if (!status) need(Result<int>(std::unexpected(status.error())));
}

ActorId actor(std::uint8_t n) { return ActorId{Bytes(16, n)}; }

void say(const char* name, std::size_t value) { std::printf("%s %zu\n", name, value); }

Bytes read(const std::string& file) {
  std::ifstream in(inputs / file, std::ios::binary);
  if (!in) need(Status(fail(Code::not_found, "no " + file)));
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Bytes raw(const Document& document) { return need(document.save({.deflate = false})); }

void digest_heads(const Document& document) {
  Digest digest;
  for (const auto& head : document.heads()) digest.add(head.bytes);
  digest.print();
}

void digest_raw(const Document& document) {
  Digest digest;
  digest.add(raw(document));
  digest.print();
}

// --- texts --------------------------------------------------------------------------------------

struct Edit {
  std::size_t at;
  std::ptrdiff_t erase;
  std::string insert;
};

std::vector<Edit> edits() {
  std::ifstream in(inputs / "edits.txt");
  std::vector<Edit> out;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    Edit edit;
    std::string hex;
    words >> edit.at >> edit.erase >> hex;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
      edit.insert.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    }
    out.push_back(std::move(edit));
  }
  return out;
}

Document type_in_one_change(std::span<const Edit> edits) {
  Document document(actor(1));
  auto tx = need(document.begin());
  const auto text = need(tx.put_object(kRoot, "text", ObjectType::text));
  for (const auto& edit : edits) need(tx.splice_text(text, edit.at, edit.erase, edit.insert));
  (void)need(tx.commit());
  return document;
}

Document type_in_many_changes(std::span<const Edit> edits) {
  Document document(actor(1));
  auto first = need(document.begin());
  const auto text = need(first.put_object(kRoot, "text", ObjectType::text));
  (void)need(first.commit());
  for (const auto& edit : edits) {
    auto tx = need(document.begin());
    need(tx.splice_text(text, edit.at, edit.erase, edit.insert));
    (void)need(tx.commit());
  }
  return document;
}

void trace(Document (*type)(std::span<const Edit>)) {
  const auto all = edits();
  digest_raw(measure([] { return Done(); }, [&](Done&) { return type(all); }).result);
}

void load(const std::string& file, Verify verify) {
  const auto bytes = read(file);
  const auto work = [&](Done&) { return need(Document::load(bytes, {.verify = verify})); };
  digest_heads(measure([] { return Done(); }, work).result);
}

Value value_at(const Document& document, std::string_view key) {
  auto value = need(document.get(kRoot, key));
  if (!value) need(Status(fail(Code::not_found, "no such key")));
  return *value;
}

// The trace, loaded and one keystroke later.
Document edited_trace() {
  auto document = need(Document::load(read("trace-one.am"), {.actor = actor(1)}));
  const auto text = std::get<ObjectRef>(value_at(document, "text").data).id;
  auto tx = need(document.begin());
  need(tx.splice_text(text, 50'000, 0, "x"));
  (void)need(tx.commit());
  return document;
}

void save(bool deflate) {
  const auto work = [&](Document& document) { return need(document.save({.deflate = deflate})); };
  const auto [document, bytes] = measure(edited_trace, work);
  say("bytes", bytes.size());
  digest_raw(document);
}

// --- maps ---------------------------------------------------------------------------------------

std::string numbered(const char* format, std::size_t n) {
  char text[64];
  std::snprintf(text, sizeof text, format, n);
  return text;
}

std::vector<std::string> keys(std::size_t n) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(numbered("key-%06zu", i));
  return out;
}

void map(std::size_t distinct) {
  const auto names = keys(distinct);
  const auto work = [&](Document& document) {
    auto tx = need(document.begin());
    for (std::size_t i = 0; i < 100'000; ++i) {
      need(tx.put(kRoot, names[i % distinct], static_cast<std::int64_t>(i)));
    }
    (void)need(tx.commit());
    return Done();
  };
  digest_raw(measure([] { return Document(actor(1)); }, work).subject);
}

void map_changes() {
  const auto names = keys(100);
  const auto work = [&](Document& document) {
    for (std::size_t i = 0; i < 10'000; ++i) {
      auto tx = need(document.begin());
      need(tx.put(kRoot, names[i % 100], static_cast<std::int64_t>(i)));
      (void)need(tx.commit());
    }
    return Done();
  };
  digest_raw(measure([] { return Document(actor(1)); }, work).subject);
}

// --- small documents ----------------------------------------------------------------------------

constexpr std::size_t kDocuments = 10'000;
constexpr std::string_view kTags[] = {"tag0", "tag1", "tag2", "tag3"};

// What a small document says, but for its counter, position and tags.
using Strings = std::vector<std::pair<std::string, std::string>>;

const Strings& strings_of(std::size_t n) {
  static const auto kAll = [] {
    std::vector<Strings> all(kDocuments);
    for (std::size_t i = 0; i < kDocuments; ++i) {
      for (std::size_t k = 0; k < 16; ++k) {
        const auto tail = numbered("-%02zu-abcdefghijklmnopqrstuvwxyz0123456", k);
        all[i].emplace_back(numbered("field_%02zu", k), numbered("value-%06zu", i) + tail);
      }
    }
    return all;
  }();
  return kAll[n];
}

Document small(std::size_t n) {
  Document document(actor(1));
  auto tx = need(document.begin());
  for (const auto& [key, value] : strings_of(n)) need(tx.put(kRoot, key, std::string_view(value)));
  need(tx.put(kRoot, "counter", static_cast<std::int64_t>(n)));
  const auto position = need(tx.put_object(kRoot, "position", ObjectType::map));
  need(tx.put(position, "lat", 38.1 + static_cast<double>(n) * 1e-5));
  need(tx.put(position, "lon", -77.2));
  need(tx.put(position, "alt", 120.5));
  const auto tags = need(tx.put_object(kRoot, "tags", ObjectType::list));
  for (std::size_t k = 0; k < std::size(kTags); ++k) need(tx.insert(tags, k, kTags[k]));
  (void)need(tx.commit());
  return document;
}

using Documents = std::vector<Document>;

Documents all_small() {
  Documents out;
  for (std::size_t n = 0; n < kDocuments; ++n) out.push_back(small(n));
  return out;
}

std::vector<Bytes> save_all(const Documents& documents, bool deflate) {
  std::vector<Bytes> out;
  for (const auto& document : documents) out.push_back(need(document.save({.deflate = deflate})));
  return out;
}

Documents load_all(const std::vector<Bytes>& saved, std::uint8_t n) {
  Documents out;
  for (const auto& bytes : saved) out.push_back(need(Document::load(bytes, {.actor = actor(n)})));
  return out;
}

void update_all(Documents& documents) {
  std::int64_t n = 0;
  for (auto& document : documents) {
    auto tx = need(document.begin());
    need(tx.put(kRoot, "counter", ++n));
    (void)need(tx.commit());
  }
}

void digest_all(const Documents& documents) {
  Digest digest;
  for (const auto& document : documents) digest.add(raw(document));
  digest.print();
}

void small_create() {
  (void)strings_of(0);  // the inputs are no part of the work
  digest_all(measure([] { return Done(); }, [](Done&) { return all_small(); }).result);
}

void small_save(bool deflate) {
  const auto work = [&](Documents& documents) { return save_all(documents, deflate); };
  const auto [documents, saved] = measure(all_small, work);
  std::size_t total = 0;
  for (const auto& bytes : saved) total += bytes.size();
  say("bytes", total / kDocuments);
  digest_all(documents);
}

void small_load(const std::function<void(const Document&)>& use) {
  const auto saved = save_all(all_small(), true);
  const auto work = [&](Done&) {
    auto documents = load_all(saved, 2);
    for (const auto& document : documents) use(document);
    return documents;
  };
  digest_all(measure([] { return Done(); }, work).result);
}

void small_update() {
  const auto work = [](Documents& documents) {
    update_all(documents);
    return Done();
  };
  digest_all(measure(all_small, work).subject);
}

// Both sides of the small documents, one field changed on the first.
struct Sides {
  Documents changed;
  Documents other;
};

Sides sides(const std::vector<Bytes>& saved) {
  Sides out{load_all(saved, 1), load_all(saved, 2)};
  update_all(out.changed);
  return out;
}

// Bytes of all messages until both sides are silent.
std::size_t converse(Document& a, Document& b) {
  SyncState at_a;
  SyncState at_b;
  std::size_t total = 0;
  for (bool talking = true; talking;) {
    talking = false;
    if (const auto message = need(generate_sync_message(a, at_a))) {
      total += message->size();
      (void)need(receive_sync_message(b, at_b, *message));
      talking = true;
    }
    if (const auto message = need(generate_sync_message(b, at_b))) {
      total += message->size();
      (void)need(receive_sync_message(a, at_a, *message));
      talking = true;
    }
  }
  if (a.heads() != b.heads()) need(Status(fail(Code::internal, "the session did not converge")));
  return total;
}

std::size_t push(Document& a, Document& b) {
  const auto chunks = need(a.changes_since(b.heads()));
  std::size_t total = 0;
  for (const auto chunk : chunks) total += chunk.size();
  (void)need(b.apply_changes(chunks));
  return total;
}

void small_pairs(std::size_t (*exchange)(Document&, Document&)) {
  const auto saved = save_all(all_small(), true);
  const auto work = [&](Sides& pair) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < kDocuments; ++i) {
      total += exchange(pair.changed[i], pair.other[i]);
    }
    return total;
  };
  const auto [pair, total] = measure([&] { return sides(saved); }, work);
  say("bytes", total / kDocuments);
  digest_all(pair.other);
}

// --- divergence ---------------------------------------------------------------------------------

void diverge(Document& document, const std::string& tag) {
  for (std::size_t i = 0; i < 1000; ++i) {
    auto tx = need(document.begin());
    need(tx.put(kRoot, tag + "-" + std::to_string(i % 100), static_cast<std::int64_t>(i)));
    (void)need(tx.commit());
  }
}

using Pair = std::pair<Document, Document>;

void diverged(const Pair& pair) {
  const auto copy = [&] { return Pair(need(pair.first.fork()), need(pair.second.fork())); };
  const auto work = [](Pair& both) { return converse(both.first, both.second); };
  const auto [both, total] = measure(copy, work);
  say("bytes", total);
  digest_heads(both.first);
}

void diverged_maps() {
  Document a(actor(1));
  diverge(a, "base");
  auto b = need(a.fork(actor(2)));
  diverge(a, "a");
  diverge(b, "b");
  diverged({std::move(a), std::move(b)});
}

void diverged_texts() {
  const auto all = edits();
  auto a = type_in_one_change(std::span(all).first(50'000));
  const auto text = std::get<ObjectRef>(value_at(a, "text").data).id;
  auto b = need(a.fork(actor(2)));
  const auto there = std::get<ObjectRef>(value_at(b, "text").data).id;
  for (std::size_t i = 0; i < 1000; ++i) {
    auto left = need(a.begin());
    need(left.splice_text(text, i * 3, 0, "x"));
    (void)need(left.commit());
    auto right = need(b.begin());
    need(right.splice_text(there, i * 5, 1, "y"));
    (void)need(right.commit());
  }
  diverged({std::move(a), std::move(b)});
}

// --- real files ---------------------------------------------------------------------------------

std::optional<ObjectId> first_text(const Document& document) {
  for (const auto key : need(document.keys(kRoot))) {
    const auto value = need(document.get(kRoot, key));
    const auto* object = value ? std::get_if<ObjectRef>(&value->data) : nullptr;
    if (object != nullptr && object->type == ObjectType::text) return object->id;
  }
  return std::nullopt;
}

// Behind every time in the files, some of which are in milliseconds.
constexpr std::int64_t kLate = 4'000'000'000'000;

// Loads, inserts a character in the middle of the first text of the root, sets a key, saves.
void real_file(const std::string& file) {
  const auto bytes = read(file);
  struct Out {
    Heads heads;
    Bytes saved;
  };
  const auto work = [&](Done&) {
    auto document = need(Document::load(bytes, {.actor = actor(9)}));
    const auto text = first_text(document);
    const auto middle = text ? need(document.length(*text)) / 2 : 0;
    auto tx = need(document.begin());
    if (text) need(tx.splice_text(*text, middle, 0, "x"));
    need(tx.put(kRoot, "edited", true));
    (void)need(tx.commit({.time = kLate}));
    return Out{document.heads(), need(document.save())};
  };
  const auto out = measure([] { return Done(); }, work).result;
  say("bytes", out.saved.size());
  Digest digest;
  for (const auto& head : out.heads) digest.add(head.bytes);
  digest.print();
}

void prepare() {
  const auto all = edits();
  const auto write = [](const Document& document, const char* file) {
    const auto bytes = need(document.save());
    std::ofstream(inputs / file, std::ios::binary) << as_text(bytes);
  };
  write(type_in_one_change(all), "trace-one.am");
  write(type_in_many_changes(all), "trace-keys.am");
}

const std::map<std::string, std::function<void()>> kRows = {
    {"prepare", prepare},
    {"trace-one", [] { trace(type_in_one_change); }},
    {"trace-keys", [] { trace(type_in_many_changes); }},
    {"load-one", [] { load("trace-one.am", Verify::full); }},
    {"load-one-lazy", [] { load("trace-one.am", Verify::lazy); }},
    {"load-keys", [] { load("trace-keys.am", Verify::full); }},
    {"load-keys-lazy", [] { load("trace-keys.am", Verify::lazy); }},
    {"save-raw", [] { save(false); }},
    {"save-deflate", [] { save(true); }},
    {"map-puts", [] { map(100'000); }},
    {"map-overwrites", [] { map(100); }},
    {"map-changes", map_changes},
    {"small-create", small_create},
    {"small-save-raw", [] { small_save(false); }},
    {"small-save-deflate", [] { small_save(true); }},
    {"small-load", [] { small_load([](const Document&) {}); }},
    {"small-load-read", [] { small_load([](const Document& d) { need(d.materialise()); }); }},
    {"small-update", small_update},
    {"small-sync", [] { small_pairs(converse); }},
    {"small-push", [] { small_pairs(push); }},
    {"diverged-map", diverged_maps},
    {"diverged-text", diverged_texts},
    {"file-godot-thread", [] { real_file("godot-thread.amrg"); }},
    {"file-C2", [] { real_file("C2.am"); }},
    {"file-S3", [] { real_file("S3.am"); }},
};

}  // namespace
}  // namespace peat::automerge

int main(int argc, char** argv) {
  if (argc != 3 || !peat::automerge::kRows.contains(argv[1])) {
    std::fprintf(stderr, "usage: side_by_side ROW INPUTS (see bench/automerge/run.py)\n");
    return 4;
  }
  peat::automerge::inputs = argv[2];
  peat::automerge::kRows.at(argv[1])();
}
