// LEB128 integers and a bounds-checked input with one sticky failure.
//
// ULEB: seven bits a byte, least significant first, bit 7 set on all but the last. SLEB: the same
// in two's complement. Only the shortest form is accepted: at most 10 bytes, no trailing group
// that adds nothing, nothing beyond 64 bits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::automerge {

inline void put_uleb(Bytes& out, std::uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(v));
}

inline void put_sleb(Bytes& out, std::int64_t v) {
  for (;;) {
    const auto byte = static_cast<std::uint8_t>(v & 0x7f);
    v >>= 7;
    if ((v == 0 && (byte & 0x40) == 0) || (v == -1 && (byte & 0x40) != 0)) {
      out.push_back(byte);
      return;
    }
    out.push_back(static_cast<std::uint8_t>(byte | 0x80));
  }
}

// The same at a place that has room for 10 bytes; they give the place behind.
inline std::uint8_t* write_uleb(std::uint8_t* at, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) *at++ = static_cast<std::uint8_t>(v | 0x80);
  *at++ = static_cast<std::uint8_t>(v);
  return at;
}

inline std::uint8_t* write_sleb(std::uint8_t* at, std::int64_t v) {
  for (; v < -0x40 || v >= 0x40; v >>= 7) *at++ = static_cast<std::uint8_t>((v & 0x7f) | 0x80);
  *at++ = static_cast<std::uint8_t>(v & 0x7f);
  return at;
}

inline std::size_t uleb_size(std::uint64_t v) {
  std::size_t n = 1;
  while (v >= 0x80) {
    v >>= 7;
    ++n;
  }
  return n;
}

inline void put_bytes(Bytes& out, ByteView v) { out.insert(out.end(), v.begin(), v.end()); }

// A view that is read from the front. The first failure is remembered, reads after it give zero
// and empty: callers check `failed()` where it matters instead of after every integer.
class Input {
 public:
  Input() = default;
  // `base`: where the view starts in the input that the user knows, for messages.
  explicit Input(ByteView view, std::size_t base = 0)
      : begin_(view.data()), p_(view.data()), end_(view.data() + view.size()), base_(base) {}

  bool done() const { return p_ == end_; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - p_); }
  std::size_t offset() const { return base_ + static_cast<std::size_t>(p_ - begin_); }
  bool failed() const { return reason_ != nullptr; }
  ByteView rest() const { return {p_, remaining()}; }

  std::uint64_t uleb() {
    if (p_ != end_ && *p_ < 0x80) [[likely]]
      return *p_++;
    return uleb_slow();
  }
  std::int64_t sleb() {
    if (p_ != end_ && *p_ < 0x80) [[likely]] {
      return static_cast<std::int8_t>(static_cast<std::uint8_t>(*p_++ << 1)) >> 1;
    }
    return sleb_slow();
  }
  ByteView take(std::uint64_t n) {
    if (n > remaining()) {
      fail_with("ends too early");
      return {};
    }
    const ByteView view(p_, static_cast<std::size_t>(n));
    p_ += n;
    return view;
  }
  ByteView prefixed() { return take(uleb()); }

  // Keeps the first reason; no further byte is read.
  void fail_with(const char* reason, Code code = Code::malformed) {
    if (reason_ == nullptr) {
      reason_ = reason;
      code_ = reason_is_truncation(reason) ? Code::truncated : code;
      failed_at_ = offset();
    }
    p_ = end_;
  }
  // The failure as an error: "<what>: <reason> at byte <offset>".
  std::unexpected<Error> error(std::string_view what) const;

 private:
  static bool reason_is_truncation(const char* reason) {
    return std::string_view(reason) == "ends too early";
  }
  std::uint64_t uleb_slow();
  std::int64_t sleb_slow();

  const std::uint8_t* begin_ = nullptr;
  const std::uint8_t* p_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  std::size_t base_ = 0;
  std::size_t failed_at_ = 0;
  const char* reason_ = nullptr;
  Code code_ = Code::malformed;
};

}  // namespace peat::automerge
