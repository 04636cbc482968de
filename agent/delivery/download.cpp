#include "agent/delivery/download.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kSyncEvery = 8 * 1024 * 1024;  ///< a sync cannot be interrupted: none has more than that to write
constexpr std::uint64_t kSpare = 1024 * 1024;
constexpr std::uint64_t kBlock = 4096;  ///< what a file takes is a multiple of it
constexpr std::uint64_t kPieceBytes = 256 * 1024;

Error too_long(std::uint64_t size) { return {Kind::unprocessable, "too_long", fmt::format("more than the {} bytes that the release names", size)}; }

Error interrupted() { return {Kind::unavailable, "interrupted", "the agent was told to stop"}; }

/// Writes what arrives behind what is there, and hashes it on its way: from the disk a file is read once, when it is installed. A 200 that answers a
/// Range is the whole file: its head is sliced off.
class FileSink {
public:
  FileSink(File& file, std::uint64_t have, std::uint64_t size, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop)
      : file_(file), have_(have), size_(size), throttle_(throttle), plan_(plan), stop_(stop) {}

  /// Of what was there before.
  Result<void> hash_begun() {
    Bytes piece(static_cast<std::size_t>(std::min(have_, kPieceBytes)));
    for (std::uint64_t at = 0; at < have_;) {
      if (stop_) return interrupted();
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
    if (plan_.may_go_on) FLEET_CHECK(plan_.may_go_on());
    FLEET_CHECK(throttle_.take(piece.size(), stop_));
    FLEET_CHECK(file_.write_at(have_, piece));
    hash_.update(piece);
    have_ += piece.size();
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
  Throttle& throttle_;
  DownloadPlan const& plan_;
  std::atomic<bool> const& stop_;
  crypto::Sha256 hash_;
  std::uint64_t skip_ = 0;
  std::uint64_t unsynced_ = 0;
  bool started_ = false;
};

class Download {
public:
  Download(Fs& fs, Slots& slots, Remote& remote, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop)
      : fs_(fs),
        slots_(slots),
        remote_(remote),
        throttle_(throttle),
        plan_(plan),
        stop_(stop),
        dir_(slots.staging(plan.model, plan.digest)) {}

  Result<void> run() {
    FLEET_CHECK(slots_.prepare_staging(plan_.model, plan_.digest, plan_.variant));
    FLEET_CHECK(check_space());
    for (auto const& file : plan_.variant.files) FLEET_CHECK(bring(file));
    return {};
  }

private:
  Result<void> check_space() {
    std::uint64_t needed = kSpare;
    for (auto const& file : plan_.variant.files) {
      auto const there = fs_.info(dir_ + "/" + file.name);
      auto const missing = file.size - std::min(file.size, there ? there->size : 0);
      needed += (missing + kBlock - 1) / kBlock * kBlock;
    }
    FLEET_TRY(auto const free, fs_.free_bytes(dir_));
    if (free >= needed) return {};
    return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes are needed, {} are free at {}", needed, free, dir_), "free some space on the device"};
  }

  Result<bool> is_right(std::string const& path, wire::ReleaseFile const& file) {
    if (auto const there = fs_.info(path); there && there->size != file.size) return false;
    auto const found = crypto::sha256_file(fs_, path, &stop_);
    if (!found && found.error().kind == Kind::not_found) return false;
    if (!found) return found.error();
    return found->size == file.size && found->sha256 == file.sha256;
  }

  Result<void> bring(wire::ReleaseFile const& file) {
    auto const path = dir_ + "/" + file.name;
    if (auto const slash = file.name.find_last_of('/'); slash != std::string::npos) FLEET_CHECK(fs_.make_dirs(dir_ + "/" + file.name.substr(0, slash)));
    auto const there = is_right(path, file);
    if (there && *there) return {};
    if (!there && stop_) return interrupted();
    if (!there) FLEET_CHECK(fs_.remove(path));  // its bytes cannot be read any more
    FLEET_TRY(bool const copied, copy_from_running(file, path));
    if (copied) return {};
    return fetch(file, path);
  }

  /// Whether the folders of a file are such in the running version, too, and no links.
  bool has_plain_folders(std::string const& name) {
    for (auto slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
      if (auto const folder = fs_.info(plan_.running_slot + "/" + name.substr(0, slash)); !folder || folder->type != FileInfo::Type::directory) return false;
    return true;
  }

  Result<bool> copy_from_running(wire::ReleaseFile const& file, std::string const& path) {
    if (plan_.running_slot.empty()) return false;
    auto const from = plan_.running_slot + "/" + file.name;
    if (!has_plain_folders(file.name)) return false;
    auto const info = fs_.info(from);
    if (!info || info->type != FileInfo::Type::file || info->size != file.size) return false;
    auto const same = is_right(from, file);
    if (stop_) return interrupted();
    if (!same || !*same) return false;
    FLEET_TRY(auto const source, fs_.open(from, Fs::Mode::read));
    FLEET_TRY(auto const target, fs_.open(path, Fs::Mode::append_or_create));
    FLEET_CHECK(target->truncate(0));
    Bytes piece(kPieceBytes);
    for (std::uint64_t at = 0, synced = 0; at < file.size;) {
      if (stop_) return interrupted();
      if (at - synced >= kSyncEvery) {
        FLEET_CHECK(target->sync());
        synced = at;
      }
      FLEET_TRY(auto const n, source->read_at(at, piece));
      if (n == 0) return false;
      FLEET_CHECK(target->write_at(at, BytesView(piece).first(n)));
      at += n;
    }
    return true;
  }

  /// What is there of a file that is fetched.
  struct Part {
    wire::ReleaseFile const& wanted;
    File& file;
    std::uint64_t have;
  };

  /// What the disk refused once is not believed where it is read back: such a file is begun anew.
  Result<void> fetch(wire::ReleaseFile const& file, std::string const& path) {
    auto const fetched = fetch_from_any(file, path);
    if (!fetched && fetched.error().kind == Kind::io) static_cast<void>(fs_.remove(path));
    return fetched;
  }

  /// From one source after the other until the bytes are right: who lies, or fails, only costs time.
  Result<void> fetch_from_any(wire::ReleaseFile const& file, std::string const& path) {
    FLEET_TRY(auto const target, fs_.open(path, Fs::Mode::append_or_create));
    FLEET_TRY(auto const have, target->size());
    Part part{file, *target, have};
    if (have >= file.size) FLEET_CHECK(cut(part, 0));
    Error last{Kind::unavailable, "network", "no source answered"};
    for (auto const& source : plan_.sources.in_order(throttle_.now())) {
      auto const before = part.have;
      auto const got = fetch_from(source, part);
      if (got) {
        plan_.sources.worked(source);
        return target->sync();
      }
      last = got.error();
      log::info(
          "download.source_failed",
          {{"file", file.name}, {"source", source.empty() ? remote_.server() : source}, {"have", part.have}, {"code", last.code}, {"error", last.detail}});
      if (is_final(last)) break;
      if (is_lie(last)) plan_.sources.lied(source, throttle_.now());
      else if (part.have <= before && last.kind != Kind::not_found) plan_.sources.failed(source, throttle_.now());
    }
    FLEET_CHECK(target->sync());
    return last;
  }

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
    FileSink sink(part.file, from, wanted.size, throttle_, plan_, stop_);
    FLEET_CHECK(sink.hash_begun());
    auto const take = [&sink](net::ClientResponse const& head, BytesView piece) { return sink.take(head, piece); };
    auto const got = remote_.fetch(source, "/blobs/sha256/" + wanted.sha256.hex(), {from, wanted.size}, take);
    part.have = sink.have();
    if (part.have == wanted.size) {
      if (sink.digest() == wanted.sha256) return {};
      FLEET_CHECK(cut(part, 0));
      return Error{Kind::unprocessable, "digest_mismatch",
                   fmt::format("file '{}' arrived with other bytes than its digest {} names", wanted.name, wanted.sha256.hex())};
    }
    if (stop_) return interrupted();
    if (got) return Error{Kind::unavailable, "network", fmt::format("file '{}' ended at {} of {} bytes", wanted.name, part.have, wanted.size)};
    auto const& error = got.error();
    bool const longer = error.code == "too_long" || (error.code == "body_too_large" && error.kind == Kind::too_large);
    if (!longer) return error;
    FLEET_CHECK(cut(part, from));
    return too_long(wanted.size);
  }

  static Result<void> cut(Part& part, std::uint64_t size) {
    FLEET_CHECK(part.file.truncate(size));
    part.have = size;
    return {};
  }

  static bool is_lie(Error const& error) { return error.code == "digest_mismatch" || error.code == "too_long"; }
  /// What no other source would change.
  bool is_final(Error const& error) const {
    return stop_ || error.code == "disk_full" || error.code == "over_budget" || error.code == "waits" || error.code == "cancelled" || error.kind == Kind::io;
  }

  Fs& fs_;
  Slots& slots_;
  Remote& remote_;
  Throttle& throttle_;
  DownloadPlan const& plan_;
  std::atomic<bool> const& stop_;
  std::string dir_;
};

}  // namespace

bool Throttle::is_spent() const {
  std::lock_guard const lock(mutex_);
  return budget_.is_spent(clock_.wall());
}

Result<void> Throttle::take(std::uint64_t bytes, std::atomic<bool> const& stop) {
  {
    std::lock_guard const lock(mutex_);
    if (budget_.is_spent(clock_.wall()))
      return Error{Kind::throttled, "over_budget", "the bytes that the device's owner allows in a day are used up", "bandwidth: {per_day: ...} in agent.yaml"};
    budget_.use(bytes, clock_.wall());
    level_ -= static_cast<double>(bytes);
  }
  for (;;) {
    auto const wait = refill();
    if (stop) return interrupted();
    if (wait == 0) return {};
    ::poll(nullptr, 0, wait);
  }
}

/// @returns how long to wait before looking again, in milliseconds; 0: what was taken is paid for
int Throttle::refill() {
  if (rate_ == 0) return 0;
  std::lock_guard const lock(mutex_);
  auto const rate = static_cast<double>(rate_);
  auto const now = clock_.mono();
  if (last_ != MonoTime{}) level_ = std::min(rate, level_ + rate * static_cast<double>((now - last_).count()) / 1000);
  last_ = now;
  return level_ >= 0 ? 0 : static_cast<int>(std::clamp(-level_ / rate * 1000, 1.0, 100.0));
}

Result<void> download(Fs& fs, Slots& slots, Remote& remote, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop) {
  return Download(fs, slots, remote, throttle, plan, stop).run();
}

}  // namespace fleet::agent
