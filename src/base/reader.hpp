// Bounds-checked reading and appending of fixed-width integers and byte strings.
//
// Reader never reads past its view and never throws; `need` names what was expected so that an
// error says where the input ended. Writer appends to a caller's buffer.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat {

class Reader {
 public:
  explicit Reader(ByteView input) : input_(input) {}

  std::size_t offset() const { return offset_; }
  std::size_t remaining() const { return input_.size() - offset_; }
  bool done() const { return remaining() == 0; }
  ByteView rest() const { return input_.subspan(offset_); }

  Result<ByteView> take(std::size_t n, std::string_view what) {
    if (n > remaining()) return truncated(n, what);
    auto view = input_.subspan(offset_, n);
    offset_ += n;
    return view;
  }
  Result<std::uint8_t> u8(std::string_view what) { return integer<std::uint8_t, true>(what); }
  Result<std::uint16_t> u16be(std::string_view what) { return integer<std::uint16_t, true>(what); }
  Result<std::uint32_t> u32be(std::string_view what) { return integer<std::uint32_t, true>(what); }
  Result<std::uint64_t> u64be(std::string_view what) { return integer<std::uint64_t, true>(what); }
  Result<std::uint16_t> u16le(std::string_view what) { return integer<std::uint16_t, false>(what); }
  Result<std::uint32_t> u32le(std::string_view what) { return integer<std::uint32_t, false>(what); }
  Result<std::uint64_t> u64le(std::string_view what) { return integer<std::uint64_t, false>(what); }

  std::unexpected<Error> truncated(std::size_t needed, std::string_view what) const;

 private:
  template <class T, bool kBigEndian>
  Result<T> integer(std::string_view what) {
    if (sizeof(T) > remaining()) return truncated(sizeof(T), what);
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      const auto byte = static_cast<T>(input_[offset_ + i]);
      const auto shift = 8 * (kBigEndian ? sizeof(T) - 1 - i : i);
      value = static_cast<T>(value | static_cast<T>(byte << shift));
    }
    offset_ += sizeof(T);
    return value;
  }

  ByteView input_;
  std::size_t offset_ = 0;
};

class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(v); }
  void u16be(std::uint16_t v) { integer<true>(v); }
  void u32be(std::uint32_t v) { integer<true>(v); }
  void u64be(std::uint64_t v) { integer<true>(v); }
  void u16le(std::uint16_t v) { integer<false>(v); }
  void u32le(std::uint32_t v) { integer<false>(v); }
  void u64le(std::uint64_t v) { integer<false>(v); }
  void bytes(ByteView v) { out_.insert(out_.end(), v.begin(), v.end()); }
  void text(std::string_view v) { bytes(as_bytes(v)); }

 private:
  template <bool kBigEndian, class T>
  void integer(T v) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      const auto shift = 8 * (kBigEndian ? sizeof(T) - 1 - i : i);
      out_.push_back(static_cast<std::uint8_t>(v >> shift));
    }
  }

  Bytes& out_;
};

}  // namespace peat
