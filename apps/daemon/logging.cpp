#include "daemon/logging.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "broker/json_text.hpp"

namespace peat::daemon {

namespace {

// The message as the value of a JSON member: a quote inside it must not end it.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string quoted;
    broker::append_json_string(quoted, {message.payload.data(), message.payload.size()});
    out.append(quoted.data(), quoted.data() + quoted.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

spdlog::level::level_enum to_spdlog(node::LogLevel level) {
  switch (level) {
    case node::LogLevel::trace:
      return spdlog::level::trace;
    case node::LogLevel::debug:
      return spdlog::level::debug;
    case node::LogLevel::info:
      return spdlog::level::info;
    case node::LogLevel::warn:
      return spdlog::level::warn;
    case node::LogLevel::error:
      return spdlog::level::err;
    case node::LogLevel::off:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

}  // namespace

void start_logging(node::LogLevel level, node::LogFormat format) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  auto logger = std::make_shared<spdlog::logger>("peat", std::move(sink));
  auto formatter =
      std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, "\n");
  if (format == node::LogFormat::json) {
    formatter->add_flag<JsonMessage>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %-7l %v");
  }
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
  set_log_level(level);
}

void set_log_level(node::LogLevel level) { spdlog::set_level(to_spdlog(level)); }

void log(node::LogLevel level, std::string_view message) {
  spdlog::default_logger_raw()->log(to_spdlog(level),
                                    spdlog::string_view_t(message.data(), message.size()));
}

node::Log log_function() {
  return [](node::LogLevel level, std::string_view message) { log(level, message); };
}

}  // namespace peat::daemon
