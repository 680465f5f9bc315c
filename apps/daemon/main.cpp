// peat-mesh-node: one node of a mesh as a daemon.
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "broker/access.hpp"
#include "broker/json_text.hpp"
#include "broker/router.hpp"
#include "broker/server.hpp"
#include "daemon/logging.hpp"
#include "daemon/process.hpp"
#include "node/backup.hpp"
#include "node/command_line.hpp"
#include "node/identity.hpp"
#include "node/node.hpp"
#include "node/version.hpp"

namespace peat::daemon {

namespace {

// Requests under way have this long to finish once a stop was asked for; with what the channels
// and the store need after them, a stop stays under the ten seconds that supervisors allow.
constexpr auto kDrain = std::chrono::seconds(5);
constexpr auto kJoin = std::chrono::seconds(1);

int report(const Error& error) {
  fmt::print(stderr, "peat-mesh-node: {}\n", error.message);
  return info(error.code).exit_code;
}

std::string ready_line(const node::NodeInfo& info, const std::string& api) {
  std::string line;
  broker::JsonObject object(line);
  object.text("event", "ready");
  object.text("node_id", info.node_id);
  object.text("endpoint_id", info.endpoint_id.to_string());
  object.text("bind", info.bind);
  object.text("api", "http://" + api);
  object.close();
  return line;
}

class Daemon {
 public:
  Daemon(node::CommandLine command_line, node::Settings settings)
      : command_line_(std::move(command_line)),
        settings_(std::move(settings)),
        signals_(executor_.loop(), SIGTERM, SIGINT, SIGHUP) {}

  int run() {
    log(node::LogLevel::info,
        fmt::format("starting peat-mesh-node version={} node_id={} data_dir={}", node::kVersion,
                    settings_.node_id, settings_.data_dir.string()));
    auto loaded = load_access();
    if (!loaded) return report(loaded.error());
    auto access = std::move(*loaded);
    auto node = node::Node::open(executor_, settings_, log_function(), limits_);
    settings_.formation_secret = {};
    if (!node) return report(node.error());
    node_ = std::move(*node);
    router_ = std::make_unique<broker::Router>(*node_, limits_);
    if (access) router_->set_access(std::move(*access), [this] { return executor_.now().wall; });
    server_ = std::make_unique<broker::Server>(executor_.loop(), *router_, limits_);
    auto status = server_->start(settings_.api);
    if (status) status = start_local_api();
    if (!status) {
      // The store is closed cleanly all the same.
      exit_code_ = report(status.error());
      stop_node();
    } else {
      wait_for_signal();
      announce();
    }
    executor_.run();
    server_.reset();
    node_.reset();
    limit_the_rest();
    return exit_code_;
  }

 private:
  Status start_local_api() {
    if (settings_.api_socket == "none") return {};
    if (!settings_.api_socket.empty()) return server_->start_local(settings_.api_socket.string());
    const auto path = (settings_.data_dir / "api.sock").string();
    if (auto started = server_->start_local(path); !started) {
      log(node::LogLevel::warn, started.error().message);
    }
    return {};
  }

  // nullopt: requests need no token.
  Result<std::optional<broker::Access>> load_access() const {
    if (settings_.api_tokens_file.empty()) return std::optional<broker::Access>();
    PEAT_TRY(auto access, broker::Access::load(settings_.api_tokens_file.string()));
    if (!settings_.api.is_loopback()) {
      log(node::LogLevel::warn,
          "tokens and documents travel unencrypted on this interface; put a TLS proxy in front");
    }
    return std::optional(std::move(access));
  }

  void announce() {
    const auto info = node_->info();
    const auto line = ready_line(info, server_->local_address());
    fmt::print("{}\n", line);
    std::fflush(stdout);
    notify_service_manager("READY=1");
    log(node::LogLevel::info,
        fmt::format("ready node_id={} endpoint_id={} bind={} api={}", info.node_id,
                    info.endpoint_id.to_string(), info.bind, server_->local_address()));
  }

  void wait_for_signal() {
    signals_.async_wait([this](boost::system::error_code error, int signal) {
      if (error) return;
      if (signal == SIGHUP) {
        reload();
        return wait_for_signal();
      }
      log(node::LogLevel::info, fmt::format("stopping signal={}", signal));
      notify_service_manager("STOPPING=1");
      // A second signal ends the process at once: it has its default meaning again.
      signals_.clear();
      server_->stop(kDrain, [this] { stop_node(); });
    });
  }

  void stop_node() {
    node_->shutdown([this](Status status) {
      if (!status) {
        log(node::LogLevel::error,
            fmt::format("the store was not closed: {}", status.error().message));
        exit_code_ = info(status.error().code).exit_code;
      }
      log(node::LogLevel::info, "stopped");
      executor_.stop();
    });
  }

  // Everything is closed. What is left is joining threads, and a look-up of a name may hang in one
  // for as long as the system's resolver likes.
  void limit_the_rest() const {
    std::thread([code = exit_code_] {
      std::this_thread::sleep_for(kJoin);
      std::_Exit(code);
    }).detach();
  }

  void reload() {
    notify_service_manager("RELOADING=1");
    auto loaded = node::load_settings(command_line_, node::process_environment());
    if (!loaded) {
      log(node::LogLevel::error,
          fmt::format("reload refused, nothing changed: {}", loaded.error().message));
    } else {
      set_log_level(loaded->settings.log_level);
      node_->reload(loaded->settings);
      log(node::LogLevel::info, fmt::format("settings reloaded log_level={}",
                                            node::to_string(loaded->settings.log_level)));
    }
    notify_service_manager("READY=1");
  }

  const node::CommandLine command_line_;
  node::Settings settings_;
  const Limits limits_;
  node::AsioExecutor executor_;
  boost::asio::signal_set signals_;
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<broker::Router> router_;
  std::unique_ptr<broker::Server> server_;
  int exit_code_ = 0;
};

int run(int argc, char** argv) {
  harden_process();  // before there is a secret in memory
  const auto environment = node::process_environment();
  auto command_line = node::parse_command_line(argc, argv, environment);
  if (!command_line) return report(command_line.error());
  if (command_line->print_and_exit) {
    fmt::print("{}", *command_line->print_and_exit);
    return 0;
  }
  if (command_line->print_reference) {
    fmt::print("{}", node::settings_reference());
    return 0;
  }
  auto loaded = node::load_settings(*command_line, environment);
  node::forget_secret_variables();
  if (!loaded) return report(loaded.error());
  if (command_line->restore_from) {
    const auto size = node::restore(*command_line->restore_from, loaded->settings.data_dir);
    if (!size) return report(size.error());
    fmt::print(stderr,
               "peat-mesh-node: {} bytes restored into {}; the node begins there as a new one\n",
               *size, loaded->settings.data_dir.string());
    return 0;
  }
  if (command_line->print_config) fmt::print("{}", node::print_settings(*loaded));
  if (command_line->check_config) {
    const auto secret = node::load_formation_secret(loaded->settings);
    if (!secret) return report(secret.error());
    if (const auto id = security::check_formation_id(loaded->settings.formation_id); !id) {
      return report(id.error());
    }
    if (const auto other = node::load_other_secret(loaded->settings); !other) {
      return report(other.error());
    }
    if (const auto& tokens = loaded->settings.api_tokens_file; !tokens.empty()) {
      if (const auto access = broker::Access::load(tokens.string()); !access) {
        return report(access.error());
      }
    }
    fmt::print(stderr, "peat-mesh-node: the settings are fine\n");
  }
  if (command_line->print_config || command_line->check_config) return 0;

  keep_heap_small();
  std::signal(SIGPIPE, SIG_IGN);
  start_logging(loaded->settings.log_level, loaded->settings.log_format);
  return Daemon(std::move(*command_line), std::move(loaded->settings)).run();
}

}  // namespace

}  // namespace peat::daemon

int main(int argc, char** argv) {
  try {
    return peat::daemon::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peat-mesh-node: %s\n", error.what());
    return 1;
  }
}
