#include "security/genesis.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "crypto/kdf.hpp"

namespace peat::security {

namespace {

constexpr std::array<std::string_view, 3> kPolicyNames{"Open", "Controlled", "Strict"};
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMeshIdBytes = 8;

// The lengths are fixed and far below HKDF's limit, so that it cannot fail.
crypto::SecretBytes derive(ByteView salt, ByteView seed, std::string_view info) {
  return crypto::hkdf_sha256(salt, seed, as_bytes(info)).value();
}

std::string derive_mesh_id(std::string_view name, ByteView seed) {
  const auto key = derive(as_bytes(name), seed, "peat-mesh:mesh-id");
  auto text = to_hex(key.view().first(kMeshIdBytes / 2));
  for (auto& c : text) {
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

Status check_name(std::string_view name) {
  if (name.size() > std::numeric_limits<std::uint16_t>::max() || !is_utf8(name)) {
    return fail(Code::limit_exceeded, "a mesh's name is UTF-8 of at most 65535 bytes; this has " +
                                          std::to_string(name.size()));
  }
  return {};
}

Result<std::string> read_name(Reader& reader) {
  PEAT_TRY(const auto length, reader.u16le("mesh name"));
  PEAT_TRY(const auto bytes, reader.take(length, "mesh name"));
  if (!is_utf8(as_text(bytes))) return fail(Code::malformed, "the mesh's name is not UTF-8");
  return std::string(as_text(bytes));
}

Result<MembershipPolicy> read_policy(Reader& reader) {
  PEAT_TRY(const auto policy, reader.u8("policy"));
  if (policy >= kPolicyNames.size()) {
    return fail(Code::malformed,
                "the membership policy is " + std::to_string(policy) + "; 0 to 2 are known");
  }
  if (!reader.done()) {
    return fail(Code::malformed, std::to_string(reader.remaining()) + " bytes follow the policy");
  }
  return static_cast<MembershipPolicy>(policy);
}

// Appends to locked memory: what goes through an ordinary vector leaves copies behind.
class SecretWriter {
 public:
  explicit SecretWriter(std::size_t size) : out_(size) {}
  void bytes(ByteView part) {
    std::ranges::copy(part, out_.mutable_view().begin() + offset_);
    offset_ += static_cast<std::ptrdiff_t>(part.size());
  }
  void u8(std::uint8_t value) { bytes({&value, 1}); }
  void little_endian(std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) u8(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  crypto::SecretBytes take() { return std::move(out_); }

 private:
  crypto::SecretBytes out_;
  std::ptrdiff_t offset_ = 0;
};

bool is_mesh_id(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
}

}  // namespace

std::string_view to_string(MembershipPolicy policy) {
  return kPolicyNames[static_cast<std::size_t>(policy)];
}

Result<MembershipPolicy> parse_membership_policy(std::string_view text) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const auto first = text.find_first_not_of(" \t\r\n");
  const auto word = first == std::string_view::npos
                        ? std::string_view()
                        : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  const auto found = std::ranges::find_if(
      kPolicyNames, [&](auto name) { return std::ranges::equal(name, word, {}, lower, lower); });
  if (found != kPolicyNames.end()) {
    return static_cast<MembershipPolicy>(found - kPolicyNames.begin());
  }
  return fail(Code::invalid_argument,
              "'" + std::string(text) + "' is no policy; open, controlled or strict");
}

Result<MeshCredentials> MeshCredentials::decode(ByteView bytes) {
  Reader reader(bytes);
  MeshCredentials out;
  PEAT_TRY(out.mesh_name, read_name(reader));
  PEAT_TRY(const auto mesh_id, reader.take(kMeshIdBytes, "mesh id"));
  out.mesh_id = as_text(mesh_id);
  if (!is_mesh_id(out.mesh_id)) {
    return fail(Code::malformed,
                "the mesh id is not 8 upper-case hex digits; is this a genesis, which no member "
                "should have?");
  }
  PEAT_TRY(const auto secret, reader.take(kSecretBytes, "formation secret"));
  out.formation_secret = crypto::SecretBytes(secret);
  PEAT_TRY(const auto authority, reader.take(kSecretBytes, "authority key"));
  std::ranges::copy(authority, out.authority.bytes.begin());
  PEAT_TRY(out.policy, read_policy(reader));
  return out;
}

Result<crypto::SecretBytes> MeshCredentials::encode() const {
  PEAT_TRY_VOID(check_name(mesh_name));
  if (mesh_id.size() != kMeshIdBytes || formation_secret.size() != kSecretBytes) {
    return fail(Code::invalid_argument,
                "credentials have a mesh id of 8 bytes and a secret of 32, not " +
                    std::to_string(mesh_id.size()) + " and " +
                    std::to_string(formation_secret.size()));
  }
  SecretWriter writer(75 + mesh_name.size());
  writer.little_endian(mesh_name.size(), 2);
  writer.bytes(as_bytes(mesh_name));
  writer.bytes(as_bytes(mesh_id));
  writer.bytes(formation_secret.view());
  writer.bytes(authority.bytes);
  writer.u8(static_cast<std::uint8_t>(policy));
  return writer.take();
}

Result<Certificate> issue_certificate(const crypto::SecretKey& issuer, std::string_view mesh_id,
                                      const CertificateRequest& request, WallTime now) {
  if (now.ms < 0 || request.validity.count() < 0) {
    return fail(Code::invalid_argument,
                "a certificate cannot begin before 1970 nor end earlier "
                "than it begins; set this machine's clock");
  }
  Certificate out;
  out.subject = request.subject;
  out.mesh_id = mesh_id;
  out.node_id = request.node_id;
  out.tier = request.tier;
  out.permissions = request.permissions;
  out.issued_at_ms = static_cast<std::uint64_t>(now.ms);
  if (request.validity.count() > 0) {
    out.expires_at_ms = out.issued_at_ms + static_cast<std::uint64_t>(request.validity.count());
  }
  PEAT_TRY_VOID(out.sign(issuer));
  return out;
}

MeshGenesis::MeshGenesis(std::string name, crypto::SecretBytes seed, crypto::SecretKey authority,
                         WallTime created, MembershipPolicy policy)
    : name_(std::move(name)),
      seed_(std::move(seed)),
      authority_(std::move(authority)),
      created_(created),
      policy_(policy),
      mesh_id_(derive_mesh_id(name_, seed_.view())) {}

Result<MeshGenesis> MeshGenesis::create(Random& random, std::string_view mesh_name,
                                        MembershipPolicy policy, WallTime now) {
  crypto::SecretBytes seed(kSecretBytes);
  random.fill(seed.mutable_view());
  return from_seed(seed.view(), mesh_name, policy, now);
}

Result<MeshGenesis> MeshGenesis::from_seed(ByteView seed, std::string_view mesh_name,
                                           MembershipPolicy policy, WallTime now,
                                           std::optional<crypto::SecretKey> authority) {
  PEAT_TRY_VOID(check_name(mesh_name));
  if (seed.size() != kSecretBytes || now.ms < 0) {
    return fail(Code::invalid_argument,
                "a mesh begins with 32 bytes of seed, after 1970; these "
                "are " +
                    std::to_string(seed.size()) + " bytes");
  }
  if (!authority) {
    const auto key = derive({}, seed, "peat-mesh:authority-keypair");
    authority.emplace(crypto::SecretKey::from_seed(key.view().first<crypto::kSeedBytes>()));
  }
  return MeshGenesis(std::string(mesh_name), crypto::SecretBytes(seed), std::move(*authority), now,
                     policy);
}

Result<MeshGenesis> MeshGenesis::decode(ByteView bytes) {
  Reader reader(bytes);
  PEAT_TRY(auto name, read_name(reader));
  PEAT_TRY(const auto seed, reader.take(kSecretBytes, "mesh seed"));
  PEAT_TRY(const auto authority, reader.take(crypto::kSeedBytes, "authority seed"));
  PEAT_TRY(const auto created, reader.u64le("creation time"));
  PEAT_TRY(const auto policy, read_policy(reader));
  if (created > kMaxTimeMs) return fail(Code::malformed, "the genesis was created after all time");
  return MeshGenesis(std::move(name), crypto::SecretBytes(seed),
                     crypto::SecretKey::from_seed(authority.first<crypto::kSeedBytes>()),
                     WallTime{static_cast<std::int64_t>(created)}, policy);
}

crypto::SecretBytes MeshGenesis::encode() const {
  SecretWriter writer(75 + name_.size());
  writer.little_endian(name_.size(), 2);
  writer.bytes(as_bytes(name_));
  writer.bytes(seed_.view());
  writer.bytes(authority_.seed());
  writer.little_endian(static_cast<std::uint64_t>(created_.ms), 8);
  writer.u8(static_cast<std::uint8_t>(policy_));
  return writer.take();
}

MeshCredentials MeshGenesis::credentials() const {
  MeshCredentials out;
  out.mesh_name = name_;
  out.mesh_id = mesh_id_;
  out.formation_secret = derive(as_bytes(name_), seed_.view(), "peat-mesh:formation-secret");
  out.authority = authority_.public_key();
  out.policy = policy_;
  return out;
}

Result<Certificate> MeshGenesis::root_certificate(std::string_view node_id, WallTime now) const {
  return issue({authority_.public_key(), std::string(node_id), Tier::enterprise,
                permission::kAuthority, std::chrono::milliseconds(0)},
               now);
}

Result<Certificate> MeshGenesis::issue(const CertificateRequest& request, WallTime now) const {
  return issue_certificate(authority_, mesh_id_, request, now);
}

}  // namespace peat::security
