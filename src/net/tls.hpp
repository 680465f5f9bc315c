// TLS 1.3 with raw Ed25519 public keys both ways (RFC 7250), as iroh speaks it.
//
// Source: the QUIC chapter of the specification, section 3. The private key is never here: GnuTLS
// gets an external key that asks the endpoint's Signer.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/options.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::net {

// Who we are, as GnuTLS credentials for both roles. Shared by all connections of an endpoint.
class TlsIdentity {
 public:
  // Code::invalid_argument if `sign` does not sign for `id` (tried once).
  static Result<std::shared_ptr<TlsIdentity>> create(const EndpointId& id, Signer sign);
  ~TlsIdentity();
  TlsIdentity(const TlsIdentity&) = delete;
  TlsIdentity& operator=(const TlsIdentity&) = delete;

  gnutls_certificate_credentials_t credentials() const { return credentials_; }
  const Signer& signer() const { return sign_; }

 private:
  explicit TlsIdentity(Signer sign) : sign_(std::move(sign)) {}

  Signer sign_;  // GnuTLS holds its address
  gnutls_certificate_credentials_t credentials_ = nullptr;
};

// One connection's handshake. Lives as long as its ngtcp2 connection.
class TlsSession {
 public:
  // `expected`: the id that a dialler insists on; nullopt for an acceptor, who takes any id.
  // `alpns` in our order of preference, which decides on the accepting side.
  static Result<std::unique_ptr<TlsSession>> create(std::shared_ptr<TlsIdentity> identity,
                                                    std::optional<EndpointId> expected,
                                                    const std::vector<std::string>& alpns);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  void bind(ngtcp2_conn* conn);

  // After the handshake: proven, because GnuTLS checked CertificateVerify with this key.
  const EndpointId& peer() const { return peer_; }
  std::string alpn() const;
  // Another id than the expected one proved itself.
  bool wrong_peer() const { return wrong_peer_; }

 private:
  TlsSession(std::shared_ptr<TlsIdentity> identity, std::optional<EndpointId> expected);
  Status set_up(const std::vector<std::string>& alpns);
  static int verify(gnutls_session_t session);
  int verify_peer();

  std::shared_ptr<TlsIdentity> identity_;
  std::optional<EndpointId> expected_;
  EndpointId peer_;
  bool wrong_peer_ = false;
  gnutls_session_t session_ = nullptr;
  ngtcp2_conn* conn_ = nullptr;
  ngtcp2_crypto_conn_ref ref_{};
};

}  // namespace peat::net
