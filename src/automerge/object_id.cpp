// Ids of operations and objects as text and bytes.
//
//   text   "_root" | counter "@" actor in hex
//   bytes  00 (root)
//          | 10, ULEB length, actor, ULEB index of the actor (a hint), ULEB counter
#include <charconv>

#include "automerge/document_impl.hpp"
#include "automerge/op_text.hpp"

namespace peat::automerge {

std::string op_text(std::uint32_t counter, ByteView actor) {
  return std::to_string(counter) + "@" + to_hex(actor);
}

Result<OpText> parse_op_text(std::string_view text, std::string_view what) {
  const auto at = text.find('@');
  OpText out;
  const auto digits = text.substr(0, at);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), out.counter);
  if (at == std::string_view::npos || error != std::errc() ||
      end != digits.data() + digits.size() || out.counter == 0 || digits.starts_with('0')) {
    return fail(Code::malformed, std::string(what) + " \"" + std::string(text.substr(0, 80)) +
                                     "\" is not of the form counter@actor");
  }
  PEAT_TRY(out.actor, ActorId::parse(text.substr(at + 1)));
  return out;
}

namespace {

constexpr std::uint8_t kRootTag = 0x00;
constexpr std::uint8_t kIdTag = 0x10;

Result<ObjectId> object_of(const Document::Impl& impl, ByteView actor, std::uint64_t counter) {
  const auto index = impl.actors.find(actor);
  if (index && counter <= UINT32_MAX) {
    const OpId op(static_cast<std::uint32_t>(counter), *index);
    if (impl.ops->find_object(op) != kNone) return ObjectId{op};
  }
  return fail(Code::not_found,
              "no object " + std::to_string(counter) + "@" + to_hex(actor) + " in this document");
}

}  // namespace

std::string Document::object_text(ObjectId object) const {
  return object.op.none() ? "_root" : op_text(object.op);
}

std::string Document::op_text(OpId op) const {
  return automerge::op_text(op.counter(), impl_->actors.bytes(op.actor()));
}

Result<ObjectId> Document::parse_object(std::string_view text) const {
  return guarded([&]() -> Result<ObjectId> {
    if (text == "_root") return kRoot;
    PEAT_TRY(const auto op, parse_op_text(text, "the object id"));
    PEAT_TRY_VOID(impl_->materialise());
    return object_of(*impl_, op.actor.bytes, op.counter);
  });
}

Bytes Document::encode_object(ObjectId object) const {
  if (object.op.none()) return {kRootTag};
  Bytes out{kIdTag};
  const auto actor = impl_->actors.bytes(object.op.actor());
  put_uleb(out, actor.size());
  put_bytes(out, actor);
  put_uleb(out, impl_->actors.rank(object.op.actor()));
  put_uleb(out, object.op.counter());
  return out;
}

Result<ObjectId> Document::decode_object(ByteView bytes) const {
  return guarded([&]() -> Result<ObjectId> {
    Input in(bytes);
    const auto tag = in.take(1);
    ByteView actor;
    std::uint64_t counter = 0;
    if (!in.failed() && tag[0] == kIdTag) {
      actor = in.prefixed();
      in.uleb();  // where the writer's table had the actor
      counter = in.uleb();
    } else if (!in.failed() && tag[0] != kRootTag) {
      in.fail_with("begins with neither 00 (the root) nor 10 (an object)");
    }
    if (!in.failed() && !in.done()) in.fail_with("has bytes left over");
    if (in.failed()) return in.error("an object id");
    if (tag[0] == kRootTag) return kRoot;
    PEAT_TRY_VOID(impl_->materialise());
    return object_of(*impl_, actor, counter);
  });
}

}  // namespace peat::automerge
