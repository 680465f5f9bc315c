// Where a query goes on: opaque to whoever carries it, believed only if this node made it.
//
//   token   := base64url(u8 version 1, u8 kind, mac[16], payload)
//   mac     := HMAC-SHA256(node's token key, "peat query token", kind, query[32], payload)[0..16]
//   query   := SHA-256 of the query's text in its one form (Query::to_string)
//   payload := kind 0, by id: the id of the last row
//            | kind 1, ordered: u16be length, order key of the last row, id key of it
//            | kind 2, live: store id[16], u64be position in the feed
//
// So a token is good for one query on one node, across restarts, and as long as at most
// kTokenBytes: what it holds is a place in the order, not a row number, and a document that comes
// or goes before it moves nothing.
#pragma once

#include <string>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/query.hpp"

namespace peat::query {

enum class TokenKind : std::uint8_t { by_id, ordered, live };

inline constexpr std::size_t kTokenBytes = 8192;

std::string seal_token(ByteView key, const Query& query, TokenKind kind, std::string_view payload);
// The payload. Code::invalid_argument for a token of another query, of another node, or of nobody.
Result<std::string> open_token(ByteView key, const Query& query, TokenKind kind,
                               std::string_view token);

// Of an ordered query.
struct Place {
  std::string order;  // as order_key makes it
  std::string id;     // as id_key makes it
  friend auto operator<=>(const Place&, const Place&) = default;
};
std::string encode_place(const Place& place);
Result<Place> decode_place(std::string_view payload);

}  // namespace peat::query
