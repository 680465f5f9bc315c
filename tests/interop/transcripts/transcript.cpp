#include "transcript.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

#include "base/encoding.hpp"

namespace peat::transcripts {
namespace {

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

std::string hex_field(ByteView bytes) { return bytes.empty() ? "-" : to_hex(bytes); }

// A line's words; the last one may be the rest of it.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::string_view word() {
    const auto word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(std::min(rest_.size(), word.size() + 1));
    return word;
  }
  std::string_view rest() { return std::exchange(rest_, {}); }
  Result<std::uint64_t> number() {
    const auto text = word();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      return fail(Code::malformed, fmt::format("\"{}\" is no number", text));
    }
    return value;
  }
  Result<Bytes> bytes() {
    const auto text = word();
    if (text == "-") return Bytes{};
    return from_hex(text);
  }
  Status end() const {
    if (rest_.empty()) return {};
    return fail(Code::malformed, fmt::format("\"{}\" is too much", rest_));
  }

 private:
  std::string_view rest_;
};

Result<Event> parse_stream_event(std::string_view kind, Event event, Words& words) {
  if (kind == "connection") {
    const bool dialled = words.word() == "ours";
    event.what = ConnectionBegan{dialled, std::string(words.word())};
    return event;
  }
  if (kind == "proven" || kind == "ended") {
    if (kind == "proven") event.what = PeerProven{};
    if (kind == "ended") event.what = ConnectionEnded{};
    return event;
  }
  PEAT_TRY(const auto stream, words.number());
  if (kind == "opened") {
    event.what = StreamOpened{stream};
  } else if (kind == "data") {
    PEAT_TRY(auto bytes, words.bytes());
    const auto fin = words.word();
    if (!fin.empty() && fin != "fin") return fail(Code::malformed, "\"fin\" or nothing ends data");
    event.what = DataCame{stream, std::move(bytes), fin == "fin"};
  } else {
    PEAT_TRY(const auto code, words.number());
    if (kind == "reset") event.what = StreamReset{stream, code};
    if (kind == "stopped") event.what = StreamStopped{stream, code};
  }
  return event;
}

Result<Event> parse_event(std::string_view kind, Words& words) {
  Event event;
  PEAT_TRY(const auto at, words.number());
  event.at = std::chrono::milliseconds(at);
  if (kind == "local") {
    auto key = std::string(words.word());
    PEAT_TRY(auto changes, words.bytes());
    event.what = LocalChanges{std::move(key), std::move(changes)};
    return event;
  }
  if (kind == "local-deletion") {
    PEAT_TRY(auto tombstone, words.bytes());
    event.what = LocalDeletion{std::move(tombstone)};
    return event;
  }
  PEAT_TRY(const auto connection, words.number());
  event.connection = static_cast<std::uint32_t>(connection);
  return parse_stream_event(kind, std::move(event), words);
}

// False: the line states no fact of the header.
Result<bool> parse_header(std::string_view kind, Words& words, Transcript& out) {
  if (kind == "peer") {
    PEAT_TRY(out.peer, EndpointId::parse(words.word()));
  } else if (kind == "expect") {
    auto& expected = out.documents[std::string(words.word())];
    auto heads = words.word();
    while (!heads.empty()) {
      const auto head = heads.substr(0, heads.find(','));
      expected.heads.emplace(head);
      heads.remove_prefix(std::min(heads.size(), head.size() + 1));
    }
    expected.json = words.rest();
  } else if (kind == "expect-deleted") {
    out.deleted.emplace(words.word());
  } else if (kind == "expect-frames") {
    PEAT_TRY(out.frames, words.number());
  } else if (kind == "expect-heartbeats") {
    PEAT_TRY(out.heartbeats, words.number());
  } else {
    return false;
  }
  return true;
}

Status parse_line(std::string_view line, Transcript& out) {
  static const std::set<std::string_view> kEvents{"connection", "proven", "ended",
                                                  "opened",     "data",   "reset",
                                                  "stopped",    "local",  "local-deletion"};
  if (line.empty() || line.starts_with('#')) return {};
  Words words(line);
  const auto kind = words.word();
  PEAT_TRY(const bool header, parse_header(kind, words, out));
  if (!header) {
    if (!kEvents.contains(kind)) {
      return fail(Code::malformed, fmt::format("\"{}\" is no kind of line", kind));
    }
    PEAT_TRY(auto event, parse_event(kind, words));
    out.events.push_back(std::move(event));
  }
  return words.end();
}

}  // namespace

std::string to_line(const Event& event) {
  const auto at = event.at.count();
  const auto n = event.connection;
  return std::visit(
      Match{[&](const ConnectionBegan& e) {
              return fmt::format("connection {} {} {} {}", at, n, e.dialled ? "ours" : "theirs",
                                 e.alpn);
            },
            [&](const PeerProven&) { return fmt::format("proven {} {}", at, n); },
            [&](const StreamOpened& e) { return fmt::format("opened {} {} {}", at, n, e.stream); },
            [&](const DataCame& e) {
              return fmt::format("data {} {} {} {}{}", at, n, e.stream, hex_field(e.bytes),
                                 e.fin ? " fin" : "");
            },
            [&](const StreamReset& e) {
              return fmt::format("reset {} {} {} {}", at, n, e.stream, e.code);
            },
            [&](const StreamStopped& e) {
              return fmt::format("stopped {} {} {} {}", at, n, e.stream, e.code);
            },
            [&](const ConnectionEnded&) { return fmt::format("ended {} {}", at, n); },
            [&](const LocalChanges& e) {
              return fmt::format("local {} {} {}", at, e.key, hex_field(e.changes));
            },
            [&](const LocalDeletion& e) {
              return fmt::format("local-deletion {} {}", at, hex_field(e.tombstone));
            }},
      event.what);
}

Result<Transcript> parse(std::string_view text) {
  Transcript out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (auto parsed = parse_line(line, out); !parsed) {
      return fail(parsed.error().code, fmt::format("line {}: {}", number, parsed.error().message));
    }
  }
  return out;
}

}  // namespace peat::transcripts
