// Logs on standard error, as text or as one JSON object per line.
#pragma once

#include "node/node.hpp"
#include "node/settings.hpp"

namespace peat::daemon {

void start_logging(node::LogLevel level, node::LogFormat format);
void set_log_level(node::LogLevel level);
void log(node::LogLevel level, std::string_view message);
node::Log log_function();

}  // namespace peat::daemon
