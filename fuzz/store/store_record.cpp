// Records of the store. Input: u8 (which record), then its content; the envelope with its checksum
// is made here, and then damaged at a place that the content chooses.
#include <cstdlib>

#include "../report.hpp"
#include "base/encoding.hpp"
#include "store/record.hpp"

namespace {

using namespace peat;
using namespace peat::store;

void require(bool condition) {
  if (!condition) std::abort();
}

// What decodes encodes to the same bytes: these grammars have one form for each value.
template <class Decode>
bool one(ByteView content, Decode decode) {
  const auto row = decode(content);
  if (!row) return false;
  const auto again = encode(*row);
  require(std::ranges::equal(again, content));
  return true;
}

bool tombstone(ByteView content) {
  const auto row = decode_tombstone_row(content);
  if (!row) return false;
  const auto encoded = encode(*row);
  require(encoded.has_value());
  require(decode_tombstone_row(*encoded)->record.tombstone == row->record.tombstone);
  return true;
}

bool format(ByteView content) {
  const auto row = decode_format(content);
  if (row) require(decode_format(encode(*row))->incompatible == row->incompatible);
  return row.has_value();
}

bool decode(std::uint8_t kind, ByteView content) {
  switch (kind % 7) {
    case 0:
      return one(content, decode_document);
    case 1:
      return tombstone(content);
    case 2:
      return one(content, [](ByteView bytes) { return decode_feed(7, bytes); });
    case 3:
      return one(content, decode_count);
    case 4:
      return format(content);
    case 5:
      return one(content, decode_incarnation);
    default:
      return decode_number(content).has_value();
  }
}

void envelope(ByteView content) {
  auto record = make_record(Table::documents, "roads:a", content);
  const auto opened = open_record(Table::documents, "roads:a", record);
  require(opened && std::ranges::equal(*opened, content));
  const std::size_t place = content.empty() ? 0 : content[0] % record.size();
  record[place] ^= 0x10;
  require(!open_record(Table::documents, "roads:a", record));
  (void)open_record(Table::documents, as_text(content), content);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("store_record");
  if (size < 1) return 0;
  const ByteView content(data + 1, size - 1);
  envelope(content);
  report.input(decode(data[0], content));
  return 0;
}
