// libFuzzer's mutator for targets that read chunks: three times in four structure-aware.
#pragma once

#include "mutate.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const auto mutated = peat::fuzz::Mutator(seed).mutate({data, size});
  if (!mutated || mutated->size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::ranges::copy(*mutated, data);
  return mutated->size();
}
