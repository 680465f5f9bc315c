// A tap between a real endpoint and the connector: it passes everything on unchanged and tells a
// recording what the peer does. Threading: the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.hpp"
#include "transcript.hpp"
#include "transport/connection.hpp"

namespace peat::transcripts {

class Recording {
 public:
  Recording(const std::string& path, const Executor& executor)
      : out_(path, std::ios::trunc), executor_(executor), began_(executor.now().mono) {}

  bool good() const { return out_.good(); }
  std::uint32_t next_connection() { return ++connections_; }
  template <class What>
  void add(std::uint32_t connection, What what) {
    if (!out_.is_open()) return;
    const auto at =
        std::chrono::duration_cast<std::chrono::milliseconds>(executor_.now().mono - began_);
    out_ << to_line({at, connection, std::move(what)}) << '\n';
  }
  void finish() { out_.close(); }

 private:
  std::ofstream out_;
  const Executor& executor_;
  Instant began_;
  std::uint32_t connections_ = 0;
};

class TappedConnection final : public transport::Connection, public transport::ConnectionHandler {
 public:
  TappedConnection(std::shared_ptr<transport::Connection> inner, Recording& recording)
      : inner_(std::move(inner)), recording_(recording), number_(recording.next_connection()) {
    recording_.add(number_, ConnectionBegan{inner_->dialled(), std::string(inner_->alpn())});
    inner_->set_handler(this);
  }

  EndpointId peer() const override { return inner_->peer(); }
  std::string_view alpn() const override { return inner_->alpn(); }
  bool dialled() const override { return inner_->dialled(); }
  std::uint64_t stable_id() const override { return inner_->stable_id(); }
  std::string remote_address() const override { return inner_->remote_address(); }
  transport::ConnectionStats stats() const override { return inner_->stats(); }
  void set_handler(transport::ConnectionHandler* handler) override { handler_ = handler; }
  void mark_authenticated() override {
    recording_.add(number_, PeerProven{});
    inner_->mark_authenticated();
  }
  Result<transport::StreamId> open_bidirectional() override { return inner_->open_bidirectional(); }
  Result<transport::StreamId> open_unidirectional() override {
    return inner_->open_unidirectional();
  }
  Status write(transport::StreamId stream, ByteView data, bool fin) override {
    return inner_->write(stream, data, fin);
  }
  std::uint64_t unsent(transport::StreamId stream) const override { return inner_->unsent(stream); }
  std::uint64_t unacknowledged(transport::StreamId stream) const override {
    return inner_->unacknowledged(stream);
  }
  bool wants_data(transport::StreamId stream) const override { return inner_->wants_data(stream); }
  void consumed(transport::StreamId stream, std::uint64_t bytes) override {
    inner_->consumed(stream, bytes);
  }
  void reset(transport::StreamId stream, std::uint64_t code) override {
    inner_->reset(stream, code);
  }
  void stop_sending(transport::StreamId stream, std::uint64_t code) override {
    inner_->stop_sending(stream, code);
  }
  void close(std::uint64_t code, std::string_view reason) override { inner_->close(code, reason); }

  void on_stream_opened(Connection&, transport::StreamId stream) override {
    recording_.add(number_, StreamOpened{stream});
    if (handler_ != nullptr) handler_->on_stream_opened(*this, stream);
  }
  void on_data(Connection&, transport::StreamId stream, ByteView data, bool fin) override {
    recording_.add(number_, DataCame{stream, Bytes(data.begin(), data.end()), fin});
    if (handler_ != nullptr) handler_->on_data(*this, stream, data, fin);
  }
  void on_wants_data(Connection&, transport::StreamId stream) override {
    if (handler_ != nullptr) handler_->on_wants_data(*this, stream);
  }
  void on_acknowledged(Connection&, transport::StreamId stream) override {
    if (handler_ != nullptr) handler_->on_acknowledged(*this, stream);
  }
  void on_reset(Connection&, transport::StreamId stream, std::uint64_t code) override {
    recording_.add(number_, StreamReset{stream, code});
    if (handler_ != nullptr) handler_->on_reset(*this, stream, code);
  }
  void on_stop_sending(Connection&, transport::StreamId stream, std::uint64_t code) override {
    recording_.add(number_, StreamStopped{stream, code});
    if (handler_ != nullptr) handler_->on_stop_sending(*this, stream, code);
  }
  void on_streams_available(Connection&) override {
    if (handler_ != nullptr) handler_->on_streams_available(*this);
  }
  void on_closed(Connection&, const transport::CloseInfo& info) override {
    recording_.add(number_, ConnectionEnded{});
    if (handler_ != nullptr) handler_->on_closed(*this, info);
  }

 private:
  std::shared_ptr<transport::Connection> inner_;
  Recording& recording_;
  std::uint32_t number_;
  transport::ConnectionHandler* handler_ = nullptr;
};

class TappedEndpoint final : public transport::Endpoint {
 public:
  TappedEndpoint(transport::Endpoint& inner, Recording& recording)
      : inner_(inner), recording_(recording) {}

  EndpointId id() const override { return inner_.id(); }
  std::string local_address() const override { return inner_.local_address(); }
  void dial(const EndpointId& peer, const std::string& address, std::vector<std::string> alpns,
            transport::DialCallback done) override {
    inner_.dial(peer, address, std::move(alpns), [this, done = std::move(done)](auto dialled) {
      if (!dialled) return done(std::unexpected(std::move(dialled).error()));
      done(tap(std::move(*dialled)));
    });
  }
  void listen(std::vector<std::string> alpns, transport::AcceptCallback accept) override {
    inner_.listen(std::move(alpns), [this, accept = std::move(accept)](auto accepted) {
      accept(tap(std::move(accepted)));
    });
  }
  void shutdown(std::uint64_t code, std::string_view reason, std::function<void()> done) override {
    inner_.shutdown(code, reason, std::move(done));
  }

 private:
  std::shared_ptr<transport::Connection> tap(std::shared_ptr<transport::Connection> connection) {
    // A session has few connections: they stay until the recorder ends.
    tapped_.push_back(std::make_shared<TappedConnection>(std::move(connection), recording_));
    return tapped_.back();
  }

  transport::Endpoint& inner_;
  Recording& recording_;
  std::vector<std::shared_ptr<TappedConnection>> tapped_;
};

}  // namespace peat::transcripts
