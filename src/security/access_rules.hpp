// Who may do what with which collection, and who may speak which protocol.
//
// A rule is a line of the configuration:
//
//   rule    := scope ":" option { "," option }
//   scope   := collection | "*" | "@" protocol
//   option  := right "=" who { "+" who }
//   right   := "read" | "write" | "relay" | "delete"      of a collection
//            | "use"                                      of a protocol
//   who     := "any"            every peer that is let in
//            | "none"
//            | "member"         who has a certificate that is believed now
//            | "enterprise" | "regional" | "tactical" | "edge"     members of that tier or a higher
//            | "relay" | "emergency" | "enroll" | "admin"          members with that permission
//            | endpoint id                                         64 hexadecimal digits
//
//   read     it is sent documents, deletions and what names or counts them
//   write    what it changes itself is taken from it
//   relay    what others changed is taken from it; unless said, who may write
//   delete   deletions are taken from it; unless said, who may write
//
// A right that the collection's own rule does not mention is looked up in the rule "*"; what is not
// mentioned there either, any peer has. The collections of trust ("certificates", "revocations")
// do not heed "*", because a mesh whose members cannot read them falls apart; deletions in them are
// taken from holders of ADMIN alone unless their own rule says otherwise.
//
// The authority's certificate has every permission and the highest tier; it is bound like anybody.
// Nothing is granted by name: names are for people (security/trust.hpp).
//
// Threading: values. Cost: a map look-up and a few comparisons. Errors: bad_setting, with the text
// and what is possible.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"

namespace peat::security {

enum class Right : std::uint8_t { read, write, relay, erase, use };
inline constexpr std::size_t kRights = 5;
std::string_view to_string(Right right);  // as in a rule: "delete" for erase

// What is known of a peer when it is judged.
struct Standing {
  EndpointId id;
  bool certified = false;  // the rest is of its certificate
  Tier tier = Tier::edge;
  Permissions permissions = 0;
  friend bool operator==(const Standing&, const Standing&) = default;
};

// "regional+admin"
class Who {
 public:
  static Result<Who> parse(std::string_view text);
  bool includes(const Standing& standing) const;
  const std::string& text() const { return text_; }
  friend bool operator==(const Who&, const Who&) = default;

 private:
  bool any_ = false;
  bool members_ = false;
  std::optional<Tier> tier_;     // the lowest
  Permissions permissions_ = 0;  // one of them
  std::vector<EndpointId> ids_;
  std::string text_;
};

struct AccessRule {
  std::string scope;
  std::map<Right, Who> who;
  std::string text;  // as it was written

  static Result<AccessRule> parse(std::string_view text);
  bool of_protocol() const { return scope.starts_with('@'); }
  friend bool operator==(const AccessRule&, const AccessRule&) = default;
};

class AccessRules {
 public:
  // Code::bad_setting if two rules are of one scope.
  static Result<AccessRules> create(std::vector<AccessRule> rules);

  // Whether `right` (not use) of the collection is anybody's.
  bool is_open(Right right, std::string_view collection) const;
  bool allows(const Standing& standing, Right right, std::string_view collection) const;
  bool allows_protocol(const Standing& standing, std::string_view protocol) const;
  // Who has the right, as text: "any" if no rule speaks of it.
  std::string who(Right right, std::string_view collection) const;
  std::string who_may_use(std::string_view protocol) const;

  const std::vector<AccessRule>& rules() const { return rules_; }
  friend bool operator==(const AccessRules&, const AccessRules&) = default;

 private:
  const Who* find(Right right, std::string_view collection) const;
  const Who* stated(Right right, std::string_view scope) const;

  std::vector<AccessRule> rules_;  // by scope
};

}  // namespace peat::security
