#include "broker/json_text.hpp"
#include "broker/routes.hpp"

namespace peat::broker {

namespace {

std::string_view status_of(const security::Member& member) {
  if (!member.problem) return "valid";
  switch (member.problem->code) {
    case Code::certificate_revoked:
      return "revoked";
    case Code::certificate_expired:
      return "expired";
    default:
      return "not trusted";
  }
}

void append_revocation(std::string& out, const security::Revocation& revocation) {
  JsonObject object(out);
  object.text("subject", revocation.subject.to_string());
  object.text("reason", revocation.reason);
  object.number("timestamp_ms", revocation.timestamp_ms);
  if (revocation.seal) {
    object.text("by", revocation.seal->issuer.to_string());
  } else {
    object.null("by");
  }
  object.close();
}

void append_member(std::string& out, const security::Member& member) {
  const auto& certificate = member.certificate;
  JsonObject object(out);
  object.text("id", certificate.subject.to_string());
  object.text("node_id", certificate.node_id);
  object.text("status", status_of(member));
  object.text("problem", member.problem ? member.problem->message : std::string());
  object.text("tier", security::to_string(certificate.tier));
  object.text("permissions", security::describe_permissions(certificate.permissions));
  object.number("issued_at_ms", certificate.issued_at_ms);
  object.number("expires_at_ms", certificate.expires_at_ms);
  object.text("issuer", certificate.issuer.to_string());
  object.boolean("authority", member.authority);
  if (member.revoked) {
    object.member("revoked");
    append_revocation(out, *member.revoked);
  } else {
    object.null("revoked");
  }
  object.close();
}

}  // namespace

void get_pending(Call call) {
  const auto devices = call.node.pending();
  Response response;
  JsonObject object(response.body);
  object.member("pending");
  JsonArray array(response.body);
  for (const auto& device : devices) {
    array.element();
    JsonObject entry(response.body);
    entry.text("id", device.subject.to_string());
    entry.text("node_id", device.node_id);
    entry.text("tier", security::to_string(device.tier));
    entry.text("permissions", security::describe_permissions(device.permissions));
    entry.integer("asked_at_ms", device.asked_at_ms);
    entry.close();
  }
  array.close();
  object.number("count", devices.size());
  object.close();
  call.respond(std::move(response));
}

namespace {

void decide(const Call& call, bool approved) {
  const auto id = EndpointId::parse(call.id);
  const auto decided = id ? call.node.decide_pending(*id, approved) : std::unexpected(id.error());
  if (!decided) return call.respond(problem(decided.error()));
  Response response;
  response.status = 204;
  call.respond(std::move(response));
}

}  // namespace

void approve_pending(Call call) { decide(call, true); }
void deny_pending(Call call) { decide(call, false); }

void get_members(Call call) {
  const auto members = call.node.members();
  Response response;
  JsonObject object(response.body);
  object.member("members");
  JsonArray array(response.body);
  for (const auto& member : members) {
    array.element();
    append_member(response.body, member);
  }
  array.close();
  object.number("count", members.size());
  object.close();
  call.respond(std::move(response));
}

}  // namespace peat::broker
