// The commands of `peat`, one function each. Every function returns the exit code: 0 done, 1
// timeout or no peers, 2 authentication, 3 permission, 4 bad request; 130 is an interrupt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "peat/error.hpp"
#include "peat_cli/http_client.hpp"
#include "peat_cli/output.hpp"

namespace peat::cli {

// What all commands share.
struct Session {
  std::string api;
  OutputMode mode = OutputMode::json;
  std::uint32_t timeout_seconds = 30;

  std::string token_file = {};  // whose first line is sent as the bearer token; "": none

  Result<HttpClient> client() const;
};

// Prints the error to standard error; the exit code of its row.
int report(const Error& error);

// "COLLECTION/ID": the id may hold further slashes.
struct DocumentName {
  std::string collection;
  std::string id;
  static Result<DocumentName> parse(const std::string& text);
  std::string target() const;  // path in the interface
};
std::string collection_target(const std::string& collection);

// commands_token.cpp
struct TokenNewOptions {
  std::string name;
  std::string file;
  std::string scope = "read";
  std::uint32_t days = 90;
};
int run_token_new(const TokenNewOptions& options);

// commands_node.cpp
int run_id(const std::string& data_dir);
int run_secret_new();
int run_status(const Session& session);
int run_peers(const Session& session);
int run_access(const Session& session);
int run_store(const Session& session);
int run_store_reseal(const Session& session);
struct ConnectOptions {
  std::string peer;
  std::uint32_t wait_seconds = 10;
};
int run_connect(const Session& session, const ConnectOptions& options);
int run_disconnect(const Session& session, const std::string& peer);

// commands_documents.cpp
struct GetOptions {
  std::string name;
  bool history = false;
  bool heads = false;
  bool deleted = false;
  bool conflicts = false;
};
int run_get(const Session& session, const GetOptions& options);
struct PutOptions {
  std::string name;
  std::string json;  // inline, or
  std::string from;  // a file, "-": standard input
  std::string if_match;
  bool if_absent = false;
  std::string wait;  // "": for nobody
  std::uint32_t wait_seconds = 10;
};
int run_put(const Session& session, const PutOptions& options);
struct UpdateOptions {
  std::string name;
  std::vector<std::string> set;      // path=value
  std::vector<std::string> unset;    // path
  std::vector<std::string> resolve;  // path=value
  std::string if_match;
};
int run_update(const Session& session, const UpdateOptions& options);
struct DeleteOptions {
  std::string name;
  std::string if_match;
};
int run_delete(const Session& session, const DeleteOptions& options);
struct ListOptions {
  std::string collection;  // "": the collections
  std::string prefix;
  std::string after;
  std::uint32_t limit = 100;
  bool deleted = false;
  bool heads = false;
};
int run_list(const Session& session, const ListOptions& options);
struct WatchOptions {
  std::string collection;
  std::string prefix;
  std::optional<std::uint64_t> after;
  std::string query;        // instead of these: a live query
  std::string resume;       // of it
  std::uint32_t count = 0;  // 0: until interrupted
};
int run_watch(const Session& session, const WatchOptions& options);

// commands_conflicts.cpp
int run_get_conflicts(const Session& session, const GetOptions& options);
int run_resolve(const Session& session, const UpdateOptions& options);

// commands_query.cpp
struct QueryOptions {
  std::string text;
  std::string page;
  bool ids = false;
};
int run_query(const Session& session, const QueryOptions& options);
int run_live_query(const Session& session, const WatchOptions& options);

// {"a": {"b": 3}, "c": null} from --set a.b=3 --unset c. A value that is no JSON is a text.
Result<std::string> merge_patch(const std::vector<std::string>& set,
                                const std::vector<std::string>& unset);

// commands_operations.cpp
int run_sync(const Session& session);
struct ExplainOptions {
  std::string document;  // "": the peer alone
  std::string peer;      // an endpoint id, or how the only one begins
};
int run_explain(const Session& session, const ExplainOptions& options);
int run_quarantine_list(const Session& session);
int run_quarantine_show(const Session& session, const std::string& document);
int run_quarantine_retry(const Session& session, const std::string& document);
int run_quarantine_drop(const Session& session, const std::string& document);
int run_backup(const Session& session, const std::string& file);
int run_store_compact(const Session& session);

// commands_bulk.cpp
struct ImportOptions {
  std::string collection;
  std::string file;  // "-": standard input
  std::string key;
  bool skip_bad = false;
};
int run_import(const Session& session, const ImportOptions& options);
struct ExportOptions {
  std::string collection;
  std::string file;  // "" or "-": standard output
};
int run_export(const Session& session, const ExportOptions& options);

// "-": standard input.
Result<std::string> read_input(const std::string& file);

}  // namespace peat::cli
