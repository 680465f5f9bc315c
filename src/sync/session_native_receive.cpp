// The receiving half of a native session.
#include <algorithm>
#include <utility>

#include "sync/session_native.hpp"

namespace peat::sync {
namespace {

// Answers that may wait to be sent; a peer that asks for more at once breaks the protocol.
constexpr std::size_t kAnswersWaiting = 8;
// A position that comes without news is noted in the store with the next news, or after so many.
constexpr store::Seq kPositionsUnsaved = 512;
// How often one document's dependencies are asked for before the peer is not believed any more.
constexpr std::uint32_t kMostAsks = 8;

}  // namespace

void NativeSession::on_native(wire::NativeFrame frame) {
  if (const auto* hello = std::get_if<wire::Hello>(&frame)) return on_hello(*hello);
  if (!hello_ || ended_) return violation();
  if (const auto* changes = std::get_if<wire::DocChanges>(&frame)) {
    on_doc_changes(*changes);
  } else if (const auto* heads = std::get_if<wire::DocHeads>(&frame)) {
    on_doc_heads(*heads);
  } else if (const auto* need = std::get_if<wire::Need>(&frame)) {
    on_need(*need);
  } else if (const auto* tombstones = std::get_if<wire::Tombstones>(&frame)) {
    on_tombstones(*tombstones);
  } else if (const auto* ack = std::get_if<wire::DurableAck>(&frame)) {
    counters_.acked = std::max(counters_.acked, std::min(ack->position, stated_));
    if (context_.on_ack) context_.on_ack(counters_.acked, ack->documents);
  } else if (const auto* done = std::get_if<wire::FeedDone>(&frame)) {
    on_position(done->position);
  } else if (const auto* ping = std::get_if<wire::Ping>(&frame)) {
    pong_ = ping->token;
  } else if (const auto* goodbye = std::get_if<wire::Goodbye>(&frame)) {
    ended_ = true;
    counters_.fault("", {Code::unavailable, "the peer ended the session: " + goodbye->reason},
                    context_.limits);
  } else if (!std::holds_alternative<wire::Pong>(frame)) {
    violation();
  }
}

void NativeSession::on_hello(const wire::Hello& hello) {
  if (hello_) return violation();
  hello_ = hello;
  const auto agreed = wire::negotiate(make_hello(), hello, context_.limits);
  if (!agreed) {
    ended_ = true;
    goodbye_ =
        wire::Goodbye{static_cast<std::uint64_t>(agreed.error().code), agreed.error().message};
    counters_.fault("", agreed.error(), context_.limits);
    return;
  }
  send_limits_ = agreed->send_limits;
  // From here positions pass by what is withheld under these rights.
  if (anew_ && note_once()) static_cast<void>(save_rights(store_, peer_, kUnsettledRights));
  context_.documents.note_horizon(hello.horizon);
  start_ = store_.last_seq();
  cursor_ = anew_ ? 0 : context_.lines.resume_point(hello.resume);
  stated_ = cursor_;
  counters_.sent = cursor_;
  counters_.acked = cursor_;
  if (counters_.held.store_id != hello.store_id) counters_.held = {hello.store_id, 0};
  heard_ = reached_ = saved_ = durable_ = acked_ = counters_.held.position;
}

// --- documents ----------------------------------------------------------------------------------

void NativeSession::on_doc_changes(const wire::DocChanges& frame) {
  for (const auto& document : frame.documents) on_document(document);
  on_position(frame.position);
}

void NativeSession::on_document(const wire::DocumentChanges& document) {
  const auto& key = document.key;
  const auto result = context_.documents.apply_changes(key, document.epoch, document.chunks, peer_);
  if (!result) return on_document_error(key, result.error());
  if (result->refused) {
    ++counters_.refused;
    awaited_.erase(key);
    decline(key);
    urgent_.push(key);  // its tombstone
    return;
  }
  if (result->changed) {
    ++counters_.documents_received;
    wrote_ = true;
  }
  if (result->superseded) {
    awaited_.erase(key);
    known_.erase(key);
    if (!urgent_.push(key)) skip_own_rows_ = false;
    return;
  }
  learn(key, document.heads);
  if (result->heads == document.heads) {
    awaited_.erase(key);
    return;
  }
  if (!result->missing.empty() || !holds(key, result->heads, document.heads)) {
    ask_again(key, result->heads);
  } else {
    awaited_.erase(key);
  }
  // Merged with something of ours that the peer may not have been sent: its feed row now says
  // that it came from the peer, so the cursor would pass it by.
  if (result->changed && !peer_has_all(key, result->heads) && !urgent_.push(key)) {
    skip_own_rows_ = false;
  }
}

void NativeSession::on_document_error(std::string_view key, const Error& error) {
  if (!is_local(error)) {
    counters_.fault(key, error, context_.limits);
    decline(key);
    awaited_.erase(std::string(key));
    return;
  }
  if (!retry_.push(key)) frozen_ = true;
  await_commit();
}

bool NativeSession::holds(std::string_view key, const automerge::Heads& ours,
                          const automerge::Heads& theirs) {
  if (std::ranges::includes(ours, theirs)) return true;
  const auto document = context_.documents.open_document(key);
  return document && *document != nullptr && std::ranges::all_of(theirs, [&](const auto& hash) {
           return (*document)->has_change(hash);
         });
}

void NativeSession::on_doc_heads(const wire::DocHeads& frame) {
  if (needs_.size() >= kAnswersWaiting) return violation();
  wire::Need answer;
  answer.answer = true;
  for (const auto& offered : frame.documents) {
    if (auto need = needed(offered)) answer.documents.push_back(std::move(*need));
  }
  needs_.push_back(std::move(answer));
  on_position(frame.position);
}

std::optional<wire::DocumentNeed> NativeSession::needed(const wire::DocumentHeads& offered) {
  const auto& key = offered.key;
  auto heads = store_.heads(key);
  const auto epoch = context_.documents.epoch(key);
  if (!heads || !epoch) {
    on_document_error(key, heads ? epoch.error() : heads.error());
    return std::nullopt;
  }
  const auto ours = std::move(*heads).value_or(automerge::Heads{});
  const auto admitted = context_.documents.admits(key, offered.epoch);
  if (admitted && !*admitted) {
    ++counters_.refused;
    urgent_.push(key);  // its tombstone
    decline(key);
    return std::nullopt;
  }
  if (!ours.empty() && holds(key, ours, offered.heads)) {
    learn(key, offered.heads);
    return std::nullopt;
  }
  return wire::DocumentNeed{key, {}, ours};
}

void NativeSession::ask_again(std::string_view key, const automerge::Heads& have) {
  const auto asked = awaited_.try_emplace(std::string(key), 0U).first;
  if (awaited_.size() > context_.limits.sync_needs) {
    awaited_.erase(asked);
    frozen_ = true;
    return;
  }
  if (++asked->second > kMostAsks) {
    counters_.fault(key,
                    {Code::missing_dependency,
                     "the peer does not send what its own changes "
                     "depend on; skipped"},
                    context_.limits);
    decline(key);
    awaited_.erase(asked);
    return;
  }
  if (needs_.empty() || needs_.back().answer || needs_.back().documents.size() >= 256) {
    needs_.emplace_back();
  }
  needs_.back().documents.push_back({std::string(key), {}, have});
}

void NativeSession::on_need(const wire::Need& frame) {
  std::uint64_t number = 0;
  if (frame.answer) {
    const auto offer = std::ranges::find(offers_, false, &Offer::answered);
    if (offer == offers_.end()) return violation();
    offer->answered = true;
    number = first_offer_ + static_cast<std::uint64_t>(offer - offers_.begin());
  }
  for (const auto& document : frame.documents) {
    const auto most = context_.limits.sync_needs;
    if (asked_.size() >= most || asked_hashes_ + document.have.size() > 16 * most) {
      violation();
      break;
    }
    asked_hashes_ += document.have.size();
    asked_.push_back({document.key, document.have, number});
    if (number != 0) ++offers_[number - first_offer_].owed;
  }
  resolve_offers();
}

void NativeSession::on_tombstones(const wire::Tombstones& frame) {
  for (const auto& tombstone : frame.tombstones) {
    const auto key = tombstone.key();
    const auto applied = context_.documents.apply_tombstone(tombstone, peer_);
    if (!applied) {
      if (is_local(applied.error())) {
        frozen_ = true;
      } else {
        decline(key);
      }
      counters_.fault(key, applied.error(), context_.limits);
      continue;
    }
    if (*applied) {
      ++counters_.tombstones_received;
      wrote_ = true;
    }
    awaited_.erase(key);
    known_.erase(key);
    const auto* told = told_.find(key);
    auto epoch = epoch_of(tombstone);
    if (told == nullptr || *told < epoch) told_.put(key, std::move(epoch));
  }
  on_position(frame.position);
}

// --- acknowledgement ----------------------------------------------------------------------------

void NativeSession::on_position(store::Seq position) {
  heard_ = std::max(heard_, position);
  settle_position();
}

void NativeSession::settle_position() {
  if (heard_ <= reached_ || !awaited_.empty() || !retry_.empty() || frozen_) return;
  const bool wrote = std::exchange(wrote_, false);
  if (wrote || heard_ - saved_ >= kPositionsUnsaved) {
    // Written behind the documents it speaks for: the store commits in that order.
    if (!save(heard_)) return;
    saved_ = heard_;
  }
  reached_ = heard_;
  await_commit();
}

void NativeSession::await_commit() {
  if (commit_awaited_) return;
  commit_awaited_ = true;
  store_.on_durable([this, alive = std::weak_ptr(alive_), position = reached_](Status status) {
    if (!alive.expired()) on_commit(position, status);
  });
}

void NativeSession::on_commit(store::Seq position, const Status& status) {
  commit_awaited_ = false;
  if (status) {
    durable_ = position;
    counters_.held = {hello_->store_id, position};
    while (!retry_.empty()) {
      const auto heads = store_.heads(retry_.front());
      ask_again(retry_.front(), heads && *heads ? **heads : automerge::Heads{});
      retry_.pop();
    }
  }
  if (reached_ > durable_ || !retry_.empty()) await_commit();
  wake_();
}

}  // namespace peat::sync
