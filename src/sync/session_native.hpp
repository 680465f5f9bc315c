// One connection of a session in the native dialect. Internal to PeerSession.
//
// Each side sends a hello: its store, the end of its feed, and how far it durably holds the
// other's feed. Then each walks its own feed from there:
//
//   rows that are new since the hello, or all of them if the peer has no documents:
//       doc_changes (tombstones first)
//   other documents:
//       doc_heads  →  need (exactly one answer each; at most kOffersOpen unanswered)  → doc_changes
//
// A frame carries the position up to which everything has then been given. The receiver persists
// it behind the documents and acknowledges it when they are durable; it does neither while it
// lacks dependencies that it has asked for. Behind an acknowledgement it states its own position,
// which has moved by what it received: so a reconnect costs what changed, in both directions.
//
// Classes. What is due shares the link by weight (spec/transport_qos.md 10.1): the urgent keys of
// each class, answers, and the walk through the feed, so that nothing waits behind bulk (F19) and
// nothing starves (F18). Frames are made as small as the link is slow, so that what is most urgent
// waits for a fraction of a second of what is under way.
//
// Rights. What the peer may not read is passed over in each walk, and taken out of every frame as
// it leaves (access.hpp). Under other rights than before both feeds are walked again.
//
// What a live change is sent with: the changes since what the peer is known to have; if that is
// not known, the changes that are the new heads. A receiver that finds dependencies missing asks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sync/session_common.hpp"

namespace peat::sync {

class NativeSession final : public DialectSession {
 public:
  // `wake` is called from the loop when there is something new to send.
  NativeSession(SyncChannel& channel, const SessionContext& context, SessionCounters& counters,
                std::function<void()> wake);
  ~NativeSession() override;

  void on_change(const store::ChangeEvent& event) override;
  void on_native(wire::NativeFrame frame) override;
  bool send_next() override;
  void note_time(Instant now) override;
  void request(std::string_view key, const automerge::Heads& have) override;
  void resend(std::string_view key) override;
  KeyPlace locate(std::string_view key) const override;

 private:
  Status save(store::Seq position);
  Status note_once();
  // What the peer surely has of a document.
  using KnownHeads = std::vector<automerge::ChangeHash>;
  // A doc_heads that went out.
  struct Offer {
    store::Seq before = 0;  // what had been given when it was made
    bool answered = false;
    std::size_t owed = 0;  // documents asked for and not sent yet
  };
  struct Ask {
    std::string key;
    automerge::Heads have;
    std::uint64_t offer = 0;  // number of the offer it answers; 0: none
  };
  // Frames in the making: they leave in this order.
  struct Load {
    wire::Tombstones tombstones;
    wire::DocChanges changes;
    wire::DocHeads heads;
    std::size_t bytes = 0;
    std::size_t most = 0;  // bytes, when it is full
    bool full() const;
    bool empty() const;
  };

  // --- receiving (session_native_receive.cpp)
  void on_hello(const wire::Hello& hello);
  void on_doc_changes(const wire::DocChanges& frame);
  void on_document(const wire::DocumentChanges& document);
  void on_document_error(std::string_view key, const Error& error);
  bool holds(std::string_view key, const automerge::Heads& ours, const automerge::Heads& theirs);
  void on_doc_heads(const wire::DocHeads& frame);
  std::optional<wire::DocumentNeed> needed(const wire::DocumentHeads& offered);
  void on_need(const wire::Need& frame);
  void on_tombstones(const wire::Tombstones& frame);
  void on_position(store::Seq position);
  void settle_position();
  void await_commit();
  void on_commit(store::Seq position, const Status& status);
  void ask_again(std::string_view key, const automerge::Heads& have);
  void violation() {
    ++counters_.violations;
    ++counters_.nonsense;
  }

  // --- sending (session_native.cpp)
  wire::Hello make_hello() const;
  std::optional<wire::NativeFrame> next_frame();
  wire::DurableAck make_ack();
  // What is not taken is named with the next acknowledgement; without room for its name the
  // position stays where it is.
  void decline(std::string_view key) { frozen_ = !declined_.push(key) || frozen_; }
  // Who shares the link: the urgent keys of each class, what the peer has asked for, the feed.
  static constexpr std::size_t kAsked = kQosClasses;
  static constexpr std::size_t kFeed = kQosClasses + 1;
  static constexpr std::size_t kFlows = kQosClasses + 2;
  bool fill(std::size_t flow);
  bool fill_urgent(QosClass qos);
  bool fill_asked();
  bool fill_from_feed();
  void add_row(const store::FeedRow& row, Load& load);
  // Every node makes its own expiry tombstones: unasked they are not worth their bytes.
  enum class Expired : bool { skip, send };
  void add_tombstone(std::string_view key, Load& load, Expired expired = Expired::send);
  void add_document(std::string_view key, Result<std::optional<Outgoing>> document, Load& load,
                    bool even_if_empty = false);
  void add_live_document(std::string_view key, Load& load);
  void add_offer(const store::FeedRow& row, Load& load);
  bool put_ready(Load load);
  store::Seq given() const;
  store::Seq take_position();
  void resolve_offers();

  bool peer_has_all(std::string_view key, const automerge::Heads& heads) const;
  void learn(std::string_view key, const automerge::Heads& heads);

  SyncChannel& channel_;
  const SessionContext& context_;
  SessionCounters& counters_;
  store::DocumentStore& store_;
  const EndpointId peer_;
  std::function<void()> wake_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks that outlive us

  // sending
  bool hello_sent_ = false;
  bool ended_ = false;                // the peer and we have no common version
  std::optional<wire::Hello> hello_;  // the peer's
  Limits send_limits_;
  std::deque<wire::NativeFrame> ready_;  // made, waiting for the channel; a few at most
  store::Seq cursor_ = 0;                // our feed is handled up to here
  store::Seq start_ = 0;                 // its end when the hello came
  store::Seq stated_ = 0;                // the last position that went out
  bool state_position_ = true;  // now is a moment to state it without a message that carries it
  bool skip_own_rows_ = true;   // rows that came from the peer on this connection
  UrgentKeys urgent_;
  FairShare<kFlows> share_;
  std::size_t filled_ = 0;  // bytes of the last load
  Pacer pacer_;
  std::deque<Ask> asked_;
  std::deque<Offer> offers_;
  std::uint64_t first_offer_ = 1;  // number of offers_.front()
  // Its rights are not those under which the feeds were walked: both are, from the beginning.
  bool anew_ = false;
  std::optional<Instant> walked_;  // when they had been
  RecentMap<KnownHeads> known_;
  RecentMap<Epoch> told_;         // tombstones the peer has
  std::size_t asked_hashes_ = 0;  // in asked_
  std::optional<std::uint64_t> pong_;
  std::optional<wire::Goodbye> goodbye_;

  // receiving
  std::deque<wire::Need> needs_;                               // to be sent
  std::map<std::string, std::uint32_t, std::less<>> awaited_;  // asked for unprompted; how often
  KeyQueue declined_;                                          // not taken, and not told yet
  KeyQueue retry_;          // not taken by our store; asked for when it takes writes again
  bool frozen_ = false;     // lost track of what is lacking: no more positions on this connection
  store::Seq heard_ = 0;    // the last position the peer stated
  store::Seq reached_ = 0;  // stored here
  store::Seq saved_ = 0;    // and noted in the store
  bool noted_ = false;      // that something is kept of this peer
  store::Seq durable_ = 0;  // and committed
  store::Seq acked_ = 0;    // and acknowledged
  bool wrote_ = false;      // something went into the store since
  bool commit_awaited_ = false;
};

}  // namespace peat::sync
