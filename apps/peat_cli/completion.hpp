// Shell completion, generated from the commands themselves.
#pragma once

#include <CLI/App.hpp>

#include <string>

namespace peat::cli {

std::string bash_completion(const CLI::App& app);

}  // namespace peat::cli
