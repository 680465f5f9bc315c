// One subject cannot fill the log.
#include "node/log_limiter.hpp"

#include <gtest/gtest.h>

namespace peat::node {
namespace {

using std::chrono::seconds;

TEST(LogLimiter, OneLinePerSubjectAndIntervalWithWhatWasLeftOut) {
  LogLimiter limiter(4, seconds(10));
  const Instant start{};
  EXPECT_EQ(limiter.admit("a", start), 0U);
  EXPECT_EQ(limiter.admit("a", start + seconds(1)), std::nullopt);
  EXPECT_EQ(limiter.admit("b", start + seconds(1)), 0U) << "another subject";
  EXPECT_EQ(limiter.admit("a", start + seconds(9)), std::nullopt);
  EXPECT_EQ(limiter.admit("a", start + seconds(10)), 2U);
  EXPECT_EQ(limiter.admit("a", start + seconds(20)), 0U);
}

TEST(LogLimiter, SubjectsBeyondItsMemoryShareOneLine) {
  LogLimiter limiter(4, seconds(10));
  const Instant start{};
  int lines = 0;
  for (int i = 0; i < 1000; ++i) lines += limiter.admit(std::to_string(i), start) ? 1 : 0;
  EXPECT_EQ(lines, 5);
  EXPECT_EQ(limiter.size(), 4U);
  EXPECT_EQ(limiter.admit("later", start + seconds(10)), 0U) << "the old ones are forgotten";
  EXPECT_EQ(limiter.size(), 1U);
}

}  // namespace
}  // namespace peat::node
