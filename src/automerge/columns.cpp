#include "automerge/columns.hpp"

namespace peat::automerge {

std::uint64_t Input::uleb_slow() {
  std::uint64_t v = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (p_ == end_) {
      fail_with("ends too early");
      return 0;
    }
    const std::uint8_t byte = *p_++;
    if (shift == 63 && byte > 1) {
      fail_with("holds an integer beyond 64 bits");
      return 0;
    }
    v |= std::uint64_t{static_cast<std::uint8_t>(byte & 0x7f)} << shift;
    if ((byte & 0x80) == 0) {
      if (byte == 0 && shift != 0) {
        fail_with("holds an overlong integer");
        return 0;
      }
      return v;
    }
  }
}

std::int64_t Input::sleb_slow() {
  std::uint64_t v = 0;
  std::uint8_t previous = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (p_ == end_) {
      fail_with("ends too early");
      return 0;
    }
    const std::uint8_t byte = *p_++;
    if (shift == 63 && byte != 0 && byte != 0x7f) {
      fail_with("holds an integer beyond 64 bits");
      return 0;
    }
    v |= std::uint64_t{static_cast<std::uint8_t>(byte & 0x7f)} << shift;
    if ((byte & 0x80) == 0) {
      const bool negative = (byte & 0x40) != 0;
      if (shift != 0 &&
          ((byte == 0 && (previous & 0x40) == 0) || (byte == 0x7f && (previous & 0x40) != 0))) {
        fail_with("holds an overlong integer");
        return 0;
      }
      if (negative && shift < 57) v |= ~std::uint64_t{0} << (shift + 7);
      return static_cast<std::int64_t>(v);
    }
    previous = byte;
  }
}

std::unexpected<Error> Input::error(std::string_view what) const {
  std::string text(what);
  text += ' ';
  text += reason_ != nullptr ? reason_ : "is malformed";
  text += " at byte " + std::to_string(failed() ? failed_at_ : offset());
  return fail(code_, std::move(text));
}

void BooleanDecoder::load() {
  do {
    if (in_.done()) {
      in_.fail_with("ends too early");
      return;
    }
    left_ = in_.uleb();
    value_ = !value_;
    if (left_ == 0 && (!first_ || in_.done())) {
      in_.fail_with("holds an empty run", Code::not_canonical);
      return;
    }
    first_ = false;
  } while (left_ == 0);
}

bool BooleanDecoder::next() {
  if (!present_) return false;
  if (left_ == 0) load();
  if (left_ == 0) return false;
  --left_;
  return value_;
}

std::uint64_t BooleanDecoder::ahead(bool value) {
  if (!present_) return value ? 0 : UINT64_MAX;
  if (left_ == 0 && !in_.done()) load();
  return value_ == value ? left_ : 0;
}

}  // namespace peat::automerge
