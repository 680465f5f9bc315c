// The formation handshake, both ends, against a peer that does anything at any time.
//
// Input: u8 role and options, then steps: u8 operation, u8 argument, and for bytes as many as the
// argument says. One operation answers the acceptor's challenge honestly, so that what lies behind
// the proof is reached. Whatever happens: nobody is accepted as a member without a proof, there is
// exactly one end, it is the last output, and a machine that is not done waits for something.
#include <algorithm>
#include <cstdlib>

#include "../report.hpp"
#include "base/reader.hpp"
#include "security/handshake.hpp"

namespace {

using namespace peat;
using namespace peat::security;

void require(bool condition) {
  if (!condition) std::abort();
}

const FormationKey& key() {
  static const auto kKey = FormationKey::derive(Bytes(32, 0x42), "test-formation").value();
  return kKey;
}

EndpointId id_of(std::uint8_t byte) {
  EndpointId id;
  id.bytes.fill(byte);
  return id;
}

// What the peer under test has sent and said.
struct Seen {
  Bytes written;
  bool ended = false;
  std::optional<HandshakeAccepted> accepted;
};

template <class Machine>
void drain(Machine& machine, Seen& seen) {
  while (auto output = machine.poll_output()) {
    require(!seen.ended);
    if (auto* write = std::get_if<HandshakeWrite>(&*output)) {
      seen.written.insert(seen.written.end(), write->bytes.begin(), write->bytes.end());
    } else if (auto* accepted = std::get_if<HandshakeAccepted>(&*output)) {
      seen.accepted = std::move(*accepted);
      seen.ended = true;
    } else if (std::holds_alternative<HandshakeFailed>(*output)) {
      seen.ended = true;
    }
  }
  require(machine.done() == seen.ended);
  require((machine.next_timeout() == kNever) == machine.done());
}

// The answer to the challenge that `written` ends with.
Bytes honest_response(const Bytes& written, bool framed) {
  if (written.size() < kNonceBytes) return {};
  Nonce nonce;
  std::copy(written.end() - kNonceBytes, written.end(), nonce.begin());
  Bytes out;
  Writer writer(out);
  if (framed) writer.u32le(32);
  writer.bytes(key().respond(nonce));
  return out;
}

bool acceptor(Reader& reader, std::uint8_t options) {
  SeededRandom random(1);
  Instant now{};
  FormationAcceptor machine(now, {key(), id_of(1), id_of(2)}, random, {(options & 2) != 0, {}});
  Seen seen;
  bool honest = false;
  while (!machine.done() && reader.remaining() >= 2) {
    const auto operation = reader.u8("operation").value() % 6;
    const auto argument = reader.u8("argument").value();
    if (operation == 0) machine.on_stream_opened(now);
    if (operation == 1 || operation == 2) {
      const auto n = std::min<std::size_t>(argument, reader.remaining());
      machine.on_stream_bytes(now, reader.take(n, "bytes").value(), operation == 2);
    }
    if (operation == 3) {
      now += std::chrono::milliseconds(100) * argument;
      machine.on_timeout(now);
    }
    if (operation == 4) machine.on_acknowledged();
    if (operation == 5) {
      honest = true;
      machine.on_stream_bytes(now, honest_response(seen.written, (argument & 1) != 0), false);
    }
    drain(machine, seen);
  }
  if (seen.accepted && seen.accepted->variant) require(honest);
  if (seen.accepted && !seen.accepted->variant) require((options & 2) != 0);
  return seen.accepted.has_value();
}

bool dialler(Reader& reader, std::uint8_t options) {
  Instant now{};
  const auto variant = static_cast<Variant>(options / 4 % 3);
  FormationDialler machine(now, {key(), id_of(2), id_of(1)}, variant, {(options & 2) != 0, {}, {}});
  Seen seen;
  while (!machine.done() && reader.remaining() >= 2) {
    const auto operation = reader.u8("operation").value() % 3;
    const auto argument = reader.u8("argument").value();
    if (operation == 2) {
      now += std::chrono::milliseconds(100) * argument;
      machine.on_timeout(now);
    } else {
      const auto n = std::min<std::size_t>(argument, reader.remaining());
      machine.on_stream_bytes(now, reader.take(n, "bytes").value(), operation == 1);
    }
    drain(machine, seen);
  }
  // Nobody here holds the key: whoever accepts us has not proved it.
  if (seen.accepted) require(!seen.accepted->bound && (options & 2) == 0);
  return seen.accepted.has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("security_handshake");
  if (size < 1) return 0;
  Reader reader(ByteView(data + 1, size - 1));
  report.input((data[0] & 1) == 0 ? acceptor(reader, data[0]) : dialler(reader, data[0]));
  return 0;
}
