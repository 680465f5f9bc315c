// Numbers of JSON, compared exactly: integers of 64 bits with doubles, none rounded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace peat::query {

class Number {
 public:
  Number() = default;
  // A JSON number. nullopt for one that is beyond a double, and for what is none.
  static std::optional<Number> parse(std::string_view text);

  double value() const { return value_; }            // nearest double
  bool is_integer_form() const { return integer_; }  // written without . and e

  // Orders as the numbers do; equal numbers have equal keys, whatever their form.
  //   key := u64be double not above the number, made to order as bytes; u16be what is left of it
  static constexpr std::size_t kKeyBytes = 10;
  using Key = std::array<std::uint8_t, kKeyBytes>;
  const Key& key() const { return key_; }

 private:
  Number(double below, std::uint16_t rest, double value, bool integer);

  double value_ = 0;
  bool integer_ = true;
  Key key_{};
};

}  // namespace peat::query
