#include "node/backup.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <string_view>
#include <unistd.h>

#include "base/reader.hpp"
#include "store/store_lock.hpp"

namespace peat::node {

namespace {

constexpr std::string_view kMagic = "peat backup 1\n";
constexpr std::size_t kHeaderBytes = kMagic.size() + sizeof(std::uint64_t);
constexpr std::size_t kPieceBytes = 64U << 10;

}  // namespace

// --- out ----------------------------------------------------------------------------------------

Result<std::unique_ptr<BackupSource>> BackupSource::open(const std::filesystem::path& copy) {
  const int fd = ::open(copy.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(store::file_error(errno, "open", copy));
  ::unlink(copy.c_str());
  struct stat info{};
  if (::fstat(fd, &info) != 0) {
    auto error = store::file_error(errno, "measure", copy);
    ::close(fd);
    return std::unexpected(std::move(error));
  }
  return std::unique_ptr<BackupSource>(
      new BackupSource(fd, static_cast<std::uint64_t>(info.st_size)));
}

BackupSource::~BackupSource() { ::close(fd_); }

Result<bool> BackupSource::read(std::string& out) {
  if (!begun_) {
    begun_ = true;
    Bytes header;
    Writer writer(header);
    writer.text(kMagic);
    writer.u64be(size_);
    out += as_text(header);
  }
  const auto wanted = std::min<std::uint64_t>(left_, kPieceBytes);
  const auto before = out.size();
  out.resize(before + wanted);
  std::size_t got = 0;
  while (got < wanted) {
    const auto n = ::read(fd_, out.data() + before + got, wanted - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail(Code::io_error, "the copy of the store cannot be read on");
    got += static_cast<std::size_t>(n);
  }
  digest_.update(as_bytes(std::string_view(out).substr(before)));
  left_ -= wanted;
  if (left_ > 0) return true;
  const auto digest = digest_.finish();
  out += as_text(digest);
  return false;
}

// --- in -----------------------------------------------------------------------------------------

Result<ByteView> BackupCheck::feed(ByteView piece) {
  if (header_.size() < kHeaderBytes) {
    const auto taken = std::min(piece.size(), kHeaderBytes - header_.size());
    header_.insert(header_.end(), piece.begin(),
                   piece.begin() + static_cast<std::ptrdiff_t>(taken));
    piece = piece.subspan(taken);
    if (header_.size() == kHeaderBytes) {
      Reader reader(header_);
      PEAT_TRY(const auto magic, reader.take(kMagic.size(), "a backup"));
      if (as_text(magic) != kMagic) {
        return fail(Code::malformed,
                    "this is no backup of a peat store: it does not begin with "
                    "'peat backup 1'");
      }
      PEAT_TRY(size_, reader.u64be("a backup"));
    }
  }
  const auto store =
      piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), size_ - seen_)));
  digest_.update(store);
  seen_ += store.size();
  piece = piece.subspan(store.size());
  constexpr auto kDigestBytes = sizeof(Sha256Digest);
  if (trailer_.size() + piece.size() > kDigestBytes) {
    return fail(Code::malformed, fmt::format("the backup goes on behind its end, byte {}",
                                             kHeaderBytes + size_ + kDigestBytes));
  }
  trailer_.insert(trailer_.end(), piece.begin(), piece.end());
  return store;
}

Status BackupCheck::finish() {
  if (header_.size() < kHeaderBytes || seen_ < size_ || trailer_.size() < sizeof(Sha256Digest)) {
    return fail(Code::malformed,
                fmt::format("the backup ends after {} of {} bytes of the store; make it again",
                            seen_, size_));
  }
  if (!std::ranges::equal(digest_.finish(), trailer_)) {
    return fail(Code::checksum_mismatch, "the backup is damaged: its SHA-256 does not match");
  }
  return {};
}

namespace {

class NewFile {
 public:
  explicit NewFile(std::filesystem::path path) : path_(std::move(path)) {
    ::unlink(path_.c_str());
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  }
  ~NewFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!kept_) ::unlink(path_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  Status write(ByteView bytes) {
    while (fd_ >= 0 && !bytes.empty()) {
      const auto n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return std::unexpected(store::file_error(errno, "write", path_));
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    if (fd_ < 0) return std::unexpected(store::file_error(errno, "create", path_));
    return {};
  }
  Status keep_as(const std::filesystem::path& name) {
    if (::fsync(fd_) != 0 || ::rename(path_.c_str(), name.c_str()) != 0) {
      return std::unexpected(store::file_error(errno, "make", name));
    }
    kept_ = true;
    return {};
  }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  bool kept_ = false;
};

}  // namespace

Result<std::uint64_t> restore(const std::filesystem::path& backup,
                              const std::filesystem::path& data_dir) {
  std::ifstream input(backup, std::ios::binary);
  if (!input) return std::unexpected(store::file_error(errno, "open", backup));
  std::error_code error;
  if (!std::filesystem::exists(data_dir, error)) {
    std::filesystem::create_directories(data_dir, error);
    std::filesystem::permissions(data_dir, std::filesystem::perms::owner_all, error);
  }
  PEAT_TRY(const auto lock, store::StoreLock::acquire(data_dir));
  const auto store = data_dir / "peat.mdb";
  if (std::filesystem::exists(store, error)) {
    return fail(Code::invalid_argument,
                fmt::format("'{}' is there already: restore into another data directory, or move "
                            "the store away",
                            store.string()));
  }
  NewFile file(data_dir / "peat.mdb.restored");
  BackupCheck check;
  std::array<char, kPieceBytes> piece{};
  std::uint64_t size = 0;
  while (input.read(piece.data(), piece.size()), input.gcount() > 0) {
    const auto got = std::string_view(piece.data(), static_cast<std::size_t>(input.gcount()));
    PEAT_TRY(const auto bytes, check.feed(as_bytes(got)));
    PEAT_TRY_VOID(file.write(bytes));
    size += bytes.size();
  }
  PEAT_TRY_VOID(check.finish());
  PEAT_TRY_VOID(file.keep_as(store));
  // A mark of the store that was here before would be no proof of anything.
  std::filesystem::remove(data_dir / "peat.stop", error);
  PEAT_TRY_VOID(store::sync_directory(data_dir));
  return size;
}

}  // namespace peat::node
