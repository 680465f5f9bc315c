#include "automerge/operations.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "base/encoding.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint64_t kMaxCounter = 0xffffffff;
constexpr std::uint32_t kMaxRun = 1U << 24;

constexpr std::array<std::uint32_t, kOpColumns> kDocumentSpecs{
    0x01, 0x02, 0x11, 0x13, 0x15, 0x21, 0x23, 0x34, 0x42, 0x56, 0x57, 0x80, 0x81, 0x83, 0x94, 0xa5};
constexpr std::array<std::uint32_t, kOpColumns> kChangeSpecs{
    0x01, 0x02, 0x11, 0x13, 0x15, 0, 0, 0x34, 0x42, 0x56, 0x57, 0x70, 0x71, 0x73, 0x94, 0xa5};
constexpr std::array<std::string_view, kOpColumns> kColumnNames{
    "object actor", "object counter", "key actor",   "key counter", "key text", "id actor",
    "id counter",   "insert",         "action",      "value type",  "value",    "link count",
    "link actor",   "link counter",   "mark expand", "mark name"};

bool whole_uleb(ByteView bytes) {
  Input in(bytes);
  in.uleb();
  return !in.failed() && in.done();
}

bool whole_sleb(ByteView bytes) {
  Input in(bytes);
  in.sleb();
  return !in.failed() && in.done();
}

}  // namespace

const std::array<std::uint32_t, kOpColumns>& op_column_specs(Table table) {
  return table == Table::kChange ? kChangeSpecs : kDocumentSpecs;
}

std::string hex_spec(std::uint64_t spec) {
  Bytes bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if ((spec >> shift) != 0) bytes.push_back(static_cast<std::uint8_t>(spec >> shift));
  }
  return to_hex(bytes);
}

Scalar scalar_of(std::uint32_t meta, ByteView bytes) {
  Input in(bytes);
  switch (meta & 15) {
    case kTypeNull:
      return Null{};
    case kTypeFalse:
      return false;
    case kTypeTrue:
      return true;
    case kTypeUint:
      return in.uleb();
    case kTypeInt:
      return in.sleb();
    case kTypeDouble: {
      double value;
      std::memcpy(&value, bytes.data(), sizeof value);
      return value;
    }
    case kTypeText:
      return as_text(bytes);
    case kTypeBytes:
      return bytes;
    case kTypeCounter:
      return Counter{in.sleb()};
    case kTypeTimestamp:
      return Timestamp{in.sleb()};
    default:
      return UnknownValue{static_cast<std::uint8_t>(meta & 15), bytes};
  }
}

std::optional<OpColumn> op_column(Table table, std::uint64_t spec) {
  const auto& known = op_column_specs(table);
  const auto at = std::ranges::find(known, spec);
  if (spec == 0 || at == known.end()) return std::nullopt;
  return static_cast<OpColumn>(at - known.begin());
}

std::uint64_t count_rows(ByteView column, std::uint64_t limit) {
  Input in(column);
  std::uint64_t rows = 0;
  while (!in.done() && rows <= limit) {
    const auto n = in.sleb();
    if (n > 0) {
      in.uleb();
      rows += static_cast<std::uint64_t>(n);
    } else if (n == 0) {
      rows += std::min(in.uleb(), limit + 1);
    } else {
      const auto count = ~static_cast<std::uint64_t>(n) + 1;
      if (count > in.remaining()) break;
      for (std::uint64_t i = 0; i < count; ++i) in.uleb();
      rows += count;
    }
  }
  return rows;
}

bool is_code_point(ByteView bytes) {
  if (bytes.size() == 1) return bytes[0] < 0x80;
  constexpr std::array<std::uint8_t, 3> kLead{0xc0, 0xe0, 0xf0};
  constexpr std::array<std::uint8_t, 3> kMask{0xe0, 0xf0, 0xf8};
  if (bytes.size() < 2 || bytes.size() > 4) return false;
  const auto i = bytes.size() - 2;
  return (bytes[0] & kMask[i]) == kLead[i] && is_utf8(as_text(bytes));
}

const char* value_fault(std::uint64_t meta, ByteView bytes) {
  switch (meta & 15) {
    case kTypeNull:
    case kTypeFalse:
    case kTypeTrue:
      return bytes.empty() ? nullptr : "a null or boolean value has bytes";
    case kTypeUint:
      return whole_uleb(bytes) ? nullptr : "an unsigned value is no single minimal ULEB";
    case kTypeInt:
    case kTypeCounter:
    case kTypeTimestamp:
      return whole_sleb(bytes) ? nullptr : "an integer value is no single minimal SLEB";
    case kTypeDouble:
      return bytes.size() == 8 ? nullptr : "a double has other than 8 bytes";
    case kTypeText:
      return is_utf8(as_text(bytes)) ? nullptr : "a string value is not UTF-8";
    default:
      return nullptr;
  }
}

Result<std::vector<DirectoryEntry>> read_directory(Input& in, std::string_view what) {
  const auto n = in.uleb();
  if (in.failed()) return in.error(what);
  if (n > in.remaining() / 2) {
    return fail(Code::truncated, std::string(what) + " claims " + std::to_string(n) +
                                     " columns at byte " + std::to_string(in.offset()) +
                                     ", more than its bytes can name");
  }
  std::vector<DirectoryEntry> entries(static_cast<std::size_t>(n));
  std::uint64_t last = 0;
  for (auto& entry : entries) {
    entry.spec = in.uleb();
    entry.length = in.uleb();
    if (in.failed()) return in.error(what);
    const auto order = entry.spec & ~std::uint64_t{8};
    if (entry.spec > kMaxCounter || (&entry != entries.data() && order <= last)) {
      return fail(Code::malformed, std::string(what) + " names column " + hex_spec(entry.spec) +
                                       " out of order at byte " + std::to_string(in.offset()));
    }
    last = order;
  }
  return entries;
}

// --- reading operations ---------------------------------------------------------------------

OpReader::OpReader(Table table, const OpColumnSet& columns, std::uint32_t actors,
                   std::uint64_t start_op, std::uint64_t max_links)
    : table_(table), actors_(actors), start_op_(start_op), max_links_(max_links) {
  const auto open = [&columns](auto& decoder, OpColumn column) {
    decoder =
        std::remove_reference_t<decltype(decoder)>(columns.bytes[column], columns.offset[column]);
  };
  open(obj_actor_, kColObjActor);
  open(obj_counter_, kColObjCounter);
  open(key_actor_, kColKeyActor);
  open(key_counter_, kColKeyCounter);
  open(key_, kColKey);
  open(id_actor_, kColIdActor);
  open(id_counter_, kColIdCounter);
  open(insert_, kColInsert);
  open(action_, kColAction);
  open(meta_, kColMeta);
  open(value_, kColValue);
  open(links_, kColLinks);
  open(link_actor_, kColLinkActor);
  open(link_counter_, kColLinkCounter);
  open(expand_, kColExpand);
  open(mark_name_, kColMarkName);
  if (table == Table::kChange) referenced_.resize(actors);
}

bool OpReader::refuse(std::string_view what, Code code) {
  if (!error_) {
    error_ = Error{code, "operation " + std::to_string(row_) + ": " + std::string(what)};
  }
  return false;
}

// True (and the error kept) if any column has run into a fault.
bool OpReader::column_failed() {
  const std::array<const Input*, kOpColumns> inputs{&obj_actor_.input(),
                                                    &obj_counter_.input(),
                                                    &key_actor_.input(),
                                                    &key_counter_.input(),
                                                    &key_.input(),
                                                    &id_actor_.input(),
                                                    &id_counter_.input(),
                                                    &insert_.input(),
                                                    &action_.input(),
                                                    &meta_.input(),
                                                    &value_,
                                                    &links_.input(),
                                                    &link_actor_.input(),
                                                    &link_counter_.input(),
                                                    &expand_.input(),
                                                    &mark_name_.input()};
  for (std::size_t i = 0; i < kOpColumns; ++i) {
    if (!inputs[i]->failed()) continue;
    if (!error_) {
      error_ = inputs[i]->error("the " + std::string(kColumnNames[i]) + " column").error();
    }
    return true;
  }
  return false;
}

bool OpReader::reference(std::uint64_t actor, std::int64_t counter, OpId& out) {
  if (counter <= 0 || static_cast<std::uint64_t>(counter) > kMaxCounter) {
    return refuse("a counter of " + std::to_string(counter) + "; 1 to 4294967295 are allowed");
  }
  if (actor >= actors_) {
    return refuse("actor index " + std::to_string(actor) + " of a table of " +
                  std::to_string(actors_));
  }
  if (!referenced_.empty()) referenced_[static_cast<std::size_t>(actor)] = 1;
  out = OpId(static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(actor));
  return true;
}

bool OpReader::read_key(OpView& op, OpId id) {
  std::uint64_t actor = 0;
  std::int64_t counter = 0;
  const bool has_actor = key_actor_.next(actor);
  const bool has_counter = key_counter_.next(counter);
  op.has_key = key_.next(op.key);
  op.elem = OpId();
  if (op.has_key) {
    if (has_actor || has_counter) return refuse("names both a map key and a list element");
    if (!is_utf8(op.key)) return refuse("a map key is not UTF-8");
    return true;
  }
  op.key = {};
  if (!has_counter || (!has_actor && counter != 0)) {
    return refuse("names neither a map key nor a list element");
  }
  if (!has_actor) return true;
  if (!reference(actor, counter, op.elem)) return false;
  if (op.elem.counter() >= id.counter()) return refuse("refers to a later list element");
  return true;
}

bool OpReader::read_value(OpView& op) {
  std::uint64_t meta = 0;
  if (!meta_.next(meta)) return refuse("has no value type");
  if ((meta >> 4) > (kMaxCounter >> 4)) {
    return refuse("a value of " + std::to_string(meta >> 4) + " bytes; at most 268435455",
                  Code::limit_exceeded);
  }
  op.meta = static_cast<std::uint32_t>(meta);
  op.value = value_.take(meta >> 4);
  if (value_.failed()) return false;
  if (const char* fault = value_fault(meta, op.value)) return refuse(fault);
  return true;
}

bool OpReader::read_links(OpView& op, OpId id) {
  std::uint64_t n = 0;
  if (!links_.next(n)) return refuse("has no link count");
  link_buffer_.clear();
  if (n > max_links_ || links_read_ + n > max_links_) {
    return refuse("names more than " + std::to_string(max_links_) + " other operations",
                  Code::limit_exceeded);
  }
  links_read_ = table_ == Table::kDocument ? links_read_ + n : 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    std::uint64_t actor = 0;
    std::int64_t counter = 0;
    OpId link;
    if (!link_actor_.next(actor) || !link_counter_.next(counter)) {
      return refuse("has fewer links than it says");
    }
    if (!reference(actor, counter, link)) return false;
    const bool later =
        link.counter() > id.counter() ||
        (table_ == Table::kDocument && link.counter() == id.counter() && link.actor() > id.actor());
    if (table_ == Table::kChange ? link.counter() >= id.counter() : !later) {
      return refuse("is linked against the order of operations");
    }
    if (table_ == Table::kDocument && !link_buffer_.empty()) {
      const auto last = link_buffer_.back();
      if (link.counter() < last.counter() ||
          (link.counter() == last.counter() && link.actor() <= last.actor())) {
        return refuse("its successors are not in ascending order");
      }
    }
    link_buffer_.push_back(link);
  }
  op.links = link_buffer_;
  return true;
}

bool OpReader::check_shape(const OpView& op) {
  if (op.insert && op.has_key) return refuse("inserts at a map key");
  if (!op.insert && !op.has_key && op.elem.none()) return refuse("changes the head of a list");
  if (op.insert && table_ == Table::kChange && !op.links.empty()) {
    return refuse("inserts and replaces at once");
  }
  if (op.has_mark_name) {
    if (!is_utf8(op.mark_name)) return refuse("a mark name is not UTF-8");
    if (makes_object(op.action)) return refuse("an object carries a mark name");
  }
  if (op.action == Action::kIncrement && op.value_type() != kTypeInt &&
      op.value_type() != kTypeUint) {
    return refuse("increments by something that is no integer");
  }
  if (op.action == Action::kDelete) {
    if (table_ == Table::kDocument) return refuse("a document has a row for a deletion");
    // Such deletions leave no trace in a saved document that would give them back.
    if (op.links.empty() || op.insert || op.meta != 0 || op.expand || op.has_mark_name) {
      return refuse("a deletion that a document could not store", Code::not_canonical);
    }
  }
  return true;
}

bool OpReader::read_id(OpId& id) {
  if (table_ == Table::kChange) {
    id = OpId(static_cast<std::uint32_t>(start_op_ + row_), 0);
    return true;
  }
  std::uint64_t actor = 0;
  std::int64_t counter = 0;
  const bool has_actor = id_actor_.next(actor);
  if (!id_counter_.next(counter) || !has_actor) return refuse("has no id");
  return reference(actor, counter, id);
}

bool OpReader::read_object(OpView& op, OpId id) {
  std::uint64_t actor = 0;
  std::uint64_t counter = 0;
  const bool has_actor = obj_actor_.next(actor);
  const bool has_counter = obj_counter_.next(counter);
  op.object = OpId();
  if (has_actor != has_counter) return refuse("half an object id");
  if (!has_actor) return true;
  if (counter > kMaxCounter) return refuse("an object counter beyond 32 bits");
  if (!reference(actor, static_cast<std::int64_t>(counter), op.object)) return false;
  return op.object.counter() < id.counter() || refuse("changes a later object");
}

// What the next row has in common with a run's last: the columns that stay the same.
std::uint64_t OpReader::same_object(OpView& op) {
  auto n = op.object.none() ? std::min(obj_actor_.ahead_null(), obj_counter_.ahead_null())
                            : std::min(obj_actor_.ahead(op.object.actor()),
                                       obj_counter_.ahead(op.object.counter()));
  n = std::min({n, key_.ahead_null(), insert_.ahead(op.insert), expand_.ahead(false),
                mark_name_.ahead_null(), meta_.ahead(op.meta), links_.ahead(op.links.size()),
                action_.ahead(static_cast<std::uint64_t>(op.action))});
  return n;
}

void OpReader::skip_row(std::uint64_t n) {
  obj_actor_.skip(n);
  obj_counter_.skip(n);
  key_.skip(n);
  insert_.skip(n);
  expand_.skip(n);
  mark_name_.skip(n);
  meta_.skip(n);
  links_.skip(n);
  action_.skip(n);
  row_ += n;
}

namespace {

// How many of the values of `width` bytes at the front of `bytes` are one code point each.
std::uint64_t single_code_points(ByteView bytes, std::size_t width, std::uint64_t most) {
  const auto n = std::min<std::uint64_t>(most, bytes.size() / width);
  std::uint64_t good = 0;
  if (width == 1) {
    for (std::uint64_t eight = 0; good + 8 <= n; good += 8) {
      std::memcpy(&eight, bytes.data() + good, 8);
      if ((eight & 0x8080808080808080ULL) != 0) break;
    }
  }
  for (; good < n; ++good) {
    const auto value = bytes.subspan(static_cast<std::size_t>(good) * width, width);
    if (!is_code_point(value)) break;
  }
  return good;
}

}  // namespace

// Takes the rows after `op`, which is the insertion of one code point, that go on typing.
void OpReader::extend_typing(OpView& op, OpId id) {
  const auto width = op.meta >> 4;
  const auto begin = op.value.data();
  while (op.count < kMaxRun) {
    const auto last = id.counter() + op.count - 1;
    std::uint64_t n = std::min(same_object(op), key_actor_.ahead(id.actor()));
    if (n == 0) break;
    const auto key_delta = std::int64_t{last} - key_counter_.last();
    n = std::min(n, key_delta == 1 ? key_counter_.ahead(1)
                                   : std::min<std::uint64_t>(1, key_counter_.ahead(key_delta)));
    if (table_ == Table::kDocument) {
      n = std::min({n, id_actor_.ahead(id.actor()), id_counter_.ahead(1)});
    }
    std::int64_t step = op.step;
    if (!op.links.empty() && n != 0) {
      n = std::min(n, link_actor_.ahead(op.links[0].actor()));
      if (op.count == 1 && n != 0) step = link_counter_.ahead(1) != 0 ? 1 : -1;
      n = std::min(n, link_counter_.ahead(step));
    }
    n = std::min<std::uint64_t>(n, kMaxRun - op.count);
    n = single_code_points(value_.rest(), width, n);
    if (n == 0) break;
    // Counters must stay in their range; the row-wise path says what is wrong with the next.
    if (std::uint64_t{last} + n > kMaxCounter || links_read_ + n > max_links_) break;
    if (!op.links.empty()) {
      const auto successor = link_counter_.last() + step * static_cast<std::int64_t>(n);
      if (successor > std::int64_t{kMaxCounter} ||
          successor <= std::int64_t{last} + static_cast<std::int64_t>(n)) {
        break;
      }
      link_actor_.skip(n);
      link_counter_.skip(step, n);
      op.step = static_cast<std::int8_t>(step);
      links_read_ += table_ == Table::kDocument ? n : 0;
    }
    skip_row(n);
    key_actor_.skip(n);
    key_counter_.skip(key_delta, n);
    if (table_ == Table::kDocument) {
      id_actor_.skip(n);
      id_counter_.skip(1, n);
    }
    if (!referenced_.empty()) referenced_[id.actor()] = 1;
    value_.take(n * width);
    op.count += static_cast<std::uint32_t>(n);
    op.value = ByteView(begin, std::size_t{op.count} * width);
  }
}

// Takes the rows after `op`, a deletion of what its element's insertion set, that go on deleting.
void OpReader::extend_deleting(OpView& op) {
  while (op.count < kMaxRun) {
    std::uint64_t n = std::min(
        {same_object(op), key_actor_.ahead(op.elem.actor()), link_actor_.ahead(op.elem.actor())});
    if (n == 0) break;
    std::int64_t step = op.step;
    if (op.count == 1) step = key_counter_.ahead(1) != 0 ? 1 : -1;
    n = std::min({n, key_counter_.ahead(step), link_counter_.ahead(step),
                  std::uint64_t{kMaxRun - op.count}});
    const auto target = key_counter_.last() + step * static_cast<std::int64_t>(n);
    if (n == 0 || target <= 0 || target >= static_cast<std::int64_t>(start_op_ + row_)) break;
    skip_row(n);
    key_actor_.skip(n);
    key_counter_.skip(step, n);
    link_actor_.skip(n);
    link_counter_.skip(step, n);
    op.step = static_cast<std::int8_t>(step);
    op.count += static_cast<std::uint32_t>(n);
  }
}

bool OpReader::next(OpView& op, OpId& id) {
  if (!next_single(op, id)) return false;
  if (op.has_key) return true;
  if (op.insert) {
    const bool typing = op.action == Action::kSet && (op.meta & 15) == kTypeText &&
                        op.links.size() <= 1 && !op.expand && !op.has_mark_name &&
                        is_code_point(op.value);
    if (typing) extend_typing(op, id);
  } else if (op.action == Action::kDelete && op.links.size() == 1 && op.links[0] == op.elem) {
    extend_deleting(op);
  }
  return true;
}

bool OpReader::next_single(OpView& op, OpId& id) {
  op.count = 1;
  op.step = 0;
  if (error_ || action_.done() || (!action_.present() && row_ == 0)) return false;
  std::uint64_t action = 0;
  if (!action_.next(action)) {
    if (!column_failed()) refuse("has no action");
    return false;
  }
  bool good = true;
  if (action > kLastAction) good = refuse("unknown action " + std::to_string(action));
  op.action = static_cast<Action>(action);

  good = read_id(id) && good && read_object(op, id);
  good = good && read_key(op, id);
  op.insert = insert_.next();
  op.expand = expand_.next();
  op.has_mark_name = mark_name_.next(op.mark_name);
  if (!op.has_mark_name) op.mark_name = {};
  good = good && read_value(op) && read_links(op, id) && check_shape(op);
  if (!good && !(error_ && error_->code == Code::limit_exceeded)) {
    // A column that ended or broke is the better explanation than the null it gave.
    auto first = std::move(error_);
    error_.reset();
    if (!column_failed()) error_ = std::move(first);
  }
  if (!good || column_failed()) return false;
  ++row_;
  return true;
}

Status OpReader::finish() const {
  if (error_) return std::unexpected(*error_);
  const bool ended[] = {
      obj_actor_.done(),  obj_counter_.done(),  key_actor_.done(),  key_counter_.done(),
      key_.done(),        id_actor_.done(),     id_counter_.done(), insert_.done(),
      action_.done(),     meta_.done(),         value_.done(),      links_.done(),
      link_actor_.done(), link_counter_.done(), expand_.done(),     mark_name_.done()};
  for (std::size_t i = 0; i < kOpColumns; ++i) {
    if (!ended[i]) {
      return fail(Code::malformed, "the " + std::string(kColumnNames[i]) +
                                       " column has more rows than the action column (" +
                                       std::to_string(row_) + ")");
    }
  }
  return {};
}

std::uint32_t OpReader::unreferenced_actor() const {
  for (std::uint32_t i = 1; i < referenced_.size(); ++i) {
    if (referenced_[i] == 0) return i;
  }
  return 0;
}

}  // namespace peat::automerge
