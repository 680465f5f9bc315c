#include "automerge/encode.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "automerge/change.hpp"
#include "automerge/op_id.hpp"

namespace peat::automerge {

namespace {

// Bytes written one behind the other into space that is known to be enough.
class Pen {
 public:
  explicit Pen(std::uint8_t* at) : at_(at) {}
  std::uint8_t* at() const { return at_; }
  void byte(std::uint64_t v) { *at_++ = static_cast<std::uint8_t>(v); }
  void uleb(std::uint64_t v) { at_ = write_uleb(at_, v); }
  void sleb(std::int64_t v) { at_ = write_sleb(at_, v); }
  void bytes(ByteView v) {
    if (!v.empty()) std::memcpy(at_, v.data(), v.size());
    at_ += v.size();
  }
  void prefixed(ByteView v) {
    uleb(v.size());
    bytes(v);
  }

 private:
  std::uint8_t* at_;
};

// The columns of one row: each a literal run of one value.
class SingleRow {
 public:
  static constexpr std::size_t kMost = 13;

  void value(std::uint32_t spec, std::uint64_t v) {
    auto pen = open(spec);
    pen.byte(0x7f);
    pen.uleb(v);
    close(pen);
  }
  void delta(std::uint32_t spec, std::int64_t v) {
    auto pen = open(spec);
    pen.byte(0x7f);
    pen.sleb(v);
    close(pen);
  }
  void boolean(std::uint32_t spec, bool v) {
    auto pen = open(spec);
    if (v) pen.byte(0);
    pen.byte(1);
    close(pen);
  }
  // `length_prefixed`: a text; otherwise bytes as they are.
  void bytes(std::uint32_t spec, ByteView v, bool length_prefixed) {
    auto& column = columns_[count_++];
    column.spec = spec;
    column.text = v;
    column.head_bytes = 0;
    if (length_prefixed) {
      Pen pen(column.head.data());
      pen.byte(0x7f);
      pen.uleb(v.size());
      column.head_bytes = static_cast<std::uint8_t>(pen.at() - column.head.data());
    }
  }
  std::size_t size() const {
    std::size_t n = 1;
    for (std::size_t i = 0; i < count_; ++i) n += 12 + columns_[i].bytes();
    return n;
  }
  void write(Pen& pen) const {
    pen.uleb(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      pen.uleb(columns_[i].spec);
      pen.uleb(columns_[i].bytes());
    }
    for (std::size_t i = 0; i < count_; ++i) {
      pen.bytes(ByteView(columns_[i].head).first(columns_[i].head_bytes));
      pen.bytes(columns_[i].text);
    }
  }

 private:
  struct Column {
    std::uint32_t spec;
    std::uint8_t head_bytes;
    std::array<std::uint8_t, 11> head;
    ByteView text;
    std::size_t bytes() const { return head_bytes + text.size(); }
  };
  Pen open(std::uint32_t spec) {
    columns_[count_].spec = spec;
    columns_[count_].text = {};
    return Pen(columns_[count_].head.data());
  }
  void close(const Pen& pen) {
    columns_[count_].head_bytes =
        static_cast<std::uint8_t>(pen.at() - columns_[count_].head.data());
    ++count_;
  }
  std::array<Column, kMost> columns_;
  std::size_t count_ = 0;
};

// The actors that a single operation names besides the author, by rank.
class OtherActors {
 public:
  OtherActors(const ActorTable& actors, std::uint32_t author, const OpView& op) : author_(author) {
    note(op.object);
    note(op.elem);
    for (const auto link : op.links) note(link);
    std::sort(begin(), end(), [&actors](std::uint32_t a, std::uint32_t b) {
      return actors.rank(a) < actors.rank(b);
    });
  }
  std::span<const std::uint32_t> all() const { return std::span(actors_).first(count_); }
  std::uint32_t number(OpId id) const {
    if (id.actor() == author_) return 0;
    const auto at = std::ranges::find(all(), id.actor());
    return static_cast<std::uint32_t>(at - all().begin()) + 1;
  }

 private:
  std::uint32_t* begin() { return actors_.data(); }
  std::uint32_t* end() { return actors_.data() + count_; }
  void note(OpId id) {
    if (id.none() || id.actor() == author_ || std::find(begin(), end(), id.actor()) != end()) {
      return;
    }
    actors_[count_++] = id.actor();
  }
  std::uint32_t author_;
  std::array<std::uint32_t, 3> actors_;
  std::size_t count_ = 0;
};

SingleRow columns_of(const OpView& op, const OtherActors& others) {
  SingleRow row;
  if (!op.object.none()) {
    row.value(0x01, others.number(op.object));
    row.value(0x02, op.object.counter());
  }
  if (op.has_key) {
    row.bytes(0x15, as_bytes(op.key), true);
  } else {
    if (!op.elem.none()) row.value(0x11, others.number(op.elem));
    row.delta(0x13, op.elem.counter());
  }
  row.boolean(0x34, op.insert);
  row.value(0x42, static_cast<std::uint64_t>(op.action));
  row.value(0x56, op.meta);
  if (!op.value.empty()) row.bytes(0x57, op.value, false);
  row.value(0x70, op.links.size());
  if (!op.links.empty()) {
    row.value(0x71, others.number(op.links[0]));
    row.delta(0x73, op.links[0].counter());
  }
  if (op.expand) row.boolean(0x94, true);
  if (op.has_mark_name) row.bytes(0xa5, as_bytes(op.mark_name), true);
  return row;
}

// The usual change of one operation, without the encoders that longer ones need.
ChangeHash encode_single(const ActorTable& actors, const ChangeFacts& facts, const OpView& op,
                         Bytes& out) {
  thread_local Bytes data;
  const OtherActors others(actors, facts.author, op);
  const auto row = columns_of(op, others);
  const auto author = actors.bytes(facts.author);
  auto most = 80 + 32 * facts.deps.size() + author.size() + facts.message.size() +
              facts.extra.size() + row.size();
  for (const auto actor : others.all()) most += 10 + actors.bytes(actor).size();
  if (data.size() < most) data.resize(most);

  Pen pen(data.data());
  pen.uleb(facts.deps.size());
  for (const auto& dep : facts.deps) pen.bytes(dep.bytes);
  pen.prefixed(author);
  pen.uleb(facts.seq);
  pen.uleb(facts.start_op);
  pen.sleb(facts.time);
  pen.prefixed(as_bytes(facts.message));
  pen.uleb(others.all().size());
  for (const auto actor : others.all()) pen.prefixed(actors.bytes(actor));
  row.write(pen);
  pen.bytes(facts.extra);
  return write_chunk(ChunkType::kChange,
                     ByteView(data).first(static_cast<std::size_t>(pen.at() - data.data())), out);
}

// The actors besides the author that the operations name, by rank: numbered from 1.
std::vector<ByteView> number_others(const ActorTable& actors, OpSource& ops,
                                    std::vector<std::uint32_t>& number) {
  std::vector<ByteView> others;
  if (actors.size() == 1) return others;
  thread_local std::vector<std::uint32_t> used;
  used.clear();
  const auto note = [&number](OpId id) {
    if (id.none() || number[id.actor()] != kNone) return;
    number[id.actor()] = 1;
    used.push_back(id.actor());
  };
  OpView op;
  for (ops.restart(); ops.next(op);) {
    note(op.object);
    note(op.elem);
    for (const auto link : op.links) note(link);
  }
  std::ranges::sort(used, {}, [&actors](std::uint32_t actor) { return actors.rank(actor); });
  for (std::uint32_t i = 0; i < used.size(); ++i) {
    number[used[i]] = i + 1;
    others.push_back(actors.bytes(used[i]));
  }
  return others;
}

}  // namespace

ChangeHash encode_change(const ActorTable& actors, const ChangeFacts& facts, OpSource& ops,
                         Bytes& out) {
  OpView op;
  ops.restart();
  if (facts.op_count == 1 && ops.next(op) && op.links.size() <= 1) {
    return encode_single(actors, facts, op, out);
  }
  thread_local OpWriter writer(Table::kChange);
  thread_local std::vector<std::uint32_t> number;  // of an actor inside the change
  thread_local std::vector<OpId> links;
  number.assign(actors.size(), kNone);
  number[facts.author] = 0;
  const auto others = number_others(actors, ops, number);
  const auto renumber = [](OpId id) {
    return id.none() ? id : OpId(id.counter(), number[id.actor()]);
  };
  writer.clear();
  OpId id(facts.start_op, 0);
  for (ops.restart(); ops.next(op);) {
    op.object = renumber(op.object);
    op.elem = renumber(op.elem);
    links.clear();
    for (const auto link : op.links) links.push_back(renumber(link));
    op.links = links;
    writer.append(op, id);
    id = advance(id, op.count);
  }
  ChangeHeader header;
  header.deps = facts.deps;
  header.actor = actors.bytes(facts.author);
  header.seq = facts.seq;
  header.start_op = facts.start_op;
  header.time = facts.time;
  header.message = facts.message;
  header.others = others;
  header.extra = facts.extra;
  return write_change(header, writer, out);
}

}  // namespace peat::automerge
