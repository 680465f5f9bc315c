// Tokens: one that was made opens to what went in, for its query, kind and node alone; nothing else
// opens; a place survives its encoding.
//
//   input := u8 kind, u8 length, what a stranger sends of that length, payload
#include <algorithm>
#include <cstdlib>
#include <string>

#include "../report.hpp"
#include "base/encoding.hpp"
#include "query/page_token.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace peat::query;
  static FuzzReport report("query_token");
  if (size < 2) return 0;
  const auto kind = static_cast<TokenKind>(data[0] % 3);
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto sent = rest.substr(0, data[1]);
  const auto payload = rest.substr(sent.size(), 5000);
  const auto query = peat::Query::all("trucks");
  const auto key = peat::as_bytes(std::string_view("the key of this node"));
  if (open_token(key, query, kind, sent)) std::abort();

  const auto token = seal_token(key, query, kind, payload);
  const auto opened = open_token(key, query, kind, token);
  if (!opened || *opened != payload) std::abort();
  if (open_token(key, peat::Query::all("ships"), kind, token)) std::abort();
  const auto place = decode_place(payload);
  report.input(place.has_value());
  if (place && encode_place(*place) != payload) std::abort();
  return 0;
}
