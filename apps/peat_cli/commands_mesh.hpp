// `peat mesh`, `peat cert` and `peat id derive|rotate`: the mesh that a node belongs to.
//
// What needs a secret (init, invite, join, issuing, revoking) works on a data directory of this
// machine; what asks about a running mesh uses the node's interface.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "peat_cli/commands.hpp"

namespace peat::cli {

// --- commands_mesh.cpp ---------------------------------------------------------------------------

struct MeshInitOptions {
  std::string name;
  std::string data_dir;
  std::string node_id;
  std::string policy = "controlled";
  std::string passphrase_file;
};
int run_mesh_init(const Session& session, const MeshInitOptions& options);

struct MeshInviteOptions {
  std::string data_dir;
  std::string names = "*";
  std::string tier = "tactical";
  std::string permissions = "standard";
  std::uint32_t minutes = 60;
  std::uint32_t uses = 1;
  std::vector<std::string> addresses;
  bool no_qr = false;
};
int run_mesh_invite(const Session& session, const MeshInviteOptions& options);

struct MeshJoinOptions {
  std::string link;  // "" or "-": asked for, or from standard input
  std::string data_dir;
  std::string node_id;
  std::uint32_t every_seconds = 15;  // while the device waits for approval
};
int run_mesh_join(const Session& session, const MeshJoinOptions& options);

int run_mesh_pending(const Session& session);
// `who`: name, id, or six digits of it or more.
int run_mesh_decide(const Session& session, const std::string& who, bool approve);

int run_mesh_show(const Session& session, const std::string& data_dir);

// --- commands_cert.cpp ---------------------------------------------------------------------------

int run_cert_list(const Session& session);
int run_cert_show(const Session& session, const std::string& who);

struct CertIssueOptions {
  std::string subject;
  std::string node_id;
  std::string data_dir;
  std::string tier = "tactical";
  std::string permissions = "standard";
  std::uint32_t days = 7;
  std::string file;  // "": publish
};
int run_cert_issue(const Session& session, const CertIssueOptions& options);

struct CertRevokeOptions {
  std::string who;
  std::string reason;
  std::string data_dir;
};
int run_cert_revoke(const Session& session, const CertRevokeOptions& options);

struct CertRenewOptions {
  std::string who;
  std::string data_dir;
  std::uint32_t days = 7;
};
int run_cert_renew(const Session& session, const CertRenewOptions& options);

// --- commands_id.cpp -----------------------------------------------------------------------------

struct IdDeriveOptions {
  std::string node_id;
  std::string secret_file;  // "-": standard input
};
int run_id_derive(const IdDeriveOptions& options);
int run_id_rotate(const std::string& data_dir);

// --- shared --------------------------------------------------------------------------------------

// The data directory and name that a node on this machine would have.
struct LocalNode {
  std::string data_dir;
  std::string node_id;
};
Result<LocalNode> local_node(const std::string& data_dir, const std::string& node_id);

}  // namespace peat::cli
