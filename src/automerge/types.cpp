#include "peat/automerge/types.hpp"

#include "base/encoding.hpp"
#include "base/random.hpp"

namespace peat::automerge {

namespace {

template <class... Case>
struct Cases : Case... {
  using Case::operator()...;
};

}  // namespace

OwnedScalar::OwnedScalar(const Scalar& value) {
  std::visit(Cases{[this](std::string_view v) { value_ = std::string(v); },
                   [this](ByteView v) { value_ = Bytes(v.begin(), v.end()); },
                   [this](const UnknownValue& v) {
                     value_ = Unknown{v.type, Bytes(v.bytes.begin(), v.bytes.end())};
                   },
                   [this](const auto& v) { value_ = v; }},
             value);
}

Scalar OwnedScalar::view() const {
  return std::visit(Cases{[](const std::string& v) -> Scalar { return std::string_view(v); },
                          [](const Bytes& v) -> Scalar { return ByteView(v); },
                          [](const Unknown& v) -> Scalar { return UnknownValue{v.type, v.bytes}; },
                          [](const auto& v) -> Scalar { return v; }},
                    value_);
}

bool operator==(const OwnedScalar& a, const OwnedScalar& b) {
  return std::visit(Cases{[](double x, double y) { return std::memcmp(&x, &y, sizeof x) == 0; },
                          [](const OwnedScalar::Unknown& x, const OwnedScalar::Unknown& y) {
                            return x.type == y.type && x.bytes == y.bytes;
                          },
                          []<class T>(const T& x, const T& y) { return x == y; },
                          [](const auto&, const auto&) { return false; }},
                    a.value_, b.value_);
}

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
