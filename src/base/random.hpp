// Randomness as a seam: the operating system's in production, a seeded stream in simulation.
#pragma once

#include <cstdint>
#include <span>

namespace peat {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  std::uint64_t next_u64() {
    std::uint64_t value;
    fill({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
    return value;
  }
};

// The kernel's (getrandom); thread-safe.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// Deterministic (ChaCha20 keyed by the seed); one thread. Never for keys of a real node.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed);
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t seed_;
  std::uint64_t block_ = 0;
};

}  // namespace peat
