// How devices come in, and what those try who should not.
#include "security/enrollment.hpp"

#include <gtest/gtest.h>

#include "base/reader.hpp"
#include "security/enrollment_client.hpp"
#include "security/enrollment_service.hpp"
#include "vectors.hpp"

namespace peat::security {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

EnrollmentRequest vector_request() {
  EnrollmentRequest request;
  request.subject = key_of(1).public_key();
  request.mesh_id = kMeshId;
  request.node_id = "tac-west-1";
  request.tier = Tier::tactical;
  const auto token = as_bytes("bootstrap-token-123");
  request.token.assign(token.begin(), token.end());
  request.timestamp_ms = kT0;
  EXPECT_TRUE(request.sign(key_of(1)));
  return request;
}

Certificate vector_certificate() {
  return Certificate::decode(*from_hex(std::string(kMemberSigned) + std::string(kMemberSignature)))
      .value();
}

std::string hex_of(const EnrollmentResponse& response) {
  return to_hex(response.encode().value().view());
}

TEST(EnrollmentMessages, V7TheRequestIsThatOfExistingPeers) {
  const auto bytes = vector_request().encode().value();
  EXPECT_EQ(
      to_hex(bytes),
      "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c0830423643413736460a7461632d"
      "776573742d31021300626f6f7473747261702d746f6b656e2d3132330068e5cf8b010000"
      "ba9562b86b648f5b8ac9cebe005022fbadbd223d6866ca59c0f57b6b07c7cdd538b49e3a666c46fd74a27aeae711"
      "46e3ffe03b43e5d18f6ac09da3de9f395a0e");
  EXPECT_EQ(bytes.size(), 146U);
  const auto decoded = EnrollmentRequest::decode(bytes).value();
  EXPECT_TRUE(decoded.signature_matches());
  EXPECT_EQ(decoded.node_id, "tac-west-1");
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(EnrollmentRequest::decode(ByteView(bytes).first(n)));
  }
}

TEST(EnrollmentMessages, V7TheResponsesAreThoseOfExistingPeers) {
  EnrollmentResponse approved;
  approved.status = EnrollmentStatus::approved;
  approved.certificate = vector_certificate();
  approved.timestamp_ms = kT0;
  const auto certificate = std::string(kMemberSigned) + std::string(kMemberSignature);
  EXPECT_EQ(hex_of(approved), "01000001a600" + certificate + "000068e5cf8b010000");

  approved.formation_secret.emplace(test_mesh().credentials().formation_secret.view());
  const auto with_secret = approved.encode().value();
  EXPECT_EQ(with_secret.size(), 215U);
  EXPECT_EQ(to_hex(sha256(with_secret.view())),
            "fdad7f132eef4b03fb042fbd33caad4928975ce74645cc449d5c09918c838b31");

  EnrollmentResponse denied;
  denied.reason = "bad token";
  denied.timestamp_ms = kT0;
  EXPECT_EQ(hex_of(denied), "02090062616420746f6b656e00000068e5cf8b010000");
  EnrollmentResponse pending;
  pending.status = EnrollmentStatus::pending;
  pending.timestamp_ms = kT0;
  EXPECT_EQ(hex_of(pending), "00000000000068e5cf8b010000");
}

TEST(EnrollmentMessages, ResponsesComeBackAsTheyWentWithOrWithoutTheExtension) {
  EnrollmentResponse response;
  response.status = EnrollmentStatus::approved;
  response.certificate = vector_certificate();
  response.formation_secret.emplace(Bytes(32, 5));
  response.timestamp_ms = kT0;
  for (const bool extended : {false, true}) {
    if (extended) {
      response.extension.emplace(
          EnrollmentResponse::Extension{"Depot",
                                        MembershipPolicy::strict,
                                        {vector_certificate()},
                                        {{key_of(3).public_key(), "10.0.0.7:11204"}}});
    }
    const auto bytes = response.encode().value();
    const auto again = EnrollmentResponse::decode(bytes.view()).value();
    EXPECT_EQ(again.certificate, response.certificate);
    EXPECT_EQ(to_hex(again.formation_secret->view()), to_hex(Bytes(32, 5)));
    ASSERT_EQ(again.extension.has_value(), extended);
    if (extended) {
      EXPECT_EQ(again.extension->mesh_name, "Depot");
      EXPECT_EQ(again.extension->policy, MembershipPolicy::strict);
      EXPECT_EQ(again.extension->chain, response.extension->chain);
      EXPECT_EQ(again.extension->members, response.extension->members);
    }
    const auto timestamp_at = std::size_t{6} + 166 + 1 + 34;
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      const auto cut = EnrollmentResponse::decode(bytes.view().first(n));
      // Cut inside the magic of the extension it is bytes to be ignored.
      const bool may_pass = n >= timestamp_at + 8 && n < timestamp_at + 12;
      EXPECT_EQ(cut.has_value(), may_pass) << n;
    }
  }
}

TEST(EnrollmentMessages, AnExistingPeersTrailingBytesAreIgnored) {
  auto bytes = *from_hex("00000000000068e5cf8b010000ffff");
  EXPECT_FALSE(EnrollmentResponse::decode(bytes)->extension);
}

TEST(EnrollmentMessages, D24NamesThatDoNotFitAreRefusedNotCut) {
  auto request = vector_request();
  request.node_id.assign(256, 'n');
  EXPECT_EQ(request.encode().error().code, Code::limit_exceeded);
  EXPECT_FALSE(request.sign(key_of(1)));
}

// --- the service and the client ----------------------------------------------------------------

class Enrollment : public testing::Test {
 protected:
  Enrollment()
      : mesh_(test_mesh()),
        credentials_(mesh_.credentials()),
        trust_([this] {
          TrustOptions options;
          options.mesh_id = mesh_.mesh_id();
          options.authorities = {mesh_.authority().public_key()};
          return options;
        }()),
        service_(mesh_.authority(), credentials_.formation_secret, trust_,
                 {kServer, mesh_.mesh_name(), MembershipPolicy::controlled, kDefaultValidity, {}}) {
  }

  Bytes invite(std::string names = "*", std::uint16_t uses = 1,
               Permissions permissions = permission::kStandard) {
    InvitationTerms terms;
    terms.expires_at_ms = kT0 + 3'600'000;
    terms.names = std::move(names);
    terms.uses = uses;
    terms.permissions = permissions;
    return InvitationKey::of(mesh_.authority()).invite(terms, random_).value();
  }
  EnrollmentClient client(std::uint8_t device, std::string name, Bytes token,
                          std::uint64_t when = kT0) {
    EnrollmentTask task;
    task.server = kServer;
    task.authority = mesh_.authority().public_key();
    task.mesh_id = mesh_.mesh_id();
    task.node_id = std::move(name);
    task.token = std::move(token);
    return EnrollmentClient::begin(key_of(device), std::move(task), {{}, at(when)}).value();
  }
  static ByteView request_of(const EnrollmentClient& client) {
    return ByteView(client.to_send()).subspan(4);
  }
  static Bytes framed(const EnrollmentResponse& response) {
    const auto encoded = response.encode().value();
    Bytes out;
    Writer writer(out);
    writer.u32le(static_cast<std::uint32_t>(encoded.size()));
    writer.bytes(encoded.view());
    return out;
  }
  // What the client makes of the service's answer.
  Result<Enrolled> enroll(std::uint8_t device, std::string name, Bytes token,
                          std::uint64_t when = kT0) {
    auto c = client(device, std::move(name), std::move(token), when);
    verdict_ = service_.process(request_of(c), key_of(device).public_key(), at(when));
    c.on_stream_bytes({{}, at(when)}, framed(verdict_.response), true);
    return std::move(*c.outcome());
  }
  std::string denial(std::uint8_t device, std::string name, Bytes token, std::uint64_t when = kT0) {
    const auto enrolled = enroll(device, std::move(name), std::move(token), when);
    return enrolled ? "" : enrolled.error().message;
  }

  static inline const EndpointId kServer = key_of(100).public_key();
  SeededRandom random_{1};
  MeshGenesis mesh_;
  MeshCredentials credentials_;
  TrustStore trust_;
  EnrollmentService service_;
  EnrollmentVerdict verdict_;
};

TEST_F(Enrollment, AnInvitedDeviceGetsCertificateSecretAndMesh) {
  const auto enrolled = enroll(1, "truck-7", invite());
  ASSERT_TRUE(enrolled) << enrolled.error().message;
  EXPECT_EQ(enrolled->certificate.node_id, "truck-7");
  EXPECT_EQ(enrolled->certificate.permissions, permission::kStandard);
  EXPECT_EQ(to_hex(enrolled->formation_secret->view()),
            to_hex(credentials_.formation_secret.view()));
  EXPECT_EQ(enrolled->extension->mesh_name, "TEST");
  EXPECT_TRUE(trust_.authorize(key_of(1).public_key(), 0, at(kT0)));
  EXPECT_EQ(verdict_.issued, enrolled->certificate);
}

TEST_F(Enrollment, TheAuthorityDecidesTierAndRightsNotTheRequest) {
  EnrollmentRequest request = vector_request();
  const auto text = token_text(invite("tac-*", 1, permission::kRelay));
  request.token.assign(text.begin(), text.end());
  request.tier = Tier::enterprise;
  ASSERT_TRUE(request.sign(key_of(1)));
  const auto verdict = service_.process(*request.encode(), request.subject, kAtT0);
  ASSERT_TRUE(verdict.issued) << verdict.audit;
  EXPECT_EQ(verdict.issued->tier, Tier::tactical);
  EXPECT_EQ(verdict.issued->permissions, permission::kRelay);
}

TEST_F(Enrollment, D35AnInvitationLetsOneDeviceIn) {
  const auto token = invite();
  EXPECT_EQ(denial(1, "a", token), "");
  EXPECT_TRUE(verdict_.spent);
  EXPECT_NE(denial(2, "b", token).find("invalid bootstrap token"), std::string::npos);
  EXPECT_FALSE(trust_.authorize(key_of(2).public_key(), 0, at(kT0)));
}

TEST_F(Enrollment, D35UsesAreCountedOverRestarts) {
  const auto token = invite("*", 2);
  EXPECT_EQ(denial(1, "a", token), "");
  const auto record = encode_token_uses(service_.token_uses());
  EnrollmentService restarted(mesh_.authority(), credentials_.formation_secret, trust_,
                              {kServer, "TEST", MembershipPolicy::controlled, hours(1), {}});
  restarted.restore(decode_token_uses(record).value());
  const auto at_new = [&](std::uint8_t device, const std::string& name) {
    const auto c = client(device, name, token);
    return restarted.process(request_of(c), key_of(device).public_key(), kAtT0).response.status;
  };
  EXPECT_EQ(at_new(2, "b"), EnrollmentStatus::approved);
  EXPECT_EQ(at_new(3, "c"), EnrollmentStatus::denied);
  EXPECT_EQ(decode_token_uses(record)->size(), 1U);
  for (std::size_t n = 2; n < record.size(); ++n) {
    EXPECT_FALSE(decode_token_uses(ByteView(record).first(n))) << n;
  }
}

// D-34: existing servers drop the connection as soon as they have answered.
TEST_F(Enrollment, D34ADeviceWhoseAnswerGotLostMayAskAgain) {
  const auto token = invite();
  EXPECT_EQ(denial(1, "a", token), "");
  EXPECT_EQ(denial(1, "a", token, kT0 + 10), "");
  EXPECT_FALSE(verdict_.spent);
}

TEST_F(Enrollment, D35ExpiredForgedAndGuessedInvitationsAreRefused) {
  const auto refused = [&](const Bytes& token, std::uint64_t when = kT0) {
    return denial(1, "a", token, when).find("invalid bootstrap token") != std::string::npos;
  };
  EXPECT_TRUE(refused(invite(), kT0 + 3'600'000));
  auto forged = invite();
  forged[8] ^= 0xff;  // a longer life
  EXPECT_TRUE(refused(forged));
  InvitationTerms terms;
  terms.expires_at_ms = kT0 + 1000;
  EXPECT_TRUE(refused(InvitationKey::of(key_of(66)).invite(terms, random_).value()));
  EXPECT_EQ(denial(1, "a", invite()), "");
}

// D-36: in the reference whoever has a token is called what it likes.
TEST_F(Enrollment, D36NamesAreTheAuthoritysToGive) {
  EXPECT_NE(denial(1, "enterprise-0", invite("truck-*")), "");
  EnrollmentRequest path = vector_request();
  path.node_id = "../../etc";
  const auto text = token_text(invite());
  path.token.assign(text.begin(), text.end());
  ASSERT_TRUE(path.sign(key_of(1)));
  EXPECT_EQ(service_.process(*path.encode(), path.subject, kAtT0).response.reason,
            "this name is not to be had");
  EXPECT_EQ(denial(1, "truck-1", invite("truck-*")), "");
  EXPECT_NE(denial(2, "truck-1", invite()).find("this name is not to be had"), std::string::npos);
  EXPECT_EQ(denial(2, "depot", invite("depot")), "");
}

// D-37: the reference takes a recorded request for ever.
TEST_F(Enrollment, D37ARecordedRequestIsWorthNothing) {
  const auto c = client(1, "a", invite("*", 9));
  const auto id = key_of(1).public_key();
  EXPECT_EQ(service_.process(request_of(c), id, kAtT0).response.status, EnrollmentStatus::approved);
  EXPECT_EQ(service_.process(request_of(c), id, kAtT0).response.reason,
            "the request was seen before");
  for (const std::int64_t later : {300'001, -300'001, 86'400'000}) {
    EXPECT_EQ(service_.process(request_of(c), id, {kAtT0.ms + later}).response.status,
              EnrollmentStatus::denied);
  }
}

TEST_F(Enrollment, D37AChangedRequestIsRefused) {
  const auto c = client(1, "a", invite());
  Bytes request(request_of(c).begin(), request_of(c).end());
  for (std::size_t i = 0; i < request.size(); ++i) {
    auto changed = request;
    changed[i] ^= 1;
    const auto verdict = service_.process(changed, key_of(1).public_key(), kAtT0);
    EXPECT_NE(verdict.response.status, EnrollmentStatus::approved) << i;
  }
}

// D-38: the reference would give the secret to whoever connected.
TEST_F(Enrollment, D38TheFormationSecretGoesToTheSubjectsOwnConnectionAlone) {
  EnrollmentRequest request = vector_request();
  const auto text = token_text(invite());
  request.token.assign(text.begin(), text.end());
  ASSERT_TRUE(request.sign(key_of(1)));
  const auto verdict = service_.process(*request.encode(), key_of(66).public_key(), kAtT0);
  EXPECT_EQ(verdict.response.status, EnrollmentStatus::approved);
  EXPECT_FALSE(verdict.response.formation_secret);
  EXPECT_FALSE(verdict.response.extension);
}

// D-65: a rogue authority keeps the token it is sent and enrols a key of its own.
TEST_F(Enrollment, D65WhatARogueAuthorityIsSentLetsNobodyIn) {
  auto task_token = invite();
  const auto rogue = key_of(66).public_key();
  EnrollmentTask task;
  task.server = rogue;
  task.authority = mesh_.authority().public_key();
  task.mesh_id = mesh_.mesh_id();
  task.node_id = "a";
  task.token = task_token;
  const auto victim = EnrollmentClient::begin(key_of(1), task, {{}, kAtT0}).value();
  const auto sent = EnrollmentRequest::decode(request_of(victim)).value();
  // Neither the token nor its tag is in there.
  const auto hex = to_hex(victim.to_send());
  EXPECT_EQ(hex.find(to_hex(ByteView(task_token).last(16))), std::string::npos);
  // As it is, under the rogue's own key, and passed on.
  EnrollmentRequest stolen = sent;
  stolen.subject = rogue;
  ASSERT_TRUE(stolen.sign(key_of(66)));
  EXPECT_EQ(service_.process(*stolen.encode(), rogue, kAtT0).response.reason,
            "invalid bootstrap token");
  EXPECT_EQ(service_.process(request_of(victim), rogue, kAtT0).response.reason,
            "invalid bootstrap token");
  // The invitation is still good.
  EXPECT_EQ(denial(1, "a", task_token), "");
}

TEST_F(Enrollment, D39StrangersLearnNothingFromARefusal) {
  auto request = vector_request();
  request.mesh_id = "547D6127";
  ASSERT_TRUE(request.sign(key_of(1)));
  const auto verdict = service_.process(*request.encode(), request.subject, kAtT0);
  EXPECT_EQ(verdict.response.reason, "mesh ID mismatch");
  EXPECT_EQ(service_.process(Bytes(7), request.subject, kAtT0).response.reason,
            "the request cannot be read");
}

// D-13: the reference's client takes any certificate from anybody.
TEST_F(Enrollment, D13TheDeviceBelievesNothingThatDoesNotLeadToItsAuthority) {
  const auto answer = [&](const Certificate& certificate) {
    auto c = client(1, "a", invite());
    EnrollmentResponse response;
    response.status = EnrollmentStatus::approved;
    response.certificate = certificate;
    response.timestamp_ms = kT0;
    c.on_stream_bytes({{}, kAtT0}, framed(response), true);
    return c.outcome()->has_value();
  };
  const CertificateRequest good{key_of(1).public_key(), "a", Tier::tactical, 3, hours(1)};
  const auto issued = [&](const crypto::SecretKey& by, const CertificateRequest& wanted,
                          std::string_view mesh = kMeshId, std::uint64_t when = kT0) {
    return issue_certificate(by, mesh, wanted, at(when)).value();
  };
  EXPECT_TRUE(answer(issued(mesh_.authority(), good)));
  EXPECT_FALSE(answer(issued(key_of(66), good)));
  EXPECT_FALSE(answer(issued(key_of(1), good))) << "signed by itself";
  EXPECT_FALSE(answer(issued(mesh_.authority(), good, "547D6127")));
  EXPECT_FALSE(answer(issued(mesh_.authority(), good, kMeshId, kT0 - kDay))) << "expired";
  auto other = good;
  other.subject = key_of(2).public_key();
  EXPECT_FALSE(answer(issued(mesh_.authority(), other)));
  other = good;
  other.node_id = "b";
  EXPECT_FALSE(answer(issued(mesh_.authority(), other)));
}

TEST_F(Enrollment, TheDeviceTakesWhatArrivedBeforeTheConnectionEnded) {
  auto c = client(1, "a", invite());
  const auto verdict = service_.process(request_of(c), key_of(1).public_key(), kAtT0);
  const auto bytes = framed(verdict.response);
  for (const auto byte : bytes) c.on_stream_bytes({{}, kAtT0}, {&byte, 1}, false);
  c.on_closed({{}, kAtT0});
  EXPECT_TRUE(c.outcome()->has_value());
}

TEST_F(Enrollment, SilenceBrokenAndOversizedAnswersEndInAnError) {
  const auto outcome = [&](auto&& deed) {
    auto c = client(1, "a", invite());
    deed(c);
    return c.outcome() ? c.outcome()->error().code : Code::internal;
  };
  const Now now{{}, kAtT0};
  EXPECT_EQ(outcome([&](auto& c) { c.on_timeout({Instant{} + std::chrono::seconds(31), kAtT0}); }),
            Code::timeout);
  EXPECT_EQ(outcome([&](auto& c) { c.on_closed(now); }), Code::connection_lost);
  const Bytes broken{200, 0, 0, 0, 1};
  EXPECT_EQ(outcome([&](auto& c) { c.on_stream_bytes(now, broken, true); }), Code::connection_lost);
  const Bytes huge{1, 0, 1, 0};
  EXPECT_EQ(outcome([&](auto& c) { c.on_stream_bytes(now, huge, false); }), Code::limit_exceeded);
  const Bytes pending = *from_hex("0d00000000000000000068e5cf8b010000");
  EXPECT_EQ(outcome([&](auto& c) { c.on_stream_bytes(now, pending, true); }), Code::unavailable);
}

TEST_F(Enrollment, ACertificateIsRenewedForItsOwnKeyAlone) {
  ASSERT_EQ(denial(1, "a", invite("a", 1, permission::kRelay)), "");
  const auto first = *trust_.certificate_of(key_of(1).public_key());
  const auto later = kT0 + 5 * kDay;
  const auto renewed = enroll(1, "a", {}, later);
  ASSERT_TRUE(renewed) << renewed.error().message;
  EXPECT_GT(renewed->certificate.expires_at_ms, first.expires_at_ms);
  EXPECT_EQ(renewed->certificate.permissions, permission::kRelay);
  // Somebody else's connection, and somebody without a certificate.
  const auto c = client(1, "a", {}, later + 1);
  EXPECT_EQ(service_.process(request_of(c), key_of(66).public_key(), at(later + 1)).response.status,
            EnrollmentStatus::denied);
  EXPECT_NE(denial(2, "b", {}), "");
}

TEST_F(Enrollment, AnExpiredCertificateIsRenewedWithinThirtyDays) {
  ASSERT_EQ(denial(1, "a", invite()), "");
  EXPECT_EQ(denial(1, "a", {}, kT0 + 36 * kDay), "");
  EXPECT_NE(denial(1, "a", {}, kT0 + 36 * kDay + 38 * kDay), "");
}

TEST_F(Enrollment, D37ARevokedKeyNeitherRenewsNorEnrolsAgain) {
  ASSERT_EQ(denial(1, "a", invite()), "");
  ASSERT_TRUE(trust_.add_revocation(
      Revocation::create(mesh_.authority(), kMeshId, key_of(1).public_key(), "lost", 1, kAtT0)
          .value(),
      kAtT0));
  EXPECT_NE(denial(1, "a", {}, kT0 + 1).find("revoked"), std::string::npos);
  EXPECT_NE(denial(1, "a", invite(), kT0 + 2).find("revoked"), std::string::npos);
  EXPECT_EQ(verdict_.response.status, EnrollmentStatus::revoked);
}

TEST_F(Enrollment, ADeviceWithAGoodInvitationWaitsUntilTheOperatorHasDecided) {
  EnrollmentOptions options{kServer, "TEST", MembershipPolicy::controlled, hours(1), true, {}};
  EnrollmentService service(mesh_.authority(), credentials_.formation_secret, trust_, options);
  const auto token = invite("*", 2);
  const auto ask = [&](std::uint8_t device, std::string name, std::uint64_t when) {
    const auto c = client(device, std::move(name), token, when);
    return service.process(request_of(c), key_of(device).public_key(), at(when));
  };
  EXPECT_EQ(ask(1, "a", kT0).response.status, EnrollmentStatus::pending);
  EXPECT_EQ(ask(2, "b", kT0).response.status, EnrollmentStatus::pending);
  EXPECT_FALSE(ask(1, "a", kT0 + 1).issued);
  EXPECT_TRUE(service.token_uses().empty()) << "who waits has used nothing up";
  ASSERT_EQ(service.pending().size(), 2U);
  EXPECT_EQ(service.decide(key_of(9).public_key(), true).error().code, Code::not_found);
  EXPECT_TRUE(service.decide(key_of(1).public_key(), true));
  EXPECT_TRUE(service.decide(key_of(2).public_key(), false));
  // Approved was the device as it was shown: under another name it waits again.
  EXPECT_EQ(ask(1, "admin", kT0 + 2).response.status, EnrollmentStatus::pending);
  EXPECT_EQ(ask(2, "b", kT0 + 2).response.status, EnrollmentStatus::denied);
  EXPECT_TRUE(service.decide(key_of(1).public_key(), true));
  EXPECT_EQ(ask(1, "admin", kT0 + 3).response.status, EnrollmentStatus::approved);
  // Who has it already needs no second approval; who asks no more is forgotten.
  EXPECT_EQ(ask(1, "admin", kT0 + 4).response.status, EnrollmentStatus::approved);
  EXPECT_EQ(ask(3, "c", kT0 + 5).response.status, EnrollmentStatus::pending);
  (void)ask(4, "d", kT0 + 59 * 60'000);
  EXPECT_EQ(service.pending().size(), 2U);
}

TEST_F(Enrollment, SoManyDevicesWaitAndNoMore) {
  EnrollmentOptions options{kServer, "TEST", MembershipPolicy::controlled, hours(1), true, {}};
  EnrollmentService service(mesh_.authority(), credentials_.formation_secret, trust_, options);
  const auto token = invite("*", 1000);
  std::size_t waiting = 0;
  std::string last;
  for (std::size_t n = 0; n <= EnrollmentService::kMaxPending; ++n) {
    const auto key = crypto::SecretKey::generate(random_);
    EnrollmentTask task;
    task.server = kServer;
    task.authority = mesh_.authority().public_key();
    task.mesh_id = mesh_.mesh_id();
    task.node_id = "n";
    task.token = token;
    const auto c = EnrollmentClient::begin(key, task, Now{Instant{}, at(kT0)}).value();
    const auto verdict = service.process(request_of(c), key.public_key(), at(kT0));
    waiting += verdict.response.status == EnrollmentStatus::pending ? 1 : 0;
    last = verdict.response.reason;
  }
  EXPECT_EQ(waiting, EnrollmentService::kMaxPending);
  EXPECT_EQ(last, "too many requests; try again later");
}

TEST_F(Enrollment, LimitsHold) {
  EnrollmentOptions options{kServer, "TEST", MembershipPolicy::controlled, hours(1), false, {}};
  options.limits.enrollment_seen = 2;
  options.limits.enrollment_tokens = 2;
  EnrollmentService service(mesh_.authority(), credentials_.formation_secret, trust_, options);
  const auto ask = [&](std::uint8_t device, std::uint64_t when = kT0) {
    const auto c = client(device, "n" + std::to_string(device), invite(), when);
    return service.process(request_of(c), key_of(device).public_key(), at(when)).response;
  };
  // What strangers send is not remembered: they cannot fill what members need.
  for (std::uint8_t n = 20; n < 30; ++n) {
    auto forged = invite();
    forged.back() ^= 1;
    const auto stranger = client(n, "s", std::move(forged));
    EXPECT_EQ(service.process(request_of(stranger), key_of(n).public_key(), kAtT0).response.reason,
              "invalid bootstrap token");
  }
  EXPECT_EQ(ask(1).status, EnrollmentStatus::approved);
  EXPECT_EQ(ask(2).status, EnrollmentStatus::approved);
  const auto full = ask(3);
  EXPECT_EQ(full.reason, "too many requests; try again later");  // enrollment_seen
  // They are forgotten after ten minutes; the invitations are used for as long as they last.
  EXPECT_EQ(ask(4, kT0 + 11 * 60'000).reason, "too many requests; try again later");  // …_tokens
  EXPECT_NE(ask(5, kT0 + 120 * 60'000).reason, "too many requests; try again later");
  EXPECT_EQ(EnrollmentService::too_large(70'000, kAtT0).response.reason,
            "request too large: 70000 bytes");
}

// --- links -------------------------------------------------------------------------------------

JoinLink link() {
  SeededRandom random(3);
  InvitationTerms terms;
  terms.expires_at_ms = kT0;
  return {key_of(1).public_key(),
          key_of(2).public_key(),
          std::string(kMeshId),
          kT0,
          {"10.0.0.7:11204", "[fe80::1]:11204", "depot.example:11204"},
          InvitationKey::of(key_of(2)).invite(terms, random).value()};
}

TEST(JoinLinks, SurviveBeingWrittenDownWithBreaksAndSpaces) {
  const auto text = link().to_text().value();
  EXPECT_TRUE(text.starts_with("peat:join?"));
  auto broken = text;
  for (std::size_t i = 20; i < broken.size(); i += 30) broken.insert(i, "\n  ");
  const auto read = JoinLink::parse(broken).value();
  EXPECT_EQ(read.server, link().server);
  EXPECT_EQ(read.authority, link().authority);
  EXPECT_EQ(read.mesh_id, kMeshId);
  EXPECT_EQ(read.addresses, link().addresses);
  EXPECT_EQ(read.token, link().token);
  EXPECT_LT(text.size(), 400U) << "fits a QR code that a telephone reads";
}

TEST(JoinLinks, CarryNoSecretOfTheMesh) {
  const auto mesh = test_mesh();
  const auto text = link().to_text().value();
  const auto payload = from_base64url(std::string_view(text).substr(10)).value();
  EXPECT_EQ(to_hex(payload).find(to_hex(mesh.credentials().formation_secret.view())),
            std::string::npos);
}

TEST(JoinLinks, ATypingErrorIsToldAsOne) {
  const auto text = link().to_text().value();
  for (std::size_t i = 10; i < text.size(); ++i) {
    auto wrong = text;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(JoinLink::parse(wrong)) << i;
    EXPECT_FALSE(JoinLink::parse(std::string_view(text).substr(0, i))) << i;
  }
  EXPECT_FALSE(JoinLink::parse("https://example.com"));
  auto crowded = link();
  crowded.addresses.assign(5, "a:1");
  EXPECT_FALSE(crowded.to_text());
  crowded.addresses.clear();
  EXPECT_FALSE(crowded.to_text());
}

TEST(Invitations, ForNobodyAreNotMade) {
  SeededRandom random(3);
  const auto key = InvitationKey::of(key_of(2));
  const auto made = [&](std::string names, std::uint16_t uses) {
    InvitationTerms terms;
    terms.names = std::move(names);
    terms.uses = uses;
    return key.invite(terms, random).has_value();
  };
  EXPECT_TRUE(made("truck-*", 1));
  EXPECT_FALSE(made("truck-*", 0));
  EXPECT_FALSE(made("", 1));
  EXPECT_FALSE(made("a b", 1));
  EXPECT_FALSE(made(std::string(129, 'a'), 1));
}

}  // namespace
}  // namespace peat::security
