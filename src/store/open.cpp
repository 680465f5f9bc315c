#include "store/lmdb_backend.hpp"
#include "store/memory_backend.hpp"
#include "store/sealed_backend.hpp"
#include "store/store.hpp"

namespace peat::store {

Result<std::unique_ptr<DocumentStore>> DocumentStore::open(const std::filesystem::path& dir,
                                                           Executor& executor, Random& random,
                                                           const Limits& limits,
                                                           const StoreKeys& keys) {
  PEAT_TRY(auto files, LmdbBackend::open(dir));
  PEAT_TRY(auto backend, SealedBackend::open(std::move(files), keys, random));
  return Store::open(std::move(backend), executor, random, limits);
}

Result<std::unique_ptr<DocumentStore>> DocumentStore::open(std::shared_ptr<MemoryDisk> disk,
                                                           Executor& executor, Random& random,
                                                           const Limits& limits,
                                                           const StoreKeys& keys) {
  PEAT_TRY(auto backend,
           SealedBackend::open(std::make_shared<MemoryBackend>(std::move(disk)), keys, random));
  return Store::open(std::move(backend), executor, random, limits);
}

}  // namespace peat::store
