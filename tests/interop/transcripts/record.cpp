// Records a session of our node with a foreign peer: record_transcript OUT PEER [SECRET]
//
// PEER is ID@ADDRESS to dial, or - to be dialled. SECRET is a formation secret in base64; without
// it no peer proves anything. Prints {"id":…,"addr":…} and then one JSON line per command line on
// stdin: put KEY JSON, erase KEY, get KEY, connected, stats, quit.

#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/encoding.hpp"
#include "net/quic_endpoint.hpp"
#include "node/asio_executor.hpp"
#include "store/document_store.hpp"
#include "store/memory_disk.hpp"
#include "sync/channel.hpp"
#include "sync/connector.hpp"
#include "sync/coordinator.hpp"
#include "sync/documents.hpp"
#include "tap.hpp"

namespace peat::transcripts {
namespace {

constexpr std::string_view kName = "recorder";

class Recorder {
 public:
  explicit Recorder(const std::string& out)
      : key_(crypto::SecretKey::generate(random_)), recording_(out, executor_) {}
  ~Recorder() {
    coordinator_.reset();
    channels_.reset();
    connector_.reset();
    tap_.reset();
    endpoint_.reset();
    documents_.reset();
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  Status open(std::string_view peer, std::string_view secret);
  void run();

 private:
  Status open_endpoint();
  Status open_sync(std::string_view secret);
  Status dial(std::string_view peer, sync::PeerAuth auth);
  void command(const std::string& line);
  Result<std::string> execute(std::string_view verb, std::string_view key, std::string_view json);
  Status note_deletion(std::string_view key);
  void quit();

  node::AsioExecutor executor_;
  SystemRandom random_;
  Limits limits_;
  crypto::SecretKey key_;
  Recording recording_;
  std::unique_ptr<store::DocumentStore> store_;
  std::unique_ptr<sync::Documents> documents_;
  std::unique_ptr<net::QuicEndpoint> endpoint_;
  std::unique_ptr<TappedEndpoint> tap_;
  std::unique_ptr<sync::Connector> connector_;
  std::unique_ptr<sync::SyncChannelManager> channels_;
  std::unique_ptr<sync::Coordinator> coordinator_;
};

Status Recorder::open(std::string_view peer, std::string_view secret) {
  if (!recording_.good()) return fail(Code::io_error, "the transcript cannot be written");
  PEAT_TRY(store_, store::DocumentStore::open(std::make_shared<store::MemoryDisk>(), executor_,
                                              random_, limits_));
  sync::Documents::Options options;
  options.node_id = kName;
  options.limits = limits_;
  PEAT_TRY(documents_, sync::Documents::open(*store_, executor_, std::move(options)));
  PEAT_TRY_VOID(open_endpoint());
  PEAT_TRY_VOID(open_sync(secret));
  if (peer == "-") return {};
  return dial(peer, secret.empty() ? sync::PeerAuth::none : sync::PeerAuth::formation);
}

Status Recorder::open_endpoint() {
  net::EndpointOptions options;
  options.id = key_.public_key();
  options.sign = [this](ByteView message) {
    const auto signature = key_.sign(message);
    return Bytes(signature.begin(), signature.end());
  };
  options.bind = "127.0.0.1:0";
  options.limits = limits_;
  PEAT_TRY(endpoint_, net::QuicEndpoint::create(executor_.loop(), std::move(options)));
  tap_ = std::make_unique<TappedEndpoint>(*endpoint_, recording_);
  return {};
}

Status Recorder::open_sync(std::string_view secret) {
  sync::ConnectorOptions options;
  options.allow_unauthenticated_peers = secret.empty();
  if (!secret.empty()) {
    PEAT_TRY(const auto bytes,
             security::parse_formation_secret(secret, security::WeakSecrets::allow));
    PEAT_TRY(auto formation, security::FormationKey::derive(bytes.view(), "peat", limits_));
    options.formation.emplace(std::move(formation));
  }
  connector_ = sync::Connector::create(*tap_, executor_, random_, limits_, std::move(options));
  channels_ = sync::SyncChannelManager::create(*connector_, executor_, random_, limits_);
  sync::Coordinator::Options coordinator;
  coordinator.node_id = kName;
  coordinator.limits = limits_;
  PEAT_TRY(coordinator_,
           sync::Coordinator::create(*documents_, *channels_, executor_, std::move(coordinator)));
  connector_->start();
  return {};
}

Status Recorder::dial(std::string_view peer, sync::PeerAuth auth) {
  const auto at = peer.find('@');
  if (at == std::string_view::npos) return fail(Code::invalid_argument, "PEER is ID@ADDRESS or -");
  PEAT_TRY(const auto id, EndpointId::parse(peer.substr(0, at)));
  PEAT_TRY_VOID(connector_->add_peer({id, std::string(peer.substr(at + 1)), auth}));
  PEAT_TRY([[maybe_unused]] auto* channel, channels_->get_channel(id));
  return {};
}

void Recorder::run() {
  fmt::print("{{\"id\":\"{}\",\"addr\":\"{}\"}}\n", endpoint_->id().to_string(),
             endpoint_->local_address());
  std::fflush(stdout);
  std::thread reader([this] {
    std::string line;
    while (std::getline(std::cin, line) && line != "quit") {
      executor_.post([this, line] { command(line); });
    }
    executor_.post([this] { quit(); });
  });
  executor_.run();
  reader.join();
}

void Recorder::command(const std::string& line) {
  const std::string_view text = line;
  const auto verb = text.substr(0, text.find(' '));
  const auto rest = text.substr(std::min(text.size(), verb.size() + 1));
  const auto key = rest.substr(0, rest.find(' '));
  const auto answer = execute(verb, key, rest.substr(std::min(rest.size(), key.size() + 1)));
  if (!answer) std::cerr << line << ": " << answer.error().message << '\n';
  fmt::print("{}\n", answer ? *answer : "{\"ok\":false}");
  std::fflush(stdout);
}

Result<std::string> Recorder::execute(std::string_view verb, std::string_view key,
                                      std::string_view json) {
  if (verb == "connected") {
    return fmt::format("{{\"ok\":true,\"connected\":{}}}", !channels_->connected_peers().empty());
  }
  if (verb == "stats") {
    const auto sum = channels_->stats().sum;
    return fmt::format("{{\"ok\":true,\"frames\":{},\"heartbeats\":{}}}", sum.frames_received,
                       sum.heartbeats_received);
  }
  if (verb == "put") {
    PEAT_TRY([[maybe_unused]] const auto written, documents_->put(key, json));
    PEAT_TRY(const auto document, documents_->outgoing(key, {}));
    if (document) recording_.add(0, LocalChanges{std::string(key), document->changes});
    return "{\"ok\":true}";
  }
  if (verb == "erase") {
    PEAT_TRY([[maybe_unused]] const auto written, documents_->erase(key, std::nullopt));
    PEAT_TRY_VOID(note_deletion(key));
    return "{\"ok\":true}";
  }
  if (verb == "get") {
    PEAT_TRY(const auto view, documents_->get(key));
    if (!view) return "{\"ok\":true,\"json\":null}";
    std::string heads;
    for (const auto& head : view->heads) {
      heads += fmt::format("{}\"{}\"", heads.empty() ? "" : ",", head.to_string());
    }
    return fmt::format("{{\"ok\":true,\"json\":{},\"heads\":[{}]}}", view->json, heads);
  }
  return fail(Code::invalid_argument, "put, erase, get, connected, stats or quit");
}

Status Recorder::note_deletion(std::string_view key) {
  PEAT_TRY(const auto record, store_->tombstone(key));
  if (!record) return fail(Code::internal, "a deletion left no tombstone");
  LocalDeletion deletion;
  PEAT_TRY_VOID(wire::encode(record->tombstone, deletion.tombstone, limits_));
  recording_.add(0, std::move(deletion));
  return {};
}

void Recorder::quit() {
  recording_.finish();  // the session is over: how it closes is no part of it
  channels_->shutdown([this] {
    connector_->shutdown();
    endpoint_->shutdown(0, "shutdown", [this] { executor_.stop(); });
  });
}

}  // namespace
}  // namespace peat::transcripts

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::cerr << "usage: record_transcript OUT PEER|- [SECRET]\n";
    return 4;
  }
  peat::transcripts::Recorder recorder(argv[1]);
  if (const auto opened = recorder.open(argv[2], argc == 4 ? argv[3] : ""); !opened) {
    std::cerr << opened.error().message << '\n';
    return 1;
  }
  recorder.run();
  return 0;
}
