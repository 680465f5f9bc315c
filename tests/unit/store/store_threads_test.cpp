// Reads on the loop go on while the pool commits: at every moment the loop sees all it has written.
#include <gtest/gtest.h>

#include "loop_executor.hpp"
#include "store_fixture.hpp"
#include "store_workload.hpp"

namespace peat::test {
namespace {

class BesideCommits : public testing::TestWithParam<store::On> {};
INSTANTIATE_TEST_SUITE_P(Backends, BesideCommits, testing::ValuesIn(store::kBackends),
                         store::backend_name);

TEST_P(BesideCommits, ReadsSeeEveryWriteAtOnce) {
  const store::TempDir temp;
  LoopExecutor executor;
  SystemRandom random;
  store::StoreKeys keys;
  if (GetParam() == store::On::sealed_memory) keys.key.emplace(store::key_of(1));
  auto opened = GetParam() == store::On::lmdb
                    ? store::DocumentStore::open(temp.path(), executor, random)
                    : store::DocumentStore::open(std::make_shared<store::MemoryDisk>(), executor,
                                                 random, {}, keys);
  ASSERT_TRUE(opened) << opened.error().message;
  auto& store = **opened;
  Model model;
  for (std::uint64_t n = 1; n <= 150; ++n) {
    ASSERT_TRUE(store.write(workload_batch(n)));
    model.advance(n);
    ASSERT_EQ(model.difference(store), "");
    // Sealing anew goes on beside reads and writes.
    if (GetParam() == store::On::sealed_memory && n % 40 == 20) (void)store.reseal(random);
    bool turned = false;
    executor.post([&turned] { turned = true; });
    executor.run_until([&turned] { return turned; });
    ASSERT_EQ(model.difference(store), "");
  }
  std::optional<Status> closed;
  store.close([&closed](Status status) { closed = std::move(status); });
  executor.run_until([&closed] { return closed.has_value(); });
  EXPECT_TRUE(*closed);
  EXPECT_EQ(store.durable_seq(), store.last_seq());
}

}  // namespace
}  // namespace peat::test
