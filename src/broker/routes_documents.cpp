#include <fmt/format.h>

#include <charconv>

#include "base/encoding.hpp"
#include "broker/json_text.hpp"
#include "broker/routes.hpp"
#include "broker/write_answer.hpp"

namespace peat::broker {

namespace {

Response document_not_found(const Call& call) {
  return problem(Code::not_found,
                 fmt::format("document not found: {}/{}", call.collection, call.id));
}

// Softly deleted documents only on request.
bool shown(const sync::DocumentView& document, const Call& call) {
  return !document.deleted || call.target.value("deleted") == "1";
}

// True if `tag` is among the tags of a header's list.
bool lists_tag(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    auto item = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item == tag) return true;
  }
  return false;
}

// Nothing can change between this look and the write: both happen in one turn of the loop.
Result<sync::Precondition> precondition(const Call& call, std::string_view key) {
  sync::Precondition result;
  if (call.request.if_none_match) {
    if (*call.request.if_none_match != "*") {
      return fail(Code::invalid_argument, "a write takes If-None-Match: * alone");
    }
    result.if_absent = true;
    return result;
  }
  if (!call.request.if_match) return result;
  PEAT_TRY(const auto heads, call.node.heads(key));
  const auto& wanted = *call.request.if_match;
  if (!heads || (wanted != "*" && !lists_tag(wanted, etag_of(*heads)))) {
    return fail(Code::precondition_failed,
                fmt::format("If-Match: {} does not hold: {}/{} {}", wanted, call.collection,
                            call.id, heads ? "has ETag " + etag_of(*heads) : "does not exist"));
  }
  result.if_heads = *heads;
  return result;
}

void get_history(Call& call, std::string_view key) {
  const auto heads = call.node.heads(key);
  if (!heads) return call.respond(problem(heads.error()));
  if (!*heads) return call.respond(document_not_found(call));
  const auto changes = call.node.history(key);
  if (!changes) return call.respond(problem(changes.error()));
  Response response;
  response.headers.emplace_back("ETag", etag_of(**heads));
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.member("heads");
  append_heads(response.body, **heads);
  object.member("changes");
  JsonArray array(response.body);
  for (const auto& change : *changes) {
    array.element();
    JsonObject entry(response.body);
    entry.text("hash", change.hash.to_string());
    entry.text("actor", change.actor.to_string());
    entry.number("seq", change.seq);
    entry.number("start_op", change.start_op);
    entry.number("ops", change.op_count);
    entry.integer("time", change.time);
    entry.text("message", change.message);
    entry.member("deps");
    append_heads(response.body, change.deps);
    entry.close();
  }
  array.close();
  object.close();
  call.respond(std::move(response));
}

void append_origin(JsonObject& entry, const sync::ConflictValue& value) {
  entry.text("actor", value.actor.to_string());
  entry.integer("time", value.time);
  entry.text("change", value.change.to_string());
}

void get_conflicts(Call& call, std::string_view key) {
  const auto found = call.node.conflicts(key);
  if (!found) return call.respond(problem(found.error()));
  if (!*found || !shown((*found)->document, call)) return call.respond(document_not_found(call));
  const auto& document = (*found)->document;
  Response response;
  response.headers.emplace_back("ETag", etag_of(document.heads));
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.raw("document", document.json);
  object.member("conflicts");
  JsonArray array(response.body);
  for (const auto& conflict : (*found)->conflicts) {
    array.element();
    JsonObject entry(response.body);
    entry.raw("path", conflict.path);
    entry.member("winner");
    JsonObject winner(response.body);
    append_origin(winner, conflict.winner);
    winner.close();
    entry.member("others");
    JsonArray others(response.body);
    for (const auto& value : conflict.others) {
      others.element();
      JsonObject other(response.body);
      other.raw("value", value.json);
      append_origin(other, value);
      other.close();
    }
    others.close();
    entry.close();
  }
  array.close();
  object.close();
  call.respond(std::move(response));
}

using Write = void (node::NodeApi::*)(std::string_view, std::string_view, const sync::Precondition&,
                                      node::NodeApi::WriteDone);

void write_document(Call call, Write write) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  if (const auto fine = check_depth(call.request.body, call.limits.http_json_depth); !fine) {
    return call.respond(problem(fine.error()));
  }
  const auto condition = precondition(call, *key);
  if (!condition) return call.respond(problem(condition.error()));
  const auto wait = wait_in_query(call.target);
  if (!wait) return call.respond(problem(wait.error()));
  auto& node = call.node;
  const auto body = std::move(call.request.body);
  const auto answer = std::make_shared<WriteAnswer>(call, wait->has_value());
  (node.*write)(*key, body, *condition, answer->on_written());
  if (*wait) node.await_holders(*key, (*wait)->wanted, (*wait)->deadline, answer->on_held());
}

}  // namespace

void append_heads(std::string& out, const automerge::Heads& heads) {
  JsonArray array(out);
  for (const auto& head : heads) {
    array.element();
    append_json_string(out, head.to_string());
  }
  array.close();
}

Result<std::uint64_t> number_in_query(const Target& target, std::string_view name,
                                      std::uint64_t fallback) {
  const auto text = target.value(name);
  if (!text) return fallback;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size()) {
    return fail(Code::invalid_argument, fmt::format("{}={} in the URL is no number", name, *text));
  }
  return value;
}

void append_collections(std::string& out, const std::vector<node::CollectionInfo>& collections) {
  JsonArray array(out);
  for (const auto& collection : collections) {
    array.element();
    JsonObject entry(out);
    entry.text("collection", collection.name);
    entry.number("documents", collection.documents);
    entry.close();
  }
  array.close();
}

void get_collections(Call call) {
  const auto collections = call.node.collections();
  Response response;
  JsonObject object(response.body);
  object.member("collections");
  append_collections(response.body, collections);
  object.number("count", collections.size());
  object.close();
  call.respond(std::move(response));
}

void get_document(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  if (call.target.value("history") == "1") return get_history(call, *key);
  if (call.target.value("conflicts") == "1") return get_conflicts(call, *key);
  const auto found = call.node.get(*key);
  if (!found) return call.respond(problem(found.error()));
  if (!*found || !shown(**found, call)) return call.respond(document_not_found(call));
  Response response;
  const auto tag = etag_of((*found)->heads);
  response.headers.emplace_back("ETag", tag);
  if (call.request.if_none_match &&
      (*call.request.if_none_match == "*" || lists_tag(*call.request.if_none_match, tag))) {
    response.status = 304;
    return call.respond(std::move(response));
  }
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.raw("document", (*found)->json);
  object.close();
  call.respond(std::move(response));
}

void put_document(Call call) { write_document(std::move(call), &node::NodeApi::put); }

void patch_document(Call call) {
  const bool settles = call.target.value("conflicts") == "1";
  write_document(std::move(call), settles ? &node::NodeApi::settle : &node::NodeApi::patch);
}

void delete_document(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  const auto condition = precondition(call, *key);
  if (!condition) return call.respond(problem(condition.error()));
  const auto heads = call.node.heads(*key);
  if (heads && !*heads) return call.respond(document_not_found(call));
  call.node.erase(*key, *condition,
                  [respond = std::move(call.respond), collection = call.collection,
                   id = call.id](Result<sync::WriteResult> result) {
                    if (!result) return respond(problem(result.error()));
                    Response response;
                    JsonObject object(response.body);
                    object.text("collection", collection);
                    object.text("id", id);
                    object.boolean("deleted", true);
                    object.close();
                    respond(std::move(response));
                  });
}

void get_heads(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  const auto heads = call.node.heads(*key);
  if (!heads) return call.respond(problem(heads.error()));
  if (!*heads) return call.respond(document_not_found(call));
  Response response;
  response.headers.emplace_back("ETag", etag_of(**heads));
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.member("heads");
  append_heads(response.body, **heads);
  object.close();
  call.respond(std::move(response));
}

}  // namespace peat::broker
