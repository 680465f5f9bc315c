// A node that is a map: what the router asks for, without store, engine and network.
#pragma once

#include <deque>
#include <map>
#include <stdexcept>

#include "base/encoding.hpp"
#include "node/node_api.hpp"

namespace peat::broker {

class FakeNode final : public node::NodeApi, public query::Source {
 public:
  FakeNode() : log_(8, 0, [](auto, auto) { return std::vector<node::Event>(); }) {}

  // Writes that wait for their commit; run_commits() makes them durable.
  std::deque<std::function<void()>> commits;
  bool hold_commits = false;
  std::map<std::string, std::string, std::less<>> documents;
  std::vector<node::PeerInfo> peer_list;
  std::optional<Error> write_error;
  bool keys_throw = false;
  bool hidden_without_end = false;  // every question for keys finds deleted documents, for ever

  void run_commits() {
    while (!commits.empty()) {
      auto commit = std::move(commits.front());
      commits.pop_front();
      commit();
    }
  }

  node::NodeInfo info() const override {
    node::NodeInfo info;
    info.node_id = "fake";
    return info;
  }
  std::vector<node::ReadyCheck> readiness() const override { return {{"store", ready, "why"}}; }
  bool ready = true;

  Result<std::optional<sync::DocumentView>> get(std::string_view key) override {
    if (hidden_without_end) return sync::DocumentView{"{}", {}, true};
    const auto found = documents.find(key);
    if (found == documents.end()) return std::optional<sync::DocumentView>();
    if (found->second == "quarantined") return fail(Code::document_invalid, "unreadable");
    return sync::DocumentView{found->second, heads_of(found->second), found->second == "deleted"};
  }
  Result<std::optional<automerge::Heads>> heads(std::string_view key) override {
    const auto found = documents.find(key);
    if (found == documents.end()) return std::optional<automerge::Heads>();
    return heads_of(found->second);
  }
  Result<std::vector<automerge::ChangeInfo>> history(std::string_view) override {
    return std::vector<automerge::ChangeInfo>(1);
  }
  void put(std::string_view key, std::string_view json, const sync::Precondition& condition,
           WriteDone done) override {
    if (write_error) return done(std::unexpected(*write_error));
    if (condition.if_absent && documents.contains(key)) {
      return done(fail(Code::precondition_failed, "it exists"));
    }
    sync::WriteResult result;
    result.created = !documents.contains(key);
    result.changed = true;
    result.heads = heads_of(json);
    documents.insert_or_assign(std::string(key), std::string(json));
    commits.push_back([result, done = std::move(done)] { done(result); });
    if (!hold_commits) run_commits();
  }
  void patch(std::string_view key, std::string_view json, const sync::Precondition& condition,
             WriteDone done) override {
    put(key, json, condition, std::move(done));
  }
  Result<std::optional<sync::ConflictsView>> conflicts(std::string_view key) override {
    PEAT_TRY(auto view, get(key));
    if (!view) return std::optional<sync::ConflictsView>();
    sync::ConflictsView out{std::move(*view), {}};
    out.conflicts.push_back({R"(["pos",0])", {{}, {}, {}, 20}, {{"\"lost\"", {}, {}, 10}}});
    return out;
  }
  void settle(std::string_view key, std::string_view settlements,
              const sync::Precondition& condition, WriteDone done) override {
    put(key, "settled " + std::string(settlements), condition, std::move(done));
  }
  void erase(std::string_view key, const sync::Precondition&, WriteDone done) override {
    documents.erase(documents.find(key));
    done(sync::WriteResult{});
  }
  void await_holders(std::string_view, const std::optional<sync::WaitFor>& wanted, Duration,
                     sync::WriteWaits::Done done) override {
    last_wait = wanted;
    done(sync::Holders{!nobody_holds, {EndpointId{}}});
  }
  std::optional<sync::WaitFor> last_wait;
  bool nobody_holds = false;
  Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                        std::size_t limit) override {
    if (keys_throw) throw std::runtime_error("keys");
    if (hidden_without_end) return std::vector<std::string>(limit, std::string(prefix) + "x");
    std::vector<std::string> keys;
    for (const auto& [key, json] : documents) {
      if (key.starts_with(prefix) && key > after && keys.size() < limit) keys.push_back(key);
    }
    return keys;
  }
  query::Source& queries() override { return *this; }
  node::LiveQueries& live() override { return live_; }
  Result<std::optional<std::string>> json(std::string_view key) override {
    PEAT_TRY(auto view, get(key));
    if (!view) return std::nullopt;
    return std::move(view->json);
  }
  ByteView token_key() const override { return {}; }
  std::uint64_t count(std::string_view) const override { return documents.size(); }
  std::vector<node::CollectionInfo> collections() const override { return {}; }
  std::vector<node::PeerInfo> peers() const override { return peer_list; }
  void survey_lag(std::function<void(Result<std::vector<node::PeerSync>>)> done) override {
    std::vector<node::PeerSync> list;
    for (const auto& peer : peer_list) {
      node::PeerSync entry{peer, {peer.id, 7, {}, {}}};
      entry.lag.collections["t"] = {2, 300, 1500};
      entry.lag.total = entry.lag.collections["t"];
      list.push_back(std::move(entry));
    }
    done(std::move(list));
  }
  node::Explanation explain_document(std::string_view key, const EndpointId&) override {
    return {"because", {{"here", node::Finding::Kind::blocks, std::string(key)}}};
  }
  node::Explanation explain_peer(const EndpointId&) override { return {"well", {}}; }
  std::vector<sync::Quarantined> quarantined() const override { return set_aside; }
  Result<std::vector<EndpointId>> retry_quarantined(std::string_view key) override {
    PEAT_TRY_VOID(drop_quarantined(key));
    return std::vector<EndpointId>(1);
  }
  Status drop_quarantined(std::string_view key) override {
    if (std::erase_if(set_aside, [&](const auto& entry) { return entry.key == key; }) > 0)
      return {};
    return fail(Code::not_found, "not quarantined");
  }
  std::vector<sync::Quarantined> set_aside;
  void backup(std::function<void(Result<std::filesystem::path>)> done) override {
    done(fail(Code::store_full, "no room"));
  }
  void compact_store(std::function<void(Result<store::DocumentStore::Compaction>)> done) override {
    done(store::DocumentStore::Compaction{20, 10});
  }
  void add_peer(const node::PeerSetting& peer, Done done) override {
    node::PeerInfo info;
    info.id = peer.id;
    info.address = peer.address.to_string();
    peer_list.push_back(info);
    done({});
  }
  void remove_peer(const EndpointId&, Done done) override { done({}); }
  node::EventLog& events() override { return log_; }
  std::string metrics(const node::HttpCounters&) const override { return "peat_documents 0\n"; }

  static automerge::Heads heads_of(std::string_view json) {
    automerge::ChangeHash hash;
    hash.bytes = sha256(as_bytes(json));
    return {hash};
  }

 private:
  node::EventLog log_;
  Limits limits_;
  node::LiveQueries live_{*this, limits_};
};

}  // namespace peat::broker
