#include "security/access_rules.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "security/trust_documents.hpp"

namespace peat::security {
namespace {

constexpr std::array<std::string_view, kRights> kRightNames = {"read", "write", "relay", "delete",
                                                               "use"};
constexpr std::string_view kEverywhere = "*";

bool is_of_trust(std::string_view collection) {
  return collection == kCertificates || collection == kRevocations;
}

// Of deletions in the collections of trust.
const Who& admins() {
  static const Who who = Who::parse("admin").value();
  return who;
}

// Takes the part before the first `separator` off the front.
std::string_view take_part(std::string_view& text, char separator) {
  const auto part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

Result<Right> parse_right(std::string_view name, bool of_protocol) {
  for (std::size_t i = 0; i < kRights; ++i) {
    const auto right = static_cast<Right>(i);
    if (kRightNames[i] == name && (right == Right::use) == of_protocol) return right;
  }
  return fail(Code::bad_setting, "'" + std::string(name) + "' is " +
                                     (of_protocol ? "not use, which a protocol's rule has"
                                                  : "none of read, write, relay, delete"));
}

}  // namespace

std::string_view to_string(Right right) { return kRightNames[static_cast<std::size_t>(right)]; }

Result<Who> Who::parse(std::string_view text) {
  Who out;
  out.text_ = text;
  if (text.empty()) return fail(Code::bad_setting, "nobody is named; 'none' says so");
  while (!text.empty()) {
    const auto name = take_part(text, '+');
    if (name == "any") {
      out.any_ = true;
    } else if (name == "member") {
      out.members_ = true;
    } else if (const auto permission = parse_permissions(name);
               permission && std::has_single_bit(*permission)) {
      out.permissions_ = static_cast<Permissions>(out.permissions_ | *permission);
    } else if (const auto tier = parse_tier(name)) {
      out.tier_ = std::max(out.tier_.value_or(*tier), *tier);
    } else if (const auto id = EndpointId::parse(name)) {
      out.ids_.push_back(*id);
    } else if (name != "none") {
      return fail(Code::bad_setting,
                  "'" + std::string(name) +
                      "' is nobody: any, none, member, enterprise, regional, tactical, edge, "
                      "relay, emergency, enroll, admin, or an endpoint id");
    }
  }
  return out;
}

bool Who::includes(const Standing& standing) const {
  if (any_ || std::ranges::find(ids_, standing.id) != ids_.end()) return true;
  if (!standing.certified) return false;
  return members_ || (tier_ && standing.tier <= *tier_) ||
         (permissions_ & standing.permissions) != 0;
}

Result<AccessRule> AccessRule::parse(std::string_view text) {
  AccessRule out;
  out.text = text;
  const auto colon = text.rfind(':');
  const auto scope = text.substr(0, colon);
  const bool well_formed = colon != std::string_view::npos && !scope.empty() && scope != "@" &&
                           (scope[0] == '@' || scope.find_first_of(":/") == scope.npos);
  if (!well_formed || colon + 1 == text.size()) {
    return fail(Code::bad_setting,
                "'" + std::string(text) +
                    "' is not COLLECTION:right=who, such as orders:read=any,write=regional+admin");
  }
  out.scope = scope;
  auto rest = text.substr(colon + 1);
  while (!rest.empty()) {
    auto option = take_part(rest, ',');
    const auto name = take_part(option, '=');
    auto right = parse_right(name, out.of_protocol());
    auto who = right ? Who::parse(option) : std::unexpected(right.error());
    if (!who) {
      return fail(Code::bad_setting, "access to '" + out.scope + "': " + who.error().message);
    }
    if (!out.who.emplace(*right, std::move(*who)).second) {
      return fail(Code::bad_setting,
                  "access to '" + out.scope + "': " + std::string(name) + " is given twice");
    }
  }
  return out;
}

Result<AccessRules> AccessRules::create(std::vector<AccessRule> rules) {
  AccessRules out;
  out.rules_ = std::move(rules);
  std::ranges::sort(out.rules_, {}, &AccessRule::scope);
  const auto twice = std::ranges::adjacent_find(out.rules_, {}, &AccessRule::scope);
  if (twice != out.rules_.end()) {
    return fail(Code::bad_setting, "access to '" + twice->scope + "' has two rules; make it one");
  }
  return out;
}

const Who* AccessRules::stated(Right right, std::string_view scope) const {
  const auto rule = std::ranges::lower_bound(rules_, scope, {}, &AccessRule::scope);
  if (rule == rules_.end() || rule->scope != scope) return nullptr;
  auto who = rule->who.find(right);
  if (who == rule->who.end() && (right == Right::relay || right == Right::erase)) {
    who = rule->who.find(Right::write);
  }
  return who == rule->who.end() ? nullptr : &who->second;
}

// nullptr: no rule speaks of it, anybody has it.
const Who* AccessRules::find(Right right, std::string_view collection) const {
  if (const auto* own = stated(right, collection)) return own;
  if (!is_of_trust(collection)) return stated(right, kEverywhere);
  return right == Right::erase ? &admins() : nullptr;
}

bool AccessRules::is_open(Right right, std::string_view collection) const {
  const auto* who = find(right, collection);
  return who == nullptr || who->includes({});
}

bool AccessRules::allows(const Standing& standing, Right right, std::string_view collection) const {
  const auto* who = find(right, collection);
  return who == nullptr || who->includes(standing);
}

bool AccessRules::allows_protocol(const Standing& standing, std::string_view protocol) const {
  const auto* who = stated(Right::use, "@" + std::string(protocol));
  return who == nullptr || who->includes(standing);
}

std::string AccessRules::who(Right right, std::string_view collection) const {
  const auto* who = find(right, collection);
  return who == nullptr ? "any" : who->text();
}

std::string AccessRules::who_may_use(std::string_view protocol) const {
  const auto* who = stated(Right::use, "@" + std::string(protocol));
  return who == nullptr ? "any" : who->text();
}

}  // namespace peat::security
