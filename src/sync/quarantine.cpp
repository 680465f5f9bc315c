#include "sync/quarantine.hpp"

#include <algorithm>
#include <utility>

#include "base/reader.hpp"

namespace peat::sync {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kReasonBytes = 512;  // a peer's input may be quoted in it

void put_text(Writer& writer, std::string_view text) {
  writer.u16be(static_cast<std::uint16_t>(text.size()));
  writer.bytes(as_bytes(text));
}

Result<std::string> read_text(Reader& reader, std::string_view what) {
  PEAT_TRY(const auto size, reader.u16be(what));
  PEAT_TRY(const auto bytes, reader.take(size, what));
  return std::string(as_text(bytes));
}

Result<Quarantined> read_entry(Reader& reader) {
  constexpr std::string_view kWhat = "a quarantined document";
  Quarantined out;
  PEAT_TRY(const auto kind, reader.u8(kWhat));
  if (kind > static_cast<std::uint8_t>(QuarantineKind::corrupt)) {
    return fail(Code::malformed, "a quarantined document of no known kind");
  }
  out.kind = static_cast<QuarantineKind>(kind);
  PEAT_TRY(const auto code, reader.u16be(kWhat));
  out.code = static_cast<Code>(code);
  PEAT_TRY(const auto first, reader.u64be(kWhat));
  PEAT_TRY(const auto last, reader.u64be(kWhat));
  out.first_ms = static_cast<std::int64_t>(first);
  out.last_ms = static_cast<std::int64_t>(last);
  PEAT_TRY(out.count, reader.u64be(kWhat));
  PEAT_TRY(const auto has_peer, reader.u8(kWhat));
  if (has_peer != 0) {
    EndpointId peer;
    PEAT_TRY(const auto bytes, reader.take(peer.bytes.size(), kWhat));
    std::ranges::copy(bytes, peer.bytes.begin());
    out.peer = peer;
  }
  PEAT_TRY(out.key, read_text(reader, kWhat));
  PEAT_TRY(out.reason, read_text(reader, kWhat));
  return out;
}

}  // namespace

std::string_view name(QuarantineKind kind) {
  switch (kind) {
    case QuarantineKind::unreadable:
      return "unreadable";
    case QuarantineKind::refused:
      return "refused";
    case QuarantineKind::corrupt:
      break;
  }
  return "corrupt";
}

bool Quarantine::make_room(QuarantineKind kind) {
  if (entries_.size() < limit_) return true;
  if (kind == QuarantineKind::refused) return false;
  auto oldest = entries_.end();
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->second.kind != QuarantineKind::refused) continue;
    if (oldest == entries_.end() || entry->second.last_ms < oldest->second.last_ms) oldest = entry;
  }
  if (oldest == entries_.end()) return false;
  entries_.erase(oldest);
  ++unlisted;
  return true;
}

Quarantine::Noted Quarantine::note(std::string_view key, QuarantineKind kind, const Error& error,
                                   const std::optional<EndpointId>& peer, WallTime now) {
  Name where(std::string(key), kind);
  auto found = entries_.find(where);
  const bool fresh = found == entries_.end();
  if (fresh) {
    if (!make_room(kind)) {
      ++unlisted;
      return Noted::unlisted;
    }
    found = entries_.emplace(std::move(where), Quarantined{}).first;
    found->second.key = key;
    found->second.kind = kind;
    found->second.first_ms = now.ms;
  }
  auto& entry = found->second;
  entry.code = error.code;
  entry.reason = error.message.substr(0, kReasonBytes);
  entry.peer = peer;
  entry.last_ms = now.ms;
  ++entry.count;
  return fresh ? Noted::listed : Noted::again;
}

bool Quarantine::clear(std::string_view key, QuarantineKind kind) {
  return !entries_.empty() && entries_.erase(Name(std::string(key), kind)) > 0;
}

bool Quarantine::clear_refused(std::string_view key, const EndpointId& peer) {
  if (entries_.empty()) return false;
  const auto found = entries_.find(Name(std::string(key), QuarantineKind::refused));
  if (found == entries_.end() || found->second.peer != peer) return false;
  entries_.erase(found);
  return true;
}

std::vector<Quarantined> Quarantine::of(std::string_view key) const {
  std::vector<Quarantined> out;
  auto entry = entries_.lower_bound(Name(std::string(key), QuarantineKind::unreadable));
  for (; entry != entries_.end() && entry->first.first == key; ++entry) {
    out.push_back(entry->second);
  }
  return out;
}

std::vector<Quarantined> Quarantine::list() const {
  std::vector<Quarantined> out;
  for (const auto& [where, entry] : entries_) out.push_back(entry);
  return out;
}

Bytes Quarantine::encode() const {
  Bytes out;
  Writer writer(out);
  writer.u8(kVersion);
  for (const auto& [where, entry] : entries_) {
    writer.u8(static_cast<std::uint8_t>(entry.kind));
    writer.u16be(static_cast<std::uint16_t>(entry.code));
    writer.u64be(static_cast<std::uint64_t>(entry.first_ms));
    writer.u64be(static_cast<std::uint64_t>(entry.last_ms));
    writer.u64be(entry.count);
    writer.u8(entry.peer ? 1 : 0);
    if (entry.peer) writer.bytes(entry.peer->bytes);
    put_text(writer, entry.key);
    put_text(writer, entry.reason);
  }
  return out;
}

Status Quarantine::decode(ByteView record) {
  Reader reader(record);
  PEAT_TRY(const auto version, reader.u8("the list of quarantined documents"));
  if (version != kVersion) {
    return fail(Code::wrong_version, "the list of quarantined documents has version " +
                                         std::to_string(version) + ", this node reads 1");
  }
  std::map<Name, Quarantined> entries;
  while (!reader.done() && entries.size() < limit_) {
    PEAT_TRY(auto entry, read_entry(reader));
    Name where(entry.key, entry.kind);
    entries.insert_or_assign(std::move(where), std::move(entry));
  }
  entries_ = std::move(entries);
  return {};
}

}  // namespace peat::sync
