#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/random.hpp"
#include "crypto/key_file.hpp"
#include "node/identity.hpp"
#include "node/mesh_files.hpp"
#include "peat_cli/commands_mesh.hpp"
#include "peat_cli/prompt.hpp"
#include "security/formation.hpp"

namespace peat::cli {

Result<LocalNode> local_node(const std::string& data_dir, const std::string& node_id) {
  const auto environment = node::process_environment();
  PEAT_TRY(auto variables, node::read_environment(environment));
  node::RawLayer flags;
  if (!data_dir.empty()) flags.emplace("data_dir", node::RawValue{{data_dir}, "flag --data-dir"});
  if (!node_id.empty()) flags.emplace("node_id", node::RawValue{{node_id}, "flag --node-id"});
  auto loaded = node::resolve_settings(flags, variables, {}, environment);
  node::wipe_secrets(variables);
  if (!loaded) return std::unexpected(std::move(loaded).error());
  return LocalNode{loaded->settings.data_dir.string(), loaded->settings.node_id};
}

int run_id_derive(const IdDeriveOptions& options) {
  const auto text = known_passphrase(options.secret_file);
  if (!text) return report(text.error());
  const auto secret =
      security::parse_formation_secret(as_text(text->view()), security::WeakSecrets::allow);
  if (!secret) return report(secret.error());
  const auto key = security::derive_endpoint_key(secret->view(), options.node_id);
  if (!key) return report(key.error());
  print_line(key->public_key().to_string());
  return 0;
}

int run_id_rotate(const std::string& data_dir) {
  const auto local = local_node(data_dir, "");
  if (!local) return report(local.error());
  const node::MeshFiles files{local->data_dir};
  const auto old = crypto::load_key_file(files.identity_key());
  if (!old) return report(old.error());
  const auto authority = files.load_authority_key();
  if (!authority) return report(authority.error());
  const auto kept = files.identity_key() + ".old-" + old->public_key().short_form();
  if (std::rename(files.identity_key().c_str(), kept.c_str()) != 0) {
    return report({Code::io_error, fmt::format("cannot rename {}: {}", files.identity_key(),
                                               std::strerror(errno))});
  }
  SystemRandom random;
  const auto key = crypto::load_or_create_key_file(files.identity_key(), random);
  if (!key) return report(key.error());
  print_line(key->public_key().to_string());
  fmt::print(stderr,
             "The old key is in {}. Restart the node; its certificate is for the old key, so let "
             "it join anew or issue one, and revoke {}.\n",
             kept, old->public_key().to_string());
  return 0;
}

}  // namespace peat::cli
