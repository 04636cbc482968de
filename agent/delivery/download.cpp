#include "agent/delivery/download.hpp"

#include "agent/delivery/file_fetch.hpp"
#include "agent/delivery/shelf.hpp"
#include "agent/thread.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kSpare = 1024 * 1024;
constexpr std::uint64_t kBlock = 4096;  ///< what a file takes is a multiple of it

class Download {
public:
  Download(Fs& fs, Slots& slots, Lines& lines, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop)
      : fs_(fs),
        slots_(slots),
        lines_(lines),
        throttle_(throttle),
        plan_(plan),
        stop_(stop),
        dir_(slots.staging(plan.model, plan.digest)) {
    if (plan.may_go_on)
      may_go_on_ = [this]() -> Result<void> {
        std::lock_guard const lock(asking_);
        return plan_.may_go_on();
      };
  }

  Result<void> run() {
    FLEET_CHECK(slots_.prepare_staging(plan_.model, plan_.digest, plan_.variant));
    FLEET_CHECK(check_space());
    std::vector<wire::ReleaseFile const*> missing, again;
    std::set<Digest> wanted;
    for (auto const& file : plan_.variant.files) {
      FLEET_TRY(bool const there, is_there(file));
      if (there) shelf_.add(file.sha256, {dir_, file.name});
      else (wanted.insert(file.sha256).second ? missing : again).push_back(&file);
    }
    if (missing.empty()) return {};
    shelf_.look(fs_, slots_, plan_.hardware, wanted, stop_);
    if (stop_) return interrupted();
    for (auto const* const file : missing) {
      FLEET_TRY(bool const copied, copy(*file));
      if (!copied) queue_.push_back(file);
    }
    FLEET_CHECK(fetch_all());
    for (auto const* const file : missing) shelf_.add(file->sha256, {dir_, file->name});
    for (auto const* const file : again) {
      FLEET_TRY(bool const copied, copy(*file));
      if (!copied) return Error{Kind::io, "io_failed", fmt::format("file '{}' cannot be read back", file->name)};
    }
    return {};
  }

private:
  [[nodiscard]] std::string path_of(wire::ReleaseFile const& file) const { return dir_ + "/" + file.name; }

  Result<void> check_space() {
    std::uint64_t needed = kSpare;
    for (auto const& file : plan_.variant.files) {
      auto const there = fs_.info(path_of(file));
      auto const missing = file.size - std::min(file.size, there ? there->size : 0);
      needed += (missing + kBlock - 1) / kBlock * kBlock;
    }
    FLEET_TRY(auto const free, fs_.free_bytes(dir_));
    if (free >= needed) return {};
    return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes are needed, {} are free at {}", needed, free, dir_), "free some space on the device"};
  }

  /// In the staging folder, whole and right; else its folder is made there.
  Result<bool> is_there(wire::ReleaseFile const& file) {
    auto const path = path_of(file);
    if (auto const slash = file.name.find_last_of('/'); slash != std::string::npos) FLEET_CHECK(fs_.make_dirs(dir_ + "/" + file.name.substr(0, slash)));
    if (auto const there = fs_.info(path); !there || there->size != file.size) return false;
    auto const found = crypto::sha256_file(fs_, path, &stop_);
    if (found) return found->size == file.size && found->sha256 == file.sha256;
    if (stop_) return interrupted();
    FLEET_CHECK(fs_.remove(path));  // its bytes cannot be read any more
    return false;
  }

  /// False: nobody on this device has it. What was begun of it is given up for a copy only once there is one to copy.
  Result<bool> copy(wire::ReleaseFile const& file) {
    for (auto const& place : shelf_.find(fs_, file.sha256, file.size)) {
      auto const source = fs_.open(place.path(), Fs::Mode::read);
      if (!source) continue;
      FLEET_TRY(bool const copied, copy_from(**source, file));
      if (copied) return true;
    }
    return false;
  }

  /// Hashed on its way: a spoiled one is not taken.
  Result<bool> copy_from(File& source, wire::ReleaseFile const& file) {
    FLEET_TRY(auto const target, fs_.open(path_of(file), Fs::Mode::append_or_create));
    FLEET_CHECK(target->truncate(0));
    crypto::Sha256 hash;
    Bytes piece(kPieceBytes);
    for (std::uint64_t at = 0, synced = 0; at < file.size;) {
      if (stop_) return interrupted();
      if (at - synced >= kSyncEvery) {
        FLEET_CHECK(target->sync());
        synced = at;
      }
      auto const n = source.read_at(at, piece);
      if (!n || *n == 0) break;
      auto const part = BytesView(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(*n, file.size - at)));
      FLEET_CHECK(target->write_at(at, part));
      hash.update(part);
      at += part.size();
    }
    if (hash.finish() == file.sha256) return true;
    FLEET_CHECK(target->truncate(0));
    return false;
  }

  /// What is fetched, by this thread and those that help it. After an error nothing more is begun.
  Result<void> fetch_all() {
    auto const give_back = [this](int*) { lines_.helpers()->release(); };
    std::vector<std::unique_ptr<int, decltype(give_back)>> taken;
    std::vector<std::unique_ptr<Thread>> threads;
    FLEET_TRY(auto* const own, lines_.at(0));
    int token = 0;
    while (lines_.helpers() != nullptr && threads.size() + 1 < queue_.size() && lines_.helpers()->try_acquire()) {
      taken.emplace_back(&token, give_back);
      auto const line = lines_.at(threads.size() + 1);
      if (!line) break;
      try {
        threads.push_back(std::make_unique<Thread>([this, remote = *line] { work(*remote); }));
      } catch (std::runtime_error const&) {
        break;  // the machine has none left: then without help
      }
    }
    work(*own);
    threads.clear();
    return failed_ ? Result<void>(*failed_) : Result<void>();
  }

  void work(Remote& remote) {
    Fetcher const with{fs_, remote, plan_.sources, throttle_, may_go_on_, stop_};
    while (auto const* const file = next()) {
      auto const fetched = fetch_file(with, *file, path_of(*file));
      if (fetched) continue;
      std::lock_guard const lock(mutex_);
      if (!failed_) failed_ = fetched.error();
    }
  }

  wire::ReleaseFile const* next() {
    std::lock_guard const lock(mutex_);
    return failed_ || next_ == queue_.size() ? nullptr : queue_[next_++];
  }

  Fs& fs_;
  Slots& slots_;
  Lines& lines_;
  Throttle& throttle_;
  DownloadPlan const& plan_;
  std::atomic<bool> const& stop_;
  std::string dir_;
  Shelf shelf_;
  std::function<Result<void>()> may_go_on_;
  std::mutex asking_;
  std::mutex mutex_;  ///< of the two below, while threads work
  std::size_t next_ = 0;
  std::optional<Error> failed_;
  std::vector<wire::ReleaseFile const*> queue_;  ///< what nobody here has, the order of the variant
};

}  // namespace

Result<void> download(Fs& fs, Slots& slots, Lines& lines, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop) {
  return Download(fs, slots, lines, throttle, plan, stop).run();
}

}  // namespace fleet::agent
