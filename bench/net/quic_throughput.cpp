// How fast one stream is over loopback: bench_quic [MEGABYTES] [nogso]
//
// Two processes, one endpoint each. Reports wall-clock speed and the CPU time of either side,
// the sender's queue being filled as the stream can take it (design rule 3).
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

#include "net/quic_endpoint.hpp"

namespace {

using namespace peat;
using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

net::EndpointOptions options(std::uint8_t seed, bool gso) {
  std::array<std::uint8_t, 32> seed_bytes{};
  seed_bytes.fill(seed);
  std::array<std::uint8_t, 64> secret{};
  net::EndpointOptions out;
  crypto_sign_seed_keypair(out.id.bytes.data(), secret.data(), seed_bytes.data());
  out.sign = [secret](ByteView message) {
    Bytes signature(64);
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
    return signature;
  };
  out.bind = "127.0.0.1:0";
  out.gso = gso;
  return out;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

class Receiver : public transport::ConnectionHandler {
 public:
  void on_data(Connection& c, StreamId s, ByteView data, bool fin) override {
    total += data.size();
    c.consumed(s, data.size());
    if (fin && !c.write(s, as_bytes("ok"), true)) std::abort();
  }
  void on_closed(Connection&, const CloseInfo&) override { closed = true; }
  std::uint64_t total = 0;
  bool closed = false;
};

class Sender : public transport::ConnectionHandler {
 public:
  explicit Sender(std::uint64_t bytes) : left(bytes), chunk(64 << 10, 0x5a) {}
  void fill(Connection& c, StreamId s) {
    const auto n = std::min<std::uint64_t>(left, chunk.size());
    left -= n;
    if (!c.write(s, ByteView(chunk).first(n), left == 0)) std::abort();
  }
  void on_wants_data(Connection& c, StreamId s) override {
    if (left > 0) fill(c, s);
  }
  void on_data(Connection& c, StreamId, ByteView, bool fin) override {
    if (fin) c.close(0, "done");
  }
  void on_closed(Connection&, const CloseInfo&) override { closed = true; }
  std::uint64_t left;
  Bytes chunk;
  bool closed = false;
};

int receive(int report, bool gso) {
  boost::asio::io_context loop;
  auto endpoint = net::QuicEndpoint::create(loop, options(2, gso)).value();
  Receiver handler;
  std::shared_ptr<Connection> held;
  endpoint->listen({"bench"}, [&](auto connection) {
    connection->set_handler(&handler);
    connection->mark_authenticated();
    held = std::move(connection);
  });
  const auto address = endpoint->local_address() + "\n";
  if (write(report, address.data(), address.size()) < 0) return 1;
  while (!handler.closed) loop.run_one();
  fmt::print("receiver: {} bytes, {:.2f} CPU s, peak {} MiB\n", handler.total, cpu_seconds(),
             peak_kib() / 1024);
  std::fflush(stdout);
  return 0;
}

int send(const std::string& address, std::uint64_t bytes, bool gso) {
  boost::asio::io_context loop;
  auto endpoint = net::QuicEndpoint::create(loop, options(1, gso)).value();
  Sender handler(bytes);
  std::shared_ptr<Connection> held;
  std::chrono::steady_clock::time_point start;
  endpoint->dial(options(2, gso).id, address, {"bench"}, [&](auto result) {
    held = std::move(result.value());
    held->set_handler(&handler);
    held->mark_authenticated();
    start = std::chrono::steady_clock::now();
    handler.fill(*held, held->open_bidirectional().value());
  });
  while (!handler.closed) loop.run_one();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto stats = endpoint->stats();
  fmt::print(
      "sender: {:.0f} MB/s, {:.2f} CPU s, peak {} MiB, {:.1f} datagrams per call, "
      "{} loss episodes\n",
      static_cast<double>(bytes) / 1e6 / took.count(), cpu_seconds(), peak_kib() / 1024,
      static_cast<double>(stats.datagrams_sent) / static_cast<double>(stats.send_calls),
      held->stats().packets_lost);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t megabytes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const bool gso = argc < 3 || std::strcmp(argv[2], "nogso") != 0;
  if (sodium_init() < 0 || megabytes == 0) return 1;
  int ends[2];
  if (pipe(ends) != 0) return 1;
  const pid_t child = fork();
  if (child == 0) _exit(receive(ends[1], gso));
  std::string address;
  for (char c = 0; read(ends[0], &c, 1) == 1 && c != '\n';) address += c;
  const int rc = send(address, megabytes * 1'000'000, gso);
  waitpid(child, nullptr, 0);
  return rc;
}
