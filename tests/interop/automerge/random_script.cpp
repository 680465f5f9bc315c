#include "random_script.hpp"

#include "base/encoding.hpp"

namespace peat::automerge::interop {
namespace {

std::string hex_digits(std::uint64_t bits) {
  Bytes bytes;
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  return to_hex(bytes);
}

}  // namespace

std::string RandomScript::actor() {
  Bytes bytes(1 + below(3), static_cast<std::uint8_t>(below(2) * 0xff));
  if (chance(50)) bytes.resize(16, static_cast<std::uint8_t>(random_()));
  // A counter at the end makes it unique.
  ++actors_;
  bytes.push_back(static_cast<std::uint8_t>(actors_ >> 8));
  bytes.push_back(static_cast<std::uint8_t>(actors_));
  return to_hex(bytes);
}

std::string RandomScript::text() {
  static constexpr std::string_view kPieces[] = {
      "a",  "b",          "hello", " ", "\n", "é", "ß", "中", "\"", std::string_view("\0", 1),
      "🚀", "👩‍🚀"};
  const auto pieces = std::size(kPieces) - (narrow_ ? 2 : 0);
  std::string out;
  for (auto n = below(5); n > 0; --n) out += kPieces[below(pieces)];
  return out;
}

std::string RandomScript::key() {
  static constexpr std::string_view kKeys[] = {"a", "b", "ab", "é", "🚀", "n", "list", "text"};
  return to_hex_word(as_bytes(kKeys[below(std::size(kKeys))]));
}

std::string RandomScript::type() {
  static constexpr const char* kTypes[] = {"map", "list", "text", "map", "list", "text", "table"};
  return kTypes[below(std::size(kTypes) - (narrow_ ? 1 : 0))];
}

std::string RandomScript::scalar() {
  static constexpr const char* kFixed[] = {"null",
                                           "true",
                                           "false",
                                           "int:-9223372036854775808",
                                           "int:9223372036854775807",
                                           "int:0",
                                           "int:1",
                                           "uint:1",
                                           "uint:18446744073709551615",
                                           "f64:3ff0000000000000",
                                           "f64:8000000000000000",
                                           "f64:fff0000000000000",
                                           "str:-",
                                           "bytes:-",
                                           "timestamp:-1",
                                           "timestamp:1700000000000"};
  switch (below(7)) {
    case 0:
      return "int:" + std::to_string(static_cast<int>(below(300)) - 150);
    case 1:
      return "str:" + to_hex_word(as_bytes(text()));
    case 2:
      return "counter:" + std::to_string(below(100));
    case 3:
      return "bytes:" + to_hex_word(Bytes(below(40), static_cast<std::uint8_t>(below(256))));
    case 4:
      // A NaN that no key holds yet: the same one again is an operation there and none here.
      return "f64:" + hex_digits(0x7ff8'0000'0000'0000 | random_() >> 16);
    default:
      return kFixed[below(std::size(kFixed))];
  }
}

std::string RandomScript::map_edit(const std::string& slot, const NamedObject& map) {
  const std::string at = slot + " " + map.name + " k:" + key() + " ";
  switch (below(10)) {
    case 0:
    case 1:
      return "make " + at + type();
    case 2:
      return "delete " + slot + " " + map.name + " k:" + key();
    case 3:
    case 4:
      return "incr " + at + std::to_string(static_cast<int>(below(20)) - 10);
    default:
      return "put " + at + scalar();
  }
}

std::string RandomScript::list_edit(const std::string& slot, const NamedObject& list) {
  const std::string where = slot + " " + list.name + " ";
  if (chance(20)) return splice_list(where, list.size);
  if (list.size == 0 || chance(30)) {
    const auto index = std::to_string(below(list.size + 1));
    if (chance(25)) return "insmake " + where + index + " " + type();
    return "insert " + where + index + " " + scalar();
  }
  const auto at = where + "i:" + std::to_string(below(list.size));
  switch (below(5)) {
    case 0:
      return "make " + at + " " + type();
    case 1:
      return "delete " + at;
    case 2:
      return chance(50) ? "incr " + at + " 3" : "put " + at + " counter:1";
    default:
      return "put " + at + " " + scalar();
  }
}

std::string RandomScript::splice_list(const std::string& where, std::size_t size) {
  const auto index = below(size + 1);
  const bool backwards = index > 0 && chance(10);
  const auto erase = std::min<std::size_t>(backwards ? index : size - index, below(4));
  std::string out = "splicelist " + where + std::to_string(index) + " " + (backwards ? "-" : "") +
                    std::to_string(erase);
  for (auto n = below(4); n > 0; --n) out += " " + scalar();
  return out;
}

std::string RandomScript::text_edit(const std::string& slot, const NamedObject& object) {
  const auto index = below(object.size + 1);
  const bool backwards = index > 0 && chance(10);
  const auto room = backwards ? index : object.size - index;
  const auto erase = std::min<std::size_t>(room, below(4));
  return "splice " + slot + " " + object.name + " " + std::to_string(index) + " " +
         (backwards ? "-" : "") + std::to_string(erase) + " " + to_hex_word(as_bytes(text()));
}

std::string RandomScript::edit(const std::string& slot, const std::vector<NamedObject>& objects) {
  const auto& object = objects[chance(35) ? 0 : below(objects.size())];
  if (object.type == ObjectType::text) return text_edit(slot, object);
  if (object.type == ObjectType::list) return list_edit(slot, object);
  // The reference makes tables and never finds them again: nothing can be put into one.
  return map_edit(slot, object.type == ObjectType::table ? objects[0] : object);
}

}  // namespace peat::automerge::interop
