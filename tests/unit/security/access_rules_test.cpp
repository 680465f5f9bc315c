// The rules of access: how they are written, what they mean, what they say when they are wrong.
#include "security/access_rules.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace peat::security {
namespace {

EndpointId id_of(std::uint8_t n) {
  EndpointId id;
  id.bytes.fill(n);
  return id;
}

Standing member(Tier tier, Permissions permissions = permission::kStandard) {
  return {id_of(7), true, tier, permissions};
}
Standing uncertified(std::uint8_t n = 9) { return {.id = id_of(n)}; }

AccessRules rules(const std::vector<std::string>& lines) {
  std::vector<AccessRule> out;
  for (const auto& line : lines) out.push_back(AccessRule::parse(line).value());
  return AccessRules::create(std::move(out)).value();
}

std::string refusal(std::string_view line) {
  const auto rule = AccessRule::parse(line);
  return rule ? "" : rule.error().message;
}

TEST(AccessRules, WithoutRulesEverybodyMayDoEverything) {
  const AccessRules none;
  for (const auto right : {Right::read, Right::write, Right::relay, Right::erase}) {
    EXPECT_TRUE(none.is_open(right, "orders"));
    EXPECT_TRUE(none.allows(uncertified(), right, "orders"));
  }
  EXPECT_TRUE(none.allows_protocol(uncertified(), "peat/sync/2"));
}

TEST(AccessRules, ATierMeansThatOrAHigherOne) {
  const auto access = rules({"orders:write=regional"});
  EXPECT_TRUE(access.allows(member(Tier::enterprise), Right::write, "orders"));
  EXPECT_TRUE(access.allows(member(Tier::regional), Right::write, "orders"));
  EXPECT_FALSE(access.allows(member(Tier::tactical), Right::write, "orders"));
  EXPECT_FALSE(access.allows(uncertified(), Right::write, "orders"));
  EXPECT_TRUE(access.allows(uncertified(), Right::read, "orders")) << "not mentioned";
  EXPECT_TRUE(access.allows(uncertified(), Right::write, "tracks")) << "another collection";
}

TEST(AccessRules, PermissionsAndEndpointIdsAreAlternatives) {
  const auto access = rules({"orders:write=admin+enroll+" + id_of(9).to_string()});
  EXPECT_TRUE(access.allows(member(Tier::edge, permission::kAdmin), Right::write, "orders"));
  EXPECT_TRUE(access.allows(member(Tier::edge, permission::kEnroll), Right::write, "orders"));
  EXPECT_TRUE(access.allows(uncertified(9), Right::write, "orders"));
  EXPECT_FALSE(access.allows(uncertified(8), Right::write, "orders"));
  EXPECT_FALSE(access.allows(member(Tier::enterprise), Right::write, "orders"));
}

TEST(AccessRules, WhoMayWriteMayRelayAndDeleteUnlessSaid) {
  const auto access = rules({"orders:write=regional", "logs:write=any,delete=none,relay=relay"});
  EXPECT_FALSE(access.allows(member(Tier::edge), Right::relay, "orders"));
  EXPECT_FALSE(access.allows(member(Tier::edge), Right::erase, "orders"));
  EXPECT_TRUE(access.allows(member(Tier::edge), Right::relay, "logs"));
  EXPECT_FALSE(access.allows(member(Tier::edge, 0), Right::relay, "logs"));
  EXPECT_FALSE(access.allows(member(Tier::enterprise), Right::erase, "logs"));
}

TEST(AccessRules, TheGeneralRuleHoldsForRightsThatTheOwnOneLeavesOut) {
  const auto access = rules({"*:read=member,write=admin", "tracks:write=any"});
  EXPECT_FALSE(access.allows(uncertified(), Right::read, "tracks"));
  EXPECT_TRUE(access.allows(uncertified(), Right::write, "tracks"));
  EXPECT_FALSE(access.allows(member(Tier::enterprise), Right::write, "others"));
}

TEST(D10_AccessRules, TrustIsReadableByAllAndDeletedByAdminsAlone) {
  const auto access = rules({"*:read=none,write=none"});
  for (const auto* collection : {"certificates", "revocations"}) {
    EXPECT_TRUE(access.allows(uncertified(), Right::read, collection));
    EXPECT_TRUE(access.allows(member(Tier::edge), Right::write, collection));
    EXPECT_FALSE(access.allows(member(Tier::edge), Right::erase, collection));
    EXPECT_TRUE(access.allows(member(Tier::edge, permission::kAdmin), Right::erase, collection));
  }
  const auto own = rules({"revocations:delete=none"});
  EXPECT_FALSE(own.allows(member(Tier::edge, permission::kAdmin), Right::erase, "revocations"));
}

TEST(AccessRules, AProtocolIsUsedByWhomItsRuleNames) {
  const auto access = rules({"@cap/automerge/1:use=none", "@peat/enroll/1:use=member"});
  EXPECT_FALSE(access.allows_protocol(member(Tier::enterprise), "cap/automerge/1"));
  EXPECT_FALSE(access.allows_protocol(uncertified(), "peat/enroll/1"));
  EXPECT_TRUE(access.allows_protocol(member(Tier::edge), "peat/enroll/1"));
  EXPECT_TRUE(access.allows_protocol(uncertified(), "peat/sync/2"));
}

TEST(AccessRules, WhatIsWrittenWronglyIsNamedWithARemedy) {
  EXPECT_NE(refusal("orders").find("COLLECTION:right=who"), std::string::npos);
  EXPECT_NE(refusal("orders:").find("COLLECTION:right=who"), std::string::npos);
  EXPECT_NE(refusal(":read=any").find("COLLECTION:right=who"), std::string::npos);
  EXPECT_NE(refusal("@:use=any").find("COLLECTION:right=who"), std::string::npos);
  EXPECT_NE(refusal("orders:print=any").find("read, write, relay, delete"), std::string::npos);
  EXPECT_NE(refusal("orders:use=any").find("read, write, relay, delete"), std::string::npos);
  EXPECT_NE(refusal("@peat/sync/2:read=any").find("use"), std::string::npos);
  EXPECT_NE(refusal("orders:read=").find("'none'"), std::string::npos);
  EXPECT_NE(refusal("orders:read=generals").find("enterprise"), std::string::npos);
  EXPECT_NE(refusal("orders:read=standard").find("enterprise"), std::string::npos);
  EXPECT_NE(refusal("orders:read=any,read=none").find("twice"), std::string::npos);
  auto twice = AccessRules::create(
      {AccessRule::parse("a:read=any").value(), AccessRule::parse("a:write=any").value()});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Code::bad_setting);
}

}  // namespace
}  // namespace peat::security
