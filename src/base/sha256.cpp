#include "base/sha256.hpp"

#include <nettle/sha2.h>

namespace peat {

struct Sha256::Context {
  sha256_ctx ctx;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { sha256_init(&context_->ctx); }
Sha256::~Sha256() = default;

void Sha256::update(ByteView data) { sha256_update(&context_->ctx, data.size(), data.data()); }

Sha256Digest Sha256::finish() {
  Sha256Digest out;
  sha256_digest(&context_->ctx, out.size(), out.data());
  return out;
}

}  // namespace peat
