// What a member of a mesh keeps in its data directory beside the store.
//
//   identity.key       the device's key (crypto/key_file.hpp)
//   mesh.credentials   mesh name and id, formation secret, authority's key, policy; 0600
//   node.certificates  u8 count, count x { u16le n, certificate[n] }: this node's, then its
//   issuer's mesh.peers         a line ENDPOINT_ID@HOST:PORT per address at which the mesh is
//   reached,
//                      the authority's first; "#" begins a comment
//   authority.key      on the authority alone: the key that certifies members; 0600
//   mesh.genesis       on the authority, until its owner takes it away: every secret of the mesh,
//                      sealed with a passphrase (security/genesis_file.hpp)
//
// `peat mesh init` and `peat mesh join` write them, the node reads them at start.
//
// Threading: any. Errors: those of crypto/secret_file.hpp and of the decoders, with the path.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "crypto/keys.hpp"
#include "node/settings.hpp"
#include "peat/error.hpp"
#include "security/certificate.hpp"
#include "security/genesis.hpp"

namespace peat::node {

struct MeshFiles {
  std::filesystem::path data_dir;

  std::string identity_key() const { return (data_dir / "identity.key").string(); }
  std::string credentials() const { return (data_dir / "mesh.credentials").string(); }
  std::string certificates() const { return (data_dir / "node.certificates").string(); }
  std::string peers() const { return (data_dir / "mesh.peers").string(); }
  std::string authority_key() const { return (data_dir / "authority.key").string(); }
  std::string genesis() const { return (data_dir / "mesh.genesis").string(); }

  // nullopt: this node is in no mesh of certificates.
  Result<std::optional<security::MeshCredentials>> load_credentials() const;
  Status save_credentials(const security::MeshCredentials& credentials, Random& random) const;

  Result<std::vector<security::Certificate>> load_certificates() const;  // empty: there are none
  Status save_certificates(const std::vector<security::Certificate>& certificates,
                           Random& random) const;

  Result<Peers> load_peers() const;  // empty: there are none
  Status save_peers(const Peers& peers, Random& random) const;

  // nullopt: this node is not the authority.
  Result<std::optional<crypto::SecretKey>> load_authority_key() const;
};

}  // namespace peat::node
