#include "automerge/author.hpp"

#include <algorithm>

#include "automerge/document_impl.hpp"
#include "automerge/leb.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint64_t kAuthorFooter = 1;
constexpr std::size_t kMostAuthorBytes = 65535;

}  // namespace

Bytes author_footer(ByteView author) {
  Bytes out;
  put_uleb(out, kAuthorFooter);
  put_uleb(out, author.size());
  put_bytes(out, author);
  return out;
}

std::optional<ByteView> author_in(ByteView extra) {
  Input in(extra);
  const auto kind = in.uleb();
  const auto author = in.prefixed();
  if (in.failed() || kind != kAuthorFooter) return std::nullopt;
  return author;
}

Status Document::set_author(std::optional<Bytes> author) {
  if (impl_->pending) {
    return fail(Code::invalid_argument, "the author cannot change while a transaction is open");
  }
  if (author && author->size() > kMostAuthorBytes) {
    return fail(Code::invalid_argument,
                "an author has at most 65,535 bytes, got " + std::to_string(author->size()));
  }
  if (author == impl_->author) return {};
  const auto index = impl_->actors.find(impl_->actor.bytes);
  if (index && impl_->graph.last_of(*index) != kNone) {
    return fail(Code::invalid_argument, "actor " + impl_->actor.to_string() +
                                            " has made changes here already, which keep their "
                                            "author; set_actor first");
  }
  impl_->author = std::move(author);
  return {};
}

const std::optional<Bytes>& Document::author() const { return impl_->author; }

std::optional<Bytes> Document::author_of(const ActorId& actor) const {
  const auto index = impl_->actors.find(actor.bytes);
  if (!index) return std::nullopt;
  const auto author = impl_->author_of(*index);
  if (!author) return std::nullopt;
  return Bytes(author->begin(), author->end());
}

std::optional<ByteView> Document::Impl::author_of(std::uint32_t actor_index) const {
  const auto row = graph.author_row_of(actor_index);
  return row == kNone ? std::nullopt : author_in(graph.extra(row));
}

std::uint32_t ChangeGraph::author_row_of(std::uint32_t actor) const {
  for (; authors_known_ < rows_.size(); ++authors_known_) {
    if (!author_in(extra(authors_known_))) continue;
    const auto named = rows_[authors_known_].actor;
    if (named >= authors_.size()) authors_.resize(named + 1, kNone);
    auto& row = authors_[named];
    row = std::min(row, static_cast<std::uint32_t>(authors_known_));
  }
  return actor < authors_.size() ? authors_[actor] : kNone;
}

}  // namespace peat::automerge
