#include <chrono>

#include "base/random.hpp"
#include "broker/access.hpp"
#include "crypto/secret_file.hpp"
#include "peat_cli/commands.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kMaxTokenFileBytes = 256 * 1024;
constexpr std::uint64_t kDayMs = 86'400'000;

std::uint64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

Result<std::string> add_token(const TokenNewOptions& options) {
  PEAT_TRY(const auto scope, broker::parse_scope(options.scope));
  SystemRandom random;
  const auto expires = options.days == 0 ? 0 : now_ms() + options.days * kDayMs;
  PEAT_TRY(auto made, broker::make_token(options.name, scope, expires, random));
  std::string file = "# name scope expires_ms sha256(token)\n";
  const auto present = crypto::read_secret_file(
      options.file, {.what = "token file", .max_bytes = kMaxTokenFileBytes});
  if (present) {
    file = as_text(present->view());
    if (!file.ends_with('\n')) file += '\n';
  } else if (present.error().code != Code::not_found) {
    return std::unexpected(present.error());
  }
  file += made.entry.to_line() + "\n";
  PEAT_TRY_VOID(broker::Access::parse(file));
  PEAT_TRY_VOID(crypto::write_secret_file(options.file, as_bytes(file), crypto::Existing::replace,
                                          random, "token file"));
  return std::move(made.text);
}

}  // namespace

Result<HttpClient> Session::client() const {
  PEAT_TRY(auto client, HttpClient::create(api));
  if (token_file.empty()) return client;
  PEAT_TRY(const auto content,
           crypto::read_secret_file(token_file, {.what = "token file", .max_bytes = 1024}));
  const auto text = as_text(content.view());
  client.set_token(std::string(text.substr(0, text.find_first_of("\r\n"))));
  return client;
}

int run_token_new(const TokenNewOptions& options) {
  const auto token = add_token(options);
  if (!token) return report(token.error());
  print_line(*token);
  return 0;
}

}  // namespace peat::cli
