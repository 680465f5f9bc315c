// Sync messages and the persisted sync state: bytes <-> values.
#include <algorithm>
#include <string>

#include "automerge/bloom.hpp"
#include "automerge/leb.hpp"
#include "base/limits.hpp"
#include "peat/automerge/sync.hpp"

namespace peat::automerge {
namespace {

constexpr std::uint8_t kVersion1 = 0x42;
constexpr std::uint8_t kVersion2 = 0x43;
constexpr std::uint8_t kStateType = 0x43;

void put_hashes(Bytes& out, std::span<const ChangeHash> hashes) {
  put_uleb(out, hashes.size());
  for (const auto& hash : hashes) put_bytes(out, hash.bytes);
}

void put_block(Bytes& out, ByteView block) {
  put_uleb(out, block.size());
  put_bytes(out, block);
}

std::unexpected<Error> wrong_type(const std::string& what, ByteView input) {
  if (input.empty()) return fail(Code::truncated, what + ": ends too early at byte 0");
  return fail(Code::unknown_type,
              what + ": type " + std::to_string(input[0]) + " at byte 0 is not known");
}

// Ascending and without repetitions, whatever the sender did: a hash named a million times must
// not be answered a million times.
std::vector<ChangeHash> take_hashes(Input& in) {
  const auto count = in.uleb();
  constexpr std::size_t kHashBytes = sizeof(ChangeHash::bytes);
  if (count > in.remaining() / kHashBytes) in.fail_with("ends too early");
  if (in.failed()) return {};
  std::vector<ChangeHash> hashes(count);
  for (auto& hash : hashes) std::ranges::copy(in.take(kHashBytes), hash.bytes.begin());
  std::ranges::sort(hashes);
  const auto repeated = std::ranges::unique(hashes);
  hashes.erase(repeated.begin(), repeated.end());
  return hashes;
}

Result<std::vector<SyncHave>> take_haves(Input& in) {
  const auto count = in.uleb();
  const auto limit = Limits{}.sync_filters_per_message;
  if (count > limit) {
    return fail(Code::limit_exceeded, "sync message with " + std::to_string(count) +
                                          " filters (limit " + std::to_string(limit) +
                                          "): the sender must merge them");
  }
  std::vector<SyncHave> haves(count);
  for (auto& have : haves) {
    have.last_sync = take_hashes(in);
    const auto bloom = in.prefixed();
    if (in.failed()) break;
    PEAT_TRY_VOID(BloomView::parse(bloom));
    have.bloom.assign(bloom.begin(), bloom.end());
  }
  return haves;
}

std::vector<Bytes> take_changes(Input& in) {
  const auto count = in.uleb();
  std::vector<Bytes> changes;
  for (std::uint64_t i = 0; i < count && !in.failed(); ++i) {
    const auto chunk = in.prefixed();
    if (!chunk.empty()) changes.emplace_back(chunk.begin(), chunk.end());
  }
  return changes;
}

}  // namespace

// message := type heads need haves changes [flags]      anything behind that is ignored
// type    := 0x42 (changes are single change chunks) | 0x43 (one item: chunks or a whole document)
// heads, need := hashes
// hashes  := n:uleb n*hash(32), ascending
// haves   := n:uleb n*(last_sync:hashes, size:uleb, filter)       filter: bloom.cpp
// changes := n:uleb n*(size:uleb, bytes)
// flags   := n:uleb n*byte
//            a byte below 0x80 is a message version that the sender reads; 0x80|bits: 1 forget what
//            you sent me, 2 I take no changes, 4 I understand bit 1
Bytes SyncMessage::encode() const {
  Bytes out{version == 2 ? kVersion2 : kVersion1};
  put_hashes(out, heads);
  put_hashes(out, need);
  put_uleb(out, have.size());
  for (const auto& entry : have) {
    put_hashes(out, entry.last_sync);
    put_block(out, entry.bloom);
  }
  put_uleb(out, changes.size());
  for (const auto& chunk : changes) put_block(out, chunk);
  if (flags) put_block(out, *flags);
  return out;
}

Result<SyncMessage> SyncMessage::decode(ByteView input, const LoadLimits& limits) {
  if (input.size() > limits.input_bytes) {
    return fail(Code::limit_exceeded, "sync message of " + std::to_string(input.size()) +
                                          " bytes (limit " + std::to_string(limits.input_bytes) +
                                          "): raise LoadLimits::input_bytes for trusted peers");
  }
  if (input.empty() || (input[0] != kVersion1 && input[0] != kVersion2)) {
    return wrong_type("sync message", input);
  }
  Input in(input.subspan(1), 1);
  SyncMessage message;
  message.version = input[0] == kVersion2 ? 2 : 1;
  message.heads = take_hashes(in);
  message.need = take_hashes(in);
  PEAT_TRY(message.have, take_haves(in));
  message.changes = take_changes(in);
  if (!in.done()) {
    const auto tail = in.prefixed();
    message.flags.emplace(tail.begin(), tail.end());
  }
  if (in.failed()) return in.error("sync message");
  return message;
}

// state := 0x43 shared_heads:hashes
Bytes SyncState::encode() const {
  Bytes out{kStateType};
  put_hashes(out, shared_heads);
  return out;
}

Result<SyncState> SyncState::decode(ByteView input) {
  if (input.empty() || input[0] != kStateType) return wrong_type("sync state", input);
  Input in(input.subspan(1), 1);
  SyncState state;
  state.shared_heads = take_hashes(in);
  if (in.failed()) return in.error("sync state");
  // Known to have synchronised, but not with what: an empty list, not "unknown".
  state.their_have.emplace();
  return state;
}

}  // namespace peat::automerge
