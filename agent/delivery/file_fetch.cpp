#include "agent/delivery/file_fetch.hpp"

#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

Error too_long(std::uint64_t size) { return {Kind::unprocessable, "too_long", fmt::format("more than the {} bytes that the release names", size)}; }

/// Writes what arrives behind what is there, and hashes it on its way: from the disk a file is read once, when it is installed. A 200 that answers a
/// Range is the whole file: its head is sliced off.
class FileSink {
public:
  FileSink(File& file, std::uint64_t have, std::uint64_t size, Fetcher const& with, std::atomic<std::uint64_t>& left)
      : file_(file), have_(have), size_(size), with_(with), left_(left) {}

  /// Of what was there before.
  Result<void> hash_begun() {
    Bytes piece(static_cast<std::size_t>(std::min(have_, kPieceBytes)));
    for (std::uint64_t at = 0; at < have_;) {
      if (with_.stop) return interrupted();
      FLEET_TRY(auto const n, file_.read_at(at, piece));
      if (n == 0) return Error{Kind::io, "io_failed", fmt::format("a file of {} bytes ends at {}", have_, at)};
      auto const part = BytesView(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(n, have_ - at)));
      hash_.update(part);
      at += part.size();
    }
    return {};
  }

  Result<void> take(net::ClientResponse const& head, BytesView piece) {
    if (!started_) {
      started_ = true;
      skip_ = head.status == 200 ? have_ : 0;
    }
    auto const cut = std::min<std::uint64_t>(skip_, piece.size());
    skip_ -= cut;
    piece = piece.subspan(static_cast<std::size_t>(cut));
    if (piece.size() > size_ - have_) return too_long(size_);
    if (with_.may_go_on) FLEET_CHECK(with_.may_go_on(false));
    FLEET_CHECK(with_.throttle.take(piece.size(), with_.stop));
    FLEET_CHECK(file_.write_at(have_, piece));
    hash_.update(piece);
    have_ += piece.size();
    left_ = size_ - have_;
    unsynced_ += piece.size();
    if (unsynced_ < kSyncEvery) return {};
    unsynced_ = 0;
    return file_.sync();
  }
  [[nodiscard]] std::uint64_t have() const { return have_; }
  /// Of all that is there. Once.
  [[nodiscard]] Digest digest() { return hash_.finish(); }

private:
  File& file_;
  std::uint64_t have_;
  std::uint64_t size_;
  Fetcher const& with_;
  std::atomic<std::uint64_t>& left_;
  crypto::Sha256 hash_;
  std::uint64_t skip_ = 0;
  std::uint64_t unsynced_ = 0;
  bool started_ = false;
};

class FileFetch {
public:
  FileFetch(Fetcher const& with, std::atomic<std::uint64_t>& left) : with_(with), left_(left) {}

  /// From one source after the other until the bytes are right: who lies, or fails, only costs time.
  Result<void> run(wire::ReleaseFile const& file, std::string const& path) {
    FLEET_TRY(auto const target, with_.fs.open(path, Fs::Mode::append_or_create));
    FLEET_TRY(auto const have, target->size());
    Part part{file, *target, have};
    if (have >= file.size) FLEET_CHECK(cut(part, 0));
    left_ = file.size - part.have;
    auto const got = ask_sources(with_, file.name, [&] { return part.have; }, [&](std::string const& source) { return fetch_from(source, part); });
    FLEET_CHECK(target->sync());
    return got;
  }

private:
  /// What is there of a file that is fetched.
  struct Part {
    wire::ReleaseFile const& wanted;
    File& file;
    std::uint64_t have;
  };

  /// Whose bytes were wrong is not known when others had begun the file: then this source is asked for all of it.
  Result<void> fetch_from(std::string const& source, Part& part) {
    bool const begun = part.have > 0;
    auto got = receive(source, part);
    if (!got && got.error().code == "digest_mismatch" && begun) got = receive(source, part);
    return got;
  }

  /// What is wrong is cut off again: a wrong start is never resumed.
  Result<void> receive(std::string const& source, Part& part) {
    auto const& wanted = part.wanted;
    auto const from = part.have;
    FileSink sink(part.file, from, wanted.size, with_, left_);
    FLEET_CHECK(sink.hash_begun());
    auto const take = [&sink](net::ClientResponse const& head, BytesView piece) { return sink.take(head, piece); };
    auto const got = with_.remote.fetch(source, "/blobs/sha256/" + wanted.sha256.hex(), {from, wanted.size}, take);
    part.have = sink.have();
    if (part.have == wanted.size) {
      if (sink.digest() == wanted.sha256) return {};
      FLEET_CHECK(cut(part, 0));
      return Error{Kind::unprocessable, "digest_mismatch",
                   fmt::format("file '{}' arrived with other bytes than its digest {} names", wanted.name, wanted.sha256.hex())};
    }
    if (with_.stop) return interrupted();
    if (got) return Error{Kind::unavailable, "network", fmt::format("file '{}' ended at {} of {} bytes", wanted.name, part.have, wanted.size)};
    auto const& error = got.error();
    bool const longer = error.code == "too_long" || (error.code == "body_too_large" && error.kind == Kind::too_large);
    if (!longer) return error;
    FLEET_CHECK(cut(part, from));
    return too_long(wanted.size);
  }

  Result<void> cut(Part& part, std::uint64_t size) {
    FLEET_CHECK(part.file.truncate(size));
    part.have = size;
    left_ = part.wanted.size - size;
    return {};
  }

  Fetcher const& with_;
  std::atomic<std::uint64_t>& left_;
};

}  // namespace

/// What the disk refused once is not believed where it is read back: such a file is begun anew.
Result<void> fetch_file(Fetcher const& with, wire::ReleaseFile const& file, std::string const& path, std::atomic<std::uint64_t>& left) {
  auto const fetched = FileFetch(with, left).run(file, path);
  if (!fetched && fetched.error().kind == Kind::io) static_cast<void>(with.fs.remove(path));
  return fetched;
}

}  // namespace fleet::agent
