#include "security/invitation.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::security {

namespace {

constexpr std::string_view kTokenPrefix = "pt1.";
constexpr std::string_view kProofPrefix = "pt1p.";
constexpr std::string_view kLinkPrefix = "peat:join?";
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kChecksumBytes = 4;
constexpr std::size_t kTokenMaxBytes = 200;
constexpr std::uint8_t kLinkVersion = 1;
constexpr std::size_t kLinkMaxText = 4096;

std::unexpected<Error> no_token() {
  return fail(Code::bad_token, "this is no invitation of this mesh");
}

void write_terms(Writer& writer, const InvitationTerms& terms) {
  writer.bytes(terms.id);
  writer.u64le(terms.expires_at_ms);
  writer.u16le(terms.uses);
  writer.u8(static_cast<std::uint8_t>(terms.tier));
  writer.u8(terms.permissions);
  writer.u8(static_cast<std::uint8_t>(terms.names.size()));
  writer.text(terms.names);
}

Result<InvitationTerms> read_terms(Reader& reader) {
  InvitationTerms out;
  PEAT_TRY(const auto id, reader.take(out.id.size(), "invitation id"));
  std::ranges::copy(id, out.id.begin());
  PEAT_TRY(out.expires_at_ms, reader.u64le("invitation expiry"));
  PEAT_TRY(out.uses, reader.u16le("invitation uses"));
  PEAT_TRY(const auto tier, reader.u8("invitation tier"));
  if (tier > static_cast<std::uint8_t>(Tier::edge)) {
    return fail(Code::malformed, "the invitation's tier is " + std::to_string(tier));
  }
  out.tier = static_cast<Tier>(tier);
  PEAT_TRY(out.permissions, reader.u8("invitation permissions"));
  PEAT_TRY(const auto length, reader.u8("invitation names"));
  PEAT_TRY(const auto names, reader.take(length, "invitation names"));
  if (!is_utf8(as_text(names)))
    return fail(Code::malformed, "the invitation's names are not UTF-8");
  out.names = as_text(names);
  return out;
}

crypto::Mac proof_of(std::string_view text, const InvitationKey::Presenter& by) {
  Bytes time;
  Writer(time).u64le(by.timestamp_ms);
  return crypto::hmac_sha256(as_bytes(text), {by.server.bytes, by.subject.bytes, time});
}

bool starts_with(ByteView bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() && as_text(bytes.first(prefix.size())) == prefix;
}

}  // namespace

bool InvitationTerms::allows_name(std::string_view node_id) const {
  if (names.ends_with('*')) {
    return node_id.starts_with(std::string_view(names).substr(0, names.size() - 1));
  }
  return node_id == names;
}

InvitationKey InvitationKey::of(const crypto::SecretKey& authority) {
  InvitationKey out;
  out.key_ = crypto::hkdf_sha256({}, authority.seed(), as_bytes("peat-enroll-token-v1")).value();
  return out;
}

crypto::Mac InvitationKey::mac(ByteView terms) const {
  return crypto::hmac_sha256(key_.view(), {terms});
}

Result<Bytes> InvitationKey::invite(InvitationTerms terms, Random& random) const {
  const auto prefix_length = terms.names.size() - (terms.names.ends_with('*') ? 1 : 0);
  const auto prefix = std::string_view(terms.names).substr(0, prefix_length);
  const bool usable = terms.uses > 0 && terms.names.size() <= 128 && !terms.names.empty() &&
                      (prefix.empty() || check_node_name(prefix));
  if (!usable) {
    return fail(Code::invalid_argument,
                "an invitation is for one use at least, and for a node's name or the beginning of "
                "one and *");
  }
  random.fill(terms.id);
  Bytes token;
  Writer writer(token);
  write_terms(writer, terms);
  const auto tag = mac(token);
  writer.bytes(ByteView(tag).first(kTagBytes));
  return token;
}

Result<InvitationKey::Presented> InvitationKey::check(ByteView presented,
                                                      const Presenter& by) const {
  const bool proven = starts_with(presented, kProofPrefix);
  Bytes token;
  ByteView proof;
  if (proven) {
    Reader reader(presented.subspan(kProofPrefix.size()));
    if (!read_terms(reader) || reader.remaining() != sizeof(crypto::Mac)) return no_token();
    const auto terms = presented.subspan(kProofPrefix.size(), reader.offset());
    proof = reader.rest();
    token.assign(terms.begin(), terms.end());
    const auto tag = mac(terms);
    token.insert(token.end(), tag.begin(), tag.begin() + kTagBytes);
  } else {
    auto parsed = parse_token_text(as_text(presented));
    if (!parsed) return no_token();
    token = std::move(*parsed);
  }
  Reader reader(token);
  auto terms = read_terms(reader);
  if (!terms || reader.remaining() != kTagBytes) return no_token();
  const auto tag = mac(ByteView(token).first(reader.offset()));
  if (!crypto::equal_constant_time(ByteView(tag).first(kTagBytes), reader.rest())) {
    return no_token();
  }
  if (proven && !crypto::equal_constant_time(proof_of(token_text(token), by), proof)) {
    return no_token();
  }
  return Presented{std::move(*terms), proven};
}

std::string token_text(ByteView token) { return std::string(kTokenPrefix) + to_base64url(token); }

Result<Bytes> parse_token_text(std::string_view text) {
  if (!text.starts_with(kTokenPrefix) || text.size() > 2 * kTokenMaxBytes) return no_token();
  return from_base64url(text.substr(kTokenPrefix.size()));
}

Result<InvitationTerms> read_token(ByteView token) {
  Reader reader(token);
  PEAT_TRY(auto terms, read_terms(reader));
  if (reader.remaining() != kTagBytes) return no_token();
  return terms;
}

Result<Bytes> prove_token(ByteView token, const InvitationKey::Presenter& by) {
  PEAT_TRY_VOID(read_token(token));
  Bytes out;
  Writer writer(out);
  writer.text(kProofPrefix);
  writer.bytes(token.first(token.size() - kTagBytes));
  writer.bytes(proof_of(token_text(token), by));
  return out;
}

// --- links -------------------------------------------------------------------------------------

Result<std::string> JoinLink::to_text() const {
  const bool fits = !addresses.empty() && addresses.size() <= kJoinLinkAddresses &&
                    mesh_id.size() <= kNameMaxBytes && token.size() <= kTokenMaxBytes &&
                    std::ranges::all_of(addresses, [](const auto& address) {
                      return !address.empty() && address.size() <= kNameMaxBytes;
                    });
  if (!fits) {
    return fail(Code::invalid_argument,
                "a link carries one to four addresses of at most 255 bytes");
  }
  Bytes payload;
  Writer writer(payload);
  writer.u8(kLinkVersion);
  writer.bytes(server.bytes);
  writer.bytes(authority.bytes);
  writer.u8(static_cast<std::uint8_t>(mesh_id.size()));
  writer.text(mesh_id);
  writer.u64le(expires_at_ms);
  writer.u8(static_cast<std::uint8_t>(addresses.size()));
  for (const auto& address : addresses) {
    writer.u8(static_cast<std::uint8_t>(address.size()));
    writer.text(address);
  }
  writer.u8(static_cast<std::uint8_t>(token.size()));
  writer.bytes(token);
  const auto checksum = sha256(payload);
  writer.bytes(ByteView(checksum).first(kChecksumBytes));
  return std::string(kLinkPrefix) + to_base64url(payload);
}

Result<JoinLink> JoinLink::parse(std::string_view text) {
  std::string clean;
  for (const char c : text.substr(0, kLinkMaxText)) {
    if (c != ' ' && (c < '\t' || c > '\r')) clean += c;
  }
  if (!clean.starts_with(kLinkPrefix)) {
    return fail(Code::malformed, "a link to join begins with " + std::string(kLinkPrefix));
  }
  const auto bytes = from_base64url(std::string_view(clean).substr(kLinkPrefix.size()));
  const auto damaged = [] {
    return fail(Code::malformed, "the link is incomplete or has a typing error; copy it again");
  };
  if (!bytes || bytes->size() < kChecksumBytes) return damaged();
  const auto payload = ByteView(*bytes).first(bytes->size() - kChecksumBytes);
  const auto checksum = sha256(payload);
  if (!std::ranges::equal(ByteView(checksum).first(kChecksumBytes),
                          ByteView(*bytes).subspan(payload.size()))) {
    return damaged();
  }
  Reader reader(payload);
  JoinLink out;
  PEAT_TRY(const auto version, reader.u8("link version"));
  if (version != kLinkVersion) {
    return fail(Code::wrong_version, "the link is of version " + std::to_string(version) +
                                         ", which needs a newer program");
  }
  PEAT_TRY(const auto server, reader.take(32, "server id"));
  std::ranges::copy(server, out.server.bytes.begin());
  PEAT_TRY(const auto authority, reader.take(32, "authority key"));
  std::ranges::copy(authority, out.authority.bytes.begin());
  PEAT_TRY(const auto id_length, reader.u8("mesh id"));
  PEAT_TRY(const auto mesh_id, reader.take(id_length, "mesh id"));
  out.mesh_id = as_text(mesh_id);
  PEAT_TRY(out.expires_at_ms, reader.u64le("link expiry"));
  PEAT_TRY(const auto count, reader.u8("address count"));
  if (count == 0 || count > kJoinLinkAddresses) return damaged();
  for (std::size_t i = 0; i < count; ++i) {
    PEAT_TRY(const auto length, reader.u8("address"));
    PEAT_TRY(const auto address, reader.take(length, "address"));
    out.addresses.emplace_back(as_text(address));
  }
  PEAT_TRY(const auto token_length, reader.u8("token"));
  PEAT_TRY(const auto token, reader.take(token_length, "token"));
  out.token.assign(token.begin(), token.end());
  if (!is_utf8(out.mesh_id) || !reader.done()) return damaged();
  return out;
}

}  // namespace peat::security
