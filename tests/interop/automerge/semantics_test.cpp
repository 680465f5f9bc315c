// Marks, blocks, spans, cursors, old heads, differences, isolation and updates: the same random
// edits on ours and on the Rust crate, every answer compared.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "base/encoding.hpp"
#include "peer.hpp"

namespace peat::automerge::interop {
namespace {

std::string word(std::string_view text) { return to_hex_word(as_bytes(text)); }

std::string show(const Scalar& value) {
  if (const auto* v = std::get_if<bool>(&value)) return *v ? "true" : "false";
  if (const auto* v = std::get_if<std::int64_t>(&value)) return "int:" + std::to_string(*v);
  if (const auto* v = std::get_if<Counter>(&value)) return "counter:" + std::to_string(v->value);
  if (const auto* v = std::get_if<std::string_view>(&value)) return "str:" + word(*v);
  return "null";
}

std::string show(const MarkSet& marks) {
  std::string out;
  for (const auto& [name, value] : marks) {
    out += (out.empty() ? "" : ",") + word(name) + "=" + show(value.view());
  }
  return "{" + out + "}";
}

std::string show(const Mark& mark) {
  return std::to_string(mark.start) + ":" + std::to_string(mark.end) + ":" + word(mark.name) + "=" +
         show(mark.value.view());
}

std::string show(const std::vector<Mark>& marks) {
  std::string out;
  for (const auto& mark : marks) out += (out.empty() ? "" : " ") + show(mark);
  return out;
}

std::string join(const Heads& heads) {
  std::string out;
  for (const auto& hash : heads) out += (out.empty() ? "" : ",") + hash.to_string();
  return out.empty() ? "-" : out;
}

std::string show_spans(const View& view, ObjectId text) {
  std::string out;
  const auto spans = view.spans(text).value();
  for (const auto& span : spans) {
    out += out.empty() ? "" : " ";
    if (!span.is_block()) {
      out += "text:" + word(span.text) + show(span.marks);
      continue;
    }
    std::string entries;
    const auto block = view.hydrate(span.block).value();
    for (const auto& entry : block.entries) {
      entries +=
          (entries.empty() ? "" : ",") + word(entry.key) + "=" + show(entry.value.scalar.view());
    }
    out += "block:{" + entries + "}";
  }
  return out;
}

// Patches as the oracle writes them.
class ShowPatches {
 public:
  explicit ShowPatches(const Document& document) : document_(document) {}

  std::string all(std::span<const Patch> patches) const {
    std::string out;
    for (const auto& patch : patches) {
      std::string path;
      for (const auto& step : patch.path) {
        path += std::string(path.empty() ? "" : ",") + "[\"" + document_.object_text(step.object) +
                "\",\"" + prop(step.prop) + "\"]";
      }
      out += std::string(out.empty() ? "" : ",") + "{\"obj\":\"" +
             document_.object_text(patch.object) + "\",\"path\":[" + path +
             "],\"do\":" + std::visit(*this, patch.action) + "}";
    }
    return "[" + out + "]";
  }

  std::string operator()(const patch::PutMap& a) const { return put(a.key, a.value); }
  std::string operator()(const patch::PutSeq& a) const { return put(a.index, a.value); }
  std::string operator()(const patch::Insert& a) const {
    std::string values;
    for (const auto& one : a.values) {
      values += std::string(values.empty() ? "" : ",") + "[" + value(one) + "," +
                (one.conflict ? "true" : "false") + "]";
    }
    return "\"insert\",\"index\":" + std::to_string(a.index) + ",\"values\":[" + values + "]";
  }
  std::string operator()(const patch::SpliceText& a) const {
    return "\"splice\",\"index\":" + std::to_string(a.index) + ",\"text\":\"" + word(a.text) +
           "\",\"marks\":\"" + show(a.marks) + "\"";
  }
  std::string operator()(const patch::Increment& a) const {
    return "\"increment\",\"prop\":\"" + prop(a.prop) + "\",\"by\":" + std::to_string(a.by);
  }
  std::string operator()(const patch::Conflict& a) const {
    return "\"conflict\",\"prop\":\"" + prop(a.prop) + "\"";
  }
  std::string operator()(const patch::DeleteMap& a) const {
    return "\"delete\",\"prop\":\"k:" + word(a.key) + "\"";
  }
  std::string operator()(const patch::DeleteSeq& a) const {
    return "\"delete\",\"prop\":\"i:" + std::to_string(a.index) +
           "\",\"length\":" + std::to_string(a.length);
  }
  std::string operator()(const patch::MarkText& a) const {
    std::string marks;
    for (const auto& mark : a.marks) {
      marks += std::string(marks.empty() ? "" : ",") + "\"" + show(mark) + "\"";
    }
    return "\"mark\",\"marks\":[" + marks + "]";
  }

 private:
  static std::string prop(const Prop& at) {
    if (const auto* key = std::get_if<std::string>(&at)) return "k:" + word(*key);
    return "i:" + std::to_string(std::get<std::size_t>(at));
  }
  std::string value(const PatchValue& one) const {
    const auto* object = std::get_if<ObjectRef>(&one.data);
    if (object == nullptr) return "\"" + show(std::get<OwnedScalar>(one.data).view()) + "\"";
    constexpr const char* kNames[] = {"map", "list", "text", "table"};
    return std::string("\"") + kNames[static_cast<std::size_t>(object->type)] + "@" +
           document_.object_text(object->id) + "\"";
  }
  std::string put(const Prop& at, const PatchValue& one) const {
    return "\"put\",\"prop\":\"" + prop(at) + "\",\"value\":" + value(one) +
           ",\"conflict\":" + (one.conflict ? "true" : "false");
  }

  const Document& document_;
};

// Several replicas, each twice: ours, and theirs under the same number.
class Twins {
 public:
  Twins(Peer& theirs, unsigned seed) : theirs_(theirs), random_(seed) {
    constexpr const char* kUnits[] = {"codepoint", "utf8", "utf16"};
    unit_ = static_cast<TextUnit>(seed % 3);
    ask(std::string("units ") + kUnits[seed % 3]);
    documents_.push_back(Document(actor(5)));
    documents_[0].set_text_unit(unit_);
    ask("new 0 " + actor(5).to_string());
    begin(0);
    text_ = open_->document().object_text(open_->put_object(kRoot, "t", ObjectType::text).value());
    EXPECT_EQ(ask("make 0 _root k:74 text"), text_);
    list_ = open_->document().object_text(open_->put_object(kRoot, "l", ObjectType::list).value());
    EXPECT_EQ(ask("make 0 _root k:6c list"), list_);
    same(open_->splice_text(here(text_), 0, 0, "the first words"),
         "splice 0 " + text_ + " 0 0 " + word("the first words"));
    commit(0);
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      const auto n = below(documents_.size());
      if (below(8) == 0 && documents_.size() < 3) {
        const auto id = actor(static_cast<std::uint8_t>(documents_.size() * 4));
        documents_.push_back(documents_[n].fork(id).value());
        ask("fork " + std::to_string(documents_.size() - 1) + " " + std::to_string(n) + " " +
            id.to_string());
      } else if (below(5) == 0) {
        const auto other = below(documents_.size());
        if (other == n) continue;
        ASSERT_TRUE(documents_[n].merge(documents_[other]));
        ask("merge " + std::to_string(n) + " " + std::to_string(other));
      } else {
        edit(n, !known_.empty() && below(6) == 0);
      }
      known_.push_back({n, documents_[n].heads()});
      look(n);
    }
  }

 private:
  static ActorId actor(std::uint8_t n) { return ActorId{Bytes(16, n)}; }
  std::size_t below(std::size_t n) { return random_() % n; }
  std::string ask(const std::string& line) {
    if (line.starts_with("commit")) return theirs_.ask(line);
    const bool read = line.find(" now") != std::string::npos || line.starts_with("text ") ||
                      line.starts_with("diff") || line.starts_with("seek");
    if (!read) sent_ += line + "\n";
    return theirs_.ask(line);
  }
  const Document& document() const { return open_->document(); }
  ObjectId here(const std::string& name) const { return document().parse_object(name).value(); }

  void begin(std::size_t n) { open_.emplace(documents_[n].begin().value()); }

  void same(const Status& ours, const std::string& line) {
    const auto theirs = ask(line);
    EXPECT_EQ(ours.has_value(), !failed(theirs)) << line << "\n"
                                                 << theirs << (ours ? "" : ours.error().message);
  }

  void commit(std::size_t n) {
    const auto hash = open_->commit({.time = ++time_}).value();
    before_ = documents_[n].text(documents_[n].parse_object(text_).value()).value();
    open_.reset();
    EXPECT_EQ(hash ? hash->to_string() : "-",
              ask("commit " + std::to_string(n) + " " + std::to_string(time_)))
        << sent_ << "on " << word(before_);
    sent_.clear();
  }

  void edit(std::size_t n, bool isolated) {
    if (isolated) {
      const auto& [owner, heads] = known_[below(known_.size())];
      const auto held = std::ranges::all_of(
          heads, [&](const auto& hash) { return documents_[n].has_change(hash); });
      if (!held || heads.empty()) return;
      open_.emplace(documents_[n].begin_at(heads).value());
      ask("isolate " + std::to_string(n) + " " + join(heads));
    } else {
      begin(n);
    }
    // Isolated, theirs keys insertions to marks that those heads do not have.
    for (auto edits = 1 + below(4); edits > 0 && !testing::Test::HasFailure(); --edits) {
      one(n, isolated ? 6 + below(3) : below(11));
    }
    commit(n);
    if (isolated) ask("integrate " + std::to_string(n));
  }

  std::string some_text() {
    constexpr std::string_view kPieces[] = {"a", "bc", "é", "🚀", " words "};
    std::string out;
    for (auto i = below(4); i > 0; --i) out += kPieces[below(std::size(kPieces))];
    return out;
  }

  // Positions between characters: inside one both engines move, but not marks both alike.
  std::vector<std::size_t> boundaries() const {
    std::vector<std::size_t> out{0};
    const auto text = document().text(here(text_)).value();
    for (std::size_t at = 0; at < text.size();) {
      const auto lead = static_cast<unsigned char>(text[at]);
      const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      const std::size_t units = unit_ == TextUnit::utf8                  ? bytes
                                : unit_ == TextUnit::utf16 && bytes == 4 ? 2
                                                                         : 1;
      out.push_back(out.back() + units);
      at += bytes;
    }
    return out;
  }

  void one(std::size_t n, std::size_t what) {
    const auto slot = " " + std::to_string(n) + " ";
    const auto text = here(text_);
    const auto list = here(list_);
    const auto at = boundaries();
    const auto a = below(at.size());
    const auto b = a + below(at.size() - a);
    const auto from = std::to_string(at[a]);
    const auto to = std::to_string(at[b]);
    constexpr const char* kNames[] = {"bold", "link"};
    constexpr const char* kExpands[] = {"none", "before", "after", "both"};
    const std::string name = kNames[below(2)];
    const auto expand = below(4);
    const auto how = static_cast<Expand>(expand);
    switch (what) {
      case 0:
      case 1: {
        const auto value = static_cast<std::int64_t>(below(3));
        same(open_->mark(text, at[a], at[b], name, value, how),
             "mark" + slot + text_ + " " + from + " " + to + " " + word(name) +
                 " int:" + std::to_string(value) + " " + kExpands[expand]);
        break;
      }
      case 2:
        same(open_->unmark(text, at[a], at[b], name, how), "unmark" + slot + text_ + " " + from +
                                                               " " + to + " " + word(name) + " " +
                                                               kExpands[expand]);
        break;
      case 3: {
        const auto block = open_->split_block(text, at[a]);
        ASSERT_TRUE(block);
        EXPECT_EQ(document().object_text(*block), ask("split" + slot + text_ + " " + from));
        const auto type = static_cast<std::int64_t>(below(5));
        same(open_->put(*block, "type", type), "put" + slot + document().object_text(*block) +
                                                   " k:74797065 int:" + std::to_string(type));
        break;
      }
      case 4: {
        const auto value = document().get(text, at[a]).value();
        if (!value || !std::holds_alternative<ObjectRef>(value->data)) break;
        same(open_->join_block(text, at[a]), "join" + slot + text_ + " " + from);
        break;
      }
      case 5: {
        const auto wanted = some_text() + some_text() + some_text();
        same(open_->update_text(text, wanted), "updatetext" + slot + text_ + " " + word(wanted));
        break;
      }
      case 6: {
        const auto key = std::string(1, static_cast<char>('a' + below(3)));
        const auto value = static_cast<std::int64_t>(below(4));
        same(open_->put(kRoot, std::string_view(key), value),
             "put" + slot + "_root k:" + word(key) + " int:" + std::to_string(value));
        break;
      }
      case 7: {
        const auto index = below(document().length(list).value() + 1);
        same(open_->insert(list, index, Counter{1}),
             "insert" + slot + list_ + " " + std::to_string(index) + " counter:1");
        break;
      }
      case 8: {
        const auto items = Tree::list({Tree::of(std::int64_t{1}), Tree::text("x")});
        const auto tree = Tree::map({{"y", items}, {"b", Tree::map({{"q", Tree::of(true)}})}});
        const auto made = open_->put_tree(kRoot, "tree", tree);
        ASSERT_TRUE(made);
        EXPECT_EQ(document().object_text(*made),
                  ask("create" + slot + "_root k:" + word("tree") + " put " +
                      word(R"({"y":[1,{"$text":"x"}],"b":{"q":true}})")));
        break;
      }
      default: {
        const auto inserted = some_text();
        const auto erased = at[std::min(b, a + 3)] - at[a];
        same(open_->splice_text(text, at[a], static_cast<std::ptrdiff_t>(erased), inserted),
             "splice" + slot + text_ + " " + from + " " + std::to_string(erased) + " " +
                 word(inserted));
      }
    }
  }

  // Everything that can be asked, now and at heads that somebody had.
  void look(std::size_t n) {
    const auto& document = documents_[n];
    EXPECT_EQ(ask("text " + std::to_string(n) + " " + text_),
              word(document.text(document.parse_object(text_).value()).value()));
    look_at(n, document.read(), "now");
    std::vector<Heads> held;
    for (const auto& [owner, heads] : known_) {
      if (std::ranges::all_of(heads, [&](const auto& h) { return document.has_change(h); })) {
        held.push_back(heads);
      }
    }
    const auto& before = held[below(held.size())];
    const auto& after = held[below(held.size())];
    look_at(n, document.at(before).value(), join(before));
    // Theirs forgets the marks of new text where they are the same before and after.
    const auto text = document.parse_object(text_).value();
    const auto marked = [&](const Heads& heads) {
      return !document.at(heads)->marks(text).value().empty();
    };
    if (marked(after)) return;
    EXPECT_EQ(ShowPatches(document).all(document.diff(before, after).value()),
              ask("diff " + std::to_string(n) + " " + join(before) + " " + join(after)));
  }

  void look_at(std::size_t n, const View& view, const std::string& heads) {
    const auto& document = documents_[n];
    const auto text = document.parse_object(text_).value();
    const auto where = " " + std::to_string(n) + " " + text_ + " ";
    EXPECT_EQ(ask("text" + where + heads), word(view.text(text).value()));
    const auto length = view.length(text).value();
    EXPECT_EQ(ask("length" + where + heads), std::to_string(length));
    EXPECT_EQ(ask("marks" + where + heads), show(view.marks(text).value()));
    EXPECT_EQ(ask("spans" + where + heads), show_spans(view, text));
    if (length == 0) return;
    const auto index = below(length);
    if (unit_ == TextUnit::code_point) {  // theirs counts elements, whatever the unit
      EXPECT_EQ(ask("marksat" + where + std::to_string(index) + " " + heads),
                show(view.marks_at(text, index).value()));
    }
    const auto move = below(2) == 0 ? Cursor::Move::before : Cursor::Move::after;
    const auto cursor = view.cursor(text, index, move).value();
    EXPECT_EQ(ask("cursor" + where + std::to_string(index) +
                  (move == Cursor::Move::before ? " before " : " after ") + heads),
              cursor.to_string() + " " + to_hex_word(cursor.encode()))
        << heads << " index " << index << " of " << word(view.text(text).value());
    cursors_.push_back(cursor);
    const auto& old = cursors_[below(cursors_.size())];
    const auto position = view.position(text, old);
    const auto theirs = ask("seek" + where + old.to_string() + " " + heads);
    // Going back, theirs takes a mark for an element that is left.
    if (old.move == Cursor::Move::before) return;
    // At heads, theirs fails where nothing visible stands behind the deleted element.
    if (failed(theirs) && position && heads != "now") return;
    EXPECT_EQ(position ? std::to_string(*position) : "err", failed(theirs) ? "err" : theirs)
        << old.to_string() << " " << heads;
  }

  Peer& theirs_;
  std::mt19937 random_;
  TextUnit unit_ = TextUnit::code_point;
  std::vector<Document> documents_;
  std::optional<Transaction> open_;
  std::string text_, list_;
  std::string sent_;  // since the last commit
  std::string before_;
  std::int64_t time_ = 0;
  std::vector<std::pair<std::size_t, Heads>> known_;
  std::vector<Cursor> cursors_;
};

TEST(Semantics, AreThoseOfTheReference) {
  PEAT_START_PEER(peer, "am12");
  const unsigned seeds = std::getenv("PEAT_NIGHT") != nullptr ? 3000 : 60;
  for (unsigned seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Twins(*peer, seed).run(40);
  }
}

}  // namespace
}  // namespace peat::automerge::interop
