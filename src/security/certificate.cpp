#include "security/certificate.hpp"

#include <algorithm>
#include <array>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::security {

namespace {

constexpr std::array<std::string_view, 4> kTierNames{"Enterprise", "Regional", "Tactical", "Edge"};

struct NamedPermission {
  std::string_view name;
  Permissions bit;
};
constexpr std::array kPermissionNames{NamedPermission{"relay", permission::kRelay},
                                      NamedPermission{"emergency", permission::kEmergency},
                                      NamedPermission{"enroll", permission::kEnroll},
                                      NamedPermission{"admin", permission::kAdmin}};

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

Result<std::string> read_name(Reader& reader, std::string_view what) {
  PEAT_TRY(const auto length, reader.u8(what));
  PEAT_TRY(const auto bytes, reader.take(length, what));
  const auto text = as_text(bytes);
  if (!is_utf8(text)) {
    return fail(Code::malformed, "the certificate's " + std::string(what) + " is not UTF-8");
  }
  return std::string(text);
}

Status write_name(Writer& writer, std::string_view name, std::string_view what) {
  if (name.size() > kNameMaxBytes || !is_utf8(name)) {
    return fail(Code::limit_exceeded, "the " + std::string(what) + " has " +
                                          std::to_string(name.size()) +
                                          " bytes; a certificate takes at most 255 of UTF-8");
  }
  writer.u8(static_cast<std::uint8_t>(name.size()));
  writer.text(name);
  return {};
}

template <std::size_t kSize>
void copy_to(ByteView from, std::array<std::uint8_t, kSize>& to) {
  std::copy_n(from.begin(), kSize, to.begin());
}

}  // namespace

std::string_view to_string(Tier tier) { return kTierNames[static_cast<std::size_t>(tier)]; }

Result<Tier> parse_tier(std::string_view text) {
  const auto found = std::ranges::find_if(
      kTierNames, [&](auto name) { return equal_ignoring_case(name, trim(text)); });
  if (found != kTierNames.end()) return static_cast<Tier>(found - kTierNames.begin());
  return fail(Code::invalid_argument,
              "'" + std::string(text) + "' is no tier; enterprise, regional, tactical or edge");
}

std::string describe_permissions(Permissions permissions) {
  std::string out;
  const auto add = [&out](std::string_view name) { (out += out.empty() ? "" : ",") += name; };
  for (const auto& [name, bit] : kPermissionNames) {
    if ((permissions & bit) != 0) add(name);
    permissions = static_cast<Permissions>(permissions & ~bit);
  }
  if (permissions != 0) add("0x" + to_hex({&permissions, 1}));
  return out.empty() ? "none" : out;
}

Result<Permissions> parse_permissions(std::string_view text) {
  Permissions out = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto word = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const auto found = std::ranges::find_if(
        kPermissionNames, [&](const auto& row) { return equal_ignoring_case(row.name, word); });
    if (found != kPermissionNames.end()) {
      out |= found->bit;
    } else if (equal_ignoring_case(word, "standard")) {
      out |= permission::kStandard;
    } else if (equal_ignoring_case(word, "authority")) {
      out |= permission::kAuthority;
    } else if (!equal_ignoring_case(word, "none")) {
      return fail(Code::invalid_argument,
                  "'" + std::string(word) +
                      "' is no permission; relay, emergency, enroll, admin, standard, authority "
                      "or none");
    }
  }
  return out;
}

Result<Certificate> Certificate::decode(ByteView bytes, Trailing trailing) {
  Reader reader(bytes);
  Certificate out;
  PEAT_TRY(const auto subject, reader.take(32, "subject key"));
  copy_to(subject, out.subject.bytes);
  PEAT_TRY(out.mesh_id, read_name(reader, "mesh id"));
  PEAT_TRY(out.node_id, read_name(reader, "node id"));
  PEAT_TRY(const auto tier, reader.u8("tier"));
  if (tier >= kTierNames.size()) {
    return fail(Code::malformed,
                "the certificate's tier is " + std::to_string(tier) + "; 0 to 3 are known");
  }
  out.tier = static_cast<Tier>(tier);
  PEAT_TRY(out.permissions, reader.u8("permissions"));
  PEAT_TRY(out.issued_at_ms, reader.u64le("issue time"));
  PEAT_TRY(out.expires_at_ms, reader.u64le("expiry time"));
  PEAT_TRY(const auto issuer, reader.take(32, "issuer key"));
  copy_to(issuer, out.issuer.bytes);
  PEAT_TRY(const auto signature, reader.take(crypto::kSignatureBytes, "signature"));
  copy_to(signature, out.signature);
  if (trailing == Trailing::refuse && !reader.done()) {
    return fail(Code::malformed,
                std::to_string(reader.remaining()) + " bytes follow the certificate's signature");
  }
  return out;
}

Result<Bytes> Certificate::signed_part() const {
  if (issued_at_ms > kMaxTimeMs || expires_at_ms > kMaxTimeMs) {
    return fail(Code::invalid_argument, "a certificate's times are below 2^63 ms");
  }
  Bytes out;
  out.reserve(kCertificateMaxBytes);
  Writer writer(out);
  writer.bytes(subject.bytes);
  PEAT_TRY_VOID(write_name(writer, mesh_id, "mesh id"));
  PEAT_TRY_VOID(write_name(writer, node_id, "node id"));
  writer.u8(static_cast<std::uint8_t>(tier));
  writer.u8(permissions);
  writer.u64le(issued_at_ms);
  writer.u64le(expires_at_ms);
  writer.bytes(issuer.bytes);
  return out;
}

Result<Bytes> Certificate::encode() const {
  PEAT_TRY(auto out, signed_part());
  out.insert(out.end(), signature.begin(), signature.end());
  return out;
}

Status Certificate::sign(const crypto::SecretKey& issuer_key) {
  issuer = issuer_key.public_key();
  PEAT_TRY(const auto part, signed_part());
  signature = issuer_key.sign(part);
  return {};
}

bool Certificate::signature_matches() const {
  const auto part = signed_part();
  return part && crypto::verify(issuer, *part, signature);
}

bool Certificate::valid_at(WallTime now, Duration skew) const {
  if (now.ms < 0) return false;
  const auto spare = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(skew).count());
  const auto at = static_cast<std::uint64_t>(now.ms);
  return issued_at_ms <= at + spare &&
         (expires_at_ms == 0 || (at < spare ? 0 : at - spare) < expires_at_ms);
}

Result<Bytes> encode_chain(const std::vector<Certificate>& chain) {
  if (chain.size() > kChainMax) {
    return fail(Code::limit_exceeded,
                "a chain of " + std::to_string(chain.size()) + " certificates; four are taken");
  }
  Bytes out;
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(chain.size()));
  for (const auto& certificate : chain) {
    PEAT_TRY(const auto bytes, certificate.encode());
    writer.u16le(static_cast<std::uint16_t>(bytes.size()));
    writer.bytes(bytes);
  }
  return out;
}

Result<std::vector<Certificate>> decode_chain(ByteView bytes) {
  Reader reader(bytes);
  std::vector<Certificate> out;
  PEAT_TRY(const auto count, reader.u8("certificate count"));
  if (count > kChainMax) {
    return fail(Code::limit_exceeded,
                "a chain of " + std::to_string(count) + " certificates; four are taken");
  }
  for (std::size_t i = 0; i < count; ++i) {
    PEAT_TRY(const auto length, reader.u16le("certificate length"));
    PEAT_TRY(const auto part, reader.take(length, "certificate"));
    PEAT_TRY(auto certificate, Certificate::decode(part));
    out.push_back(std::move(certificate));
  }
  if (!reader.done()) {
    return fail(Code::malformed, std::to_string(reader.remaining()) + " bytes follow the chain");
  }
  return out;
}

Status check_node_name(std::string_view name) {
  constexpr std::size_t kMax = 253;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (!name.empty() && name.size() <= kMax && std::ranges::all_of(name, fits)) return {};
  return fail(Code::invalid_argument,
              "a node's name has 1 to 253 letters, digits, dots, hyphens and underscores");
}

}  // namespace peat::security
