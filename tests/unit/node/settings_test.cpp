// Settings: four sources, one precedence, no silent fall-back.
#include "node/settings.hpp"

#include <gtest/gtest.h>

#include "node/command_line.hpp"
#include "node/node.hpp"
#include "sync/channel.hpp"

namespace peat::node {
namespace {

const std::string kId(64, 'a');

Environment environment(std::map<std::string, std::string, std::less<>> variables) {
  variables.emplace("HOME", "/home/somebody");
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

Result<CommandLine> command_line(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "peat-mesh-node");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), environment({}));
}

Result<Loaded> load(const std::vector<const char*>& arguments,
                    const std::map<std::string, std::string, std::less<>>& variables = {},
                    std::string_view file = "schema_version = 1\n") {
  auto flags = command_line(arguments);
  if (!flags) return std::unexpected(flags.error());
  auto from_variables = read_environment(environment(variables));
  if (!from_variables) return std::unexpected(from_variables.error());
  auto from_file = read_settings_text(file, "node.toml");
  if (!from_file) return std::unexpected(from_file.error());
  return resolve_settings(flags->flags, *from_variables, *from_file, environment(variables));
}

TEST(Settings, EveryDefaultOfTheTableIsAValueOfItsType) {
  const auto loaded = load({});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->settings.bind.to_string(), "0.0.0.0:11204");
  EXPECT_EQ(loaded->settings.api.to_string(), "127.0.0.1:8081");
  EXPECT_TRUE(loaded->settings.peers.empty());
  EXPECT_EQ(loaded->settings.data_dir, "/home/somebody/.local/state/peat");
}

TEST(Settings, AFlagWinsOverAVariableOverTheFileOverTheDefault) {
  const std::string file = "schema_version = 1\nbind = \"127.0.0.1:1\"\n";
  EXPECT_EQ(load({}, {}, file)->settings.bind.port, 1);
  EXPECT_EQ(load({}, {{"PEAT_BIND", "127.0.0.1:2"}}, file)->settings.bind.port, 2);
  const auto all = load({"--bind", "127.0.0.1:3"}, {{"PEAT_BIND", "127.0.0.1:2"}}, file);
  EXPECT_EQ(all->settings.bind.port, 3);
  EXPECT_EQ(all->where.at("bind"), "flag --bind");
}

TEST(Settings, F25AnEmptyVariableIsUnset) {
  std::map<std::string, std::string, std::less<>> empty;
  for (const auto& info : setting_table()) empty.emplace(info.variable, "");
  for (const auto& legacy : legacy_variable_table()) empty.emplace(legacy.name, "");
  const auto loaded = load({}, empty);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->settings.bind.port, 11204);
}

TEST(Settings, EveryVariableThatIsNotInThisVersionFailsByName) {
  for (const auto& legacy : legacy_variable_table()) {
    if (legacy.disposition != Disposition::absent) continue;
    const auto loaded = load({}, {{std::string(legacy.name), "x"}});
    ASSERT_FALSE(loaded) << legacy.name;
    EXPECT_EQ(loaded.error().code, Code::unsupported);
    EXPECT_NE(loaded.error().message.find(legacy.name), std::string::npos);
  }
}

TEST(Settings, VariablesOfOlderNodesMeanWhatTheTableSays) {
  const auto loaded = load({}, {{"PEAT_IROH_BIND_PORT", "1"},
                                {"PEAT_BROKER_PORT", "2"},
                                {"HOSTNAME", "pod-0"},
                                {"RUST_LOG", "warn,peat_mesh=debug,hyper=off"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->settings.bind.to_string(), "0.0.0.0:1");
  EXPECT_EQ(loaded->settings.api.to_string(), "127.0.0.1:2");
  EXPECT_EQ(loaded->settings.node_id, "pod-0");
  EXPECT_EQ(loaded->settings.log_level, LogLevel::debug);
  // The reference falls back silently (D-41); here a bad port is refused.
  EXPECT_FALSE(load({}, {{"PEAT_BROKER_PORT", "80a"}}));
  // The own variable wins.
  EXPECT_EQ(load({}, {{"HOSTNAME", "pod-0"}, {"PEAT_NODE_ID", "depot"}})->settings.node_id,
            "depot");
}

TEST(Settings, AnErrorNamesTheSettingTheTextAndThePlace) {
  const auto flag = load({"--read-limit", "5"});
  ASSERT_FALSE(flag);
  EXPECT_EQ(flag.error().code, Code::bad_setting);
  EXPECT_EQ(flag.error().message,
            "read_limit: '5' is no duration, such as 500ms, 30s or 5m (from flag --read-limit)");
  const auto file = load({}, {}, "schema_version = 1\n\n[log]\nlevel = \"loud\"\n");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message.find("log_level: 'loud'"), std::string::npos);
  EXPECT_NE(file.error().message.find("file node.toml line 4"), std::string::npos);
}

TEST(Settings, TheFileNeedsItsVersionAndKnownKeys) {
  EXPECT_FALSE(read_settings_text("bind = \"127.0.0.1:1\"", "f"));
  EXPECT_FALSE(read_settings_text("schema_version = 2", "f"));
  EXPECT_FALSE(read_settings_text("schema_version = 1\nbind = [\"127.0.0.1:1\"]", "f"));
  EXPECT_FALSE(read_settings_text("schema_version = 1\nbind = ", "f"));
  const auto unknown = read_settings_text("schema_version = 1\n[log]\ncolour = true", "f");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "file f line 3: there is no setting 'log.colour'");
  // A secret has no place in a file that is copied around.
  EXPECT_FALSE(read_settings_text("schema_version = 1\n[formation]\nsecret = \"x\"", "f"));
}

TEST(Settings, CollectionsAreReadFromAllSourcesAndLieOverTheFieldsRules) {
  const auto loaded = load({"--collection", "tracks:mode=full,class=high", "--collection",
                            "ledger:delete=immutable", "--ttl-preset", "offline_node"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto rules = collections_of(loaded->settings);
  EXPECT_EQ(rules.rule("tracks").mode, sync::SyncMode::full_history);
  EXPECT_EQ(rules.rule("tracks").qos, sync::QosClass::high);
  EXPECT_EQ(rules.rule("tracks").retention, std::chrono::hours(1)) << "not named: as it was";
  EXPECT_EQ(rules.rule("ledger").deletion, sync::DeletionPolicy::immutable);
  EXPECT_EQ(rules.rule("beacons").ttl, std::chrono::seconds(30));
  EXPECT_EQ(rules.preset_retention(), std::chrono::hours(72));

  const auto variable = load({}, {{"PEAT_COLLECTIONS", "a:delete=ttl,ttl=5m b:retention=30d"},
                                  {"PEAT_TTL_PRESET", "tactical"}});
  ASSERT_TRUE(variable) << variable.error().message;
  EXPECT_EQ(collections_of(variable->settings).rule("a").ttl, std::chrono::minutes(5));
  EXPECT_EQ(collections_of(variable->settings).retention("b"), std::chrono::hours(720));
  EXPECT_EQ(collections_of(variable->settings).rule("beacons").ttl, std::chrono::minutes(5));

  const auto file = load({}, {},
                         "schema_version = 1\n[[collections]]\nname = \"logs\"\n"
                         "mode = \"windowed\"\nwindow = \"12h\"\ndelete = \"soft\"\n");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(collections_of(file->settings).rule("logs").window, std::chrono::hours(12));
}

TEST(Settings, ACollectionThatCannotBeMeantIsRefusedWithWhatCan) {
  for (const auto* text : {"tracks", ":mode=full", "a/b:mode=full", "a:mode=some", "a:color=red",
                           "a:ttl=5m", "a:ttl=5,delete=ttl", "a:class="}) {
    const auto loaded = load({"--collection", text});
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, Code::bad_setting) << text;
  }
  const auto twice = load({"--collection", "a:mode=full", "--collection", "a:class=low"});
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("named twice"), std::string::npos);
}

TEST(Settings, WhereAPeerStandsIsReadAndPrinted) {
  const auto text = kId + "@[::1]:1,auth=none,relation=up";
  const auto peer = PeerSetting::parse(text);
  ASSERT_TRUE(peer) << peer.error().message;
  EXPECT_EQ(peer->relation, sync::Relation::up);
  EXPECT_FALSE(peer->authenticated);
  EXPECT_EQ(peer->to_string(), text);
  EXPECT_FALSE(PeerSetting::parse(kId + "@[::1]:1,relation=above"));
  EXPECT_FALSE(PeerSetting::parse(kId + "@[::1]:1,"));
  const auto file = load({}, {},
                         "schema_version = 1\n[[peers]]\nid = \"" + kId +
                             "\"\naddr = \"[::1]:1\"\nrelation = \"down\"\n");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->settings.peers[0].relation, sync::Relation::down);
}

TEST(Settings, PeersAreReadFromAllSources) {
  const auto text = kId + "@depot.example:11204";
  const auto flags = load({"--peer", text.c_str()});
  ASSERT_TRUE(flags) << flags.error().message;
  ASSERT_EQ(flags->settings.peers.size(), 1U);
  EXPECT_EQ(flags->settings.peers[0].address.host, "depot.example");
  const auto variable =
      load({}, {{"PEAT_PEERS", text + " " + std::string(64, 'b') + "@[::1]:1,auth=none"}});
  ASSERT_TRUE(variable) << variable.error().message;
  ASSERT_EQ(variable->settings.peers.size(), 2U);
  EXPECT_FALSE(variable->settings.peers[1].authenticated);
  const auto file = load({}, {},
                         "schema_version = 1\n[[peers]]\nid = \"" + kId +
                             "\"\naddr = \"10.0.0.7:1\"\nauth = \"none\"\n");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->settings.peers.at(0).to_string(), kId + "@10.0.0.7:1,auth=none");
  for (const auto& bad : {kId, kId + "@host", kId + "@host:0", kId + "@host:70000",
                          std::string("x@host:1"), kId + "@host:1,auth=maybe"}) {
    EXPECT_FALSE(PeerSetting::parse(bad)) << bad;
  }
  const auto twice = load({"--peer", text.c_str(), "--peer", text.c_str()});
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("named twice"), std::string::npos);
}

TEST(Settings, AnInterfaceOffLoopbackIsRefused) {
  EXPECT_FALSE(load({"--api", "0.0.0.0:8081"}));
  EXPECT_FALSE(load({"--api", "192.0.2.1:8081"}));
  EXPECT_FALSE(load({"--api", "elsewhere:8081"}));  // a name may be anything
  EXPECT_TRUE(load({"--api", "[::1]:8081"}));
  EXPECT_TRUE(load({"--api", "127.9.9.9:8081"}));
}

TEST(Settings, ASecretLeavesTheEnvironmentAndTheTextsItCameIn) {
  setenv("PEAT_FORMATION_SECRET", "a secret of this process", 1);
  const std::string_view in_place = getenv("PEAT_FORMATION_SECRET");
  auto layer = read_environment(process_environment());
  ASSERT_TRUE(layer);
  const auto loaded = resolve_settings({}, *layer, {}, process_environment());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->settings.formation_secret.text(), "a secret of this process");
  forget_secret_variables();
  EXPECT_EQ(getenv("PEAT_FORMATION_SECRET"), nullptr);
  EXPECT_EQ(in_place, std::string(in_place.size(), '\0'));
  wipe_secrets(*layer);
  EXPECT_FALSE(layer->contains("formation_secret"));
}

TEST(Settings, TheInterfaceMayBeCalledLocalhost) {
  const RawLayer flags{{"api", {{"localhost:8099"}, "flag --api"}}};
  const auto loaded = resolve_settings(flags, {}, {}, process_environment());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->settings.api.to_string(), "127.0.0.1:8099");
  const RawLayer elsewhere{{"api", {{"example.org:8099"}, "flag --api"}}};
  EXPECT_FALSE(resolve_settings(elsewhere, {}, {}, process_environment()));
}

TEST(Settings, WhatIsPrintedReadsBackAndHidesSecrets) {
  const auto loaded = load({"--bind", "127.0.0.1:3", "--log-format", "json"},
                           {{"PEAT_FORMATION_SECRET", "c2VjcmV0"}, {"PEAT_NODE_ID", "a \"b\"\\"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto text = print_settings(*loaded);
  EXPECT_EQ(text.find("c2VjcmV0"), std::string::npos);
  EXPECT_NE(text.find("***"), std::string::npos);
  const auto again = load({}, {}, text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->settings.bind, loaded->settings.bind);
  EXPECT_EQ(again->settings.node_id, "a \"b\"\\");
  EXPECT_EQ(again->settings.log_format, LogFormat::json);
}

TEST(Settings, TheReferencePageAndTheHelpNameEverySetting) {
  const auto reference = settings_reference();
  const auto help = command_line({"--help"});
  ASSERT_TRUE(help && help->print_and_exit);
  for (const auto& info : setting_table()) {
    EXPECT_NE(reference.find(std::string(info.variable)), std::string::npos) << info.name;
    EXPECT_NE(help->print_and_exit->find(std::string(info.flag)), std::string::npos) << info.name;
    EXPECT_FALSE(info.help.empty());
  }
  for (const auto& legacy : legacy_variable_table()) {
    EXPECT_NE(reference.find(std::string(legacy.name)), std::string::npos) << legacy.name;
  }
}

TEST(Settings, ReconnectSettingsReachTheChannels) {
  const auto loaded =
      load({"--reconnect-attempts", "7", "--reconnect-forever", "false", "--reconnect-delay",
            "20ms", "--reconnect-delay-cap", "2m", "--read-limit", "9s"});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto options = channel_options(loaded->settings);
  EXPECT_EQ(options.reconnect_attempts, 7U);
  EXPECT_FALSE(options.reconnect_forever);
  EXPECT_EQ(options.reconnect_delay, std::chrono::milliseconds(20));
  EXPECT_EQ(options.reconnect_delay_cap, std::chrono::minutes(2));
  EXPECT_EQ(options.read_limit, std::chrono::seconds(9));
  EXPECT_FALSE(load({"--reconnect-delay", "31s"}));  // longer than its cap
}

}  // namespace
}  // namespace peat::node
