#include "peat/automerge/types.hpp"

#include "base/encoding.hpp"
#include "base/random.hpp"

namespace peat::automerge {

std::string ChangeHash::to_string() const { return to_hex(bytes); }

Result<ChangeHash> ChangeHash::parse(std::string_view hex) {
  if (hex.size() != 64) {
    return fail(Code::malformed, "a change hash has 64 hex digits, got " +
                                     std::to_string(hex.size()) + " characters");
  }
  PEAT_TRY(const auto raw, from_hex(hex));
  ChangeHash hash;
  std::copy(raw.begin(), raw.end(), hash.bytes.begin());
  return hash;
}

std::string ActorId::to_string() const { return to_hex(bytes); }

Result<ActorId> ActorId::parse(std::string_view hex) {
  PEAT_TRY(auto raw, from_hex(hex));
  if (raw.empty() || raw.size() > 65535) {
    return fail(Code::malformed,
                "an actor id has 1 to 65,535 bytes, got " + std::to_string(raw.size()));
  }
  return ActorId{std::move(raw)};
}

ActorId ActorId::random() {
  ActorId actor;
  actor.bytes.resize(16);
  SystemRandom().fill(actor.bytes);
  return actor;
}

}  // namespace peat::automerge
