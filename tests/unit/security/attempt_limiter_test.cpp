#include "security/attempt_limiter.hpp"

#include <gtest/gtest.h>

namespace peat::security {
namespace {

using std::chrono::seconds;

TEST(AttemptLimiter, ABurstThenOneForEachPartOfAMinute) {
  AttemptLimiter limiter(5);
  Instant now{};
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.admit("10.0.0.7", now));
  EXPECT_TRUE(limiter.exhausted("10.0.0.7", now));
  EXPECT_FALSE(limiter.admit("10.0.0.7", now));
  EXPECT_TRUE(limiter.admit("10.0.0.8", now)) << "each subject has its own";
  EXPECT_FALSE(limiter.admit("10.0.0.7", now + seconds(11)));
  EXPECT_FALSE(limiter.exhausted("10.0.0.7", now + seconds(12)));
  EXPECT_TRUE(limiter.admit("10.0.0.7", now + seconds(12)));
  EXPECT_FALSE(limiter.admit("10.0.0.7", now + seconds(12)));
  now += std::chrono::minutes(10);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(limiter.admit("10.0.0.7", now));
  EXPECT_FALSE(limiter.admit("10.0.0.7", now)) << "idle time is not saved up";
}

TEST(AttemptLimiter, SpoofersDoNotFillTheMemoryNorFreeWhoIsLimited) {
  AttemptLimiter limiter(1);
  const Instant now{};
  EXPECT_TRUE(limiter.admit("limited", now + seconds(30)));
  for (std::size_t i = 0; i < 3 * AttemptLimiter::kSubjects; ++i) {
    limiter.admit(std::to_string(i), now);
  }
  EXPECT_LE(limiter.subjects(), AttemptLimiter::kSubjects);
  EXPECT_FALSE(limiter.admit("limited", now + seconds(31))) << "the most recent stays";
}

}  // namespace
}  // namespace peat::security
