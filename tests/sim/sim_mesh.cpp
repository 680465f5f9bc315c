#include "sim_mesh.hpp"

#include <algorithm>
#include <stdexcept>

#include "base/encoding.hpp"

namespace peat::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A node that cannot start is a defect of the scenario's own making or of the store: stop there.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

std::string edited(std::size_t document) { return "edited:" + std::to_string(document); }
std::string doomed(std::size_t document) { return "doomed:" + std::to_string(document); }

TransportOptions transport() {
  TransportOptions out;
  out.idle_timeout = seconds(10);
  out.dial_timeout = seconds(4);
  return out;
}

LinkOptions usual_link() { return {milliseconds(10), milliseconds(15), 0, 0.02}; }

}  // namespace

std::map<std::string, std::string> state_of(MeshNode& node) {
  std::map<std::string, std::string> out;
  for (const auto& row : must(node.store().feed(0, 1'000'000))) {
    if (row.kind == store::FeedKind::tombstone) {
      const auto tombstone = must(node.store().tombstone(row.key));
      out["t " + row.key] =
          std::to_string(tombstone->tombstone.lamport) + ' ' + tombstone->tombstone.deleted_by;
      continue;
    }
    auto& text = out["d " + row.key];
    const auto heads = must(node.store().heads(row.key));
    for (const auto& hash : *heads) text += to_hex(hash.bytes).substr(0, 12) + ' ';
  }
  return out;
}

MeshNode::MeshNode(World& world, Ground& ground, const EndpointId& id, std::string name,
                   Options options)
    : world_(world), ground_(ground), id_(id), name_(std::move(name)), options_(options) {
  executor_ = std::make_unique<SimExecutor>(world_);
  host_ = ground_.add_host(id_, *executor_);
  start();
}

void MeshNode::start() {
  if (!ground_.is_up(host_)) {
    executor_ = std::make_unique<SimExecutor>(world_);
    ground_.restart(host_, *executor_);
  }
  store_ = must(store::DocumentStore::open(disk_, *executor_, world_.random(), limits_));
  sync::Documents::Options documents;
  documents.node_id = name_;
  documents_ = must(sync::Documents::open(*store_, *executor_, std::move(documents)));
  sync::ConnectorOptions connector;
  connector.native = options_.native;
  connector.formation =
      must(security::FormationKey::derive(sha256(as_bytes("the secret of this mesh")), "peat"));
  connector_ = sync::Connector::create(ground_.endpoint(host_), *executor_, world_.random(),
                                       limits_, std::move(connector));
  channels_ =
      sync::SyncChannelManager::create(*connector_, *executor_, world_.random(), limits_, {});
  sync::Coordinator::Options coordinator;
  coordinator.node_id = name_;
  coordinator_ =
      must(sync::Coordinator::create(*documents_, *channels_, *executor_, std::move(coordinator)));
  connector_->start();
  for (const auto& [peer, address] : std::exchange(peers_, {})) knows(peer, address);
}

void MeshNode::crash() {
  ground_.crash(host_);
  executor_->stop();
  coordinator_.reset();
  channels_.reset();
  connector_.reset();
  documents_.reset();
  store_.reset();
}

void MeshNode::knows(const EndpointId& peer, std::string address) {
  peers_[peer] = address;
  if (!up()) return;
  if (!connector_->add_peer({peer, std::move(address), sync::PeerAuth::formation})) return;
  (void)channels_->get_channel(peer);
}

Mesh::Mesh(std::uint64_t seed, ChaosOptions options)
    : world_(seed), options_(std::move(options)), network_(world_, transport(), usual_link()) {}

void Mesh::link(std::size_t a, std::size_t b) {
  links_.emplace_back(a, b);
  nodes_[a]->knows(nodes_[b]->id(), network_.address(nodes_[b]->host()));
  if (world_.chance(options_.both_know)) {
    nodes_[b]->knows(nodes_[a]->id(), network_.address(nodes_[a]->host()));
  }
}

void Mesh::build() {
  for (std::size_t i = 0; i < options_.nodes; ++i) {
    EndpointId id;
    world_.random().fill(id.bytes);
    nodes_.push_back(
        std::make_unique<MeshNode>(world_, ground_, id, "node-" + std::to_string(i),
                                   MeshNode::Options{!world_.chance(options_.old_only)}));
  }
  for (std::size_t i = 1; i < nodes_.size(); ++i) link(world_.below(i), i);
  const auto extra =
      static_cast<std::size_t>(options_.extra_links * static_cast<double>(options_.nodes));
  for (std::size_t i = 0; i < extra; ++i) {
    const auto a = world_.below(nodes_.size());
    const auto b = world_.below(nodes_.size());
    const bool there = std::ranges::any_of(
        links_, [&](const auto& l) { return l == std::pair{a, b} || l == std::pair{b, a}; });
    if (a != b && !there) link(a, b);
  }
  for (std::size_t i = 0; i < options_.doomed; ++i) {
    auto& node = *nodes_[world_.below(nodes_.size())];
    (void)node.documents().put(doomed(i), R"({"state":"doomed"})");
    to_delete_.insert(doomed(i));
  }
  world_.run_until([this] { return agree(); }, seconds(60));
}

std::vector<MeshNode*> Mesh::running() {
  std::vector<MeshNode*> out;
  for (const auto& node : nodes_) {
    if (node->up()) out.push_back(node.get());
  }
  return out;
}

void Mesh::edit(MeshNode& node, std::size_t document) {
  const auto key = edited(document);
  const auto field = "f" + std::to_string(world_.below(6));
  const auto json = "{\"" + field + "\":" + std::to_string(++edits_) + "}";
  const auto written = node.documents().patch(key, json);
  if (!written || !written->changed) return;
  node.store().on_durable([this, key, heads = written->heads](Status durable) {
    if (!durable) return;
    ++acknowledged_;
    promised_.push_back({key, heads});
  });
}

void Mesh::erase(MeshNode& node, const std::string& key) {
  if (!node.documents().erase(key, "chaos")) return;
  to_delete_.erase(key);
  node.store().on_durable([this, key](Status durable) {
    if (!durable) return;
    ++acknowledged_;
    deleted_.insert(key);
  });
}

void Mesh::something_happens() {
  const auto up = running();
  if (up.empty()) return;
  auto& node = *up[world_.below(up.size())];
  const auto now = world_.now().mono;
  switch (world_.below(24)) {
    case 0:
      // A copy: erase takes the key out of the set it would otherwise refer to.
      if (!to_delete_.empty()) erase(node, std::string(*to_delete_.begin()));
      break;
    case 1: {
      const auto index = world_.below(links_.size());
      network_.cut(nodes_[links_[index].first]->host(), nodes_[links_[index].second]->host());
      cut_.emplace_back(index, now + world_.between(seconds(1), seconds(30)));
      break;
    }
    case 2:
      if (up.size() > nodes_.size() / 2) {
        const auto victim = world_.below(nodes_.size());
        if (!nodes_[victim]->up()) break;
        nodes_[victim]->crash();
        down_.emplace_back(victim, now + world_.between(milliseconds(100), seconds(25)));
      }
      break;
    case 3:
    case 4:
      network_.reset_random_connection();
      break;
    case 5:
    case 6:
    case 7:
      network_.reset_random_stream();
      break;
    default:
      edit(node, world_.below(options_.documents));
  }
}

void Mesh::run_chaos() {
  for (const auto& node : nodes_) network_.options(node->host()).refuse_dials = 0.2;
  const auto end = world_.now().mono + options_.chaos;
  while (world_.now().mono < end) {
    something_happens();
    world_.run_for(world_.between(milliseconds(1), milliseconds(300)));
    const auto now = world_.now().mono;
    std::erase_if(down_, [&](const auto& down) {
      if (down.second > now) return false;
      nodes_[down.first]->start();
      return true;
    });
    std::erase_if(cut_, [&](const auto& cut) {
      if (cut.second > now) return false;
      const auto [a, b] = links_[cut.first];
      network_.heal(nodes_[a]->host(), nodes_[b]->host());
      return true;
    });
  }
}

bool Mesh::settle(Duration limit) {
  network_.heal_all();
  for (const auto& node : nodes_) network_.options(node->host()).refuse_dials = 0;
  for (const auto& node : nodes_) {
    if (!node->up()) node->start();
  }
  // What the restarted nodes still had to delete is deleted now, by whoever has it.
  for (const auto& key : std::set(to_delete_)) {
    for (const auto& node : nodes_) {
      if (!to_delete_.contains(key)) break;
      erase(*node, key);
    }
  }
  const auto end = world_.now().mono + limit;
  while (world_.now().mono < end) {
    world_.run_for(seconds(1));
    if (agree()) return true;
  }
  return false;
}

bool Mesh::agree() {
  const auto first = state_of(*nodes_.front());
  return std::ranges::all_of(nodes_, [&](const auto& node) { return state_of(*node) == first; });
}

std::vector<std::string> Mesh::differences() {
  constexpr std::size_t kShown = 10;
  std::vector<std::string> out;
  const auto first = state_of(*nodes_.front());
  for (std::size_t i = 1; i < nodes_.size() && out.size() < kShown; ++i) {
    auto other = state_of(*nodes_[i]);
    for (const auto& [key, value] : first) {
      if (other[key] != value && out.size() < kShown) {
        out.push_back("node 0: " + key + " = " + value + "; node " + std::to_string(i) + ": " +
                      other[key]);
      }
    }
    for (const auto& [key, value] : other) {
      if (!first.contains(key) && out.size() < kShown) {
        out.push_back("node 0 lacks " + key + "; node " + std::to_string(i) + ": " + value);
      }
    }
  }
  return out;
}

std::vector<std::string> Mesh::broken_promises() {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const auto where = " on node " + std::to_string(i);
    auto& node = *nodes_[i];
    for (const auto& [key, heads] : promised_) {
      auto* const document = must(node.documents().open_document(key));
      for (const auto& hash : heads) {
        if (document == nullptr || !document->has_change(hash)) {
          out.push_back("an acknowledged change of " + key + " is lost" + where);
        }
      }
    }
    for (const auto& key : deleted_) {
      if (must(node.documents().get(key))) out.push_back(key + " came back" + where);
    }
  }
  return out;
}

std::vector<Fault> Mesh::missing_faults() const {
  std::vector<Fault> out;
  for (const auto fault : options_.faults) {
    if (!network_.faults_happened().contains(fault)) out.push_back(fault);
  }
  return out;
}

}  // namespace peat::sim
