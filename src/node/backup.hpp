// Backups: a store as one file, and the way back.
//
//   backup := "peat backup 1\n", u64be size, store file[size], SHA-256 of these bytes[32]
//
// It holds documents, tombstones, what peers have acknowledged, and what the node keeps of its
// mesh; not the endpoint's key, which is a file of its own beside the store.
// Of an encrypted store it holds the rows as they are, sealed: it opens with the key that the store
// had when it was made, and with no other.
//
// Restored it is a new life of the store: the node begins with a new store id and a new actor, so
// that nothing that was seen of it after the backup was made is contradicted, and peers bring what
// changed since (store/document_store.hpp, Incarnation).
//
// Threading: any, one at a time. Cost: one pass; memory of one piece. Errors: malformed (what is
// wrong and at which byte), io_error, store_in_use, invalid_argument (there is a store already).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/sha256.hpp"
#include "peat/error.hpp"

namespace peat::node {

// Gives a copy of a store out as a backup, piece by piece.
class BackupSource {
 public:
  // Opens the file and removes its name: nothing is left when the source goes.
  static Result<std::unique_ptr<BackupSource>> open(const std::filesystem::path& copy);
  ~BackupSource();
  BackupSource(const BackupSource&) = delete;
  BackupSource& operator=(const BackupSource&) = delete;

  // Appends the next piece, about 64 KiB; false: that was the last.
  Result<bool> read(std::string& out);

 private:
  BackupSource(int fd, std::uint64_t size) : fd_(fd), left_(size), size_(size) {}

  int fd_;
  std::uint64_t left_;
  std::uint64_t size_;
  bool begun_ = false;
  Sha256 digest_;
};

// Takes a backup in, piece by piece, and proves it.
class BackupCheck {
 public:
  // `store`: the part of the piece that belongs to the store's file.
  Result<ByteView> feed(ByteView piece);
  // After the last piece: complete and unchanged?
  Status finish();

 private:
  Bytes header_;
  std::uint64_t size_ = 0;
  std::uint64_t seen_ = 0;  // of the store's file
  Sha256 digest_;
  Bytes trailer_;
};

// Makes `data_dir`, which may exist and must not hold a store, from a backup; the bytes of its
// store.
Result<std::uint64_t> restore(const std::filesystem::path& backup,
                              const std::filesystem::path& data_dir);

}  // namespace peat::node
