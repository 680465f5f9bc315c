// Values that several tests share: the keys and names of the published vectors.
#pragma once

#include <string_view>

#include "base/encoding.hpp"
#include "security/genesis.hpp"

namespace peat::security {

inline constexpr std::uint64_t kT0 = 1'700'000'000'000;
inline constexpr WallTime kAtT0{static_cast<std::int64_t>(kT0)};
inline constexpr std::uint64_t kDay = 86'400'000;

inline WallTime at(std::uint64_t ms) { return {static_cast<std::int64_t>(ms)}; }

inline crypto::SecretKey key_of(std::uint8_t byte) {
  const Bytes seed(32, byte);
  return crypto::SecretKey::from_seed(ByteView(seed).first<32>());
}

// The mesh of the vectors: TEST, seed 42 x 32.
inline MeshGenesis test_mesh(MembershipPolicy policy = MembershipPolicy::controlled) {
  return MeshGenesis::from_seed(Bytes(32, 0x42), "TEST", policy, kAtT0).value();
}

inline constexpr std::string_view kMeshId = "0B6CA76F";
inline constexpr std::string_view kMemberSigned =
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c083042364341373646"
    "0a7461632d776573742d3102030068e5cf8b01000000c40bd58b0100001bc4e00b6ac43c0e115eff3b2a974b"
    "819d8488412bc72da16388cafa97aabf6c";
inline constexpr std::string_view kMemberSignature =
    "2a127f8a655d58b62117903c9e8c4f6ac7a2e309d6f4b670c20b7bc8fb345a1a08cabbbf46235060d0c91537f5"
    "18c3fdafec477c7d99bb5c5e1b77c107161904";

}  // namespace peat::security
