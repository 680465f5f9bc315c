// What attackers try against the trust of a mesh. Each test named after a defect number fails on a
// node that does as the reference does.
#include "security/trust.hpp"

#include <gtest/gtest.h>

#include "vectors.hpp"

namespace peat::security {
namespace {

using std::chrono::hours;

constexpr std::uint64_t kNow = kT0 + 1000;
constexpr std::uint8_t kThree[] = {1, 2, 3};

class Trust : public testing::Test {
 protected:
  Trust() : mesh_(test_mesh()), store_(options()) {}

  TrustOptions options() const {
    TrustOptions out;
    out.mesh_id = mesh_.mesh_id();
    out.authorities = {mesh_.authority().public_key()};
    return out;
  }
  static EndpointId id(std::uint8_t n) { return key_of(n).public_key(); }
  static CertificateRequest request(std::uint8_t subject, std::string name,
                                    Permissions permissions = permission::kStandard) {
    return {id(subject), std::move(name), Tier::tactical, permissions, hours(24)};
  }
  Certificate by_authority(const CertificateRequest& r, std::uint64_t when = kT0) const {
    return mesh_.issue(r, at(when)).value();
  }
  Certificate by(std::uint8_t issuer, const CertificateRequest& r, std::uint64_t when = kT0) const {
    return issue_certificate(key_of(issuer), mesh_.mesh_id(), r, at(when)).value();
  }
  Result<Added> add(const Certificate& c, std::uint64_t when = kNow) {
    return store_.add_certificate(c, at(when));
  }
  Result<Added> add(const Revocation& r) { return store_.add_revocation(r, at(kNow)); }
  Code refusal(const Certificate& c) {
    const auto added = add(c);
    return added ? Code::internal : added.error().code;
  }
  bool allowed(std::uint8_t n, Permissions need = 0, std::uint64_t when = kNow) const {
    return store_.authorize(id(n), need, at(when)).has_value();
  }
  Code denial(std::uint8_t n, Permissions need = 0, std::uint64_t when = kNow) const {
    const auto answer = store_.authorize(id(n), need, at(when));
    return answer ? Code::internal : answer.error().code;
  }
  Revocation revoke(const crypto::SecretKey& by, std::uint8_t subject,
                    std::string_view reason = "lost") const {
    return Revocation::create(by, mesh_.mesh_id(), id(subject), reason, 1, at(kNow)).value();
  }
  // A delegate: key 20, may enrol, for `validity`.
  void add_delegate(Permissions permissions = permission::kStandard | permission::kEnroll) {
    ASSERT_TRUE(add(by_authority(request(20, "depot", permissions))));
  }

  MeshGenesis mesh_;
  TrustStore store_;
};

TEST_F(Trust, AMemberCertifiedByTheAuthorityIsLetInForWhatItMayDo) {
  EXPECT_EQ(add(by_authority(request(1, "truck"))).value(), Added::stored);
  EXPECT_TRUE(allowed(1, permission::kRelay));
  EXPECT_EQ(denial(1, permission::kAdmin), Code::permission_denied);
  EXPECT_EQ(denial(2), Code::not_trusted);
}

// D-01: one self-signed certificate with ENROLL lets everybody in.
TEST_F(Trust, D01ASelfSignedCertificateIsNoAuthority) {
  EXPECT_EQ(refusal(by(66, request(66, "evil", permission::kAuthority))), Code::not_trusted);
  EXPECT_EQ(add(by(66, request(1, "puppet"))).value(), Added::waiting);
  EXPECT_FALSE(allowed(66));
  EXPECT_FALSE(allowed(1));
  EXPECT_TRUE(add(mesh_.root_certificate("authority-0", kAtT0).value()));
}

TEST_F(Trust, AForgedSignatureIsRefused) {
  auto forged = by_authority(request(1, "truck"));
  forged.permissions = permission::kAuthority;
  EXPECT_EQ(refusal(forged), Code::bad_signature);
  auto impostor = by(66, request(1, "truck"));
  impostor.issuer = mesh_.authority().public_key();
  EXPECT_EQ(refusal(impostor), Code::bad_signature);
}

// D-11: who may enrol may, in the reference, hand out any right for any time.
TEST_F(Trust, D11ADelegateHandsOnNoMoreThanItHas) {
  add_delegate();
  EXPECT_TRUE(add(by(20, request(1, "ok"))));
  EXPECT_EQ(refusal(by(20, request(2, "admin", permission::kAdmin))), Code::not_trusted);
  EXPECT_EQ(refusal(by(20, request(2, "enroll", permission::kEnroll))), Code::not_trusted);
  auto high = request(2, "high");
  high.tier = Tier::enterprise;
  EXPECT_EQ(refusal(by(20, high)), Code::not_trusted);
  auto longer = request(2, "longer");
  longer.validity = hours(25);
  EXPECT_EQ(refusal(by(20, longer)), Code::not_trusted);
  longer.validity = hours(0);
  EXPECT_EQ(refusal(by(20, longer)), Code::not_trusted);
  auto earlier = request(2, "earlier");
  EXPECT_EQ(refusal(by(20, earlier, kT0 - kDay)), Code::not_trusted);
  EXPECT_FALSE(allowed(2));
}

TEST_F(Trust, D11WhoMayNotEnrolCertifiesNobodyAndChainsHaveTwoLinks) {
  ASSERT_TRUE(add(by_authority(request(3, "member"))));
  EXPECT_EQ(refusal(by(3, request(4, "friend"))), Code::not_trusted);
  // A delegate that a delegate had made: even if its own certificate were believed.
  add_delegate(permission::kAuthority);
  EXPECT_EQ(refusal(by(20, request(21, "sub", permission::kEnroll))), Code::not_trusted);
  EXPECT_EQ(add(by(21, request(5, "third"))).value(), Added::waiting);
  EXPECT_FALSE(allowed(5));
}

TEST_F(Trust, D11WhenADelegateExpiresOrIsRevokedItsMembersGoWithIt) {
  auto long_lived = request(20, "depot", permission::kStandard | permission::kEnroll);
  ASSERT_TRUE(add(by_authority(long_lived)));
  auto member = request(1, "truck");
  member.validity = hours(24);
  ASSERT_TRUE(add(by(20, member)));
  EXPECT_TRUE(allowed(1));
  EXPECT_EQ(denial(1, 0, kT0 + 2 * kDay), Code::certificate_expired);
  ASSERT_TRUE(add(revoke(mesh_.authority(), 20)));
  EXPECT_EQ(denial(1), Code::certificate_revoked);
}

// A delegate whose rights shrink takes back what it gave beyond them.
TEST_F(Trust, D11TheChainIsWalkedAnewAtEveryQuestion) {
  add_delegate();
  ASSERT_TRUE(add(by(20, request(1, "truck"))));
  EXPECT_TRUE(allowed(1));
  ASSERT_TRUE(add(by_authority(request(20, "depot", permission::kStandard), kT0 + 1)));
  EXPECT_EQ(denial(1), Code::not_trusted);
}

// D-12: the reference never compares the mesh.
TEST_F(Trust, D12ACertificateOfAnotherMeshIsRefused) {
  const auto other = issue_certificate(mesh_.authority(), "547D6127", request(1, "truck"), kAtT0);
  EXPECT_EQ(refusal(*other), Code::wrong_mesh);
}

TEST_F(Trust, D12AnOlderCertificateDoesNotRollBackANewerOne) {
  const auto old = by_authority(request(1, "truck", permission::kAuthority), kT0 - 1);
  ASSERT_TRUE(add(by_authority(request(1, "truck", 0), kT0)));
  EXPECT_EQ(add(old).value(), Added::known);
  EXPECT_FALSE(allowed(1, permission::kAdmin));
}

TEST_F(Trust, D12OfTwoCertificatesOfOneMomentEveryNodeTakesTheSame) {
  const auto a = by_authority(request(1, "truck", permission::kRelay));
  const auto b = by_authority(request(1, "truck", permission::kEmergency));
  TrustStore other(options());
  ASSERT_TRUE(add(a));
  ASSERT_TRUE(add(b));
  ASSERT_TRUE(other.add_certificate(b, at(kNow)));
  ASSERT_TRUE(other.add_certificate(a, at(kNow)));
  EXPECT_EQ(*store_.certificate_of(id(1)), *other.certificate_of(id(1)));
}

TEST_F(Trust, D12ANameStaysWithItsKeyUnlessTheAuthoritySaysOtherwise) {
  add_delegate();
  ASSERT_TRUE(add(by(20, request(1, "enterprise-0"))));
  EXPECT_EQ(refusal(by(20, request(2, "enterprise-0"), kT0 + 5)), Code::not_trusted);
  EXPECT_EQ(store_.holder_of("enterprise-0", at(kNow)), id(1));
  ASSERT_TRUE(add(by_authority(request(3, "enterprise-0"), kT0 + 5)));
  EXPECT_EQ(store_.holder_of("enterprise-0", at(kNow)), id(3));
}

TEST_F(Trust, D12ANameIsFreeAgainOnceItsHolderIsRevoked) {
  add_delegate();
  ASSERT_TRUE(add(by(20, request(1, "truck"))));
  ASSERT_TRUE(add(revoke(mesh_.authority(), 1)));
  EXPECT_EQ(store_.holder_of("truck", at(kNow)), std::nullopt);
  EXPECT_TRUE(add(by(20, request(2, "truck"))));
  EXPECT_EQ(store_.holder_of("truck", at(kNow)), id(2));
}

// D-16: the reference forgets a delegate's certificate that is read before its delegator's, and a
// renamed subject keeps its old name.
TEST_F(Trust, D16CertificatesMayArriveInAnyOrder) {
  EXPECT_EQ(add(by(20, request(1, "truck"))).value(), Added::waiting);
  EXPECT_FALSE(allowed(1));
  add_delegate();
  EXPECT_TRUE(allowed(1));
}

TEST_F(Trust, D16ARenamedSubjectLeavesItsOldName) {
  ASSERT_TRUE(add(by_authority(request(1, "old"))));
  ASSERT_TRUE(add(by_authority(request(1, "new"), kT0 + 1)));
  EXPECT_EQ(store_.holder_of("old", at(kNow)), std::nullopt);
  EXPECT_EQ(store_.holder_of("new", at(kNow)), id(1));
}

TEST_F(Trust, D17ClocksMayDifferByFiveMinutes) {
  ASSERT_TRUE(add(by_authority(request(1, "truck"))));
  EXPECT_TRUE(allowed(1, 0, kT0 - 299'000));
  EXPECT_EQ(denial(1, 0, kT0 - 301'000), Code::certificate_expired);
  EXPECT_TRUE(allowed(1, 0, kT0 + kDay + 299'000));
  EXPECT_EQ(denial(1, 0, kT0 + kDay + 301'000), Code::certificate_expired);
}

// D-18: the reference tells an expired certificate's rights as if it were valid.
TEST_F(Trust, D18AnExpiredCertificateHasNoRights) {
  ASSERT_TRUE(add(by_authority(request(1, "truck", permission::kAdmin))));
  EXPECT_EQ(denial(1, permission::kAdmin, kT0 + 2 * kDay), Code::certificate_expired);
}

// D-09: in the reference a revocation acts after a restart.
TEST_F(Trust, D09ARevocationActsAtOnceAndForEver) {
  ASSERT_TRUE(add(by_authority(request(1, "truck"))));
  EXPECT_EQ(add(revoke(mesh_.authority(), 1, "stolen")).value(), Added::stored);
  const auto answer = store_.authorize(id(1), 0, at(kNow));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::certificate_revoked);
  EXPECT_NE(answer.error().message.find("\"stolen\""), std::string::npos);
  // Not even a newer certificate brings the key back.
  (void)add(by_authority(request(1, "truck"), kT0 + 500));
  EXPECT_EQ(denial(1), Code::certificate_revoked);
}

TEST_F(Trust, D09ARevocationThatComesBeforeItsCertificateActsToo) {
  ASSERT_TRUE(add(revoke(mesh_.authority(), 1)));
  EXPECT_EQ(denial(1), Code::certificate_revoked);
  (void)add(by_authority(request(1, "truck")));
  EXPECT_EQ(denial(1), Code::certificate_revoked);
}

// D-10: in the reference any member can revoke anybody, the authority included.
TEST_F(Trust, D10AnUnsignedRevocationDoesNothingByDefault) {
  ASSERT_TRUE(add(by_authority(request(1, "truck"))));
  const auto added = add(Revocation{id(1), "because", kNow, std::nullopt});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, Code::not_trusted);
  EXPECT_TRUE(allowed(1));
}

TEST_F(Trust, D10WhoMayNotRevokeDoesNot) {
  ASSERT_TRUE(add(by_authority(request(1, "truck"))));
  ASSERT_TRUE(add(by_authority(request(2, "other"))));
  EXPECT_EQ(add(revoke(key_of(2), 1)).error().code, Code::permission_denied);
  EXPECT_EQ(add(revoke(key_of(66), 1)).error().code, Code::permission_denied);
  auto forged = revoke(key_of(66), 1);
  forged.seal->issuer = mesh_.authority().public_key();
  EXPECT_EQ(add(forged).error().code, Code::bad_signature);
  auto moved = revoke(mesh_.authority(), 2);
  moved.subject = id(1);
  EXPECT_EQ(add(moved).error().code, Code::bad_signature);
  const auto elsewhere =
      Revocation::create(mesh_.authority(), "547D6127", id(1), "lost", 1, at(kNow)).value();
  EXPECT_EQ(add(elsewhere).error().code, Code::bad_signature);
  EXPECT_TRUE(allowed(1));
}

TEST_F(Trust, D10AdminsIssuersAndSubjectsMayRevoke) {
  add_delegate();
  ASSERT_TRUE(add(by_authority(request(7, "chief", permission::kAdmin))));
  for (const auto n : kThree) {
    ASSERT_TRUE(add(by(20, request(n, "truck-" + std::to_string(n)))));
  }
  EXPECT_TRUE(add(revoke(key_of(7), 1)));
  EXPECT_TRUE(add(revoke(key_of(20), 2)));
  EXPECT_TRUE(add(revoke(key_of(3), 3)));
  for (const auto n : kThree) EXPECT_EQ(denial(n), Code::certificate_revoked);
}

TEST_F(Trust, D10ThePinnedAuthorityIsRevokedByItselfAlone) {
  ASSERT_TRUE(add(by_authority(request(7, "chief", permission::kAdmin))));
  const auto authority = mesh_.authority().public_key();
  const auto by_admin =
      Revocation::create(key_of(7), mesh_.mesh_id(), authority, "coup", 1, at(kNow)).value();
  EXPECT_EQ(add(by_admin).error().code, Code::permission_denied);
  auto any = options();
  any.revocation_auth = RevocationAuth::any;
  TrustStore lax(any);
  EXPECT_FALSE(lax.add_revocation({authority, "coup", kNow, std::nullopt}, at(kNow)));
}

TEST_F(Trust, D10ARevokedAdminRevokesNobody) {
  ASSERT_TRUE(add(by_authority(request(7, "chief", permission::kAdmin))));
  ASSERT_TRUE(add(by_authority(request(1, "truck"))));
  ASSERT_TRUE(add(revoke(mesh_.authority(), 7)));
  EXPECT_EQ(add(revoke(key_of(7), 1)).error().code, Code::permission_denied);
  EXPECT_TRUE(allowed(1));
}

TEST_F(Trust, UnderPreferAnUnsignedRevocationSuspendsUntilItIsTakenBack) {
  auto prefer = options();
  prefer.revocation_auth = RevocationAuth::prefer;
  TrustStore store(prefer);
  ASSERT_TRUE(store.add_certificate(by_authority(request(1, "truck")), at(kNow)));
  ASSERT_TRUE(store.add_revocation({id(1), "rumour", kNow, std::nullopt}, at(kNow)));
  EXPECT_EQ(store.authorize(id(1), 0, at(kNow)).error().code, Code::certificate_revoked);
  EXPECT_TRUE(store.revocations().empty()) << "nothing to keep for ever";
  store.lift_suspension(id(1));
  EXPECT_TRUE(store.authorize(id(1), 0, at(kNow)));
}

TEST_F(Trust, LimitsHoldAndTheAuthoritysRevocationsFitBeyondThem) {
  auto small = options();
  small.limits.trust_certificates = 2;
  small.limits.trust_waiting = 1;
  small.limits.trust_revocations = 1;
  TrustStore store(small);
  const auto code = [](const Result<Added>& added) {
    return added ? Code::internal : added.error().code;
  };
  ASSERT_TRUE(store.add_certificate(by_authority(request(1, "a")), at(kNow)));
  ASSERT_TRUE(store.add_certificate(by_authority(request(2, "b", permission::kAdmin)), at(kNow)));
  EXPECT_EQ(code(store.add_certificate(by_authority(request(3, "c")), at(kNow))),
            Code::limit_exceeded);
  EXPECT_TRUE(store.add_certificate(by_authority(request(1, "a"), kT0 + 1), at(kNow)));
  EXPECT_EQ(store.add_certificate(by(20, request(4, "d")), at(kNow)).value(), Added::waiting);
  EXPECT_EQ(code(store.add_certificate(by(20, request(5, "e")), at(kNow))), Code::limit_exceeded);
  ASSERT_TRUE(store.add_revocation(revoke(key_of(2), 8), at(kNow)));
  EXPECT_EQ(code(store.add_revocation(revoke(key_of(2), 9), at(kNow))), Code::limit_exceeded);
  EXPECT_TRUE(store.add_revocation(revoke(mesh_.authority(), 9), at(kNow)));
  // Strangers cannot fill the table with themselves.
  EXPECT_EQ(code(TrustStore(options()).add_revocation(revoke(key_of(66), 66), at(kNow))),
            Code::permission_denied);
}

TEST_F(Trust, AnOperatorSeesEveryMemberAndWhyItIsOut) {
  ASSERT_TRUE(add(by_authority(request(1, "in"))));
  ASSERT_TRUE(add(by_authority(request(2, "out"))));
  ASSERT_TRUE(add(revoke(mesh_.authority(), 2, "sold")));
  for (const auto& member : store_.members(at(kNow))) {
    if (member.certificate.node_id == "in") {
      EXPECT_FALSE(member.problem);
    } else {
      ASSERT_TRUE(member.problem && member.revoked);
      EXPECT_EQ(member.revoked->reason, "sold");
    }
  }
}

TEST_F(Trust, AChainProvesAMemberToSomebodyWhoKnowsTheAuthorityAlone) {
  add_delegate();
  ASSERT_TRUE(add(by(20, request(1, "truck"))));
  const auto chain = store_.chain_of(id(1));
  ASSERT_EQ(chain.size(), 2U);
  TrustStore fresh(options());
  for (const auto& link : chain) ASSERT_TRUE(fresh.add_certificate(link, at(kNow)));
  EXPECT_TRUE(fresh.authorize(id(1), 0, at(kNow)));
}

TEST(Revocations, SurviveEncodingAndRefuseEverythingElse) {
  const auto signed_one =
      Revocation::create(key_of(1), kMeshId, key_of(2).public_key(), "lost at sea", 7, kAtT0)
          .value();
  EXPECT_TRUE(signed_one.signature_matches(kMeshId));
  const Revocation bare{key_of(2).public_key(), "", kT0, std::nullopt};
  for (const auto& revocation : {signed_one, bare}) {
    auto bytes = revocation.encode();
    EXPECT_EQ(Revocation::decode(bytes).value(), revocation);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      EXPECT_FALSE(Revocation::decode(ByteView(bytes).first(n)));
    }
    bytes.push_back(0);
    EXPECT_FALSE(Revocation::decode(bytes));
  }
  EXPECT_FALSE(Revocation::create(key_of(1), kMeshId, key_of(2).public_key(),
                                  std::string(1025, 'x'), 1, kAtT0));
}

}  // namespace
}  // namespace peat::security
