// kill -9, again and again, of a process that writes under load: nothing that it acknowledged is
// lost, and no batch is ever there in part.
//
// PEAT_KILL_ROUNDS sets the number of kills (300); PEAT_SEED the moments at which they come.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <random>
#include <signal.h>
#include <unistd.h>

#include "../unit/store/store_fixture.hpp"
#include "loop_executor.hpp"
#include "store_workload.hpp"

namespace peat::test {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

// Writes batches until killed; reports each on `pipe` when it is durable.
[[noreturn]] void write_forever(const std::filesystem::path& dir, int pipe) {
  LoopExecutor executor;
  SystemRandom random;
  auto opened = store::DocumentStore::open(dir, executor, random);
  if (!opened) ::_exit(3);
  auto& store = **opened;
  const auto batches = batches_in(store);
  if (!batches) ::_exit(4);
  std::uint64_t next = *batches + 1;
  std::uint64_t unacknowledged = 0;
  const auto report = [pipe](std::uint64_t number) {
    if (::write(pipe, &number, sizeof number) != sizeof number) ::_exit(5);
  };
  executor.run_until([&] {
    // A few batches wait for each commit, and writing never waits for long.
    while (unacknowledged < 8) {
      if (!store.write(workload_batch(next))) ::_exit(6);
      ++unacknowledged;
      store.on_durable([&unacknowledged, report, number = next](Status status) {
        if (!status) ::_exit(7);
        --unacknowledged;
        report(number);
      });
      ++next;
      if (next % 3 == 0) break;
    }
    return false;
  });
  ::_exit(8);
}

struct Outcome {
  std::uint64_t acknowledged = 0;  // the last batch reported
  int reports = 0;
  int status = 0;
};

// Lets a writer run until it has acknowledged `reports` batches (none: for `delay`), and kills it.
Outcome run_and_kill(const std::filesystem::path& dir, int reports,
                     std::chrono::microseconds delay) {
  std::array<int, 2> pipe{};
  EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const auto child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    write_forever(dir, pipe[1]);
  }
  ::close(pipe[1]);
  Outcome outcome;
  const auto read_one = [&] {
    std::uint64_t number = 0;
    if (::read(pipe[0], &number, sizeof number) != sizeof number) return false;
    outcome.acknowledged = number;
    ++outcome.reports;
    return true;
  };
  while (outcome.reports < reports && read_one()) {
  }
  if (reports == 0) ::usleep(static_cast<useconds_t>(delay.count()));
  ::kill(child, SIGKILL);
  while (read_one()) {
  }
  ::waitpid(child, &outcome.status, 0);
  ::close(pipe[0]);
  return outcome;
}

TEST(Kill9, UnderLoadLosesNothingAcknowledgedAndTearsNoBatch) {
  const auto rounds = setting("PEAT_KILL_ROUNDS", 300);
  const auto seed = setting("PEAT_SEED", 1);
  SCOPED_TRACE("PEAT_SEED=" + std::to_string(seed));
  std::mt19937_64 dice(seed);
  const store::TempDir temp;
  const auto dir = temp.path() / "data";
  Model model;
  std::uint64_t killed_while_writing = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    // Every eighth is killed while it opens the store, or thereabouts.
    const int reports = round % 8 == 0 ? 0 : static_cast<int>(1 + dice() % 25);
    const auto outcome = run_and_kill(dir, reports, std::chrono::microseconds(dice() % 30'000));
    ASSERT_TRUE(WIFSIGNALED(outcome.status)) << "exit status " << WEXITSTATUS(outcome.status);
    killed_while_writing += outcome.reports > 0 ? 1 : 0;

    TestExecutor executor;
    SystemRandom random;
    const auto opened = store::DocumentStore::open(dir, executor, random);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto batches = batches_in(**opened);
    ASSERT_TRUE(batches) << batches.error().message;
    ASSERT_GE(*batches, outcome.acknowledged);
    ASSERT_GE(*batches, model.batches()) << "less than an earlier round had";
    model.advance(*batches);
    ASSERT_EQ(model.difference(**opened), "");
    ASSERT_FALSE((*opened)->incarnation().continued);
  }
  EXPECT_GE(killed_while_writing, rounds / 2);
  RecordProperty("batches", std::to_string(model.batches()));
}

}  // namespace
}  // namespace peat::test
