// What an operator asks a running node: how far peers are behind, why a document is (not) there,
// what is set aside, and a copy of the store.
//
// Threading: the loop. Lifetime: what it refers to outlives it; answers that are not there yet when
// it goes are not given.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "node/node_api.hpp"
#include "node/peer_book.hpp"
#include "sync/coordinator.hpp"

namespace peat::node {

class Operations {
 public:
  struct Deps {
    Executor& executor;
    store::DocumentStore& store;
    sync::Documents& documents;
    sync::Coordinator& coordinator;
    const PeerBook& book;
    const sync::Access& access;
    std::filesystem::path data_dir;
    std::function<std::vector<PeerInfo>()> peers;
  };
  using LagDone = std::function<void(Result<std::vector<PeerSync>>)>;

  explicit Operations(Deps deps) : deps_(std::move(deps)) {}

  // As NodeApi.
  void survey_lag(LagDone done);
  Explanation explain_document(std::string_view key, const EndpointId& peer);
  Explanation explain_peer(const EndpointId& peer);
  Result<std::vector<EndpointId>> retry_quarantined(std::string_view key);
  void backup(std::function<void(Result<std::filesystem::path>)> done);

 private:
  DocumentFacts facts_of(std::string_view key, const EndpointId& peer) const;
  void step_survey(std::shared_ptr<sync::LagSurvey> survey, LagDone done);

  Deps deps_;
  std::uint64_t backups_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace peat::node
