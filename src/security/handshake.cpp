#include "security/handshake.hpp"

#include <algorithm>
#include <utility>

#include "base/reader.hpp"

namespace peat::security {

namespace {

constexpr std::uint8_t kPreambleAPrime = 0x01;
constexpr std::uint8_t kUnauthenticatedFrame = 0x00;
constexpr std::uint8_t kAccepted = 0x01;
constexpr std::uint8_t kRejected = 0x00;
constexpr std::size_t kResponseBytes = 32;
constexpr std::size_t kMaxBuffered = 2048;

bool has_outer_length(Variant variant) { return variant != Variant::b; }

// What peers of each variant show when the proof fails.
std::string_view close_reason_of(std::optional<Variant> variant) {
  return variant == Variant::b ? "authentication failed" : "formation auth failed";
}

// No message is longer than this; what a peer sends beyond is not looked at.
void buffer(Bytes& input, ByteView bytes) {
  const auto part = bytes.first(std::min(bytes.size(), kMaxBuffered - input.size()));
  input.insert(input.end(), part.begin(), part.end());
}

// challenge := u16le length, formation id, nonce[32]
Bytes encode_challenge(std::string_view formation_id, const Nonce& nonce) {
  Bytes out;
  Writer writer(out);
  writer.u16le(static_cast<std::uint16_t>(formation_id.size()));
  writer.text(formation_id);
  writer.bytes(nonce);
  return out;
}

// Variants A and A' put a length before challenge and response.
Bytes envelope(Variant variant, ByteView message) {
  Bytes out;
  Writer writer(out);
  if (has_outer_length(variant)) writer.u32le(static_cast<std::uint32_t>(message.size()));
  writer.bytes(message);
  return out;
}

std::optional<HandshakeOutput> pop(std::deque<HandshakeOutput>& outputs) {
  if (outputs.empty()) return std::nullopt;
  auto output = std::move(outputs.front());
  outputs.pop_front();
  return output;
}

}  // namespace

std::string_view to_string(Variant variant) {
  switch (variant) {
    case Variant::a_prime:
      return "A'";
    case Variant::b:
      return "B";
    case Variant::a:
      return "A";
  }
  return "?";
}

// --- acceptor
// -------------------------------------------------------------------------------------

FormationAcceptor::FormationAcceptor(Instant now, HandshakeEnds ends, Random& random,
                                     AcceptorOptions options)
    : ends_(ends),
      random_(random),
      options_(options),
      deadline_(now + kHandshakeDeadline),
      state_until_(options.allow_unauthenticated ? now + kNoStreamWait : kNever) {}

void FormationAcceptor::on_stream_opened(Instant now) {
  if (state_ != State::no_stream) return;
  state_ = State::silent;
  state_until_ = now + kSilentStreamWait;
}

void FormationAcceptor::on_stream_bytes(Instant now, ByteView bytes, bool fin) {
  if (state_ == State::done || state_ == State::rejecting) return;
  on_stream_opened(now);
  if (state_ == State::silent && !bytes.empty()) bytes = classify(bytes);
  buffer(input_, bytes);
  if (state_ == State::hello) read_hello();
  if (state_ == State::response) read_response(now);
  const bool waiting = state_ != State::done && state_ != State::rejecting;
  if (fin && waiting) fail(Code::truncated, "the dialler ended its stream during the handshake");
}

ByteView FormationAcceptor::classify(ByteView bytes) {
  const auto first = bytes.front();
  const auto own_length = static_cast<std::uint8_t>(ends_.key.formation_id().size());
  if (first == own_length) {
    variant_ = Variant::b;
    state_ = State::hello;
    state_until_ = kNever;
    return bytes;
  }
  if (first == kPreambleAPrime) {
    challenge(Variant::a_prime);
    return bytes.subspan(1);
  }
  if (first == kUnauthenticatedFrame && options_.allow_unauthenticated) {
    accept({std::nullopt, false, Bytes(bytes.begin(), bytes.end())});
  } else if (first == kUnauthenticatedFrame) {
    fail(Code::authentication_failed,
         "the peer sends documents without a formation handshake; give it the formation secret, "
         "or allow unauthenticated peers here");
  } else {
    fail(Code::authentication_failed,
         "the peer's first byte is " + std::to_string(first) +
             ": it belongs to another formation, or speaks no formation handshake");
  }
  return {};
}

// hello := u16le length, formation id        (variant B; the response follows our challenge)
void FormationAcceptor::read_hello() {
  const auto& own = ends_.key.formation_id();
  Reader reader(input_);
  const auto length = reader.u16le("formation id length");
  if (!length) return;
  if (*length != own.size()) {
    fail(Code::authentication_failed, "the peer belongs to another formation (its id has " +
                                          std::to_string(*length) + " bytes)");
    return;
  }
  const auto id = reader.take(*length, "formation id");
  if (!id) return;
  if (as_text(*id) != own) {
    fail(Code::authentication_failed, "the peer belongs to another formation");
    return;
  }
  input_.clear();
  challenge(Variant::b);
}

void FormationAcceptor::challenge(Variant variant) {
  variant_ = variant;
  state_ = State::response;
  state_until_ = kNever;
  nonce_ = ends_.key.make_bound_nonce(random_, ends_.local, ends_.peer);
  const auto message = encode_challenge(ends_.key.formation_id(), nonce_);
  outputs_.push_back(HandshakeWrite{envelope(variant, message), false});
}

// A, A'  u32le length, response, whatever        B  response
void FormationAcceptor::read_response(Instant now) {
  Reader reader(input_);
  std::size_t length = kResponseBytes;
  if (has_outer_length(*variant_)) {
    const auto announced = reader.u32le("response length");
    if (!announced) return;
    length = *announced;
  }
  if (length < kResponseBytes || length > options_.limits.formation_response_bytes) {
    fail(Code::limit_exceeded, "the peer announces a response of " + std::to_string(length) +
                                   " bytes; 32 up to the limit formation_response_bytes are "
                                   "taken");
    return;
  }
  const auto response = reader.take(length, "response");
  if (!response) return;
  const auto proof = response->first(kResponseBytes);
  if (ends_.key.verify(nonce_, proof) ||
      (ends_.other != nullptr && ends_.other->verify(nonce_, proof))) {
    outputs_.push_back(HandshakeWrite{{kAccepted}, true});
    accept({variant_, true, {}});
    return;
  }
  outputs_.push_back(HandshakeWrite{{kRejected}, true});
  state_ = State::rejecting;
  state_until_ = now + kRejectLinger;
}

void FormationAcceptor::on_acknowledged() {
  if (state_ == State::rejecting) fail_rejected();
}

void FormationAcceptor::on_timeout(Instant now) {
  if (state_ == State::done) return;
  if (state_ == State::rejecting && now >= state_until_) {
    fail_rejected();
  } else if (state_ == State::no_stream && now >= state_until_) {
    accept({std::nullopt, false, {}});
  } else if (state_ == State::no_stream && now >= deadline_) {
    fail(Code::timeout,
         "the dialler opened no stream within 30 s. " + std::string(kSilentDiallerRemedy));
  } else if (now >= deadline_) {
    fail(Code::timeout, "the formation handshake took more than 30 s");
  } else if (state_ == State::silent && now >= state_until_) {
    challenge(Variant::a);
  }
}

void FormationAcceptor::accept(HandshakeAccepted accepted) {
  state_ = State::done;
  outputs_.push_back(std::move(accepted));
}

void FormationAcceptor::fail(Code code, std::string message) {
  state_ = State::done;
  outputs_.push_back(HandshakeFailed{
      1, std::string(close_reason_of(variant_)), {code, std::move(message)}, variant_.has_value()});
}

void FormationAcceptor::fail_rejected() {
  fail(Code::authentication_failed,
       "the peer's formation proof does not match: it has another "
       "formation secret");
}

std::optional<HandshakeOutput> FormationAcceptor::poll_output() { return pop(outputs_); }

Instant FormationAcceptor::next_timeout() const {
  return state_ == State::done ? kNever : std::min(deadline_, state_until_);
}

// --- dialler
// --------------------------------------------------------------------------------------

FormationDialler::FormationDialler(Instant now, HandshakeEnds ends, Variant variant,
                                   DiallerOptions options)
    : ends_(ends),
      variant_(variant),
      options_(options),
      deadline_(now + kHandshakeDeadline),
      challenge_until_(now + std::max(kChallengeWait, 4 * options.rtt)) {
  HandshakeOpen open;
  if (variant == Variant::a_prime) open.first = {kPreambleAPrime};
  if (variant == Variant::b) {
    Writer writer(open.first);
    writer.u16le(static_cast<std::uint16_t>(ends.key.formation_id().size()));
    writer.text(ends.key.formation_id());
  }
  outputs_.push_back(std::move(open));
}

void FormationDialler::on_stream_bytes(Instant /*now*/, ByteView bytes, bool fin) {
  if (state_ == State::done) return;
  buffer(input_, bytes);
  if (state_ == State::challenge) read_challenge();
  if (state_ == State::verdict) read_verdict();
  if (fin && state_ != State::done) {
    fail(Code::truncated, "the acceptor ended its stream during the handshake");
  }
}

// A, A'  u32le length, challenge, whatever       B  challenge
void FormationDialler::read_challenge() {
  Reader reader(input_);
  std::size_t length = 0;
  if (has_outer_length(variant_)) {
    const auto announced = reader.u32le("challenge length");
    if (!announced) return;
    length = *announced;
    if (length > options_.limits.formation_challenge_bytes) {
      fail(Code::limit_exceeded, "the acceptor announces a challenge of " + std::to_string(length) +
                                     " bytes; the limit formation_challenge_bytes is " +
                                     std::to_string(options_.limits.formation_challenge_bytes));
      return;
    }
  } else {
    const auto id_length = Reader(input_).u16le("formation id length");
    if (!id_length) return;
    if (*id_length != ends_.key.formation_id().size()) return on_challenge(input_);
    length = std::size_t{2} + *id_length + kNonceBytes;
  }
  const auto challenge = reader.take(length, "challenge");
  if (!challenge) return;
  const Bytes message(challenge->begin(), challenge->end());
  input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(reader.offset()));
  on_challenge(message);
}

void FormationDialler::on_challenge(ByteView challenge) {
  challenged_ = true;
  const auto& own = ends_.key.formation_id();
  const auto expected = encode_challenge(own, {});
  const auto prefix = std::size_t{2} + own.size();
  if (challenge.size() < prefix + kNonceBytes ||
      !std::equal(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(prefix),
                  challenge.begin())) {
    fail(Code::authentication_failed,
         "the formation id differs: the acceptor belongs to another formation than " + own);
    return;
  }
  Nonce nonce;
  std::copy_n(challenge.begin() + static_cast<std::ptrdiff_t>(prefix), kNonceBytes, nonce.begin());
  const auto* key = &ends_.key;
  bound_ = key->nonce_is_bound(nonce, ends_.peer, ends_.local);
  if (!bound_ && ends_.other != nullptr) {
    bound_ = ends_.other->nonce_is_bound(nonce, ends_.peer, ends_.local);
    if (bound_) key = ends_.other;
  }
  if (!bound_ && options_.require_bound) {
    fail(Code::authentication_failed,
         "the formation secret or id differs, or somebody sits between: the acceptor's challenge "
         "is not bound to this connection");
    return;
  }
  outputs_.push_back(HandshakeWrite{envelope(variant_, key->respond(nonce)), true});
  state_ = State::verdict;
}

void FormationDialler::read_verdict() {
  if (input_.empty()) return;
  if (input_.front() != kAccepted) {
    fail(Code::authentication_failed,
         "the acceptor refused our formation proof: it has another formation secret");
    std::get<HandshakeFailed>(outputs_.back()).refused = true;
    return;
  }
  state_ = State::done;
  outputs_.push_back(HandshakeAccepted{variant_, bound_, {}});
}

void FormationDialler::on_timeout(Instant now) {
  if (state_ == State::challenge && now >= challenge_until_) {
    fail(Code::timeout,
         "no formation challenge came for a dial of variant " + std::string(to_string(variant_)));
  } else if (state_ != State::done && now >= deadline_) {
    fail(Code::timeout, "the formation handshake took more than 30 s");
  }
}

void FormationDialler::fail(Code code, std::string message) {
  state_ = State::done;
  outputs_.push_back(HandshakeFailed{
      1, std::string(close_reason_of(variant_)), {code, std::move(message)}, challenged_});
}

std::optional<HandshakeOutput> FormationDialler::poll_output() { return pop(outputs_); }

Instant FormationDialler::next_timeout() const {
  if (state_ == State::done) return kNever;
  return state_ == State::challenge ? std::min(challenge_until_, deadline_) : deadline_;
}

}  // namespace peat::security
