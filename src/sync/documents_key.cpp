#include "base/encoding.hpp"
#include "sync/documents.hpp"

namespace peat::sync {

Result<std::string> document_key(std::string_view collection, std::string_view id) {
  if (collection.empty() || collection.find_first_of(":/") != std::string_view::npos) {
    return fail(Code::invalid_argument, "collection '" + std::string(collection) +
                                            "': needs at least one character and neither ':' nor "
                                            "'/'");
  }
  if (id.empty()) {
    return fail(Code::invalid_argument,
                "collection '" + std::string(collection) + "': the document id is empty");
  }
  std::string key;
  key.reserve(collection.size() + 1 + id.size());
  key.append(collection).append(1, ':').append(id);
  if (key.size() > Limits{}.wire_key_bytes) {
    return fail(Code::limit_exceeded, "document key of " + std::to_string(key.size()) +
                                          " bytes: collection and id may have " +
                                          std::to_string(Limits{}.wire_key_bytes - 1) +
                                          " together");
  }
  if (!is_utf8(key)) {
    return fail(Code::invalid_argument, "document key: not UTF-8");
  }
  return key;
}

std::optional<KeyParts> split_key(std::string_view key) {
  const auto colon = key.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == key.size()) return std::nullopt;
  const KeyParts parts{key.substr(0, colon), key.substr(colon + 1)};
  if (parts.collection.find('/') != std::string_view::npos) return std::nullopt;
  return parts;
}

}  // namespace peat::sync
