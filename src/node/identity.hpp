// Who a node is: its key file in the data directory, and the formation it belongs to.
#pragma once

#include <filesystem>
#include <optional>

#include "base/random.hpp"
#include "crypto/keys.hpp"
#include "node/settings.hpp"
#include "peat/error.hpp"
#include "security/formation.hpp"

namespace peat::node {

// The random key in <data_dir>/identity.key; made, with the directory (0700), where there is none.
Result<crypto::SecretKey> load_identity(const std::filesystem::path& data_dir, Random& random);

// The formation secret of the settings, from its variable or its file, or that of the mesh that
// this node has joined (node/mesh_files.hpp). Code::missing_setting names `peat secret new`;
// Code::bad_key_file a file that others may read. nullopt: there is none, and none is needed
// because unauthenticated peers are allowed.
Result<std::optional<crypto::SecretBytes>> load_formation_secret(const Settings& settings);

// The second secret of the settings, accepted beside the first; nullopt: there is none.
Result<std::optional<crypto::SecretBytes>> load_other_secret(const Settings& settings);

// load_identity, or the key that existing peers derive from secret and name (legacy_identity).
Result<crypto::SecretKey> choose_identity(const Settings& settings,
                                          const std::optional<crypto::SecretBytes>& secret,
                                          Random& random);

}  // namespace peat::node
