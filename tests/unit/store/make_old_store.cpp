// Writes the store that old/<format>/ keeps: run once, by the version that introduces a format.
//
//   make_old_store DIRECTORY       then keep DIRECTORY/peat.mdb
#include <cstdio>

#include "store_fixture.hpp"

int main(int argc, char** argv) {
  using namespace peat;
  using namespace peat::store;
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 4;
  }
  test::TestExecutor executor;
  SystemRandom random;
  auto store = DocumentStore::open(argv[1], executor, random);
  if (!store) {
    std::fprintf(stderr, "%s\n", store.error().message.c_str());
    return 1;
  }
  WriteBatch batch;
  batch.replace("roads:a", bytes_of("base"), heads_of("base"), std::nullopt);
  batch.append("roads:a", {bytes_of("one"), bytes_of("two")}, heads_of("two"), peer(2));
  batch.replace("roads:" + std::string(1000, 'x'), bytes_of("long"), heads_of("long"), peer(3));
  batch.bury("tracks:t", tombstone("tracks", "t", 5), heads_of("gone"), peer(4));
  batch.put_sync_state(peer(1), "roads:a", bytes_of("state"));
  batch.put_meta("lamport", bytes_of("5"));
  if (const auto written = (*store)->write(std::move(batch)); !written) {
    std::fprintf(stderr, "%s\n", written.error().message.c_str());
    return 1;
  }
  executor.run();
  return 0;
}
