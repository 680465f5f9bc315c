#include "net/tls.hpp"

#include <fmt/format.h>
#include <gnutls/abstract.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace peat::net {
namespace {

// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410): this, then the 32 bytes of the key.
constexpr std::array<std::uint8_t, 12> kSpkiPrefix{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                   0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
constexpr std::size_t kSpkiSize = kSpkiPrefix.size() + 32;
constexpr std::size_t kSignatureSize = 64;
constexpr std::size_t kMaxAlpns = 8;

// X25519 is named first because GnuTLS offers a key share for its first group only, and P-256
// would cost iroh a round trip. The client's cipher order decides: AES-128 is the cheaper.
constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
    "-SIGN-ALL:+SIGN-EDDSA-ED25519:"
    "-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:%DISABLE_TLS13_COMPAT_MODE";

std::unexpected<Error> tls_failure(const char* step, int rv) {
  return fail(Code::internal, fmt::format("TLS set-up, {}: {}", step, gnutls_strerror(rv)));
}

int sign_data(gnutls_privkey_t, gnutls_sign_algorithm_t, void* userdata, unsigned,
              const gnutls_datum_t* data, gnutls_datum_t* signature) {
  try {
    const auto& sign = *static_cast<const Signer*>(userdata);
    const Bytes bytes = sign({data->data, data->size});
    if (bytes.size() != kSignatureSize) return GNUTLS_E_PK_SIGN_FAILED;
    signature->data = static_cast<unsigned char*>(gnutls_malloc(bytes.size()));
    if (signature->data == nullptr) return GNUTLS_E_MEMORY_ERROR;
    std::memcpy(signature->data, bytes.data(), bytes.size());
    signature->size = kSignatureSize;
    return 0;
  } catch (...) {
    return GNUTLS_E_PK_SIGN_FAILED;
  }
}

int key_info(gnutls_privkey_t, unsigned flags, void*) {
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) return GNUTLS_PK_EDDSA_ED25519;
  if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) return 256;
  if (flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO) return GNUTLS_SIGN_EDDSA_ED25519;
  if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) {
    return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == GNUTLS_SIGN_EDDSA_ED25519 ? 1 : 0;
  }
  return -1;
}

}  // namespace

Result<std::shared_ptr<TlsIdentity>> TlsIdentity::create(const EndpointId& id, Signer sign) {
  if (!sign) return fail(Code::invalid_argument, "the endpoint has no signer for its key");
  // GnuTLS believes any external key; a wrong one would fail each handshake with a riddle.
  const auto probe = as_bytes("peat endpoint identity check 1");
  const Bytes signature = sign(probe);
  if (signature.size() != kSignatureSize ||
      crypto_sign_verify_detached(signature.data(), probe.data(), probe.size(), id.bytes.data()) !=
          0) {
    return fail(Code::invalid_argument,
                fmt::format("the signer does not sign for endpoint id {}; give the id of its key",
                            id.short_form()));
  }
  std::shared_ptr<TlsIdentity> out(new TlsIdentity(std::move(sign)));
  if (const int rv = gnutls_certificate_allocate_credentials(&out->credentials_); rv != 0) {
    return tls_failure("credentials", rv);
  }
  std::array<unsigned char, kSpkiSize> spki{};
  std::copy(kSpkiPrefix.begin(), kSpkiPrefix.end(), spki.begin());
  std::copy(id.bytes.begin(), id.bytes.end(), spki.begin() + kSpkiPrefix.size());
  const gnutls_datum_t spki_datum{spki.data(), kSpkiSize};

  gnutls_privkey_t key = nullptr;
  if (const int rv = gnutls_privkey_init(&key); rv != 0) return tls_failure("private key", rv);
  int rv = gnutls_privkey_import_ext4(key, &out->sign_, sign_data, nullptr, nullptr, nullptr,
                                      key_info, 0);
  gnutls_pcert_st certificate{};
  if (rv == 0) {
    rv = gnutls_pcert_import_rawpk_raw(&certificate, &spki_datum, GNUTLS_X509_FMT_DER, 0, 0);
  }
  if (rv != 0) {
    gnutls_privkey_deinit(key);
    return tls_failure("raw public key", rv);
  }
  // Takes both on success.
  rv = gnutls_certificate_set_key(out->credentials_, nullptr, 0, &certificate, 1, key);
  if (rv != 0) {
    gnutls_pcert_deinit(&certificate);
    gnutls_privkey_deinit(key);
    return tls_failure("credentials", rv);
  }
  return out;
}

TlsIdentity::~TlsIdentity() {
  if (credentials_ != nullptr) gnutls_certificate_free_credentials(credentials_);
}

TlsSession::TlsSession(std::shared_ptr<TlsIdentity> identity, std::optional<EndpointId> expected)
    : identity_(std::move(identity)), expected_(expected) {
  ref_.get_conn = [](ngtcp2_crypto_conn_ref* ref) {
    return static_cast<TlsSession*>(ref->user_data)->conn_;
  };
  ref_.user_data = this;
}

TlsSession::~TlsSession() {
  if (session_ != nullptr) gnutls_deinit(session_);
}

Result<std::unique_ptr<TlsSession>> TlsSession::create(std::shared_ptr<TlsIdentity> identity,
                                                       std::optional<EndpointId> expected,
                                                       const std::vector<std::string>& alpns) {
  std::unique_ptr<TlsSession> out(new TlsSession(std::move(identity), expected));
  PEAT_TRY_VOID(out->set_up(alpns));
  return out;
}

Status TlsSession::set_up(const std::vector<std::string>& alpns) {
  const bool client = expected_.has_value();
  if (alpns.empty() || alpns.size() > kMaxAlpns ||
      std::any_of(alpns.begin(), alpns.end(),
                  [](const auto& name) { return name.empty() || name.size() > 255; })) {
    return fail(
        Code::invalid_argument,
        fmt::format("{} protocol names (ALPN) given: 1 to {} of 1 to 255 bytes are possible",
                    alpns.size(), kMaxAlpns));
  }
  // Without ENABLE_RAWPK no certificate type is negotiated and iroh answers alert 0x28.
  const unsigned flags = (client ? GNUTLS_CLIENT : GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET) |
                         GNUTLS_ENABLE_RAWPK | GNUTLS_NO_END_OF_EARLY_DATA;
  if (const int rv = gnutls_init(&session_, flags); rv != 0) return tls_failure("session", rv);
  if (const int rv = gnutls_priority_set_direct(session_, kPriority, nullptr); rv != 0) {
    return tls_failure("priorities", rv);
  }
  const int rv = client ? ngtcp2_crypto_gnutls_configure_client_session(session_)
                        : ngtcp2_crypto_gnutls_configure_server_session(session_);
  if (rv != 0) return fail(Code::internal, "TLS set-up: ngtcp2 refused the session");
  gnutls_session_set_ptr(session_, &ref_);
  if (const int r =
          gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, identity_->credentials());
      r != 0) {
    return tls_failure("credentials", r);
  }
  gnutls_session_set_verify_function(session_, &TlsSession::verify);
  if (!client) gnutls_certificate_server_set_request(session_, GNUTLS_CERT_REQUIRE);

  std::vector<gnutls_datum_t> names;
  for (const auto& name : alpns) {
    auto* text = reinterpret_cast<unsigned char*>(const_cast<char*>(name.data()));
    names.push_back({text, static_cast<unsigned>(name.size())});
  }
  // Mandatory: no protocol in common is alert 120 and not a connection that nobody routes.
  unsigned alpn_flags = GNUTLS_ALPN_MANDATORY;
  if (!client) alpn_flags |= GNUTLS_ALPN_SERVER_PRECEDENCE;
  if (const int r = gnutls_alpn_set_protocols(session_, names.data(),
                                              static_cast<unsigned>(names.size()), alpn_flags);
      r != 0) {
    return tls_failure("protocol names", r);
  }
  return {};
}

void TlsSession::bind(ngtcp2_conn* conn) {
  conn_ = conn;
  ngtcp2_conn_set_tls_native_handle(conn, session_);
}

std::string TlsSession::alpn() const {
  gnutls_datum_t name{};
  if (gnutls_alpn_get_selected_protocol(session_, &name) != 0) return {};
  return {reinterpret_cast<const char*>(name.data), name.size};
}

int TlsSession::verify(gnutls_session_t session) {
  auto* ref = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
  return static_cast<TlsSession*>(ref->user_data)->verify_peer();
}

// There is no name to check, so this is all there is: one raw key of the right form, and the
// right one if we dialled. GnuTLS verifies that the peer holds its private half.
int TlsSession::verify_peer() {
  unsigned count = 0;
  const gnutls_datum_t* certificates = gnutls_certificate_get_peers(session_, &count);
  if (certificates == nullptr || count != 1 || certificates[0].size != kSpkiSize ||
      std::memcmp(certificates[0].data, kSpkiPrefix.data(), kSpkiPrefix.size()) != 0 ||
      gnutls_certificate_type_get2(session_, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK) {
    return -1;
  }
  std::memcpy(peer_.bytes.data(), certificates[0].data + kSpkiPrefix.size(), 32);
  if (expected_ && peer_ != *expected_) {
    wrong_peer_ = true;
    return -1;
  }
  return 0;
}

}  // namespace peat::net
