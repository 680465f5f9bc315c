#include "node/membership.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/reader.hpp"
#include "node/enrollment_dial.hpp"
#include "node/introduction.hpp"
#include "security/trust_documents.hpp"

namespace peat::node {

namespace {

using security::Certificate;
using security::Revocation;

constexpr std::string_view kRevocationsMeta = "security.revocations";
constexpr std::string_view kTokensMeta = "security.tokens";
constexpr std::uint8_t kRecordVersion = 1;
constexpr Duration kSweep = std::chrono::minutes(1);
constexpr Duration kRenewPause = std::chrono::minutes(10);
constexpr std::size_t kPage = 1000;

// record := u8 1, count x { u32le n, revocation[n] }
Bytes encode_revocations(const std::vector<Revocation>& revocations) {
  Bytes out;
  Writer writer(out);
  writer.u8(kRecordVersion);
  for (const auto& revocation : revocations) {
    const auto bytes = revocation.encode();
    writer.u32le(static_cast<std::uint32_t>(bytes.size()));
    writer.bytes(bytes);
  }
  return out;
}

Result<std::vector<Revocation>> decode_revocations(ByteView record) {
  Reader reader(record);
  PEAT_TRY(const auto version, reader.u8("version"));
  if (version != kRecordVersion) {
    return fail(Code::store_too_new,
                fmt::format("the record of revocations is of version {}", version));
  }
  std::vector<Revocation> out;
  while (!reader.done()) {
    PEAT_TRY(const auto length, reader.u32le("revocation length"));
    PEAT_TRY(const auto bytes, reader.take(length, "revocation"));
    PEAT_TRY(auto revocation, Revocation::decode(bytes));
    out.push_back(std::move(revocation));
  }
  return out;
}

security::TrustOptions trust_options(const security::MeshCredentials& credentials,
                                     const Limits& limits) {
  security::TrustOptions options;
  options.mesh_id = credentials.mesh_id;
  options.authorities = {credentials.authority};
  options.limits = limits;
  return options;
}

bool is_trust_document(std::string_view key) {
  const auto collection = key.substr(0, key.find(':'));
  return collection == security::kCertificates || collection == security::kRevocations;
}

}  // namespace

Membership::Membership(Deps deps, MeshFiles files, security::MeshCredentials credentials)
    : deps_(std::move(deps)),
      files_(std::move(files)),
      credentials_(std::move(credentials)),
      trust_(trust_options(credentials_, deps_.limits)) {}

Membership::~Membership() {
  *alive_ = false;
  stop();
}

Result<std::unique_ptr<Membership>> Membership::open(Deps deps, MeshFiles files) {
  PEAT_TRY(auto credentials, files.load_credentials());
  if (!credentials) return std::unique_ptr<Membership>();
  std::unique_ptr<Membership> out(
      new Membership(std::move(deps), std::move(files), std::move(*credentials)));
  PEAT_TRY_VOID(out->load());
  return out;
}

// --- start and stop ----------------------------------------------------------------------------

Status Membership::load() {
  PEAT_TRY(peers_, files_.load_peers());
  PEAT_TRY(authority_, files_.load_authority_key());
  if (authority_ && authority_->public_key() != credentials_.authority) {
    return fail(Code::bad_key_file,
                fmt::format("{} is not the key of this mesh's authority, {}",
                            files_.authority_key(), credentials_.authority.to_string()));
  }
  PEAT_TRY_VOID(load_revocations());
  PEAT_TRY(const auto own, files_.load_certificates());
  for (const auto& certificate : own) add_certificate(certificate, files_.certificates());
  PEAT_TRY_VOID(load_documents());
  PEAT_TRY_VOID(open_enrollment());
  introductions_ = std::make_unique<RequestServer>(
      deps_.executor, deps_.limits,
      [this](const auto& id) { return deps_.may_use(id, kAlpnIntroduce); },
      [this](const RequestServer::Request& request, const RequestServer::Respond& respond) {
        on_introduction(request, respond);
      });
  return {};
}

Status Membership::load_revocations() {
  PEAT_TRY(const auto record, deps_.store.meta(kRevocationsMeta));
  if (!record) return {};
  PEAT_TRY(const auto revocations, decode_revocations(*record));
  for (const auto& revocation : revocations) trust_.restore(revocation);
  return {};
}

// Certificates in the order in which they were issued, the authority's own first: who held a name
// before this start holds it afterwards.
Status Membership::load_documents() {
  std::vector<Certificate> certificates;
  std::string after;
  while (true) {
    PEAT_TRY(const auto keys,
             deps_.store.keys(std::string(security::kCertificates) + ":", after, kPage));
    if (keys.empty()) break;
    after = keys.back();
    for (const auto& key : keys) {
      const auto subject = security::subject_of_key(key);
      const auto view = deps_.documents.get(key);
      if (!subject || !view || !*view || (*view)->deleted) continue;
      auto certificate = security::parse_certificate_json((*view)->json, *subject);
      if (certificate) certificates.push_back(std::move(*certificate));
    }
  }
  std::ranges::sort(certificates, {}, [this](const Certificate& certificate) {
    return std::pair(!trust_.is_authority(certificate.issuer), certificate.issued_at_ms);
  });
  for (const auto& certificate : certificates) add_certificate(certificate, "document");
  after.clear();
  while (true) {
    PEAT_TRY(const auto keys,
             deps_.store.keys(std::string(security::kRevocations) + ":", after, kPage));
    if (keys.empty()) break;
    after = keys.back();
    for (const auto& key : keys) look_at(key);
  }
  // Also those whose documents somebody has deleted meanwhile.
  for (const auto& revocation : trust_.revocations()) {
    look_at(security::revocation_key(revocation.subject));
  }
  keep_revocations();
  return {};
}

// Which invitations are used must be known: a record that cannot be read would let them in again.
Status Membership::open_enrollment() {
  if (!authority_ || credentials_.policy == security::MembershipPolicy::strict) return {};
  security::EnrollmentOptions options;
  options.server = deps_.key.public_key();
  options.mesh_name = credentials_.mesh_name;
  options.policy = credentials_.policy;
  options.approval = deps_.approval;
  options.limits = deps_.limits;
  service_ = std::make_unique<security::EnrollmentService>(
      *authority_, credentials_.formation_secret, trust_, std::move(options));
  PEAT_TRY(const auto record, deps_.store.meta(kTokensMeta));
  if (record) {
    PEAT_TRY(const auto uses, security::decode_token_uses(*record));
    service_->restore(uses);
  }
  server_ = std::make_unique<RequestServer>(
      deps_.executor, deps_.limits,
      [this](const auto& id) { return deps_.may_use(id, security::kAlpnEnroll); },
      [this](RequestServer::Request request, RequestServer::Respond respond) {
        decide(std::move(request), std::move(respond));
      });
  return {};
}

std::vector<std::pair<std::string, transport::AcceptCallback>> Membership::protocols() {
  std::vector<std::pair<std::string, transport::AcceptCallback>> out;
  if (server_) {
    out.emplace_back(security::kAlpnEnroll,
                     [this](std::shared_ptr<transport::Connection> connection) {
                       if (server_) server_->accept(std::move(connection));
                     });
  }
  out.emplace_back(kAlpnIntroduce, [this](std::shared_ptr<transport::Connection> connection) {
    if (introductions_) introductions_->accept(std::move(connection));
  });
  return out;
}

void Membership::start(sync::Connector& connector, transport::Endpoint& endpoint) {
  connector_ = &connector;
  endpoint_ = &endpoint;
  sweep();
}

void Membership::stop() {
  if (sweep_timer_ != 0) deps_.executor.cancel(std::exchange(sweep_timer_, 0));
  server_.reset();
  introductions_.reset();
  connector_ = nullptr;
  endpoint_ = nullptr;
}

// --- the answers -------------------------------------------------------------------------------

Status Membership::admit(const EndpointId& key) const {
  if (credentials_.policy == security::MembershipPolicy::open) {
    const auto* revocation = trust_.revocation_of(key);
    if (revocation == nullptr) return {};
    return fail(Code::certificate_revoked,
                fmt::format("{} was revoked: \"{}\"", key.short_form(), revocation->reason));
  }
  PEAT_TRY_VOID(trust_.authorize(key, 0, wall()));
  return {};
}

security::Standing Membership::standing(const EndpointId& key) const {
  const auto certificate = trust_.authorize(key, 0, wall());
  if (!certificate) return {.id = key};
  return {key, true, (*certificate)->tier, (*certificate)->permissions};
}

std::optional<security::Standing> Membership::author(std::span<const std::uint8_t> prefix) const {
  const auto subject = trust_.subject_that_begins(prefix);
  if (!subject) return std::nullopt;
  const auto known = standing(*subject);
  return known.certified ? std::optional(known) : std::nullopt;
}

std::vector<security::Member> Membership::members() const { return trust_.members(wall()); }

std::vector<security::PendingDevice> Membership::pending() const {
  return service_ ? service_->pending() : std::vector<security::PendingDevice>();
}

Status Membership::decide_pending(const EndpointId& device, bool approved) {
  if (!service_) {
    return fail(Code::not_found, "this node enrols nobody: devices wait at the mesh's authority");
  }
  PEAT_TRY_VOID(service_->decide(device, approved));
  tell(LogLevel::info, "pending " + device.to_string(),
       fmt::format("device {} by the operator subject={}", approved ? "approved" : "refused",
                   device.to_string()));
  return {};
}

// --- documents ---------------------------------------------------------------------------------

void Membership::on_change(const store::ChangeEvent& change) {
  if (!is_trust_document(change.key)) return;
  changed_.insert(change.key);
  if (std::exchange(look_posted_, true)) return;
  deps_.executor.post([this, alive = alive_] {
    if (!*alive) return;
    look_posted_ = false;
    look_at_changed();
    expel_the_unwelcome();
  });
}

void Membership::look_at_changed() {
  const auto changed = std::exchange(changed_, {});
  for (const auto& key : changed) look_at(key);
  keep_revocations();
}

void Membership::look_at(const std::string& document_key) {
  const auto subject = security::subject_of_key(document_key);
  if (!subject) return;
  const auto view = deps_.documents.get(document_key);
  const bool there = view && *view && !(*view)->deleted;
  const std::string_view json = there ? std::string_view((*view)->json) : std::string_view();
  if (document_key.starts_with(security::kCertificates)) {
    look_at_certificate(*subject, json);
  } else {
    look_at_revocation(*subject, json);
  }
}

void Membership::look_at_certificate(const EndpointId& subject, std::string_view json) {
  auto certificate = json.empty() ? fail(Code::not_found, "the document is gone")
                                  : security::parse_certificate_json(json, subject);
  if (subject == deps_.key.public_key()) {
    const auto* own = trust_.certificate_of(subject);
    own_disturbed_ = own != nullptr && (!certificate || *certificate != *own);
  }
  if (certificate) {
    add_certificate(*certificate, "document");
  } else if (!json.empty()) {
    tell(LogLevel::warn, "certificate " + subject.to_string(),
         fmt::format("certificate ignored subject={} reason=\"{}\"", subject.short_form(),
                     certificate.error().message));
  }
}

void Membership::add_certificate(const Certificate& certificate, std::string_view source) {
  const auto added = trust_.add_certificate(certificate, wall());
  if (added) return;
  tell(LogLevel::warn, "certificate " + certificate.subject.to_string(),
       fmt::format("certificate refused subject={} node_id=\"{}\" from={} reason=\"{}\"",
                   certificate.subject.short_form(), certificate.node_id, source,
                   added.error().message));
}

void Membership::look_at_revocation(const EndpointId& subject, std::string_view json) {
  const auto revocation = json.empty() ? fail(Code::not_found, "the document is gone")
                                       : security::parse_revocation_json(json, subject);
  const auto* believed = trust_.revocation_of(subject);
  if (believed != nullptr && believed->seal && (!revocation || *revocation != *believed)) {
    disturbed_.insert(subject);
  }
  if (json.empty()) return trust_.lift_suspension(subject);
  if (revocation) return add_revocation(*revocation);
  tell(LogLevel::warn, "revocation " + subject.to_string(),
       fmt::format("revocation ignored subject={} reason=\"{}\"", subject.short_form(),
                   revocation.error().message));
}

void Membership::add_revocation(const Revocation& revocation) {
  const auto& subject = revocation.subject;
  const auto added = trust_.add_revocation(revocation, wall());
  if (!added) {
    tell(LogLevel::warn, "revocation " + subject.to_string(),
         fmt::format("revocation refused subject={} reason=\"{}\"", subject.short_form(),
                     added.error().message));
    return;
  }
  if (*added != security::Added::stored) return;
  tell(LogLevel::warn, "revoked " + subject.to_string(),
       fmt::format("revoked subject={} by={} reason=\"{}\"", subject.to_string(),
                   revocation.seal ? revocation.seal->issuer.short_form() : "nobody",
                   revocation.reason));
  revocations_changed_ = true;
}

// Documents can be overwritten by any member; what was believed once stays believed. Once a turn:
// a member may revoke many at a time.
void Membership::keep_revocations() {
  if (!std::exchange(revocations_changed_, false)) return;
  store::WriteBatch batch;
  batch.put_meta(std::string(kRevocationsMeta), encode_revocations(trust_.revocations()));
  if (const auto written = deps_.store.write(std::move(batch)); !written) {
    tell(LogLevel::error, "revocations",
         fmt::format("revocations are not kept: {}", written.error().message));
  }
}

void Membership::publish(const Certificate& certificate) {
  const auto json = security::certificate_json(certificate, wall());
  const auto key = security::certificate_key(certificate.subject);
  const auto written = json ? deps_.documents.put(key, *json) : std::unexpected(json.error());
  if (written) return;
  tell(LogLevel::error, key,
       fmt::format("certificate not published subject={} reason=\"{}\"",
                   certificate.subject.short_form(), written.error().message));
}

void Membership::expel_the_unwelcome() {
  if (connector_ == nullptr) return;
  for (const auto& id : connector_->connected_peers()) {
    const auto connection = connector_->get_connection(id);
    if (!connection || !connection->authenticated) continue;
    if (const auto admitted = admit(id); !admitted) connector_->expel(id, admitted.error());
  }
  deps_.on_looked();
}

// --- every minute ------------------------------------------------------------------------------

void Membership::sweep() {
  expel_the_unwelcome();
  put_back();
  renew_when_due();
  sweep_timer_ = deps_.executor.at(deps_.executor.now().mono + kSweep, [this] {
    sweep_timer_ = 0;
    sweep();
  });
}

void Membership::put_back() {
  for (const auto& subject : std::exchange(disturbed_, {})) {
    const auto* revocation = trust_.revocation_of(subject);
    if (revocation == nullptr) continue;
    const auto written = deps_.documents.put(security::revocation_key(subject),
                                             security::revocation_json(*revocation));
    if (!written) {
      disturbed_.insert(subject);  // again with the next sweep
      tell(LogLevel::error, "put back " + subject.to_string(),
           fmt::format("revocation not put back subject={} reason=\"{}\"", subject.short_form(),
                       written.error().message));
      continue;
    }
    tell(LogLevel::warn, "put back " + subject.to_string(),
         fmt::format("revocation put back subject={}: its document was changed or deleted",
                     subject.short_form()));
  }
  const auto* own = trust_.certificate_of(deps_.key.public_key());
  if (own == nullptr) return;
  const auto key = security::certificate_key(own->subject);
  const auto heads = deps_.store.heads(key);
  const bool missing = heads && !*heads;
  if (std::exchange(own_disturbed_, false) || missing) publish(*own);
}

void Membership::renew_when_due() {
  const auto now = deps_.executor.now();
  const auto* own = trust_.certificate_of(deps_.key.public_key());
  if (own == nullptr || own->expires_at_ms == 0 || renewing_ || now.mono < renew_not_before_)
    return;
  const auto life = own->expires_at_ms - own->issued_at_ms;
  if (static_cast<std::uint64_t>(now.wall.ms) < own->issued_at_ms + life / 3 * 2) return;
  renew_not_before_ = now.mono + kRenewPause;
  if (authority_) {
    const auto renewed = security::issue_certificate(
        *authority_, credentials_.mesh_id,
        {own->subject, own->node_id, own->tier, own->permissions, security::kDefaultValidity},
        now.wall);
    if (renewed) take_certificate(*renewed, {});
    return;
  }
  if (peers_.empty() || endpoint_ == nullptr) return;
  security::EnrollmentTask task;
  task.server = peers_.front().id;
  task.authority = credentials_.authority;
  task.mesh_id = credentials_.mesh_id;
  task.node_id = own->node_id;
  task.limits = deps_.limits;
  std::vector<std::string> addresses;
  for (const auto& peer : peers_) {
    if (peer.id == task.server) addresses.push_back(peer.address.to_string());
  }
  renewing_ = true;
  enroll(*endpoint_, deps_.executor, deps_.key, std::move(task), std::move(addresses),
         [this, alive = alive_](EnrollmentResult result) {
           if (!*alive) return;
           renewing_ = false;
           if (!result.enrolled) {
             tell(LogLevel::warn, "renewal",
                  fmt::format("certificate not renewed reason=\"{}\"",
                              result.enrolled.error().message));
             return;
           }
           std::vector<Certificate> chain;
           if (result.enrolled->extension) chain = result.enrolled->extension->chain;
           take_certificate(result.enrolled->certificate, chain);
         });
}

void Membership::take_certificate(const Certificate& certificate,
                                  const std::vector<Certificate>& chain) {
  std::vector<Certificate> mine{certificate};
  for (const auto& link : chain) {
    if (mine.size() < security::kChainMax) mine.push_back(link);
  }
  for (const auto& link : mine) add_certificate(link, "renewal");
  if (const auto saved = files_.save_certificates(mine, deps_.random); !saved) {
    tell(LogLevel::error, "certificates",
         fmt::format("the renewed certificate is not kept: {}", saved.error().message));
  }
  publish(certificate);
  tell(LogLevel::info, "renewed",
       fmt::format("certificate renewed until_ms={}", certificate.expires_at_ms));
}

// --- introductions -----------------------------------------------------------------------------

std::vector<Certificate> Membership::own_chain() const {
  return trust_.chain_of(deps_.key.public_key());
}

// A stranger's chain is judged by itself first: it leaves nothing behind unless it leads to the
// authority.
Status Membership::take_chain(const std::vector<Certificate>& chain, const EndpointId& id) {
  security::TrustStore alone(trust_options(credentials_, deps_.limits));
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) {
    (void)alone.add_certificate(*at, wall());
  }
  PEAT_TRY_VOID(alone.authorize(id, 0, wall()));
  const auto* before = trust_.certificate_of(id);
  const auto known = before == nullptr ? std::nullopt : std::optional(*before);
  for (auto at = chain.rbegin(); at != chain.rend(); ++at) add_certificate(*at, "introduction");
  PEAT_TRY(const auto* certificate, trust_.authorize(id, 0, wall()));
  // What is known is known to the others, too: its document is not written again.
  if (!known || *known != *certificate) publish(*certificate);
  return {};
}

void Membership::on_refused(const sync::RefusedPeer& refused) {
  const bool unknown = refused.dialled && refused.error.code == Code::not_trusted;
  auto own = own_chain();
  if (!unknown || own.empty() || endpoint_ == nullptr || refused.address.empty() ||
      !introducing_.insert(refused.id).second) {
    return;
  }
  introduce(*endpoint_, deps_.executor, refused.id, refused.address, own,
            [this, alive = alive_, id = refused.id](const auto& chain) {
              if (!*alive) return;
              introducing_.erase(id);
              if (!chain) return;  // the dial will be tried again, and so will this
              (void)take_chain(*chain, id);
            });
}

void Membership::on_introduction(const RequestServer::Request& request,
                                 const RequestServer::Respond& respond) {
  if (!request.bytes) return;
  const auto chain = security::decode_chain(*request.bytes);
  if (!chain) return;
  const auto& id = request.endpoint;
  if (const auto taken = take_chain(*chain, id); !taken) {
    tell(LogLevel::warn, "introduction " + request.address,
         fmt::format("introduction refused peer={} address={} reason=\"{}\"", id.short_form(),
                     request.address, taken.error().message));
    return;
  }
  const auto answer = security::encode_chain(own_chain());
  if (answer) respond(crypto::SecretBytes(ByteView(*answer)));
}

// --- enrolment ---------------------------------------------------------------------------------

std::vector<security::DialableMember> Membership::dialable() const {
  constexpr std::size_t kMost = 16;
  std::vector<security::DialableMember> out;
  if (connector_ == nullptr) return out;
  for (const auto& peer : connector_->peers()) {
    if (out.size() == kMost) break;
    if (peer.configured && peer.state == "connected" && admit(peer.id)) {
      out.push_back({peer.id, peer.address});
    }
  }
  return out;
}

void Membership::decide(RequestServer::Request request, RequestServer::Respond respond) {
  service_->dialable = dialable();
  auto verdict = request.bytes ? service_->process(*request.bytes, request.endpoint, wall())
                               : security::EnrollmentService::too_large(request.announced, wall());
  const bool approved = verdict.response.status == security::EnrollmentStatus::approved;
  tell(approved ? LogLevel::info : LogLevel::warn,
       approved ? "enrolled " + request.endpoint.to_string() : "enrolment " + request.address,
       fmt::format("{} address={}", verdict.audit, request.address));
  auto encoded = verdict.response.encode();
  if (!encoded) return;
  if (!verdict.issued) return respond(std::move(*encoded));
  publish(*verdict.issued);
  if (verdict.spent) {
    store::WriteBatch batch;
    batch.put_meta(std::string(kTokensMeta), security::encode_token_uses(service_->token_uses()));
    if (const auto written = deps_.store.write(std::move(batch)); !written) return;
  }
  const auto answer = std::make_shared<crypto::SecretBytes>(std::move(*encoded));
  deps_.store.on_durable([answer, respond = std::move(respond)](Status status) {
    if (status) respond(std::move(*answer));
  });
}

}  // namespace peat::node
