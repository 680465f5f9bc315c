// The form a store keeps.
//
//   stored = 01, ULEB n, n x (ULEB length + actor)            by index
//            ULEB changes, ULEB changes in the base
//            changes x row, ULEB length + base (a document chunk, or empty)
//            (changes - in base) x (ULEB length + change chunk)
//            ULEB n, n x (ULEB length + queued change chunk)
//   row    = hash (32), ULEB actor, ULEB seq, ULEB start_op, ULEB ops, SLEB time,
//            ULEB length + message, ULEB length + extra bytes, ULEB n, n x ULEB (row - dependency)
#include <cstring>

#include "automerge/document_chunk.hpp"
#include "automerge/document_impl.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint8_t kStoredVersion = 1;

void put_prefixed(Bytes& out, ByteView bytes) {
  put_uleb(out, bytes.size());
  put_bytes(out, bytes);
}

void put_row(const ChangeGraph& graph, std::size_t i, Bytes& out) {
  const auto& row = graph.row(i);
  put_bytes(out, row.hash.bytes);
  put_uleb(out, row.actor);
  put_uleb(out, row.seq);
  put_uleb(out, row.start_op);
  put_uleb(out, row.op_count);
  put_sleb(out, row.time);
  put_prefixed(out, as_bytes(graph.message(i)));
  put_prefixed(out, graph.extra(i));
  put_uleb(out, row.deps_count);
  for (const auto dep : graph.deps(i)) put_uleb(out, i - dep);
}

std::unexpected<Error> corrupt(std::string_view what, const Input& in) {
  return fail(Code::malformed, "a stored document: " + std::string(what) + " at byte " +
                                   std::to_string(in.offset()));
}

Status read_row(Input& in, std::uint32_t actors, ChangeGraph& graph) {
  const auto i = graph.size();
  GraphRow row;
  const auto hash = in.take(32);
  const auto actor = in.uleb();
  const auto seq = in.uleb();
  const auto start_op = in.uleb();
  const auto op_count = in.uleb();
  row.time = in.sleb();
  const auto message = as_text(in.prefixed());
  const auto extra = in.prefixed();
  const auto dep_count = in.uleb();
  if (in.failed()) return in.error("a stored document's change");
  if (actor >= actors || seq > UINT32_MAX || start_op > UINT32_MAX || op_count > UINT32_MAX ||
      dep_count > i || dep_count > in.remaining()) {
    return corrupt("an impossible change", in);
  }
  std::vector<std::uint32_t> deps(static_cast<std::size_t>(dep_count));
  for (auto& dep : deps) {
    const auto back = in.uleb();
    if (in.failed() || back == 0 || back > i) return corrupt("an impossible dependency", in);
    dep = static_cast<std::uint32_t>(i - back);
  }
  std::memcpy(row.hash.bytes.data(), hash.data(), 32);
  row.actor = static_cast<std::uint32_t>(actor);
  row.seq = static_cast<std::uint32_t>(seq);
  row.start_op = static_cast<std::uint32_t>(start_op);
  row.op_count = static_cast<std::uint32_t>(op_count);
  graph.add(row, deps, message, extra);
  return {};
}

}  // namespace

Result<Bytes> Document::Impl::store() {
  PEAT_TRY_VOID(ensure_hashes());
  const bool few = tail.size() <= kChunkFormChanges && tail.bytes() <= kChunkFormBytes;
  // A document that cannot be materialised stays as the chunks it came in.
  const bool as_chunks = few || !materialise();
  const auto in_base = as_chunks ? base_count : static_cast<std::uint32_t>(graph.size());

  Bytes out;
  out.reserve(base_bytes().size() + tail.bytes() + 96 * graph.size() + 64);
  out.push_back(kStoredVersion);
  put_uleb(out, actors.size());
  for (std::uint32_t i = 0; i < actors.size(); ++i) put_prefixed(out, actors.bytes(i));
  put_uleb(out, graph.size());
  put_uleb(out, in_base);
  for (std::size_t i = 0; i < graph.size(); ++i) put_row(graph, i, out);
  put_prefixed(out, as_chunks ? base_bytes() : ByteView(write(true)));
  for (std::size_t i = in_base; i < graph.size(); ++i) put_prefixed(out, tail_chunk(i));
  put_uleb(out, queue.size());
  for (const auto& queued : queue) put_prefixed(out, queued.chunk);
  return out;
}

Status Document::Impl::restore(ByteView stored) {
  Input in(stored);
  const auto version = in.take(1);
  if (in.failed() || version[0] != kStoredVersion) {
    return fail(Code::unsupported,
                "a stored document of format " +
                    (in.failed() ? std::string("none") : std::to_string(version[0])) +
                    "; this version reads 1");
  }
  const auto actor_count = in.uleb();
  if (in.failed() || actor_count > in.remaining()) return corrupt("too many actors", in);
  for (std::uint64_t i = 0; i < actor_count; ++i) actors.add(in.prefixed());
  const auto changes = in.uleb();
  const auto in_base = in.uleb();
  if (in.failed() || actors.size() != actor_count || changes > in.remaining() / 32 ||
      in_base > changes) {
    return corrupt("an impossible header", in);
  }
  graph.reserve(static_cast<std::size_t>(changes));
  for (std::uint64_t i = 0; i < changes; ++i) {
    PEAT_TRY_VOID(read_row(in, actors.size(), graph));
  }
  const auto document = in.prefixed();
  if (!document.empty()) base = std::make_shared<const Bytes>(document.begin(), document.end());
  base_count = static_cast<std::uint32_t>(in_base);
  if (changes != in_base) {
    tail.make_room(static_cast<std::size_t>(changes - in_base), in.remaining());
  }
  for (auto i = in_base; i < changes; ++i) tail.append(in.prefixed());
  const auto queued_count = in.uleb();
  if (in.failed() || queued_count > in.remaining() || (in_base != 0 && !base)) {
    return corrupt("too short", in);
  }
  for (std::uint64_t i = 0; i < queued_count; ++i) {
    const auto bytes = in.prefixed();
    PEAT_TRY(const auto chunk, read_chunk(bytes, 0));
    PEAT_TRY(const auto change, parse_change(chunk, no_limits()));
    QueuedChange queued;
    queued.hash = change.hash;
    queued.chunk.assign(bytes.begin(), bytes.end());
    for (std::size_t d = 0; d < change.dep_count(); ++d) queued.deps.push_back(change.dep(d));
    queue.push_back(std::move(queued));
  }
  if (in.failed() || !in.done()) return corrupt("the wrong length", in);
  saved = graph.size();
  graph.shrink();
  return {};
}

Result<Bytes> Document::to_stored() const {
  return guarded([&] { return impl_->store(); });
}

Result<Document> Document::from_stored(ByteView stored, std::span<const ByteView> tail,
                                       const LoadOptions& options) {
  return guarded([&]() -> Result<Document> {
    Document out(options.actor ? *options.actor : ActorId::random());
    auto& impl = *out.impl_;
    if (!stored.empty()) PEAT_TRY_VOID(impl.restore(stored));
    if (tail.empty()) return out;
    Incoming incoming;
    for (const auto bytes : tail) {
      PEAT_TRY(auto chunk, read_chunk(bytes, 0));
      if (chunk.type == ChunkType::kCompressedChange) {
        PEAT_TRY(auto inflated, inflate_change(chunk, no_limits()));
        PEAT_TRY(chunk, read_chunk(incoming.owned.emplace_back(std::move(inflated)), 0));
      }
      if (chunk.type != ChunkType::kChange) {
        return fail(Code::malformed,
                    "a stored document is continued by something other than "
                    "change chunks");
      }
      PEAT_TRY(auto change, parse_change(chunk, no_limits()));
      incoming.changes.push_back(std::move(change));
    }
    PEAT_TRY_VOID(impl.apply(incoming));
    impl.saved = impl.graph.size();
    return out;
  });
}

}  // namespace peat::automerge
