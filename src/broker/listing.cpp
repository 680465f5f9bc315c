#include <fmt/format.h>

#include "broker/json_text.hpp"
#include "broker/routes.hpp"

namespace peat::broker {

namespace {

constexpr std::uint64_t kDefaultPage = 1000;
constexpr std::size_t kDocumentsPerPull = 32;
constexpr std::size_t kBytesPerPull = 64U << 10;

class Listing final : public BodySource {
 public:
  Listing(node::NodeApi& node, std::string collection, std::string prefix, std::string after,
          std::uint64_t limit, bool deleted, bool heads_only)
      : node_(node),
        collection_(std::move(collection)),
        prefix_(std::move(prefix)),
        after_(std::move(after)),
        left_(limit),
        deleted_(deleted),
        heads_only_(heads_only) {}

  void on_ready(std::function<void()>) override {}  // there is always more or an end

  State pull(std::string& out) override {
    const auto limit = out.size() + kBytesPerPull;
    if (!begun_) {
      out += R"({"collection":)";
      append_json_string(out, collection_);
      out += R"(,"documents":[)";
      begun_ = true;
    }
    // One key more than wanted tells whether there is a next page.
    const auto wanted = std::min<std::uint64_t>(left_ + 1, kDocumentsPerPull);
    auto keys = left_ == 0 && count_ == 0 && unreadable_.empty()
                    ? Result<std::vector<std::string>>()
                    : node_.keys(prefix_, after_, wanted);
    if (!keys) return finish(out, keys.error().message);
    for (const auto& key : *keys) {
      if (left_ == 0) {
        more_ = true;
        return finish(out, {});
      }
      append_document(out, key);
      after_ = key;
      if (out.size() >= limit) return State::more;  // large documents: one may be over it
    }
    if (keys->size() < wanted) return finish(out, {});
    return State::more;
  }

 private:
  void append_document(std::string& out, const std::string& key) {
    const auto id = std::string_view(key).substr(collection_.size() + 1);
    if (heads_only_) return append_heads_of(out, key, id);
    const auto document = node_.get(key);
    if (!document) {
      unreadable_.emplace_back(std::string(id), document.error().message);
      --left_;
      return;
    }
    if (!*document || ((*document)->deleted && !deleted_)) return;
    if (count_ > 0) out += ',';
    broker::append_document(out, id, (*document)->json);
    ++count_;
    --left_;
  }

  // Without reading the document: what two nodes compare.
  void append_heads_of(std::string& out, const std::string& key, std::string_view id) {
    const auto heads = node_.heads(key);
    if (!heads || !*heads) return;
    if (count_ > 0) out += ',';
    JsonObject entry(out);
    entry.text("_id", id);
    entry.member("heads");
    append_heads(out, **heads);
    entry.close();
    ++count_;
    --left_;
  }

  State finish(std::string& out, std::string_view error) {
    out += fmt::format(R"(],"count":{},"total":{})", count_, node_.count(collection_));
    if (more_) {
      out += R"(,"next":)";
      append_json_string(out, std::string_view(after_).substr(collection_.size() + 1));
    }
    if (!unreadable_.empty()) {
      out += R"(,"unreadable":{)";
      for (std::size_t i = 0; i < unreadable_.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(out, unreadable_[i].first);
        out += ':';
        append_json_string(out, unreadable_[i].second);
      }
      out += '}';
    }
    if (!error.empty()) {
      out += R"(,"error":)";
      append_json_string(out, error);
    }
    out += '}';
    return State::done;
  }

  node::NodeApi& node_;
  const std::string collection_;
  const std::string prefix_;
  std::string after_;
  std::uint64_t left_;
  const bool deleted_;
  const bool heads_only_;
  bool begun_ = false;
  bool more_ = false;
  std::uint64_t count_ = 0;
  std::vector<std::pair<std::string, std::string>> unreadable_;  // id, reason
};

}  // namespace

void get_listing(Call call) {
  const auto limit = number_in_query(call.target, "limit",
                                     std::min(kDefaultPage, call.limits.http_page_documents));
  if (!limit) return call.respond(problem(limit.error()));
  if (*limit > call.limits.http_page_documents) {
    return call.respond(
        problem(Code::invalid_argument, fmt::format("limit={} is over {}; page with after=ID",
                                                    *limit, call.limits.http_page_documents)));
  }
  // Any id will do: this asks whether the collection's name can stand in a key.
  if (const auto key = sync::document_key(call.collection, "x"); !key) {
    return call.respond(problem(key.error()));
  }
  const auto base = call.collection + ':';
  const auto after = call.target.value("after");
  Response response;
  response.stream = std::make_unique<Listing>(
      call.node, call.collection, base + call.target.value("prefix").value_or(""),
      after ? base + *after : std::string(), *limit, call.target.value("deleted") == "1",
      call.target.value("heads") == "1");
  call.respond(std::move(response));
}

}  // namespace peat::broker
