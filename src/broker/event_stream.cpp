#include <fmt/format.h>

#include "broker/json_text.hpp"
#include "broker/routes.hpp"

namespace peat::broker {

namespace {

constexpr std::size_t kEventsPerPull = 128;

void append_event(std::string& out, const node::Event& event) {
  JsonObject object(out);
  object.number("seq", event.seq);
  switch (event.kind) {
    case node::Event::Kind::document: {
      const auto parts = sync::split_key(event.key);
      object.text("type", "SyncEvent");
      object.text("collection", parts ? parts->collection : std::string_view());
      object.text("doc_id", parts ? parts->id : std::string_view(event.key));
      object.text("action", event.action);
      object.text("origin", event.peer ? event.peer->to_string() : "local");
      break;
    }
    case node::Event::Kind::peer_connected:
      object.text("type", "PeerConnected");
      object.text("peer_id", event.peer->to_string());
      break;
    case node::Event::Kind::peer_disconnected:
      object.text("type", "PeerDisconnected");
      object.text("peer_id", event.peer->to_string());
      object.text("reason", event.reason);
      break;
    case node::Event::Kind::denied:
      object.text("type", "AccessDenied");
      object.text("peer_id", event.peer->to_string());
      object.text("right", event.action);
      object.text("key", event.key);
      object.text("reason", event.reason);
      break;
    case node::Event::Kind::gap:
      object.text("type", "gap");
      break;
  }
  object.close();
  out += '\n';
}

class EventStream final : public BodySource {
 public:
  EventStream(node::EventLog& log, node::EventCursor cursor, std::string collection,
              std::string prefix)
      : log_(log),
        cursor_(cursor),
        collection_(std::move(collection)),
        prefix_(std::move(prefix)) {}
  ~EventStream() override {
    if (subscription_ != 0) log_.off_event(subscription_);
  }
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  void on_ready(std::function<void()> wake) override {
    subscription_ = log_.on_event(std::move(wake));
  }

  bool endless() const override { return true; }

  State pull(std::string& out) override {
    const auto events = log_.read(cursor_, kEventsPerPull);
    if (!events) {
      std::string line;
      JsonObject object(line);
      object.text("type", "error");
      object.text("error", events.error().message);
      object.close();
      out += line + '\n';
      return State::done;
    }
    if (events->empty()) return State::waiting;
    for (const auto& event : *events) {
      if (wanted(event)) append_event(out, event);
    }
    return State::more;
  }

 private:
  // A filter speaks of documents: with one, peers' events are left out; a gap always shows.
  bool wanted(const node::Event& event) const {
    if (event.kind == node::Event::Kind::gap) return true;
    if (collection_.empty() && prefix_.empty()) return true;
    if (event.kind != node::Event::Kind::document) return false;
    const auto parts = sync::split_key(event.key);
    return parts && (collection_.empty() || parts->collection == collection_) &&
           parts->id.starts_with(prefix_);
  }

  node::EventLog& log_;
  node::EventCursor cursor_;
  const std::string collection_;
  const std::string prefix_;
  std::uint64_t subscription_ = 0;
};

}  // namespace

void get_events(Call call) {
  const auto after = number_in_query(call.target, "after", 0);
  if (!after) return call.respond(problem(after.error()));
  auto& log = call.node.events();
  const auto cursor = call.target.value("after") ? log.after(*after) : log.now();
  Response response;
  response.content_type = "application/x-ndjson";
  response.stream =
      std::make_unique<EventStream>(log, cursor, call.target.value("collection").value_or(""),
                                    call.target.value("prefix").value_or(""));
  call.respond(std::move(response));
}

}  // namespace peat::broker
