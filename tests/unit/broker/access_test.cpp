// D-57: the reference serves everybody who can reach its port, from any web page.
#include "broker/access.hpp"

#include <gtest/gtest.h>

namespace peat::broker {
namespace {

constexpr WallTime kNow{1'700'000'000'000};

class Tokens : public testing::Test {
 protected:
  std::string add(std::string_view name, Scope scope, std::uint64_t expires = 0) {
    const auto made = make_token(name, scope, expires, random_).value();
    file_ += made.entry.to_line() + "\n";
    return "Bearer " + made.text;
  }
  Code check(const std::optional<std::string>& header, Scope need) const {
    const auto status = Access::parse(file_)->check(header, need, kNow);
    return status ? Code::internal : status.error().code;
  }
  static constexpr Code kAllowed = Code::internal;

  SeededRandom random_{1};
  std::string file_ = "# who may do what\n\n";
};

TEST_F(Tokens, AllowWhatTheirScopeSaysAndNoMore) {
  const auto read = add("dashboard", Scope::read);
  const auto write = add("robot", Scope::write);
  const auto admin = add("operator", Scope::admin);
  EXPECT_EQ(check(read, Scope::read), kAllowed);
  EXPECT_EQ(check(read, Scope::write), Code::permission_denied);
  EXPECT_EQ(check(write, Scope::read), kAllowed);
  EXPECT_EQ(check(write, Scope::admin), Code::permission_denied);
  EXPECT_EQ(check(admin, Scope::admin), kAllowed);
  EXPECT_EQ(check(std::nullopt, Scope::none), kAllowed) << "probes need no token";
}

TEST_F(Tokens, D57WithoutAKnownTokenNothingIsToBeHad) {
  auto token = add("robot", Scope::admin);
  EXPECT_EQ(check(std::nullopt, Scope::read), Code::authentication_failed);
  EXPECT_EQ(check("", Scope::read), Code::authentication_failed);
  EXPECT_EQ(check("Basic Zm9v", Scope::read), Code::authentication_failed);
  EXPECT_EQ(check(token.substr(7), Scope::read), Code::authentication_failed);
  for (std::size_t i = 7; i < token.size(); ++i) {
    auto wrong = token;
    wrong[i] ^= 1;
    EXPECT_EQ(check(wrong, Scope::read), Code::authentication_failed);
  }
  // Who reads the file has no token.
  EXPECT_EQ(file_.find(token.substr(12)), std::string::npos);
}

TEST_F(Tokens, EndWhenTheyExpire) {
  EXPECT_EQ(check(add("a", Scope::read, 1'700'000'000'000), Scope::read),
            Code::authentication_failed);
  EXPECT_EQ(check(add("b", Scope::read, 1'700'000'000'001), Scope::read), kAllowed);
}

TEST_F(Tokens, AFileThatIsWrongIsToldByItsLine) {
  for (const auto* line :
       {"a read 0", "a none 0 00", "a read x 00", "a read 0 00", "a read 0 zz", "a b c d e"}) {
    const auto access = Access::parse(std::string("# one\n") + line + "\n");
    ASSERT_FALSE(access) << line;
    EXPECT_NE(access.error().message.find("line 2"), std::string::npos) << access.error().message;
  }
  EXPECT_FALSE(make_token("two words", Scope::read, 0, random_));
  EXPECT_FALSE(make_token("", Scope::read, 0, random_));
  std::string many;
  for (std::size_t i = 0; i <= Access::kMaxTokens; ++i) {
    many += "t read 0 " + std::string(64, '0') + "\n";
  }
  EXPECT_EQ(Access::parse(many).error().code, Code::limit_exceeded);
}

}  // namespace
}  // namespace peat::broker
