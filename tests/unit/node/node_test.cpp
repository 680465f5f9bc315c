// Whole nodes in one process: every setting has an effect that can be seen from outside.
#include "node/node.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "node/identity.hpp"
#include "node/metrics.hpp"
#include "node/settings_text.hpp"

namespace peat::node {
namespace {

constexpr std::string_view kSecret = "x3hEJ0Jw2mVt0qk8bqk5Yw3Qn0c6dX1Zr7sV9uLp4aE=";
constexpr std::string_view kOtherSecret = "9wFQm2Jr5bTt0qk8bqk5Yw3Qn0c6dX1Zr7sV9uLp4bI=";
constexpr std::string_view kWeakSecret = "dGVzdC1mb3JtYXRpb24tc2VjcmV0LTEyMzQ1Njc4";

class NodeTest : public testing::Test {
 protected:
  NodeTest() {
    std::string name = (std::filesystem::temp_directory_path() / "peat-node-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~NodeTest() override {
    for (auto& node : nodes_) {
      bool closed = false;
      node->shutdown([&](Status) { closed = true; });
      run_until([&] { return closed; });
    }
    nodes_.clear();
    std::filesystem::remove_all(directory_);
  }

  Settings settings(const std::string& name) {
    Settings result;
    result.node_id = name;
    result.data_dir = directory_ / name;
    result.bind = {"127.0.0.1", 0};
    result.formation_secret = Secret(kSecret);
    result.formation_id = "peat";
    result.native_protocol = true;
    result.reconnect_attempts = 3;
    result.reconnect_forever = true;
    result.reconnect_delay = Millis(5);
    result.reconnect_delay_cap = Millis(50);
    result.read_limit = Millis(30000);
    return result;
  }
  Result<Node*> try_start(Settings settings) {
    auto node = Node::open(executor_, std::move(settings),
                           [this](LogLevel, std::string_view text) { log_ += text; });
    if (!node) return std::unexpected(node.error());
    nodes_.push_back(std::move(*node));
    return nodes_.back().get();
  }
  Node& start(Settings settings) {
    auto node = try_start(std::move(settings));
    if (!node) throw std::runtime_error(node.error().message);
    return **node;
  }
  static PeerSetting peer_of(const Node& node) {
    return {node.info().endpoint_id, *HostPort::parse(node.info().bind), true};
  }
  template <class Condition>
  bool run_until(Condition condition) {
    for (int turn = 0; turn < 3000 && !condition(); ++turn) {
      executor_.loop().restart();
      executor_.loop().run_for(std::chrono::milliseconds(10));
    }
    return condition();
  }
  std::filesystem::path write(const char* name, std::string_view text, mode_t mode) const {
    const auto path = directory_ / name;
    std::FILE* file = std::fopen(path.c_str(), "w");
    std::fwrite(text.data(), 1, text.size(), file);
    std::fclose(file);
    std::filesystem::permissions(path, std::filesystem::perms(mode));
    return path;
  }
  // How the first of two nodes ends up with the second: connected, or refused at least once.
  PeerInfo meet(Settings one, Settings two) {
    auto& listener = start(std::move(two));
    one.peers = {peer_of(listener)};
    auto& dialler = start(std::move(one));
    run_until([&] {
      const auto peers = dialler.peers();
      return peers.front().connected || peers.front().failures > 0;
    });
    return dialler.peers().front();
  }

  std::filesystem::path directory_;
  AsioExecutor executor_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::string log_;
};

TEST_F(NodeTest, CollectionsAndWhereAPeerStandsActAndAReloadChangesThem) {
  auto given = settings("alpha");
  given.collections = {*CollectionSetting::parse("ledger:delete=immutable"),
                       *CollectionSetting::parse("notes:delete=soft")};
  auto& node = start(given);
  const auto erased = [&](std::string_view key) {
    std::optional<Result<sync::WriteResult>> result;
    node.put(key, "{}", {}, [](auto) {});
    node.erase(key, {}, [&](auto done) { result = std::move(done); });
    run_until([&] { return result.has_value(); });
    return *result;
  };
  EXPECT_EQ(erased("ledger:1").error().code, Code::permission_denied);
  EXPECT_TRUE(erased("notes:1")->softly);
  EXPECT_FALSE(erased("depots:1")->softly);
  given.collections.clear();
  node.reload(given);
  EXPECT_TRUE(erased("ledger:1"));
  EXPECT_FALSE(erased("notes:2")->softly);
}

TEST_F(NodeTest, RulesOfAccessActAndAReloadBringsWhatTheyWithheld) {
  auto given = settings("alpha");
  given.access = {*security::AccessRule::parse("plans:read=none"),
                  *security::AccessRule::parse("orders:write=none")};
  auto& alpha = start(given);
  auto theirs = settings("bravo");
  theirs.peers = {peer_of(alpha)};
  auto& bravo = start(std::move(theirs));
  ASSERT_TRUE(run_until([&] { return !alpha.peers().empty() && alpha.peers().front().connected; }));
  Code refused{};
  alpha.put("orders:1", "{}", {}, [&](auto done) { refused = done ? Code{} : done.error().code; });
  EXPECT_EQ(refused, Code::permission_denied) << "its own rules hold for its own writes";
  alpha.put("plans:1", "{}", {}, [](auto) {});
  alpha.put("tracks:1", "{}", {}, [](auto) {});
  bravo.put("orders:2", "{}", {}, [](auto) {});
  const auto there = [](Node& node, std::string_view key) { return node.get(key)->has_value(); };
  ASSERT_TRUE(run_until([&] { return there(bravo, "tracks:1") && alpha.access().denied[1] > 0; }));
  EXPECT_FALSE(there(bravo, "plans:1") || there(alpha, "orders:2"));
  EXPECT_NE(log_.find("access denied peer="), std::string::npos);
  given.access.clear();
  alpha.reload(given);
  EXPECT_TRUE(run_until([&] { return there(bravo, "plans:1") && there(alpha, "orders:2"); }));
}

TEST_F(NodeTest, ThePassphraseOfTheStoreIsChangedForAKeyAndBack) {
  const auto key = write("store.key", "KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKio=\n", 0600);
  const auto words = write("store.words", "correct horse battery staple\n", 0600);
  const auto start_and_stop = [&](const Path& now, const Path& now_words, const Path& before,
                                  const Path& before_words) {
    auto given = settings("a");
    given.store_key_file = now;
    given.store_passphrase_file = now_words;
    given.store_previous_key_file = before;
    given.store_previous_passphrase_file = before_words;
    auto node = Node::open(executor_, given, [](auto, auto) {}, {});
    if (!node) return node.error().message;
    bool closed = false;
    (*node)->shutdown([&](Status) { closed = true; });
    run_until([&] { return closed; });
    return std::string();
  };
  EXPECT_EQ(start_and_stop("", words, "", ""), "");
  EXPECT_NE(start_and_stop("", "", "", "").find("store_passphrase_file"), std::string::npos);
  EXPECT_NE(start_and_stop(key, "", "", "").find("store.key"), std::string::npos);
  EXPECT_EQ(start_and_stop(key, "", "", words), "");
  EXPECT_EQ(start_and_stop("", words, key, ""), "");
  EXPECT_NE(start_and_stop(key, words, "", "").find("give one of them"), std::string::npos);
  EXPECT_NE(start_and_stop("", "", key, "").find("store_previous_key_file"), std::string::npos);
}

TEST_F(NodeTest, NodesOfOneFormationMeetAndAnotherSecretOrNameKeepsApart) {
  EXPECT_TRUE(meet(settings("a"), settings("b")).connected);
  auto other_secret = settings("c");
  other_secret.formation_secret = Secret(kOtherSecret);
  EXPECT_FALSE(meet(std::move(other_secret), settings("d")).connected);
  // Neither goes unnoticed, and neither fills the log.
  const auto in_log = [&](std::string_view text) { return log_.find(text) != std::string::npos; };
  EXPECT_TRUE(
      run_until([&] { return in_log("dial failed peer=") && in_log("peer refused peer="); }));
  EXPECT_TRUE(in_log("reason=\"the formation secret or id differs, or somebody sits between"));
  EXPECT_EQ(log_.find("dial failed peer="), log_.rfind("dial failed peer="));
  const auto metrics = nodes_[2]->metrics({});
  EXPECT_NE(metrics.find("\npeat_handshakes_failed_total "), std::string::npos);
  EXPECT_EQ(metrics.find("\npeat_handshakes_failed_total 0"), std::string::npos) << metrics;
  auto other_name = settings("e");
  other_name.formation_id = "other";
  EXPECT_FALSE(meet(std::move(other_name), settings("f")).connected);
}

TEST_F(NodeTest, TheProtocolSettingChoosesTheDialect) {
  EXPECT_EQ(meet(settings("a"), settings("b")).dialect, "peat/sync/2");
  auto old = settings("c");
  old.native_protocol = false;
  EXPECT_EQ(meet(std::move(old), settings("d")).dialect, "cap/automerge/1");
}

TEST_F(NodeTest, WithoutASecretOnlyUnauthenticatedPeersAreAllowed) {
  auto none = settings("a");
  none.formation_secret = {};
  EXPECT_EQ(try_start(none).error().code, Code::missing_setting);
  none.allow_unauthenticated_peers = true;
  EXPECT_TRUE(try_start(none));
  EXPECT_NE(log_.find("allow_unauthenticated_peers"), std::string::npos);
}

TEST_F(NodeTest, AWeakSecretNeedsLeave) {
  auto weak = settings("a");
  weak.formation_secret = Secret(kWeakSecret);
  EXPECT_EQ(try_start(weak).error().code, Code::weak_secret);
  weak.allow_weak_secret = true;
  EXPECT_TRUE(try_start(weak));
  EXPECT_NE(log_.find("allow_weak_secret"), std::string::npos);
}

TEST_F(NodeTest, IdentityIsPerDeviceUnlessLegacyIsAskedFor) {
  const auto first = start(settings("a")).info().endpoint_id;
  const auto second = start(settings("b")).info().endpoint_id;
  EXPECT_NE(first, second);
  auto legacy = settings("node-a");
  legacy.formation_secret = Secret(kWeakSecret);
  legacy.allow_weak_secret = true;
  legacy.legacy_identity = true;
  EXPECT_EQ(start(std::move(legacy)).info().endpoint_id.to_string(),
            "e435ad7da5b8cb152c2c9f236abdd8212b08c6e17d07de7e18750dcd09143008");
}

TEST_F(NodeTest, QlogFilesAppearWhereTheyAreAskedFor) {
  auto logging = settings("a");
  logging.qlog_dir = directory_ / "qlog";
  meet(std::move(logging), settings("b"));
  EXPECT_FALSE(std::filesystem::is_empty(directory_ / "qlog"));
}

TEST_F(NodeTest, OffloadIsNeverActiveWhenSwitchedOff) {
  auto off = settings("a");
  off.gso = false;
  const auto text = start(std::move(off)).metrics({});
  EXPECT_NE(text.find("peat_quic_gso_active 0\n"), std::string::npos);
}

TEST_F(NodeTest, EveryMetricOfTheTableIsExposed) {
  auto& a = start(settings("a"));
  auto dialler = settings("b");
  dialler.peers = {peer_of(a)};
  const auto text = start(std::move(dialler)).metrics({});
  for (const auto& metric : metric_table()) {
    const auto line = "\n" + std::string(metric.name) + (metric.per_peer ? "{peer=" : " ");
    EXPECT_NE(text.find(line), std::string::npos) << metric.name;
  }
}

TEST_F(NodeTest, AnAddedPeerIsKnownAgainAfterARestart) {
  PeerSetting peer;
  peer.id.bytes.fill(7);
  peer.address = {"127.0.0.1", 9};
  bool kept = false;
  start(settings("a")).add_peer(peer, [&](Status status) { kept = status.has_value(); });
  ASSERT_TRUE(run_until([&] { return kept; }));
  bool closed = false;
  nodes_.back()->shutdown([&](Status) { closed = true; });
  ASSERT_TRUE(run_until([&] { return closed; }));
  nodes_.clear();
  const auto peers = start(settings("a")).peers();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].id, peer.id);
  EXPECT_EQ(peers[0].source, "api");
}

TEST_F(NodeTest, ANodeCannotBeItsOwnPeer) {
  auto& a = start(settings("a"));
  Status status;
  a.add_peer(peer_of(a), [&](Status result) { status = std::move(result); });
  EXPECT_FALSE(status);
}

TEST_F(NodeTest, AWriteIsAcknowledgedOnlyWhenItIsDurable) {
  auto& a = start(settings("a"));
  bool acknowledged = false;
  a.put("t:x", R"({"n":1})", {}, [&](Result<sync::WriteResult> result) {
    acknowledged = result.has_value();
    EXPECT_EQ(a.info().durable_seq, a.info().last_seq);
  });
  EXPECT_FALSE(acknowledged);  // visible already, not yet durable
  EXPECT_TRUE((*a.get("t:x")).has_value());
  EXPECT_TRUE(run_until([&] { return acknowledged; }));
}

// A setting without an effect that somebody can see has no place in the table. This list says
// where the effect is shown; a new row fails until it is shown too.
TEST_F(NodeTest, EverySettingHasAnEffectThatIsTested) {
  const std::set<std::string_view> shown{"node_id",
                                         "data_dir",
                                         "bind",
                                         "api",              // the ready line, system tests
                                         "api_socket",       // system_mesh
                                         "api_tokens_file",  // system_mesh
                                         "store_key_file",   // system_node_lifecycle
                                         "store_passphrase_file",
                                         "store_previous_key_file",
                                         "store_previous_passphrase_file",  // ThePassphrase…
                                         "peers",
                                         "formation_secret",
                                         "formation_id",                 // NodesOfOneFormationMeet…
                                         "formation_secret_file",        // AnotherFileAnotherSecret
                                         "formation_other_secret_file",  // ASecretIsChanged…
                                         "formation_binding",            // WhoHasProvedItself…
                                         "allow_weak_secret",            // AWeakSecretNeedsLeave
                                         "allow_unauthenticated_peers",  // WithoutASecret…
                                         "enrollment_approval",          // system_mesh
                                         "legacy_identity",              // IdentityIsPerDevice…
                                         "native_protocol",              // TheProtocolSetting…
                                         "gso",
                                         "qlog_dir",  // OffloadIsNever…, QlogFiles…
                                         "reconnect_attempts",
                                         "reconnect_forever",
                                         "reconnect_delay",
                                         "reconnect_delay_cap",
                                         "read_limit",   // ReconnectSettingsReach…
                                         "collections",  // CollectionsAndWhere…
                                         "access",       // RulesOfAccessAct…, system_mesh
                                         "ttl_preset",   // CollectionsAreRead…, expiry by rule
                                         "log_level",
                                         "log_format"};  // system tests
  for (const auto& info : setting_table()) EXPECT_TRUE(shown.contains(info.name)) << info.name;
  EXPECT_EQ(shown.size(), setting_table().size());
}

// D-31: in the reference a new secret means stopping every node at once.
TEST_F(NodeTest, ASecretIsChangedWhileNodesRunWithTheOldAndWithTheNew) {
  auto old_one = settings("old");
  auto both = settings("both");
  both.formation_other_secret_file = write("new", kOtherSecret, 0600);
  EXPECT_TRUE(meet(old_one, both).connected);
  auto exchanged = settings("exchanged");
  exchanged.formation_secret = Secret(kOtherSecret);
  exchanged.formation_other_secret_file = write("old-secret", kSecret, 0600);
  auto both_again = settings("both2");
  both_again.formation_other_secret_file = both.formation_other_secret_file;
  EXPECT_TRUE(meet(exchanged, both_again).connected);
  auto new_one = settings("new-one");
  new_one.formation_secret = Secret(kOtherSecret);
  auto exchanged_again = settings("exchanged2");
  exchanged_again.formation_secret = Secret(kOtherSecret);
  exchanged_again.formation_other_secret_file = exchanged.formation_other_secret_file;
  EXPECT_TRUE(meet(new_one, exchanged_again).connected);
  auto old_again = settings("old2");
  auto new_again = settings("new2");
  new_again.formation_secret = Secret(kOtherSecret);
  EXPECT_FALSE(meet(old_again, new_again).connected);
}

TEST_F(NodeTest, AnotherFileAnotherSecret) {
  auto from_file = settings("a");
  from_file.formation_secret = {};
  from_file.formation_secret_file = write("secret", kOtherSecret, 0600);
  const auto secret = load_formation_secret(from_file);
  const auto expected =
      security::parse_formation_secret(kOtherSecret, security::WeakSecrets::refuse);
  ASSERT_TRUE(secret && *secret && expected);
  EXPECT_TRUE(std::ranges::equal((*secret)->view(), expected->view()));

  from_file.formation_secret_file = write("open", kOtherSecret, 0644);
  EXPECT_EQ(load_formation_secret(from_file).error().code, Code::bad_key_file);
  from_file.formation_secret_file = write("huge", std::string(5000, 'A'), 0600);
  EXPECT_EQ(load_formation_secret(from_file).error().code, Code::bad_key_file);
  from_file.formation_secret = Secret(kSecret);
  EXPECT_EQ(load_formation_secret(from_file).error().code, Code::bad_setting);
}

}  // namespace
}  // namespace peat::node
