// Column encodings: run-length, delta and boolean, for writing and for reading.
//
//   rle     = { run | literal | nulls }
//   run     = SLEB n >= 2, value            n equal values
//   literal = SLEB -n, n values             n values, no two neighbours equal
//   nulls   = SLEB 0, ULEB n >= 1           n nulls
//   delta   = rle whose values are SLEB differences to the previous value (start 0; nulls skip)
//   boolean = ULEB runs, false first; only the first may be 0
//
// Values: ULEB (actors, integers, metadata, counts), SLEB (deltas), or ULEB length + UTF-8.
// There is exactly one encoding of a column ("canonical form"): no two neighbouring records could
// be one. The encoders write it and the decoders refuse everything else, because hashes are made
// over re-encoded columns.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "automerge/leb.hpp"

namespace peat::automerge {

// The three value codings, as policies of the run-length coder.
struct UlebValue {
  using Type = std::uint64_t;
  static std::size_t most(Type) { return 10; }
  static std::uint8_t* write(std::uint8_t* at, Type v) { return write_uleb(at, v); }
  static Type get(Input& in) { return in.uleb(); }
};
struct SlebValue {
  using Type = std::int64_t;
  static std::size_t most(Type) { return 10; }
  static std::uint8_t* write(std::uint8_t* at, Type v) { return write_sleb(at, v); }
  static Type get(Input& in) { return in.sleb(); }
};
struct TextValue {
  using Type = std::string_view;
  static std::size_t most(Type v) { return 10 + v.size(); }
  static std::uint8_t* write(std::uint8_t* at, Type v) {
    at = write_uleb(at, v.size());
    return std::copy(v.begin(), v.end(), at);
  }
  static Type get(Input& in) { return as_text(in.prefixed()); }
};

template <class Value>
class RleEncoder {
 public:
  using Type = typename Value::Type;

  void clear() {
    end_ = 0;
    literals_ = 0;
    count_ = 0;
    any_value_ = false;
  }
  // `v` in `n` rows. Text values must stay where they are until finish().
  void append(const Type& v, std::uint64_t n = 1) {
    if (count_ != 0 && !null_ && v == value_) {
      count_ += n;
      return;
    }
    flush();
    value_ = v;
    null_ = false;
    count_ = n;
    any_value_ = true;
  }
  void append_null(std::uint64_t n = 1) {
    if (count_ != 0 && null_) {
      count_ += n;
      return;
    }
    flush();
    null_ = true;
    count_ = n;
  }
  // The column; empty if every row was null (such columns are left out).
  const Bytes& finish() {
    if (any_value_) {
      flush();
      close_literal();
    } else {
      clear();
    }
    out_.resize(end_);
    return out_;
  }

 private:
  // Room for `n` more bytes; out_ is longer than what was written, up to finish().
  std::uint8_t* room(std::size_t n) {
    if (out_.size() - end_ < n) out_.resize(std::max(end_ + n, 2 * out_.size() + 32));
    return out_.data() + end_;
  }
  void wrote(const std::uint8_t* to) { end_ = static_cast<std::size_t>(to - out_.data()); }

  // A literal stands behind one byte for its count, which may turn out to need more.
  void close_literal() {
    if (literals_ == 0) return;
    std::array<std::uint8_t, 10> count;
    const auto bytes =
        static_cast<std::size_t>(write_sleb(count.data(), -literals_) - count.data());
    if (bytes > 1) {
      room(bytes - 1);
      const auto from = out_.begin() + static_cast<std::ptrdiff_t>(literal_);
      std::copy_backward(from + 1, out_.begin() + static_cast<std::ptrdiff_t>(end_),
                         out_.begin() + static_cast<std::ptrdiff_t>(end_ + bytes - 1));
      end_ += bytes - 1;
    }
    std::copy_n(count.data(), bytes, out_.data() + literal_);
    literals_ = 0;
  }
  void flush() {
    if (count_ == 0) return;
    if (null_) {
      close_literal();
      auto* at = room(11);
      *at++ = 0;
      wrote(write_uleb(at, count_));
    } else if (count_ == 1) {
      auto* at = room(1 + Value::most(value_));
      if (literals_++ == 0) literal_ = static_cast<std::size_t>(at++ - out_.data());
      wrote(Value::write(at, value_));
    } else {
      close_literal();
      auto* at = room(10 + Value::most(value_));
      at = write_sleb(at, static_cast<std::int64_t>(count_));
      wrote(Value::write(at, value_));
    }
    count_ = 0;
  }

  Bytes out_;
  std::size_t end_ = 0;
  std::size_t literal_ = 0;  // where the open literal begins
  std::int64_t literals_ = 0;
  Type value_{};
  std::uint64_t count_ = 0;
  bool null_ = false;
  bool any_value_ = false;
};

class DeltaEncoder {
 public:
  void clear() {
    rle_.clear();
    last_ = 0;
  }
  // Differences wrap around, so that any two times can stand side by side.
  void append(std::int64_t v) {
    rle_.append(static_cast<std::int64_t>(static_cast<std::uint64_t>(v) -
                                          static_cast<std::uint64_t>(last_)));
    last_ = v;
  }
  void append_null(std::uint64_t n = 1) { rle_.append_null(n); }
  // `n` values, each `step` after the one before.
  void append_steps(std::int64_t step, std::uint64_t n) {
    if (n == 0) return;
    rle_.append(step, n);
    last_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(last_) +
                                      static_cast<std::uint64_t>(step) * n);
  }
  const Bytes& finish() { return rle_.finish(); }

 private:
  RleEncoder<SlebValue> rle_;
  std::int64_t last_ = 0;
};

class BooleanEncoder {
 public:
  void clear() {
    out_.clear();
    last_ = false;
    any_true_ = false;
    count_ = 0;
  }
  void append(bool v, std::uint64_t n = 1) {
    if (v != last_) {
      put_uleb(out_, count_);
      last_ = v;
      count_ = 0;
    }
    count_ += n;
    any_true_ |= v;
  }
  bool any_true() const { return any_true_; }
  const Bytes& finish() {
    if (count_ != 0) put_uleb(out_, count_);
    count_ = 0;
    return out_;
  }

 private:
  Bytes out_;
  bool last_ = false;
  bool any_true_ = false;
  std::uint64_t count_ = 0;
};

// Reads row by row, or by runs of equal rows; a row costs no memory, so a record may claim any
// number of them. An absent column gives nulls without end. Failures stick in `input()`.
template <class Value>
class RleDecoder {
 public:
  using Type = typename Value::Type;

  RleDecoder() = default;
  RleDecoder(ByteView column, std::size_t base) : in_(column, base), present_(!column.empty()) {}

  bool present() const { return present_; }
  bool done() const { return left_ == 0 && in_.done(); }
  const Input& input() const { return in_; }

  // False: null (or failed).
  bool next(Type& value) {
    if (left_ == 0) {
      if (!present_) return false;
      next_record();
      if (left_ == 0) return false;
    }
    --left_;
    if (record_ == Record::kNulls) return false;
    if (record_ == Record::kLiteral) next_literal();
    value = value_;
    return !in_.failed();
  }

  // How many of the next rows hold `value` as far as one record tells: 0 if the next does not.
  std::uint64_t ahead(const Type& value) {
    if (!load_record() || record_ == Record::kNulls) return 0;
    if (record_ == Record::kRun) return value_ == value ? left_ : 0;
    Input look = in_;
    return Value::get(look) == value && !look.failed() ? 1 : 0;
  }
  std::uint64_t ahead_null() {
    if (!present_) return UINT64_MAX;
    return load_record() && record_ == Record::kNulls ? left_ : 0;
  }
  // Passes over `n` rows that ahead() or ahead_null() has counted.
  void skip(std::uint64_t n) {
    if (!present_) return;
    left_ -= n;
    if (record_ == Record::kLiteral) next_literal();
  }

 private:
  enum class Record : std::uint8_t { kStart, kRun, kLiteral, kNulls };

  bool load_record() {
    if (left_ != 0) return true;
    if (!present_ || in_.done()) return false;
    next_record();
    return left_ != 0;
  }
  void next_record() {
    if (in_.done()) {
      in_.fail_with("ends too early");
      return;
    }
    const auto n = in_.sleb();
    if (n == 0) {
      left_ = in_.uleb();
      if (left_ == 0) return refuse("holds a run of no nulls");
      if (record_ == Record::kNulls) return refuse("holds two null runs side by side");
      record_ = Record::kNulls;
    } else if (n > 0) {
      if (n == 1) return refuse("holds a run of one value");
      const auto v = Value::get(in_);
      if (has_last() && v == value_) return refuse("continues a value in a new record");
      value_ = v;
      left_ = static_cast<std::uint64_t>(n);
      record_ = Record::kRun;
    } else {
      if (record_ == Record::kLiteral) return refuse("holds two literal runs side by side");
      // |n| values need at least |n| bytes.
      if (n == INT64_MIN || static_cast<std::uint64_t>(-n) > in_.remaining()) {
        return refuse("ends too early");
      }
      left_ = static_cast<std::uint64_t>(-n);
      fresh_literal_ = !has_last();
      record_ = Record::kLiteral;
    }
    if (in_.failed()) left_ = 0;
  }
  void next_literal() {
    const auto v = Value::get(in_);
    if (!fresh_literal_ && v == value_) refuse("repeats a value inside a literal run");
    value_ = v;
    fresh_literal_ = false;
    if (in_.failed()) left_ = 0;
  }
  bool has_last() const { return record_ == Record::kRun || record_ == Record::kLiteral; }
  void refuse(const char* reason) {
    in_.fail_with(reason, Code::not_canonical);
    left_ = 0;
  }

  Input in_;
  Type value_{};
  std::uint64_t left_ = 0;
  Record record_ = Record::kStart;
  bool present_ = false;
  bool fresh_literal_ = true;
};

class DeltaDecoder {
 public:
  DeltaDecoder() = default;
  DeltaDecoder(ByteView column, std::size_t base) : rle_(column, base) {}

  bool present() const { return rle_.present(); }
  bool done() const { return rle_.done(); }
  const Input& input() const { return rle_.input(); }
  bool next(std::int64_t& value) {
    std::int64_t delta = 0;
    if (!rle_.next(delta)) return false;
    last_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(last_) +
                                      static_cast<std::uint64_t>(delta));
    value = last_;
    return true;
  }
  // How many of the next rows lie `delta` after the one before, as far as one record tells.
  std::uint64_t ahead(std::int64_t delta) { return rle_.ahead(delta); }
  std::uint64_t ahead_null() { return rle_.ahead_null(); }
  void skip(std::int64_t delta, std::uint64_t n) {
    rle_.skip(n);
    last_ = static_cast<std::int64_t>(static_cast<std::uint64_t>(last_) +
                                      static_cast<std::uint64_t>(delta) * n);
  }
  std::int64_t last() const { return last_; }

 private:
  RleDecoder<SlebValue> rle_;
  std::int64_t last_ = 0;
};

// An absent column gives false without end.
class BooleanDecoder {
 public:
  BooleanDecoder() = default;
  BooleanDecoder(ByteView column, std::size_t base)
      : in_(column, base), present_(!column.empty()) {}

  bool present() const { return present_; }
  bool done() const { return left_ == 0 && in_.done(); }
  const Input& input() const { return in_; }
  bool next();
  // How many of the next rows hold `value`, and passing over them.
  std::uint64_t ahead(bool value);
  void skip(std::uint64_t n) {
    if (present_) left_ -= n;
  }

 private:
  void load();

  Input in_;
  std::uint64_t left_ = 0;
  bool present_ = false;
  bool first_ = true;
  bool value_ = true;  // flips at the first run, which counts false
};

}  // namespace peat::automerge
