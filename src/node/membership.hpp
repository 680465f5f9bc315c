// A node's membership of a mesh: who belongs to it, kept up to date while the node runs.
//
// Joins the trust store (security/trust.hpp) with what surrounds it: the files of the data
// directory, the documents in which certificates and revocations travel, the connections that
// must end when somebody is revoked, and, on the authority, enrolment.
//
//   - At start: the credentials, this node's certificates, the revocations it has ever believed
//     (store meta), then all documents of both collections.
//   - A changed document is looked at in the loop's next turn; whom that puts out is disconnected
//     in the same turn. A minute's sweep does the same for what time has ended, puts back
//     documents that somebody has overwritten or deleted, and renews this node's certificate when
//     two thirds of its life are over.
//   - Where a peer does not know this node, or this node the peer, they show each other their
//     certificates (node/introduction.hpp): two members that meet with nobody else around need no
//     authority to trust each other.
//   - A request to enrol is answered when the certificate, its document and the use of the
//     invitation are durable.
//
// Without mesh.credentials in the data directory there is no membership: the formation secret
// alone decides.
//
// Threading: the loop. Ownership: everything in Deps outlives this object; stop() before the
// connector and the endpoint go.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "node/mesh_files.hpp"
#include "node/request_server.hpp"
#include "security/access_rules.hpp"
#include "security/enrollment_service.hpp"
#include "security/trust.hpp"
#include "store/document_store.hpp"
#include "sync/connector.hpp"
#include "sync/documents.hpp"

namespace peat::node {

class Membership {
 public:
  struct Deps {
    Executor& executor;
    Random& random;
    store::DocumentStore& store;
    sync::Documents& documents;
    const crypto::SecretKey& key;  // this node's
    Limits limits;
    // A line for the operator; `subject` groups lines that are said rarely.
    std::function<void(LogLevel, std::string subject, std::string message)> tell;
    // Whether a key may use a protocol that is served here beside synchronisation.
    std::function<Status(const EndpointId&, std::string_view alpn)> may_use;
    // Certificates or revocations were looked at: who may do what may have changed.
    std::function<void()> on_looked;
    bool approval = false;  // EnrollmentOptions
  };
  // nullptr: no credentials, no membership.
  static Result<std::unique_ptr<Membership>> open(Deps deps, MeshFiles files);
  ~Membership();

  // Whether this key may synchronise now.
  Status admit(const EndpointId& key) const;
  // What the access rules go by.
  security::Standing standing(const EndpointId& key) const;
  std::optional<security::Standing> author(std::span<const std::uint8_t> prefix) const;
  // What the endpoint serves beside synchronisation.
  std::vector<std::pair<std::string, transport::AcceptCallback>> protocols();
  void start(sync::Connector& connector, transport::Endpoint& endpoint);
  void stop();
  void on_change(const store::ChangeEvent& change);
  // A dial that ended because one side does not know the other.
  void on_refused(const sync::RefusedPeer& refused);

  const security::MeshCredentials& credentials() const { return credentials_; }
  bool is_authority() const { return authority_.has_value(); }
  std::vector<security::Member> members() const;
  // Devices that wait for approval; on the authority alone.
  std::vector<security::PendingDevice> pending() const;
  Status decide_pending(const EndpointId& device, bool approved);
  Peers peers() const { return peers_; }

 private:
  Membership(Deps deps, MeshFiles files, security::MeshCredentials credentials);

  Status load();
  Status load_revocations();
  Status load_documents();
  Status open_enrollment();
  void look_at(const std::string& document_key);
  void look_at_certificate(const EndpointId& subject, std::string_view json);
  void look_at_revocation(const EndpointId& subject, std::string_view json);
  void look_at_changed();
  void add_certificate(const security::Certificate& certificate, std::string_view source);
  void add_revocation(const security::Revocation& revocation);
  void keep_revocations();
  void publish(const security::Certificate& certificate);
  void expel_the_unwelcome();
  void sweep();
  void put_back();
  void renew_when_due();
  void take_certificate(const security::Certificate& certificate,
                        const std::vector<security::Certificate>& chain);
  void on_introduction(const RequestServer::Request& request,
                       const RequestServer::Respond& respond);
  std::vector<security::Certificate> own_chain() const;
  Status take_chain(const std::vector<security::Certificate>& chain, const EndpointId& id);
  void decide(RequestServer::Request request, RequestServer::Respond respond);
  std::vector<security::DialableMember> dialable() const;
  WallTime wall() const { return deps_.executor.now().wall; }
  void tell(LogLevel level, std::string subject, std::string message) const {
    deps_.tell(level, std::move(subject), std::move(message));
  }

  Deps deps_;
  const MeshFiles files_;
  security::MeshCredentials credentials_;
  security::TrustStore trust_;
  Peers peers_;
  std::optional<crypto::SecretKey> authority_;
  std::unique_ptr<security::EnrollmentService> service_;
  std::unique_ptr<RequestServer> server_;  // on the authority
  std::unique_ptr<RequestServer> introductions_;
  std::set<EndpointId> introducing_;
  sync::Connector* connector_ = nullptr;
  transport::Endpoint* endpoint_ = nullptr;
  std::set<std::string> changed_;  // documents to look at
  bool look_posted_ = false;
  bool revocations_changed_ = false;  // since they were last kept
  std::set<EndpointId> disturbed_;    // whose revocation's document is not what it was
  bool own_disturbed_ = false;        // this node's certificate's document
  bool renewing_ = false;
  Instant renew_not_before_{};
  TimerId sweep_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace peat::node
