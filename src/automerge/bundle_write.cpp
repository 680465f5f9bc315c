#include <algorithm>
#include <array>
#include <unordered_map>

#include "automerge/bundle.hpp"
#include "automerge/columns.hpp"
#include "automerge/document_impl.hpp"

namespace peat::automerge {

namespace {

constexpr std::size_t kDeflateFrom = 256;
constexpr std::uint32_t kDeflateBit = 8;

// A change of the bundle and its actors' numbers in it.
struct Entry {
  ChangeView change;
  std::vector<std::uint32_t> actors;
  std::uint64_t first_row = 0;
};

using OutColumn = std::pair<std::uint32_t, const Bytes*>;

void put_table(std::span<const OutColumn> columns, Bytes& out) {
  Bytes directory;
  Bytes data;
  std::uint64_t count = 0;
  for (const auto& [spec, bytes] : columns) {
    if (bytes->empty()) continue;
    ++count;
    const auto at = data.size();
    const bool deflated = bytes->size() >= kDeflateFrom;
    if (deflated) {
      deflate(*bytes, data);
    } else {
      put_bytes(data, *bytes);
    }
    put_uleb(directory, deflated ? spec | kDeflateBit : spec);
    put_uleb(directory, data.size() - at);
  }
  put_uleb(out, count);
  put_bytes(out, directory);
  put_bytes(out, data);
}

class BundleWriter {
 public:
  // In an order that puts dependencies first.
  void add(ChangeView change) { entries_.push_back({std::move(change), {}, 0}); }

  Status write(Bytes& out) {
    number_actors();
    number_changes();
    Bytes changes;
    Bytes ops;
    put_changes(changes);
    PEAT_TRY_VOID(put_operations(ops));
    Bytes data;
    put_uleb(data, outside_.size());
    for (const auto& hash : outside_) put_bytes(data, hash.bytes);
    put_uleb(data, actors_.size());
    for (const auto actor : actors_) {
      put_uleb(data, actor.size());
      put_bytes(data, actor);
    }
    put_bytes(data, changes);
    put_bytes(data, ops);
    write_chunk(ChunkType::kBundle, data, out);
    return {};
  }

 private:
  void number_actors() {
    const auto less = [](ByteView a, ByteView b) { return compare_bytes(a, b) < 0; };
    const auto same = [](ByteView a, ByteView b) { return compare_bytes(a, b) == 0; };
    for (const auto& entry : entries_) {
      for (std::uint32_t i = 0; i < entry.change.actor_count(); ++i) {
        actors_.push_back(entry.change.actor_at(i));
      }
    }
    std::ranges::sort(actors_, less);
    actors_.erase(std::unique(actors_.begin(), actors_.end(), same), actors_.end());
    for (auto& entry : entries_) {
      for (std::uint32_t i = 0; i < entry.change.actor_count(); ++i) {
        const auto at = std::ranges::lower_bound(actors_, entry.change.actor_at(i), less);
        entry.actors.push_back(static_cast<std::uint32_t>(at - actors_.begin()));
      }
    }
  }

  void number_changes();
  void put_changes(Bytes& out) const;
  Status put_operations(Bytes& out);

  std::vector<Entry> entries_;
  std::vector<ByteView> actors_;
  // The numbers by which the dependency column names changes: rows, then those outside.
  std::unordered_map<ChangeHash, std::uint64_t> numbers_;
  std::vector<ChangeHash> outside_;
};

// Outside changes get their numbers in the order in which they are mentioned.
void BundleWriter::number_changes() {
  for (std::size_t i = 0; i < entries_.size(); ++i) numbers_.emplace(entries_[i].change.hash, i);
  for (const auto& entry : entries_) {
    for (std::size_t d = 0; d < entry.change.dep_count(); ++d) {
      const auto hash = entry.change.dep(d);
      const auto next = entries_.size() + outside_.size();
      if (numbers_.emplace(hash, next).second) outside_.push_back(hash);
    }
  }
}

void BundleWriter::put_changes(Bytes& out) const {
  RleEncoder<UlebValue> actor, dep_count, extra_count;
  DeltaEncoder seq, start_op, max_op, time, dep;
  RleEncoder<TextValue> message;
  Bytes extra;
  for (const auto& entry : entries_) {
    const auto& change = entry.change;
    actor.append(entry.actors[0]);
    seq.append(static_cast<std::int64_t>(change.seq));
    start_op.append(static_cast<std::int64_t>(change.start_op));
    max_op.append(static_cast<std::int64_t>(change.start_op + change.op_count) - 1);
    time.append(change.time);
    if (change.message.empty()) {
      message.append_null();
    } else {
      message.append(change.message);
    }
    dep_count.append(change.dep_count());
    for (std::size_t d = 0; d < change.dep_count(); ++d) {
      dep.append(static_cast<std::int64_t>(numbers_.at(change.dep(d))));
    }
    extra_count.append(change.extra.size());
    put_bytes(extra, change.extra);
  }
  const std::array<OutColumn, 10> columns{{{0x01, &actor.finish()},
                                           {0x03, &seq.finish()},
                                           {0x13, &start_op.finish()},
                                           {0x23, &max_op.finish()},
                                           {0x33, &time.finish()},
                                           {0x45, &message.finish()},
                                           {0x50, &dep_count.finish()},
                                           {0x53, &dep.finish()},
                                           {0x60, &extra_count.finish()},
                                           {0x67, &extra}}};
  put_table(columns, out);
}

// The operation columns of a bundle, row by row.
class BundleOps {
 public:
  // Ids of `op` in the bundle's numbering of actors; `author` made it.
  void append(const OpView& op, std::uint32_t author) {
    put_id(obj_actor_, obj_counter_, op.object);
    if (op.has_key) {
      key_actor_.append_null();
      key_counter_.append_null();
      key_.append(op.key);
    } else {
      put_id(key_actor_, key_counter_, op.elem);
      key_.append_null();
    }
    id_actor_.append(author);
    insert_.append(op.insert);
    action_.append(static_cast<std::uint64_t>(op.action));
    meta_.append(op.meta);
    put_bytes(value_, op.value);
    preds_.append(op.links.size());
    for (const auto pred : op.links) {
      pred_actor_.append(pred.actor());
      pred_counter_.append(pred.counter());
    }
    expand_.append(op.expand);
    if (op.has_mark_name) {
      mark_name_.append(op.mark_name);
    } else {
      mark_name_.append_null();
    }
  }
  // The row of the next operation in the order of (actor, counter).
  void append_place(std::uint64_t row) { place_.append(static_cast<std::int64_t>(row)); }

  void finish(Bytes& out) {
    static const Bytes kAbsent;
    const std::array<OutColumn, 16> columns{
        {{0x01, &obj_actor_.finish()},
         {0x03, &obj_counter_.finish()},
         {0x11, &key_actor_.finish()},
         {0x13, &key_counter_.finish()},
         {0x15, &key_.finish()},
         {0x21, &id_actor_.finish()},
         {0x34, &insert_.finish()},
         {0x42, &action_.finish()},
         {0x56, &meta_.finish()},
         {0x57, &value_},
         {0x70, &preds_.finish()},
         {0x71, &pred_actor_.finish()},
         {0x73, &pred_counter_.finish()},
         {0x94, expand_.any_true() ? &expand_.finish() : &kAbsent},
         {0xa5, &mark_name_.finish()},
         {0xb3, &place_.finish()}}};
    put_table(columns, out);
  }

 private:
  // The head of a list is counter 0 of nobody, the root object nothing of nobody.
  void put_id(RleEncoder<UlebValue>& actor, DeltaEncoder& counter, OpId id) {
    if (!id.none()) {
      actor.append(id.actor());
      counter.append(id.counter());
      return;
    }
    actor.append_null();
    if (&counter == &key_counter_) {
      counter.append(0);
    } else {
      counter.append_null();
    }
  }

  RleEncoder<UlebValue> obj_actor_, key_actor_, id_actor_, action_, meta_, preds_, pred_actor_;
  DeltaEncoder obj_counter_, key_counter_, pred_counter_, place_;
  RleEncoder<TextValue> key_, mark_name_;
  BooleanEncoder insert_, expand_;
  Bytes value_;
};

Status BundleWriter::put_operations(Bytes& out) {
  BundleOps ops;
  std::vector<OpId> preds;
  std::uint64_t row = 0;
  for (auto& entry : entries_) {
    const auto number = [&entry](OpId id) {
      return id.none() ? id : OpId(id.counter(), entry.actors[id.actor()]);
    };
    entry.first_row = row;
    auto reader = entry.change.ops();
    OpView op;
    OpId id;
    for (; reader.next_single(op, id); ++row) {
      preds.clear();
      for (const auto pred : op.links) preds.push_back(number(pred));
      op.object = number(op.object);
      op.elem = number(op.elem);
      op.links = preds;
      ops.append(op, entry.actors[0]);
    }
    PEAT_TRY_VOID(reader.finish());
  }
  std::vector<const Entry*> ranked;
  for (const auto& entry : entries_) ranked.push_back(&entry);
  std::ranges::sort(ranked, {},
                    [](const Entry* e) { return std::pair(e->actors[0], e->change.seq); });
  for (const auto* entry : ranked) {
    for (std::uint64_t i = 0; i < entry->change.op_count; ++i) {
      ops.append_place(entry->first_row + i);
    }
  }
  ops.finish(out);
  return {};
}

}  // namespace

Result<Bytes> Document::bundle(std::span<const ChangeHash> hashes) const {
  return guarded([&]() -> Result<Bytes> {
    PEAT_TRY(auto rows, impl_->rows_of(hashes));
    std::ranges::sort(rows);
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
    BundleWriter writer;
    for (const auto row : rows) {
      PEAT_TRY(const auto bytes, impl_->chunk_of(row));
      PEAT_TRY(const auto chunk, read_chunk(bytes, 0));
      PEAT_TRY(auto change, parse_change_body(chunk, impl_->graph.row(row).hash, no_limits()));
      writer.add(std::move(change));
    }
    Bytes out;
    PEAT_TRY_VOID(writer.write(out));
    return out;
  });
}

}  // namespace peat::automerge
