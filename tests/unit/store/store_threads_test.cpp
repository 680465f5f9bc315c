// Reads on the loop go on while the pool commits: at every moment the loop sees all it has written.
#include <gtest/gtest.h>

#include "loop_executor.hpp"
#include "store_fixture.hpp"
#include "store_workload.hpp"

namespace peat::test {
namespace {

class BesideCommits : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Backends, BesideCommits, testing::Bool(), store::backend_name);

TEST_P(BesideCommits, ReadsSeeEveryWriteAtOnce) {
  const store::TempDir temp;
  LoopExecutor executor;
  SystemRandom random;
  auto opened = GetParam() ? store::DocumentStore::open(temp.path(), executor, random)
                           : store::DocumentStore::open(std::make_shared<store::MemoryDisk>(),
                                                        executor, random);
  ASSERT_TRUE(opened) << opened.error().message;
  auto& store = **opened;
  Model model;
  for (std::uint64_t n = 1; n <= 150; ++n) {
    ASSERT_TRUE(store.write(workload_batch(n)));
    model.advance(n);
    ASSERT_EQ(model.difference(store), "");
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
