#include "net/quic_callbacks.hpp"

#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>

#include "net/quic_connection.hpp"
#include "net/quic_core.hpp"

namespace peat::net {
namespace {

thread_local std::vector<StopSending>* scan_target = nullptr;

constexpr std::size_t kAeadTag = 16;  // of all three cipher suites of TLS 1.3 that we allow

}  // namespace

ScanScope::ScanScope(std::vector<StopSending>& found) { scan_target = &found; }
ScanScope::~ScanScope() { scan_target = nullptr; }

// A friend of QuicConnection: the one door from C to its private side.
struct ConnectionCallbacks {
  // No exception may cross ngtcp2's frames.
  template <class Body>
  static int guarded(Body&& body) noexcept {
    try {
      body();
      return 0;
    } catch (const std::bad_alloc&) {
      return NGTCP2_ERR_NOMEM;
    } catch (...) {
      return NGTCP2_ERR_CALLBACK_FAILURE;
    }
  }
  static QuicConnection& self(void* user) { return *static_cast<QuicConnection*>(user); }
  static transport::StreamId stream(std::int64_t id) {
    return static_cast<transport::StreamId>(id);
  }

  static int handshake_completed(ngtcp2_conn*, void* user) {
    return guarded([&] { self(user).handshake_completed(); });
  }
  static int stream_open(ngtcp2_conn*, std::int64_t id, void* user) {
    return guarded([&] { self(user).on_stream_opened(stream(id)); });
  }
  static int stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t id, std::uint64_t,
                         const std::uint8_t* data, std::size_t length, void* user, void*) {
    const bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    return guarded([&] { self(user).on_stream_data(stream(id), {data, length}, fin); });
  }
  static int acknowledged(ngtcp2_conn*, std::int64_t id, std::uint64_t offset, std::uint64_t length,
                          void* user, void*) {
    return guarded([&] { self(user).on_acknowledged(stream(id), offset, length); });
  }
  static int stream_close(ngtcp2_conn*, std::uint32_t, std::int64_t id, std::uint64_t, void* user,
                          void*) {
    return guarded([&] { self(user).on_stream_closed(stream(id)); });
  }
  static int stream_reset(ngtcp2_conn*, std::int64_t id, std::uint64_t, std::uint64_t code,
                          void* user, void*) {
    return guarded([&] { self(user).on_stream_reset(stream(id), code); });
  }
  static int more_streams(ngtcp2_conn*, std::uint64_t, void* user) {
    return guarded([&] {
      QuicConnection& c = self(user);
      if (c.announced_ && c.handler_ != nullptr && !c.close_request_) {
        c.handler_->on_streams_available(c);
      }
    });
  }
  static int new_connection_id(ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token,
                               std::size_t length, void* user) {
    return guarded([&] {
      QuicCore& core = *self(user).core_;
      *cid = core.random_cid(length);
      core.make_reset_token(*cid, token);
      core.add_route(*cid, self(user));
    });
  }
  static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* cid, void* user) {
    return guarded([&] { self(user).core_->remove_route(*cid, self(user)); });
  }
  static int peer_connection_id(ngtcp2_conn*, int type, std::uint64_t, const ngtcp2_cid*,
                                const std::uint8_t* token, void* user) {
    if (token == nullptr) return 0;
    return guarded([&] {
      if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
        self(user).core_->add_reset_token(token, self(user));
      } else {
        self(user).core_->remove_reset_token(token, self(user));
      }
    });
  }
  static void qlog(QuicConnection& connection, ByteView piece, bool last) noexcept {
    try {
      if (connection.qlog_) connection.qlog_(piece, last);
    } catch (...) {
      connection.qlog_ = nullptr;  // a log that cannot be written is no reason to disconnect
    }
  }
};

namespace {

void random_bytes(std::uint8_t* out, std::size_t length, const ngtcp2_rand_ctx* context) {
  static_cast<Random*>(context->native_handle)->fill({out, length});
}

int decrypt(std::uint8_t* out, const ngtcp2_crypto_aead* aead,
            const ngtcp2_crypto_aead_ctx* context, const std::uint8_t* in, std::size_t length,
            const std::uint8_t* nonce, std::size_t nonce_length, const std::uint8_t* header,
            std::size_t header_length) {
  const int rv = ngtcp2_crypto_decrypt_cb(out, aead, context, in, length, nonce, nonce_length,
                                          header, header_length);
  const bool short_header = header_length > 0 && (header[0] & 0x80) == 0;
  if (rv != 0 || scan_target == nullptr || !short_header || length < kAeadTag) return rv;
  return ConnectionCallbacks::guarded(
      [&] { scan_stop_sending({out, length - kAeadTag}, *scan_target); });
}

ngtcp2_callbacks make_table() {
  ngtcp2_callbacks t{};
  t.client_initial = ngtcp2_crypto_client_initial_cb;
  t.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
  t.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
  t.encrypt = ngtcp2_crypto_encrypt_cb;
  t.decrypt = decrypt;
  t.hp_mask = ngtcp2_crypto_hp_mask_cb;
  t.recv_retry = ngtcp2_crypto_recv_retry_cb;
  t.update_key = ngtcp2_crypto_update_key_cb;
  t.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  t.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  t.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
  t.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  t.rand = random_bytes;
  t.handshake_completed = ConnectionCallbacks::handshake_completed;
  t.stream_open = ConnectionCallbacks::stream_open;
  t.recv_stream_data = ConnectionCallbacks::stream_data;
  t.acked_stream_data_offset = ConnectionCallbacks::acknowledged;
  t.stream_close = ConnectionCallbacks::stream_close;
  t.stream_reset = ConnectionCallbacks::stream_reset;
  t.extend_max_local_streams_bidi = ConnectionCallbacks::more_streams;
  t.extend_max_local_streams_uni = ConnectionCallbacks::more_streams;
  t.get_new_connection_id = ConnectionCallbacks::new_connection_id;
  t.remove_connection_id = ConnectionCallbacks::remove_connection_id;
  t.dcid_status = ConnectionCallbacks::peer_connection_id;
  return t;
}

}  // namespace

const ngtcp2_callbacks& callback_table() {
  static const ngtcp2_callbacks table = make_table();
  return table;
}

void qlog_callback(void* connection, std::uint32_t flags, const void* data, std::size_t length) {
  ConnectionCallbacks::qlog(*static_cast<QuicConnection*>(connection),
                            {static_cast<const std::uint8_t*>(data), length},
                            (flags & NGTCP2_QLOG_WRITE_FLAG_FIN) != 0);
}

}  // namespace peat::net
