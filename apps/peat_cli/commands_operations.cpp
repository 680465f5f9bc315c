// What operators ask a node: lag, explanations, quarantine, backups.
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <iostream>
#include <unistd.h>

#include "broker/http.hpp"
#include "node/backup.hpp"
#include "peat/ids.hpp"
#include "peat_cli/answers.hpp"
#include "peat_cli/commands.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kReasonWidth = 60;
constexpr std::size_t kPeerWidth = 10;
constexpr std::size_t kIdDigits = 64;

std::vector<std::string> lag_row(std::string peer, std::string collection,
                                 const boost::json::object& lag) {
  const auto* age = lag.if_contains("oldest_ms");
  return {
      std::move(peer), std::move(collection), text_of(lag, "documents_behind"),
      format_bytes(number_of(lag, "bytes_behind")),
      age == nullptr || age->is_null() ? "-" : format_seconds(number_of(lag, "oldest_ms") / 1000)};
}

int get(const Session& session, const std::string& target,
        const std::function<void(const boost::json::object&)>& table) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response = checked(client->send({.target = target}));
  return show(response, [&](const boost::json::object& answer) {
    if (session.mode == OutputMode::json) return print_line(response->body);
    table(answer);
  });
}

// The whole id of a peer that the node knows, from how it begins.
Result<std::string> whole_id(HttpClient& client, const std::string& text) {
  if (text.size() == kIdDigits) {
    PEAT_TRY(const auto id, EndpointId::parse(text));
    return id.to_string();
  }
  PEAT_TRY(const auto response, checked(client.send({.target = "/api/v1/peers"})));
  PEAT_TRY(const auto answer, parse_json_object(response.body));
  std::vector<std::string> found;
  for (const auto& peer : answer.at("peers").get_array()) {
    auto id = text_of(peer.get_object(), "id");
    if (!text.empty() && id.starts_with(text)) found.push_back(std::move(id));
  }
  if (found.size() == 1) return found.front();
  return fail(Code::invalid_argument,
              found.empty()
                  ? fmt::format("no peer of this node has an id that begins with '{}'", text)
                  : fmt::format("{} peers have ids that begin with '{}'", found.size(), text));
}

Result<std::string> quarantine_target(const std::string& document) {
  PEAT_TRY(const auto name, DocumentName::parse(document));
  return fmt::format("/api/v1/quarantine/{}/{}", broker::percent_encode(name.collection),
                     broker::percent_encode(name.id));
}

void print_listed(const boost::json::object& answer) {
  const auto& documents = answer.at("documents").get_array();
  if (documents.empty()) return print_line("nothing is quarantined");
  std::vector<std::vector<std::string>> rows{
      {"DOCUMENT", "KIND", "PEER", "SINCE", "TIMES", "REASON"}};
  for (const auto& value : documents) {
    const auto& entry = value.get_object();
    rows.push_back({text_of(entry, "collection") + '/' + text_of(entry, "id"),
                    text_of(entry, "kind"), text_of(entry, "peer").substr(0, kPeerWidth),
                    local_time(entry.at("first_ms").to_number<std::int64_t>() / 1000),
                    text_of(entry, "count"), shorten(text_of(entry, "reason"), kReasonWidth)});
  }
  print(format_table(rows));
}

// A file that appears under its name when it is complete.
class Download {
 public:
  explicit Download(std::string name) : name_(std::move(name)), part_(name_ + ".part") {
    fd_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }
  ~Download() {
    if (fd_ >= 0) ::close(fd_);
    if (!kept_) ::unlink(part_.c_str());
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = fd_ < 0 ? -1 : ::write(fd_, bytes.data(), bytes.size());
      if (n < 0) return failed();
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }
  Status keep() {
    if (fd_ < 0 || ::fsync(fd_) != 0 || ::rename(part_.c_str(), name_.c_str()) != 0)
      return failed();
    kept_ = true;
    return {};
  }

 private:
  std::unexpected<Error> failed() const {
    return fail(Code::io_error,
                fmt::format("{}: {}", part_, std::generic_category().message(errno)));
  }

  std::string name_;
  std::string part_;
  int fd_ = -1;
  bool kept_ = false;
};

Result<std::uint64_t> take_backup(HttpClient& client, const std::string& file) {
  Download download(file);
  node::BackupCheck check;
  std::uint64_t size = 0;
  PEAT_TRY_VOID(checked(client.download("/api/v1/backup", [&](std::string_view bytes) -> Status {
    PEAT_TRY(const auto store, check.feed(as_bytes(bytes)));
    size += store.size();
    return download.write(bytes);
  })));
  PEAT_TRY_VOID(check.finish());
  PEAT_TRY_VOID(download.keep());
  return size;
}

}  // namespace

int run_sync(const Session& session) {
  return get(session, "/api/v1/sync", [](const boost::json::object& answer) {
    std::vector<std::vector<std::string>> rows{
        {"PEER", "COLLECTION", "DOCUMENTS BEHIND", "BYTES", "OLDEST"}};
    for (const auto& value : answer.at("peers").get_array()) {
      const auto& peer = value.get_object();
      auto name = text_of(peer, "id").substr(0, kPeerWidth);
      const bool connected = peer.at("connected") == true;
      rows.push_back(lag_row(name + (connected ? "" : " (away)"), "all", peer));
      for (const auto& part : peer.at("collections").get_array()) {
        const auto& collection = part.get_object();
        rows.push_back(lag_row("", text_of(collection, "collection"), collection));
      }
    }
    print(format_table(rows));
  });
}

int run_explain(const Session& session, const ExplainOptions& options) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto peer = whole_id(*client, options.peer);
  if (!peer) return report(peer.error());
  auto target = "/api/v1/explain/peers/" + *peer;
  if (!options.document.empty()) {
    const auto name = DocumentName::parse(options.document);
    if (!name) return report(name.error());
    target = fmt::format("/api/v1/explain/documents/{}/{}?peer={}",
                         broker::percent_encode(name->collection), broker::percent_encode(name->id),
                         *peer);
  }
  return get(session, target, [](const boost::json::object& answer) {
    print_line(text_of(answer, "verdict"));
    std::vector<std::vector<std::string>> rows{{"ABOUT", "", "WHAT"}};
    for (const auto& value : answer.at("findings").get_array()) {
      const auto& finding = value.get_object();
      rows.push_back(
          {text_of(finding, "about"), text_of(finding, "kind"), text_of(finding, "text")});
    }
    print(format_table(rows));
  });
}

int run_quarantine_list(const Session& session) {
  return get(session, "/api/v1/quarantine", print_listed);
}

int run_quarantine_show(const Session& session, const std::string& document) {
  const auto target = quarantine_target(document);
  if (!target) return report(target.error());
  return get(session, *target, [](const boost::json::object& answer) {
    for (const auto& value : answer.at("documents").get_array()) {
      print_line(format_json(value));
    }
  });
}

int run_quarantine_retry(const Session& session, const std::string& document) {
  const auto target = quarantine_target(document);
  if (!target) return report(target.error());
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response = checked(client->send({"POST", *target, "application/json", "{}", {}}));
  return show(response, [&](const boost::json::object& answer) {
    if (session.mode == OutputMode::json) return print_line(response->body);
    const auto asked = answer.at("asked").get_array().size();
    const bool listed = !answer.at("documents").get_array().empty();
    print_line(!listed      ? "read again, and fine"
               : asked == 0 ? "nobody could be asked for it: no peer that may have it is connected"
                            : fmt::format("{} peers were asked for it; peat quarantine list shows "
                                          "whether it helped",
                                          asked));
  });
}

int run_quarantine_drop(const Session& session, const std::string& document) {
  const auto target = quarantine_target(document);
  if (!target) return report(target.error());
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response = checked(client->send({"DELETE", *target, {}, {}, {}}));
  return show(response, [&](const boost::json::object&) {
    print_line(session.mode == OutputMode::json ? response->body : document + " dropped");
  });
}

int run_backup(const Session& session, const std::string& file) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto size = take_backup(*client, file);
  if (!size) return report(size.error());
  print_line(session.mode == OutputMode::json
                 ? boost::json::serialize(boost::json::object{{"file", file}, {"bytes", *size}})
                 : fmt::format("{}: {} of the store; peat-mesh-node restore {} takes it in", file,
                               format_bytes(*size), file));
  return 0;
}

int run_store_compact(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response = checked(client->send(
      {"POST", "/api/v1/store/compact", "application/json", "{}", {}}, std::chrono::seconds(3600)));
  return show(response, [&](const boost::json::object& answer) {
    if (session.mode == OutputMode::json) return print_line(response->body);
    print_line(fmt::format("the store had {}, and has {} now",
                           format_bytes(number_of(answer, "bytes_before")),
                           format_bytes(number_of(answer, "bytes_after"))));
  });
}

}  // namespace peat::cli
