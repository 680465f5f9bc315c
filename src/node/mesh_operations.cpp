// peat::Mesh: what operators ask.
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "node/backup.hpp"
#include "node/mesh_impl.hpp"
#include "store/store_lock.hpp"

namespace peat {

namespace {

MeshLag::Part part_of(std::string collection, const sync::Lag& lag) {
  return {std::move(collection), lag.documents, lag.bytes, lag.oldest_ms};
}

MeshLag lag_of(const node::PeerSync& sync) {
  MeshLag out{sync.peer.id, sync.peer.connected, part_of("", sync.lag.total), {}};
  for (const auto& [name, lag] : sync.lag.collections)
    out.collections.push_back(part_of(name, lag));
  return out;
}

// The copy becomes a backup under its own name once it is whole.
Status write_backup(const std::filesystem::path& copy, const std::filesystem::path& file) {
  PEAT_TRY(const auto source, node::BackupSource::open(copy));
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return std::unexpected(store::file_error(errno, "create", file));
  Status status;
  for (bool more = true; more && status;) {
    std::string piece;
    const auto read = source->read(piece);
    if (!read) {
      status = std::unexpected(read.error());
      break;
    }
    more = *read;
    for (std::size_t at = 0; at < piece.size() && status;) {
      const auto n = ::write(fd, piece.data() + at, piece.size() - at);
      if (n < 0) status = std::unexpected(store::file_error(errno, "write", file));
      if (n > 0) at += static_cast<std::size_t>(n);
    }
  }
  if (status && ::fsync(fd) != 0) status = std::unexpected(store::file_error(errno, "flush", file));
  ::close(fd);
  if (!status) ::unlink(file.c_str());
  return status;
}

}  // namespace

Result<std::vector<MeshLag>> Mesh::lag() {
  return impl_->run<Result<std::vector<MeshLag>>>([&node = impl_->node](auto answer) {
    node->survey_lag([answer = std::move(answer)](auto peers) {
      if (!peers) return answer(std::unexpected(std::move(peers).error()));
      std::vector<MeshLag> out;
      for (const auto& peer : *peers) out.push_back(lag_of(peer));
      answer(std::move(out));
    });
  });
}

Result<MeshExplanation> Mesh::explain(std::string_view collection, std::string_view id,
                                      const EndpointId& peer) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  return impl_->run<Result<MeshExplanation>>([&node = impl_->node, key = std::move(key),
                                              peer](auto answer) {
    auto found = node->explain_document(key, peer);
    MeshExplanation out{std::move(found.verdict), {}};
    for (auto& finding : found.findings) {
      out.findings.push_back({std::move(finding.about), finding.kind == node::Finding::Kind::blocks,
                              std::move(finding.text)});
    }
    answer(std::move(out));
  });
}

Result<std::vector<MeshQuarantined>> Mesh::quarantined() {
  return impl_->run<Result<std::vector<MeshQuarantined>>>([&node = impl_->node](auto answer) {
    std::vector<MeshQuarantined> out;
    for (auto& entry : node->quarantined()) {
      const auto parts = sync::split_key(entry.key).value_or(sync::KeyParts{});
      out.push_back({std::string(parts.collection), std::string(parts.id),
                     std::string(sync::name(entry.kind)), std::move(entry.reason), entry.peer});
    }
    answer(std::move(out));
  });
}

Result<std::vector<EndpointId>> Mesh::retry_quarantined(std::string_view collection,
                                                        std::string_view id) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  return impl_->run<Result<std::vector<EndpointId>>>(
      [&node = impl_->node, key = std::move(key)](auto answer) {
        answer(node->retry_quarantined(key));
      });
}

Status Mesh::drop_quarantined(std::string_view collection, std::string_view id) {
  PEAT_TRY(auto key, sync::document_key(collection, id));
  return impl_->run<Status>([&node = impl_->node, key = std::move(key)](auto answer) {
    answer(node->drop_quarantined(key));
  });
}

Status Mesh::backup(const std::filesystem::path& file) {
  PEAT_TRY(const auto copy,
           impl_->run<Result<std::filesystem::path>>(
               [&node = impl_->node](auto answer) { node->backup(std::move(answer)); }));
  return write_backup(copy, file);
}

Result<std::pair<std::uint64_t, std::uint64_t>> Mesh::compact() {
  using Sizes = std::pair<std::uint64_t, std::uint64_t>;
  return impl_->run<Result<Sizes>>([&node = impl_->node](auto answer) {
    node->compact_store([answer = std::move(answer)](auto done) {
      if (!done) return answer(std::unexpected(std::move(done).error()));
      answer(Sizes{done->bytes_before, done->bytes_after});
    });
  });
}

}  // namespace peat
