#include <boost/json/serialize.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/random.hpp"
#include "crypto/key_file.hpp"
#include "crypto/secret_file.hpp"
#include "node/mesh_files.hpp"
#include "peat_cli/commands_mesh.hpp"
#include "peat_cli/json.hpp"
#include "security/trust_documents.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kProblemWidth = 60;

WallTime now_wall() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
}

// Names and reasons are other members' words: nothing in them reaches a terminal as a command.
std::string text_of(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "";
  if (!value->is_string()) return boost::json::serialize(*value);
  std::string text(std::string_view(value->get_string()));
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string time_of(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return "";
  const auto ms = value->to_number<std::uint64_t>();
  if (ms == 0) return "never";
  return fmt::format("{:%Y-%m-%d %H:%M}Z", fmt::gmtime(static_cast<std::time_t>(ms / 1000)));
}

Result<boost::json::object> get_members(HttpClient& client) {
  PEAT_TRY(const auto response, checked(client.send({.target = "/api/v1/members"})));
  return parse_json_object(response.body);
}

// By id, the beginning of one, or node id; it must be one alone.
Result<boost::json::object> find_member(HttpClient& client, const std::string& who) {
  PEAT_TRY(const auto members, get_members(client));
  const boost::json::object* found = nullptr;
  for (const auto& value : members.at("members").get_array()) {
    const auto& member = value.get_object();
    const bool matches = text_of(member, "node_id") == who ||
                         (who.size() >= 6 && text_of(member, "id").starts_with(who));
    if (!matches) continue;
    if (found != nullptr) {
      return fail(Code::invalid_argument, fmt::format("'{}' names several members; give an id of "
                                                      "`peat cert list`",
                                                      who));
    }
    found = &member;
  }
  if (found == nullptr) {
    return fail(Code::not_found, fmt::format("no member is called '{}'; `peat cert list` names "
                                             "them",
                                             who));
  }
  return *found;
}

Result<EndpointId> subject_named(HttpClient& client, const std::string& who) {
  if (const auto id = EndpointId::parse(who)) return id;
  PEAT_TRY(const auto member, find_member(client, who));
  return EndpointId::parse(text_of(member, "id"));
}

// What may sign on this machine: the authority's key, or this node's own.
struct Signer {
  security::MeshCredentials credentials;
  std::optional<crypto::SecretKey> authority;
  std::optional<crypto::SecretKey> own;

  const crypto::SecretKey& key() const { return authority ? *authority : *own; }
};

Result<Signer> load_signer(const std::string& data_dir) {
  PEAT_TRY(const auto local, local_node(data_dir, ""));
  const node::MeshFiles files{local.data_dir};
  PEAT_TRY(auto credentials, files.load_credentials());
  if (!credentials) {
    return fail(Code::not_found,
                fmt::format("{} belongs to no mesh; name the node's --data-dir", local.data_dir));
  }
  Signer signer{std::move(*credentials), std::nullopt, std::nullopt};
  PEAT_TRY(signer.authority, files.load_authority_key());
  if (!signer.authority) {
    PEAT_TRY(signer.own, crypto::load_key_file(files.identity_key()));
  }
  return signer;
}

Result<Signer> load_authority(const std::string& data_dir) {
  PEAT_TRY(auto signer, load_signer(data_dir));
  if (!signer.authority) {
    return fail(Code::permission_denied,
                "there is no authority.key here: certify on the machine "
                "where the mesh began");
  }
  return signer;
}

Status put_document(HttpClient& client, const std::string& key, const std::string& json) {
  const auto colon = key.find(':');
  const auto target =
      fmt::format("/api/v1/documents/{}/{}", key.substr(0, colon), key.substr(colon + 1));
  PEAT_TRY_VOID(checked(client.send({"PUT", target, "application/json", json, {}})));
  return {};
}

Status publish(const Session& session, const security::Certificate& certificate) {
  PEAT_TRY(auto client, session.client());
  PEAT_TRY(const auto json, security::certificate_json(certificate, now_wall()));
  return put_document(client, security::certificate_key(certificate.subject), json);
}

Result<security::CertificateRequest> wanted(const CertIssueOptions& options) {
  security::CertificateRequest request;
  PEAT_TRY(request.subject, EndpointId::parse(options.subject));
  request.node_id = options.node_id;
  PEAT_TRY_VOID(security::check_node_name(request.node_id));
  PEAT_TRY(request.tier, security::parse_tier(options.tier));
  PEAT_TRY(request.permissions, security::parse_permissions(options.permissions));
  request.validity = std::chrono::hours(24 * options.days);
  return request;
}

Status issue(const Session& session, const CertIssueOptions& options) {
  PEAT_TRY(const auto request, wanted(options));
  PEAT_TRY(const auto signer, load_authority(options.data_dir));
  PEAT_TRY(
      const auto certificate,
      security::issue_certificate(signer.key(), signer.credentials.mesh_id, request, now_wall()));
  if (options.file.empty()) return publish(session, certificate);
  PEAT_TRY(const auto bytes, certificate.encode());
  SystemRandom random;
  return crypto::write_secret_file(options.file, bytes, crypto::Existing::refuse, random,
                                   "certificate file");
}

Status revoke(const Session& session, const CertRevokeOptions& options) {
  PEAT_TRY(const auto signer, load_signer(options.data_dir));
  PEAT_TRY(auto client, session.client());
  PEAT_TRY(const auto subject, subject_named(client, options.who));
  const auto now = now_wall();
  PEAT_TRY(const auto revocation,
           security::Revocation::create(signer.key(), signer.credentials.mesh_id, subject,
                                        options.reason, static_cast<std::uint64_t>(now.ms), now));
  PEAT_TRY_VOID(put_document(client, security::revocation_key(subject),
                             security::revocation_json(revocation)));
  // Whether the mesh believes it is the node's to say.
  PEAT_TRY(const auto members, get_members(client));
  for (const auto& value : members.at("members").get_array()) {
    const auto& member = value.get_object();
    if (text_of(member, "id") != subject.to_string() || text_of(member, "status") == "revoked") {
      continue;
    }
    return fail(Code::permission_denied,
                fmt::format("the revocation does not count: this node's key may not revoke {}; "
                            "revoke on the authority's machine or with a key that has ADMIN",
                            text_of(member, "node_id")));
  }
  return {};
}

Status renew(const Session& session, const CertRenewOptions& options) {
  PEAT_TRY(const auto signer, load_authority(options.data_dir));
  PEAT_TRY(auto client, session.client());
  PEAT_TRY(const auto member, find_member(client, options.who));
  PEAT_TRY(const auto subject, EndpointId::parse(text_of(member, "id")));
  if (text_of(member, "status") == "revoked") {
    return fail(Code::certificate_revoked,
                fmt::format("{} was revoked; its device needs a new key", options.who));
  }
  PEAT_TRY(const auto tier, security::parse_tier(text_of(member, "tier")));
  PEAT_TRY(const auto permissions, security::parse_permissions(text_of(member, "permissions")));
  PEAT_TRY(const auto certificate,
           security::issue_certificate(signer.key(), signer.credentials.mesh_id,
                                       {subject, text_of(member, "node_id"), tier, permissions,
                                        std::chrono::hours(24 * options.days)},
                                       now_wall()));
  return publish(session, certificate);
}

int done(const Status& status) { return status ? 0 : report(status.error()); }

}  // namespace

int run_cert_list(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto members = get_members(*client);
  if (!members) return report(members.error());
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(*members));
    return 0;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "NAME", "STATUS", "TIER", "PERMISSIONS", "EXPIRES", "WHY"}};
  for (const auto& value : members->at("members").get_array()) {
    const auto& member = value.get_object();
    rows.push_back({text_of(member, "id").substr(0, 10), text_of(member, "node_id"),
                    text_of(member, "status"), text_of(member, "tier"),
                    text_of(member, "permissions"), time_of(member, "expires_at_ms"),
                    shorten(text_of(member, "problem"), kProblemWidth)});
  }
  print(format_table(rows));
  return 0;
}

int run_cert_show(const Session& session, const std::string& who) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto member = find_member(*client, who);
  if (!member) return report(member.error());
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(*member));
    return 0;
  }
  const auto line = [](std::string_view name, const std::string& value) {
    if (!value.empty()) print(fmt::format("{:<12} {}\n", name, value));
  };
  line("id", text_of(*member, "id"));
  line("name", text_of(*member, "node_id"));
  line("status", text_of(*member, "status"));
  line("why", text_of(*member, "problem"));
  if (const auto* revoked = member->if_contains("revoked");
      revoked != nullptr && revoked->is_object()) {
    line("revoked by", text_of(revoked->get_object(), "by"));
    line("revoked at", time_of(revoked->get_object(), "timestamp_ms"));
  }
  line("tier", text_of(*member, "tier"));
  line("permissions", text_of(*member, "permissions"));
  line("issued", time_of(*member, "issued_at_ms"));
  line("expires", time_of(*member, "expires_at_ms"));
  line("issuer", text_of(*member, "issuer"));
  return 0;
}

int run_cert_issue(const Session& session, const CertIssueOptions& options) {
  return done(issue(session, options));
}

int run_cert_revoke(const Session& session, const CertRevokeOptions& options) {
  return done(revoke(session, options));
}

int run_cert_renew(const Session& session, const CertRenewOptions& options) {
  return done(renew(session, options));
}

}  // namespace peat::cli
