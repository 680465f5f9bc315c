#include "peat/mesh.hpp"

#include <fmt/format.h>

#include <future>
#include <mutex>
#include <thread>
#include <type_traits>

#include "node/mesh_impl.hpp"
#include "node/node.hpp"
#include "node/settings_text.hpp"
#include "query/run.hpp"

namespace peat {

namespace {

constexpr std::size_t kEventsPerTurn = 64;
constexpr std::uint64_t kDefaultRows = 1000;

std::vector<std::string> texts_of(const automerge::Heads& heads) {
  std::vector<std::string> texts;
  texts.reserve(heads.size());
  for (const auto& head : heads) texts.push_back(head.to_string());
  return texts;
}

Result<sync::Precondition> precondition_of(const WriteCondition& condition) {
  sync::Precondition result;
  result.if_absent = condition.if_absent;
  if (!condition.if_heads) return result;
  result.if_heads.emplace();
  for (const auto& text : *condition.if_heads) {
    PEAT_TRY(const auto hash, automerge::ChangeHash::parse(text));
    result.if_heads->push_back(hash);
  }
  return result;
}

node::RawValue given(std::string text, std::string_view member) {
  return {{std::move(text)}, fmt::format("MeshConfig::{}", member)};
}

// The configuration takes the way of every other source: one parser, one set of messages.
Result<node::Settings> settings_of(const MeshConfig& config) {
  if (config.data_dir.empty()) return fail(Code::missing_setting, "MeshConfig::data_dir is empty");
  node::RawLayer layer;
  const auto text = [&layer](const char* name, const std::string& value) {
    if (!value.empty()) layer.emplace(name, given(value, name));
  };
  const auto flag = [&layer](const char* name, bool value) {
    layer.emplace(name, given(value ? "true" : "false", name));
  };
  text("node_id", config.node_id);
  text("data_dir", config.data_dir.string());
  text("bind", config.bind);
  text("formation_secret", config.formation_secret);
  text("formation_secret_file", config.formation_secret_file.string());
  text("formation_id", config.formation_id);
  flag("allow_weak_secret", config.allow_weak_secret);
  flag("allow_unauthenticated_peers", config.allow_unauthenticated_peers);
  flag("legacy_identity", config.legacy_identity);
  flag("native_protocol", config.native_protocol);
  if (!config.peers.empty()) {
    node::RawValue peers{{}, "MeshConfig::peers"};
    for (const auto& peer : config.peers) {
      peers.texts.push_back(fmt::format("{}@{}{}", peer.id.to_string(), peer.address,
                                        peer.authenticated ? "" : ",auth=none"));
    }
    layer.emplace("peers", std::move(peers));
  }
  auto loaded = node::resolve_settings(layer, {}, {}, node::process_environment());
  node::wipe_secrets(layer);
  if (!loaded) return std::unexpected(std::move(loaded).error());
  return std::move(loaded->settings);
}

Change change_of(const node::Event& event) {
  Change change;
  change.seq = event.seq;
  change.origin = event.peer;
  if (event.kind == node::Event::Kind::gap) {
    change.kind = Change::Kind::gap;
    return change;
  }
  if (const auto parts = sync::split_key(event.key)) {
    change.collection = parts->collection;
    change.id = parts->id;
  }
  change.kind = event.action == "insert"   ? Change::Kind::insert
                : event.action == "merge"  ? Change::Kind::merge
                : event.action == "delete" ? Change::Kind::erase
                                           : Change::Kind::update;
  return change;
}

}  // namespace

void Mesh::Impl::pump(const std::shared_ptr<LiveWatch>& watch) {
  if (watch->scheduled || watch->cancelled) return;
  watch->scheduled = true;
  executor.post([this, watch] {
    watch->scheduled = false;
    if (!watch->cancelled && watch->tell()) pump(watch);
  });
}

template <class AnyWatch>
Subscription Mesh::Impl::subscription_to(const std::shared_ptr<AnyWatch>& watch) {
  Subscription subscription;
  subscription.cancel_ = [weak = weak_from_this(), watch] {
    const auto alive = weak.lock();
    if (!alive) return;
    const auto end = [alive, watch] {
      watch->cancelled = true;
      alive->node->events().off_event(watch->wake_id);
      if constexpr (std::is_same_v<AnyWatch, LiveWatch>) watch->live.reset();
    };
    // From the callback itself there is nothing to wait for.
    if (std::this_thread::get_id() == alive->thread.get_id()) {
      watch->cancelled = true;
      return alive->executor.post(end);
    }
    static_cast<void>(alive->run<Status>([end](auto answer) {
      end();
      answer({});
    }));
  };
  return subscription;
}

void Mesh::Impl::pump(const std::shared_ptr<Watch>& watch) {
  if (watch->scheduled || watch->cancelled) return;
  watch->scheduled = true;
  executor.post([this, watch] {
    watch->scheduled = false;
    if (watch->cancelled) return;
    const auto events = node->events().read(watch->cursor, kEventsPerTurn);
    if (!events || events->empty()) return;
    for (const auto& event : *events) {
      if (event.kind != node::Event::Kind::document && event.kind != node::Event::Kind::gap) {
        continue;
      }
      const auto change = change_of(event);
      if (watch->wanted(change) && !watch->cancelled) watch->callback(change);
    }
    pump(watch);
  });
}

Status Mesh::Impl::close() {
  if (std::this_thread::get_id() == thread.get_id()) {
    return fail(Code::invalid_argument, "a Mesh was closed from its own callback");
  }
  auto promise = std::make_shared<std::promise<Status>>();
  {
    const std::lock_guard lock(closing);
    if (closed) return {};
    closed = true;
  }
  executor.post([this, promise] {
    node->shutdown([promise](Status status) { promise->set_value(std::move(status)); });
  });
  auto status = promise->get_future().get();
  executor.post([this] {
    node.reset();
    executor.stop();
  });
  thread.join();
  return status;
}

Subscription::Subscription(Subscription&& other) noexcept : cancel_(std::move(other.cancel_)) {
  other.cancel_ = nullptr;
}

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    cancel();
    cancel_ = std::move(other.cancel_);
    other.cancel_ = nullptr;
  }
  return *this;
}

Subscription::~Subscription() { cancel(); }

void Subscription::cancel() {
  if (!cancel_) return;
  auto cancel = std::move(cancel_);
  cancel_ = nullptr;
  cancel();
}

Mesh::Mesh(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Mesh::Mesh(Mesh&&) noexcept = default;

Mesh& Mesh::operator=(Mesh&& other) noexcept {
  if (this != &other) {
    if (impl_) static_cast<void>(impl_->close());
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Mesh::~Mesh() {
  if (impl_) static_cast<void>(impl_->close());
}

Result<Mesh> Mesh::open(MeshConfig config) {
  PEAT_TRY(auto settings, settings_of(config));
  auto impl = std::make_shared<Impl>();
  node::Log log;
  if (config.log) {
    log = [log = std::move(config.log)](node::LogLevel level, std::string_view message) {
      log(static_cast<int>(level), message);
    };
  }
  PEAT_TRY(impl->node, node::Node::open(impl->executor, std::move(settings), std::move(log)));
  impl->thread = std::thread([raw = impl.get()] { raw->executor.run(); });
  return Mesh(std::move(impl));
}

Result<std::optional<MeshDocument>> Mesh::get(std::string_view collection, std::string_view id) {
  using Answer = Result<std::optional<MeshDocument>>;
  PEAT_TRY(auto key, sync::document_key(collection, id));
  return impl_->run<Answer>([&node = impl_->node, key = std::move(key)](auto answer) {
    auto found = node->get(key);
    if (!found) return answer(std::unexpected(std::move(found).error()));
    if (!*found || (*found)->deleted) return answer(std::optional<MeshDocument>());
    answer(MeshDocument{std::move((*found)->json), texts_of((*found)->heads)});
  });
}

namespace {

MeshConflict::Value value_of(sync::ConflictValue value) {
  return {std::move(value.json), value.actor.to_string(), value.time};
}

node::NodeApi::WriteDone hand_over(std::function<void(Result<MeshWrite>)> answer) {
  return [answer = std::move(answer)](Result<sync::WriteResult> result) {
    if (!result) return answer(std::unexpected(std::move(result).error()));
    answer(MeshWrite{result->created, result->changed, texts_of(result->heads)});
  };
}

}  // namespace

Result<MeshWrite> Mesh::put(std::string_view collection, std::string_view id, std::string_view json,
                            const WriteCondition& condition) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  PEAT_TRY(auto precondition, precondition_of(condition));
  return impl_->run<Result<MeshWrite>>([&node = impl_->node, key = std::move(key),
                                        json = std::string(json),
                                        precondition = std::move(precondition)](auto answer) {
    node->put(key, json, precondition, hand_over(std::move(answer)));
  });
}

Result<MeshWrite> Mesh::update(std::string_view collection, std::string_view id,
                               std::string_view merge_patch, const WriteCondition& condition) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  PEAT_TRY(auto precondition, precondition_of(condition));
  return impl_->run<Result<MeshWrite>>([&node = impl_->node, key = std::move(key),
                                        patch = std::string(merge_patch),
                                        precondition = std::move(precondition)](auto answer) {
    node->patch(key, patch, precondition, hand_over(std::move(answer)));
  });
}

Result<MeshWrite> Mesh::settle(std::string_view collection, std::string_view id,
                               std::string_view settlements, const WriteCondition& condition) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  PEAT_TRY(auto precondition, precondition_of(condition));
  return impl_->run<Result<MeshWrite>>([&node = impl_->node, key = std::move(key),
                                        json = std::string(settlements),
                                        precondition = std::move(precondition)](auto answer) {
    node->settle(key, json, precondition, hand_over(std::move(answer)));
  });
}

Result<std::vector<MeshConflict>> Mesh::conflicts(std::string_view collection,
                                                  std::string_view id) {
  using Answer = Result<std::vector<MeshConflict>>;
  PEAT_TRY(auto key, sync::document_key(collection, id));
  return impl_->run<Answer>([&node = impl_->node, key = std::move(key)](auto answer) {
    auto found = node->conflicts(key);
    if (!found) return answer(std::unexpected(std::move(found).error()));
    std::vector<MeshConflict> out;
    if (!*found || (*found)->document.deleted) return answer(std::move(out));
    for (auto& conflict : (*found)->conflicts) {
      auto& told = out.emplace_back();
      told.path = std::move(conflict.path);
      told.winner = value_of(std::move(conflict.winner));
      for (auto& other : conflict.others) told.others.push_back(value_of(std::move(other)));
    }
    answer(std::move(out));
  });
}

Status Mesh::erase(std::string_view collection, std::string_view id,
                   const WriteCondition& condition) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  PEAT_TRY(auto precondition, precondition_of(condition));
  auto result = impl_->run<Result<MeshWrite>>(
      [&node = impl_->node, key = std::move(key), precondition = std::move(precondition)](
          auto answer) { node->erase(key, precondition, hand_over(std::move(answer))); });
  if (!result) return std::unexpected(std::move(result).error());
  return {};
}

Result<MeshPage> Mesh::list(std::string_view collection, const ListOptions& options) {
  // Any id will do: this asks whether the collection's name can stand in a key.
  PEAT_TRY_VOID(sync::document_key(collection, "x"));
  const auto base = std::string(collection) + ':';
  return impl_->run<Result<MeshPage>>(
      [&node = impl_->node, base, collection = std::string(collection), options](auto answer) {
        MeshPage page;
        page.total = node->count(collection);
        auto after = options.after.empty() ? std::string() : base + options.after;
        while (true) {
          auto keys = node->keys(base + options.prefix, after, kEventsPerTurn);
          if (!keys) return answer(std::unexpected(std::move(keys).error()));
          for (auto& key : *keys) {
            if (page.documents.size() == options.limit) {
              page.more = true;
              return answer(std::move(page));
            }
            auto found = node->get(key);
            // One that cannot be read does not hide the others.
            if (found && *found && !(*found)->deleted) {
              page.documents.push_back({key.substr(base.size()), std::move((*found)->json)});
            }
            after = std::move(key);
          }
          if (keys->size() < kEventsPerTurn) return answer(std::move(page));
        }
      });
}

namespace {

// A query under way, a step a turn of the loop.
template <class Answer>
void run_query(node::AsioExecutor& executor, std::shared_ptr<query::Run> run, QueryPage page,
               Answer answer) {
  std::vector<query::Row> rows;
  const auto state = run->step(rows);
  if (!state) return answer(std::unexpected(state.error()));
  for (auto& row : rows) page.documents.push_back({std::move(row.id), std::move(row.json)});
  if (*state == query::Run::State::more) {
    executor.post([&executor, run = std::move(run), page = std::move(page),
                   answer = std::move(answer)]() mutable {
      run_query(executor, std::move(run), std::move(page), std::move(answer));
    });
    return;
  }
  page.next = run->next().value_or("");
  page.examined = run->examined();
  page.index = run->index();
  answer(std::move(page));
}

}  // namespace

Result<QueryPage> Mesh::query(const Query& query, std::string_view page) {
  auto* impl = impl_.get();
  return impl_->run<Result<QueryPage>>([impl, query, page = std::string(page)](auto answer) {
    auto run = query::Run::begin(query, impl->node->queries(), page, kDefaultRows);
    if (!run) return answer(std::unexpected(std::move(run).error()));
    run_query(impl->executor, std::make_shared<query::Run>(std::move(*run)), {}, std::move(answer));
  });
}

Result<Subscription> Mesh::watch(const WatchOptions& options,
                                 std::function<void(const Change& change)> callback) {
  auto watch = std::make_shared<Watch>();
  watch->options = options;
  watch->callback = std::move(callback);
  auto* impl = impl_.get();
  PEAT_TRY_VOID(impl_->run<Status>([impl, watch](auto answer) {
    auto& log = impl->node->events();
    watch->cursor = watch->options.after ? log.after(*watch->options.after) : log.now();
    watch->wake_id = log.on_event([impl, watch] { impl->pump(watch); });
    impl->pump(watch);
    answer({});
  }));
  return impl_->subscription_to(watch);
}

Result<Subscription> Mesh::watch(const Query& query, std::string_view resume,
                                 std::function<void(const QueryChange& change)> callback) {
  auto watch = std::make_shared<LiveWatch>();
  watch->callback = std::move(callback);
  auto* impl = impl_.get();
  PEAT_TRY_VOID(impl_->run<Status>([impl, watch, query, resume = std::string(resume)](auto answer) {
    auto live = impl->node->live().begin(query, resume);
    if (!live) return answer(std::unexpected(std::move(live).error()));
    watch->live = std::move(*live);
    watch->wake_id = impl->node->events().on_event([impl, watch] { impl->pump(watch); });
    impl->pump(watch);
    answer({});
  }));
  return impl_->subscription_to(watch);
}

Status Mesh::connect(const EndpointId& id, std::string_view address) {
  return connect(MeshPeer{id, std::string(address), true});
}

Status Mesh::connect(const MeshPeer& peer) {
  PEAT_TRY(auto address, node::HostPort::parse(peer.address));
  return impl_->run<Status>(
      [&node = impl_->node,
       setting = node::PeerSetting{peer.id, std::move(address), peer.authenticated}](auto answer) {
        node->add_peer(setting, std::move(answer));
      });
}

Status Mesh::disconnect(const EndpointId& id) {
  return impl_->run<Status>(
      [&node = impl_->node, id](auto answer) { node->remove_peer(id, std::move(answer)); });
}

Result<MeshStatus> Mesh::status() {
  return impl_->run<Result<MeshStatus>>([&node = impl_->node](auto answer) {
    const auto info = node->info();
    MeshStatus status{info.node_id, info.endpoint_id, info.bind, info.documents, {}};
    for (auto& peer : node->peers()) {
      status.peers.push_back({peer.id, std::move(peer.address), peer.connected,
                              std::move(peer.state), std::move(peer.dialect), peer.lag,
                              std::move(peer.last_error)});
    }
    answer(std::move(status));
  });
}

Status Mesh::close() { return impl_->close(); }

}  // namespace peat
