#include <algorithm>
#include <bit>
#include <charconv>
#include <iterator>
#include <set>
#include <sstream>

#include "base/encoding.hpp"
#include "peer.hpp"

namespace peat::automerge::interop {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

template <class T>
T number(std::string_view text, int base = 10) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

std::string text_word(std::string_view word) {
  const auto bytes = from_hex_word(word);
  return std::string(as_text(bytes));
}

std::string hash_words(const Heads& heads) {
  std::string out;
  for (const auto& hash : heads) out += (out.empty() ? "" : " ") + hash.to_string();
  return out;
}

std::string hex16(std::uint64_t bits) {
  Bytes bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  return to_hex(bytes);
}

struct ShowScalar {
  std::string operator()(Null) const { return "null"; }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return "int:" + std::to_string(v); }
  std::string operator()(std::uint64_t v) const { return "uint:" + std::to_string(v); }
  std::string operator()(double v) const { return "f64:" + hex16(std::bit_cast<std::uint64_t>(v)); }
  std::string operator()(Counter v) const { return "counter:" + std::to_string(v.value); }
  std::string operator()(Timestamp v) const { return "timestamp:" + std::to_string(v.ms); }
  std::string operator()(std::string_view v) const { return "str:" + to_hex_word(as_bytes(v)); }
  std::string operator()(ByteView v) const { return "bytes:" + to_hex_word(v); }
  std::string operator()(const UnknownValue& v) const {
    return "unknown" + std::to_string(v.type) + ":" + to_hex_word(v.bytes);
  }
};

// Walks a document as the command `dump` shows it, noting the objects on the way.
class Dump {
 public:
  explicit Dump(const Document& document) : document_(document) {}

  Result<std::string> run() {
    PEAT_TRY_VOID(object({ObjectType::map, kRoot}));
    return out_;
  }
  const std::vector<std::pair<NamedObject, ObjectId>>& objects() const { return objects_; }

 private:
  Status object(ObjectRef ref) {
    const auto name = document_.object_text(ref.id);
    PEAT_TRY(const auto size, document_.length(ref.id));
    objects_.push_back({{name, ref.type, size}, ref.id});
    if (ref.type == ObjectType::text) {
      PEAT_TRY(const auto text, document_.text(ref.id));
      out_ += "text:" + to_hex_word(as_bytes(text)) + "@" + name;
    } else if (ref.type == ObjectType::list) {
      out_ += "list@" + name + "<";
      for (std::size_t i = 0; i < size; ++i) {
        PEAT_TRY(const auto all, document_.get_all(ref.id, i));
        PEAT_TRY_VOID(values(all));
      }
      out_ += ">";
    } else {
      out_ += (ref.type == ObjectType::table ? "table@" : "map@") + name + "{";
      PEAT_TRY(const auto keys, document_.keys(ref.id));
      for (const auto key : keys) {
        out_ += to_hex_word(as_bytes(key)) + "=";
        PEAT_TRY(const auto all, document_.get_all(ref.id, key));
        PEAT_TRY_VOID(values(all));
      }
      out_ += "}";
    }
    return {};
  }

  Status values(const std::vector<Value>& all) {
    out_ += "[";
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i > 0) out_ += ",";
      if (const auto* ref = std::get_if<ObjectRef>(&all[i].data)) {
        PEAT_TRY_VOID(object(*ref));
        continue;
      }
      const auto op = all[i].op;
      out_ += std::visit(ShowScalar{}, std::get<Scalar>(all[i].data)) + "@" +
              std::to_string(op.counter()) + "@" + document_.actor_of(op).to_string();
    }
    out_ += "]";
    return {};
  }

  const Document& document_;
  std::string out_;
  std::vector<std::pair<NamedObject, ObjectId>> objects_;
};

// A scalar word with the bytes that its views point into.
struct ScalarWord {
  explicit ScalarWord(std::string_view word) {
    const auto colon = word.find(':');
    const auto kind = word.substr(0, colon);
    const auto text = colon == std::string_view::npos ? "" : word.substr(colon + 1);
    if (kind == "str" || kind == "bytes") bytes = from_hex_word(text);
    if (kind == "true" || kind == "false") value = kind == "true";
    if (kind == "int") value = number<std::int64_t>(text);
    if (kind == "uint") value = number<std::uint64_t>(text);
    if (kind == "f64") value = std::bit_cast<double>(number<std::uint64_t>(text, 16));
    if (kind == "str") value = as_text(bytes);
    if (kind == "bytes") value = ByteView(bytes);
    if (kind == "counter") value = Counter{number<std::int64_t>(text)};
    if (kind == "timestamp") value = Timestamp{number<std::int64_t>(text)};
  }
  Bytes bytes;
  Scalar value = Null{};
};

ObjectType object_type(std::string_view word) {
  if (word == "map") return ObjectType::map;
  if (word == "table") return ObjectType::table;
  return word == "list" ? ObjectType::list : ObjectType::text;
}

// Calls `use` with the key or the index that a PROP word names.
template <class Use>
auto with_prop(std::string_view word, const Use& use) {
  if (word.starts_with("k:")) return use(std::string_view(text_word(word.substr(2))));
  return use(number<std::size_t>(word.substr(2)));
}

Result<std::string> done(const Status& status) {
  if (!status) return std::unexpected(status.error());
  return std::string();
}

}  // namespace

std::string to_hex_word(ByteView bytes) { return bytes.empty() ? "-" : to_hex(bytes); }

Bytes from_hex_word(std::string_view word) {
  return word == "-" ? Bytes{} : from_hex(word).value();
}

std::string OurPeer::ask(const std::string& line) {
  auto reply = run(words_of(line));
  return reply ? *reply : "err " + reply.error().message;
}

bool OurPeer::increments_safely(const std::string& line) {
  const auto words = words_of(line);
  if (!words[3].starts_with("k:")) return false;
  const auto& held = document(words[1]);
  const auto id = object(words[1], words[2]);
  if (!id) return false;
  const auto all = with_prop(words[3], [&](auto at) { return held.get_all(*id, at); });
  return all && std::ranges::all_of(*all, [](const Value& value) {
           const auto* scalar = std::get_if<Scalar>(&value.data);
           return scalar != nullptr && std::holds_alternative<Counter>(*scalar);
         });
}

std::vector<NamedObject> OurPeer::objects(const std::string& slot) {
  Dump dump(document(slot));
  std::vector<NamedObject> out;
  if (!dump.run()) return out;
  for (const auto& [object, id] : dump.objects()) out.push_back(object);
  return out;
}

// An object by its name, among those that can be reached, or could be when it was looked for.
Result<ObjectId> OurPeer::object(const std::string& slot, const std::string& name) {
  if (name == "_root") return kRoot;
  auto& known = slots_.at(slot).objects;
  if (!known.contains(name)) {
    Dump dump(document(slot));
    PEAT_TRY_VOID(dump.run());
    for (const auto& [reached, id] : dump.objects()) known.emplace(reached.name, id);
  }
  const auto found = known.find(name);
  if (found == known.end()) return fail(Code::not_found, "no object " + name);
  return found->second;
}

void OurPeer::adopt(const std::string& slot, Document document) {
  slots_[slot].transaction.reset();
  slots_[slot].objects.clear();
  slots_[slot].document = std::make_unique<Document>(std::move(document));
}

Result<Transaction*> OurPeer::transaction(const std::string& slot) {
  auto& entry = slots_.at(slot);
  if (!entry.transaction) {
    PEAT_TRY(auto tx, entry.document->begin());
    entry.transaction.emplace(std::move(tx));
  }
  return &*entry.transaction;
}

Result<std::string> OurPeer::edit(const Words& words) {
  PEAT_TRY(Transaction* const tx, transaction(words[1]));
  PEAT_TRY(const auto object, this->object(words[1], words[2]));
  const auto& what = words[0];
  const auto named = [&](const Result<ObjectId>& id) -> Result<std::string> {
    if (!id) return std::unexpected(id.error());
    return tx->document().object_text(*id);
  };
  if (what == "put") {
    const ScalarWord scalar(words[4]);
    return done(with_prop(words[3], [&](auto at) { return tx->put(object, at, scalar.value); }));
  }
  if (what == "make") {
    const auto type = object_type(words[4]);
    return named(with_prop(words[3], [&](auto at) { return tx->put_object(object, at, type); }));
  }
  if (what == "insert") {
    const ScalarWord scalar(words[4]);
    return done(tx->insert(object, number<std::size_t>(words[3]), scalar.value));
  }
  if (what == "insmake") {
    return named(tx->insert_object(object, number<std::size_t>(words[3]), object_type(words[4])));
  }
  if (what == "splice") {
    return done(tx->splice_text(object, number<std::size_t>(words[3]),
                                number<std::ptrdiff_t>(words[4]), text_word(words[5])));
  }
  if (what == "splicelist") {
    std::vector<ScalarWord> values(words.begin() + 5, words.end());
    std::vector<Scalar> scalars;
    for (const auto& value : values) scalars.push_back(value.value);
    return done(tx->splice(object, number<std::size_t>(words[3]), number<std::ptrdiff_t>(words[4]),
                           scalars));
  }
  if (what == "delete") {
    return done(with_prop(words[3], [&](auto at) { return tx->erase(object, at); }));
  }
  const auto by = number<std::int64_t>(words[4]);
  return done(with_prop(words[3], [&](auto at) { return tx->increment(object, at, by); }));
}

Result<std::string> OurPeer::sync(const Words& words) {
  const auto& what = words[0];
  if (what == "state") {
    states_[words[1]] = SyncState();
    return std::string();
  }
  if (what == "statesave") return to_hex_word(states_.at(words[1]).encode());
  if (what == "stateload") {
    PEAT_TRY(states_[words[1]], SyncState::decode(from_hex_word(words[2])));
    return std::string();
  }
  if (what == "gen") {
    PEAT_TRY(const auto message, generate_sync_message(document(words[1]), states_.at(words[2])));
    return message ? to_hex_word(*message) : "-";
  }
  if (what == "recv") {
    PEAT_TRY_VOID(
        receive_sync_message(document(words[1]), states_.at(words[2]), from_hex_word(words[3])));
    return std::string();
  }
  return fail(Code::invalid_argument, "unknown command " + what);
}

Result<std::string> OurPeer::load(const Words& words) {
  if (words[0] == "loadinc") {
    PEAT_TRY_VOID(document(words[1]).load_incremental(from_hex_word(words[2])));
    return std::string();
  }
  LoadOptions options;
  PEAT_TRY(options.actor, ActorId::parse(words[2]));
  PEAT_TRY(auto loaded, Document::load(from_hex_word(words[3]), options));
  adopt(words[1], std::move(loaded));
  return std::string();
}

Result<std::string> OurPeer::run(const Words& words) {
  const auto& what = words[0];
  const auto& slot = words[1];
  static const std::set<std::string> kEdits = {"put",    "make",       "insert", "insmake",
                                               "splice", "splicelist", "delete", "incr"};
  if (kEdits.contains(what)) return edit(words);
  if (what == "new") {
    PEAT_TRY(auto actor, ActorId::parse(words[2]));
    adopt(slot, Document(std::move(actor)));
    return std::string();
  }
  if (what == "fork") {
    PEAT_TRY(auto actor, ActorId::parse(words[3]));
    PEAT_TRY(auto forked, document(words[2]).fork(std::move(actor)));
    adopt(slot, std::move(forked));
    return std::string();
  }
  if (what == "merge") {
    PEAT_TRY_VOID(document(slot).merge(document(words[2])));
    return std::string();
  }
  if (what == "commit" || what == "empty") {
    PEAT_TRY(Transaction* const tx, transaction(slot));
    CommitOptions options{.time = number<std::int64_t>(words[2]),
                          .message = words.size() > 3 ? text_word(words[3]) : "",
                          .allow_empty = what == "empty"};
    PEAT_TRY(const auto hash, tx->commit(options));
    slots_.at(slot).transaction.reset();
    return hash ? hash->to_string() : "-";
  }
  if (what == "rollback") {
    PEAT_TRY(Transaction* const tx, transaction(slot));
    const auto undone = tx->pending_ops();
    tx->rollback();
    slots_.at(slot).transaction.reset();
    slots_.at(slot).objects.clear();
    return std::to_string(undone);
  }
  if (what == "load" || what == "loadinc") return load(words);
  if (what == "save") {
    PEAT_TRY(const auto saved, document(slot).save({.deflate = words[2] == "deflate"}));
    return to_hex_word(saved);
  }
  if (what == "changes") {
    PEAT_TRY(const auto chunks, document(slot).changes_since({}));
    std::string out;
    for (const auto chunk : chunks) out += (out.empty() ? "" : " ") + to_hex_word(chunk);
    return out;
  }
  if (what == "heads") return hash_words(document(slot).heads());
  if (what == "json") return document(slot).to_json();
  if (what == "dump") return Dump(document(slot)).run();
  return sync(words);
}

}  // namespace peat::automerge::interop
