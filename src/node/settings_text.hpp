// Reading and showing the values of settings: one overload per type of settings.def.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/settings.hpp"

namespace peat::node {

// `texts` is not empty. An error says what is wrong with the text; the caller adds where it stood.
Status parse_value(const std::vector<std::string>& texts, std::string& out);
Status parse_value(const std::vector<std::string>& texts, Path& out);
Status parse_value(const std::vector<std::string>& texts, HostPort& out);
Status parse_value(const std::vector<std::string>& texts, Peers& out);
Status parse_value(const std::vector<std::string>& texts, CollectionSettings& out);
Status parse_value(const std::vector<std::string>& texts, AccessSettings& out);
Status parse_value(const std::vector<std::string>& texts, TtlPreset& out);
Status parse_value(const std::vector<std::string>& texts, Secret& out);
Status parse_value(const std::vector<std::string>& texts, bool& out);
Status parse_value(const std::vector<std::string>& texts, std::uint32_t& out);
Status parse_value(const std::vector<std::string>& texts, Millis& out);
Status parse_value(const std::vector<std::string>& texts, Binding& out);
Status parse_value(const std::vector<std::string>& texts, LogLevel& out);
Status parse_value(const std::vector<std::string>& texts, LogFormat& out);

std::vector<std::string> show_value(const std::string& value);
std::vector<std::string> show_value(const Path& value);
std::vector<std::string> show_value(const HostPort& value);
std::vector<std::string> show_value(const Peers& value);
std::vector<std::string> show_value(const CollectionSettings& value);
std::vector<std::string> show_value(const AccessSettings& value);
std::vector<std::string> show_value(TtlPreset value);
std::vector<std::string> show_value(const Secret& value);  // masked
std::vector<std::string> show_value(bool value);
std::vector<std::string> show_value(std::uint32_t value);
std::vector<std::string> show_value(Millis value);
std::vector<std::string> show_value(Binding value);
std::vector<std::string> show_value(LogLevel value);
std::vector<std::string> show_value(LogFormat value);

// The text that the setting behind a legacy variable is given; "" if the value says nothing.
std::string legacy_text(const LegacyVariable& variable, std::string_view value);

// A setting of this type has any number of texts.
constexpr bool is_list(std::string_view type) {
  return type == "Peers" || type == "CollectionSettings" || type == "AccessSettings";
}

std::vector<std::string> split_words(std::string_view text);

}  // namespace peat::node
