// Open documents, least recently used first out, bounded by the bytes they hold.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "peat/automerge/document.hpp"

namespace peat::sync {

// A document that equals what the store has.
struct OpenDocument {
  automerge::Document document;
  std::size_t tail = 0;  // changes appended since its stored form was last written whole
};

class DocumentCache {
 public:
  explicit DocumentCache(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // Makes it the most recently used; the pointer is valid until the next insert or recount.
  OpenDocument* find(std::string_view key);
  // Evicts others until the limit holds; the new one stays even if it alone exceeds it.
  OpenDocument& insert(std::string_view key, OpenDocument open);
  void erase(std::string_view key);
  // The document grew or was materialised: counts it again, and evicts others like insert.
  void recount(std::string_view key);
  std::size_t bytes() const { return bytes_; }

 private:
  struct Node {
    std::string key;
    OpenDocument open;
    std::size_t bytes = 0;
  };
  using Order = std::list<Node>;  // most recently used first

  void count(Node& node);
  void make_room();

  std::size_t limit_bytes_;
  std::size_t bytes_ = 0;
  Order order_;
  std::unordered_map<std::string_view, Order::iterator> index_;  // views of Node::key
};

}  // namespace peat::sync
