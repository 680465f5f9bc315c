// One node's documents without a network: a store on an in-memory disk in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "sim/world.hpp"
#include "store/document_store.hpp"
#include "store/memory_disk.hpp"
#include "sync/documents.hpp"

namespace peat::sync {

inline EndpointId endpoint(std::uint8_t n) {
  EndpointId id;
  id.bytes.fill(n);
  return id;
}

struct Replica {
  Replica(sim::World& in_world, std::uint8_t n, std::string node_name, Limits with = {})
      : world(in_world),
        id(endpoint(n)),
        name(std::move(node_name)),
        limits(with),
        disk(std::make_shared<store::MemoryDisk>()) {
    start();
  }
  ~Replica() { crash(); }
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  void start() {
    executor = std::make_unique<sim::SimExecutor>(world);
    auto opened = store::DocumentStore::open(disk, *executor, world.random(), limits);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
    Documents::Options options;
    options.node_id = name;
    options.cache_bytes = cache_bytes;
    options.limits = limits;
    options.collections = collections;
    options.device = id;
    options.access = access;
    options.on_quarantine = [this](std::string_view key, std::string_view) {
      unreadable.emplace_back(key);
    };
    auto made = Documents::open(*store, *executor, std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    documents = std::move(*made);
  }
  // What was not durable is lost.
  void crash() {
    if (executor) executor->stop();
    documents.reset();
    store.reset();
    executor.reset();
  }
  // Everything written is committed when it returns.
  void settle() { world.run_for(std::chrono::milliseconds(50)); }
  void stop() {
    bool closed = false;
    documents.reset();
    store->close([&](Status status) { closed = status.has_value(); });
    settle();
    ASSERT_TRUE(closed);
    crash();
  }

  void put(std::string_view key, std::string_view json) {
    const auto result = documents->put(key, json);
    ASSERT_TRUE(result) << result.error().message;
  }
  void erase(std::string_view key) {
    const auto result = documents->erase(key, {});
    ASSERT_TRUE(result) << result.error().message;
  }
  // "" if there is none; "error …" if it cannot be read.
  std::string json(std::string_view key) const {
    const auto view = documents->get(key);
    if (!view) return "error " + view.error().message;
    return *view ? (*view)->json : "";
  }
  automerge::Heads heads(std::string_view key) const {
    const auto heads = store->heads(key);
    return heads && *heads ? **heads : automerge::Heads{};
  }
  Bytes changes(std::string_view key, const automerge::Heads& have = {}) const {
    auto out = documents->outgoing(key, have);
    return out && *out ? (*out)->changes : Bytes{};
  }

  sim::World& world;
  EndpointId id;
  std::string name;
  std::size_t cache_bytes = 4U << 20;
  Limits limits;
  Collections collections;
  Access* access = nullptr;
  std::shared_ptr<store::MemoryDisk> disk;
  std::unique_ptr<sim::SimExecutor> executor;
  std::unique_ptr<store::DocumentStore> store;
  std::unique_ptr<Documents> documents;
  std::vector<std::string> unreadable;  // as it was told
};

// A change that is perfectly well-formed and edits an object that no document has: it can be
// stored and relayed, and makes its document impossible to materialise.
inline Bytes unreadable_change(std::uint8_t actor = 9) {
  automerge::Document document(automerge::ActorId{Bytes(16, actor)});
  automerge::ObjectId map;
  {
    auto first = document.begin();
    map = *first->put_object(automerge::kRoot, "m", automerge::ObjectType::map);
    static_cast<void>(first->commit());
  }
  auto second = document.begin();
  static_cast<void>(second->put(map, "x", std::int64_t{1}));
  const auto hash = **second->commit();
  const auto chunk = *document.change_bytes(hash);
  // chunk := magic[4] checksum[4] type length data; data := 01 dep[32] 10 actor[16] seq …
  // Made into a first change without dependencies.
  Bytes data(chunk.begin() + 10, chunk.end());
  data.erase(data.begin(), data.begin() + 33);
  data.insert(data.begin(), 0);
  data[18] = 1;  // seq
  Bytes body{1, static_cast<std::uint8_t>(data.size())};
  body.insert(body.end(), data.begin(), data.end());
  const auto digest = sha256(body);
  Bytes out(chunk.begin(), chunk.begin() + 4);
  out.insert(out.end(), digest.begin(), digest.begin() + 4);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace peat::sync
