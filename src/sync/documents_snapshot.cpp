// Latest-only and windowed collections: documents that begin anew (documents.hpp, Snapshots).
#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "sync/documents_impl.hpp"

namespace peat::sync {
namespace {

// Changes that stand on one another, however many began them.
struct History {
  std::vector<std::size_t> changes;
  std::uint64_t newest_root = 0;  // greatest first operation of one without dependencies
  std::uint64_t max_op = 0;
};

// `changes` with their dependencies first.
std::vector<History> histories_of(const std::vector<automerge::ChangeInfo>& changes) {
  std::map<automerge::ChangeHash, std::size_t> place;
  std::vector<std::size_t> parent(changes.size());
  const auto root_of = [&](std::size_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    parent[i] = i;
    place.emplace(changes[i].hash, i);
    for (const auto& dep : changes[i].deps) {
      const auto found = place.find(dep);
      if (found != place.end()) parent[root_of(found->second)] = i;
    }
  }
  std::map<std::size_t, History> by_root;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    auto& history = by_root[root_of(i)];
    const auto& change = changes[i];
    history.changes.push_back(i);
    if (change.deps.empty()) history.newest_root = std::max(history.newest_root, change.start_op);
    // One without operations still has its number.
    history.max_op = std::max({history.max_op, change.start_op, change.max_op()});
  }
  std::vector<History> out;
  for (auto& [root, history] : by_root) out.push_back(std::move(history));
  return out;
}

}  // namespace

// Unique over all runs of all nodes, as the store's incarnation is.
automerge::ActorId DocumentsImpl::fresh_actor() {
  const auto& incarnation = store_.incarnation();
  Bytes numbers;
  Writer writer(numbers);
  writer.u64be(incarnation.run);
  writer.u64be(++fresh_actors_);
  const auto digest = sha256({incarnation.actor.bytes, numbers});
  return marked({Bytes(digest.begin(), digest.begin() + 16)});
}

Result<bool> DocumentsImpl::begin_anew(std::string_view key, OpenDocument& open,
                                       const automerge::Heads& before,
                                       const automerge::CommitOptions& options) {
  const auto parts = split_key(key).value_or(KeyParts{});
  const auto& rule = options_.collections.rule(parts.collection);
  if (rule.mode == SyncMode::full_history || before.empty()) return false;
  if (rule.mode == SyncMode::windowed) {
    const auto window = std::chrono::duration_cast<std::chrono::seconds>(rule.window).count();
    const auto changes = open.document.changes();
    const bool within = std::ranges::none_of(
        changes, [&](const auto& change) { return change.time < options.time - window; });
    if (within) return false;
  }
  PEAT_TRY(auto snapshot, open.document.snapshot(fresh_actor(), options));
  open = {std::move(snapshot), 0};
  return true;
}

Result<bool> DocumentsImpl::drop_outdated(std::string_view key, OpenDocument& open) const {
  const auto parts = split_key(key).value_or(KeyParts{});
  if (options_.collections.mode(parts.collection) == SyncMode::full_history) return false;
  const auto changes = open.document.changes();
  const auto histories = histories_of(changes);
  // A history's own roots never lie above its operations, so the newest of all decides.
  std::uint64_t newest = 0;
  for (const auto& history : histories) newest = std::max(newest, history.newest_root);
  const auto outdated = [newest](const History& history) { return newest > history.max_op; };
  Bytes chunks;
  bool dropped = false;
  std::set<std::size_t> kept;
  for (const auto& history : histories) {
    if (outdated(history)) {
      dropped = true;
    } else {
      kept.insert(history.changes.begin(), history.changes.end());
    }
  }
  if (!dropped) return false;
  for (const auto change : kept) {
    PEAT_TRY(const auto chunk, open.document.change_bytes(changes[change].hash));
    chunks.insert(chunks.end(), chunk.begin(), chunk.end());
  }
  auto document = empty_document();
  PEAT_TRY_VOID(document.load_incremental(chunks, options_.load_limits));
  open = {std::move(document), 0};
  return true;
}

}  // namespace peat::sync
