// Who gets the link when there is more to send than it takes.
#include <gtest/gtest.h>

#include <set>

#include "session_fixture.hpp"
#include "sync/session_common.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(FairShare, EachFlowGetsItsPartAndSilenceSavesNothingUp) {
  FairShare<3> share({60, 30, 10});
  std::array<std::uint64_t, 3> served{};
  const auto serve = [&](std::size_t rounds, std::set<std::size_t> active) {
    for (std::size_t i = 0; i < rounds; ++i) {
      for (const auto flow : share.order()) {
        if (!active.contains(flow)) continue;
        served[flow] += 1000;
        share.charge(flow, 1000);
        break;
      }
    }
  };
  serve(1000, {0, 1, 2});
  EXPECT_NEAR(static_cast<double>(served[0]), 600'000, 5'000);
  EXPECT_NEAR(static_cast<double>(served[2]), 100'000, 5'000);
  serve(1000, {2});
  EXPECT_NEAR(static_cast<double>(served[2]), 1'100'000, 5'000) << "what others leave";
  served = {};
  serve(100, {0, 2});
  EXPECT_GE(served[2], 10'000U) << "it does not pay for having had the link alone";
}

class ClassesTest : public testing::Test {
 protected:
  ClassesTest() {
    auto rules = a.documents->collections();
    CollectionRule bulk;
    bulk.qos = QosClass::bulk;
    rules.set("files", bulk);
    a.documents->set_collections(rules);
    b.put("depots:b", "{}");  // not empty: nothing is sent unasked
  }
  // Some 8 kB/s.
  static void make_slow(Link& link) {
    link.to_y.bytes_per_second = 8'000;
    link.to_x.bytes_per_second = 8'000;
  }
  // Some 900 bytes that no compression makes much smaller.
  std::string filler(std::size_t n) {
    Bytes noise(450);
    world.random().fill(noise);
    return R"({"text":")" + to_hex(noise) + R"(","n":)" + std::to_string(n) + "}";
  }

  sim::World world{1};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
};

// F19: a critical document waited behind bulk.
TEST_F(ClassesTest, F19AnAlertOvertakesWhatIsNotUrgent) {
  for (const auto dialect : {Dialect::native, Dialect::old}) {
    Link link(a, b, dialect);
    make_slow(link);
    world.run_for(seconds(5));
    for (int n = 0; n < 500; ++n) {
      a.put("files:" + std::to_string(n), filler(static_cast<std::size_t>(n)));
    }
    world.run_for(seconds(10));
    ASSERT_EQ(b.json("files:499").size(), 0U) << "not all can be there";
    a.put("alerts:x", "{\"level\":" + std::to_string(link.frames()) + "}");
    const auto wanted = a.heads("alerts:x");
    const bool arrived = world.run_until([&] { return b.heads("alerts:x") == wanted; },
                                         dialect == Dialect::native ? seconds(3) : seconds(40));
    EXPECT_TRUE(arrived);
    EXPECT_EQ(b.json("files:499").size(), 0U);
    link.cut();
    for (int n = 0; n < 500; ++n) {
      a.erase("files:" + std::to_string(n));
    }
  }
}

// F18: strict priority starved what was less urgent.
TEST_F(ClassesTest, F18NothingStarvesUnderAStreamOfAlerts) {
  Link link(a, b, Dialect::native);
  make_slow(link);
  world.run_for(seconds(5));
  std::size_t alerts = 0;
  // 40 of 450 bytes (hex digits pack well) a second: twice what the link takes.
  const auto alarm_for = [&](std::size_t rounds) {
    for (std::size_t n = 0; n < rounds; ++n, ++alerts) {
      a.put("alerts:" + std::to_string(alerts % 200), filler(alerts));
      world.run_for(milliseconds(25));
    }
  };
  alarm_for(1200);
  for (std::size_t n = 0; n < 20; ++n) a.put("files:" + std::to_string(n), filler(n));
  alarm_for(4800);
  EXPECT_GE(b.store->count("files"), 5U);
  EXPECT_LT(b.status(a).received, a.store->last_seq()) << "the link was never free";
}

TEST_F(ClassesTest, FramesAreSmallWhereTheLinkIsSlowAndLargeWhereItIsNot) {
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  world.run_for(seconds(1));
  for (int n = 0; n < 300; ++n) a.put("files:" + std::to_string(n), filler(0));
  world.run_for(seconds(5));
  EXPECT_EQ(b.store->count("files"), 300U);
  const auto quick = link->to_y.frames;
  EXPECT_LT(quick, 20U);
  make_slow(*link);
  for (int n = 300; n < 900; ++n) a.put("files:" + std::to_string(n), filler(0));
  world.run_for(minutes(2));
  EXPECT_EQ(b.store->count("files"), 900U);
  EXPECT_GT(link->to_y.frames - quick, 3 * quick);
}

}  // namespace
}  // namespace peat::sync
