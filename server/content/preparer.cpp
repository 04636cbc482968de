#include "server/content/preparer.hpp"

#include "core/base/log.hpp"
#include "server/blobs/queries.hpp"
#include "server/content/paths.hpp"
#include "server/content/queries.hpp"
#include "server/content/wanted.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace fleet::routes {
namespace {

constexpr Millis kLookAtEpoch{500};
constexpr std::chrono::minutes kLookEvery{10};  ///< what devices run changes without an epoch
constexpr Millis kAfterError = std::chrono::minutes{1};
constexpr int kLowest = 19;

void lower_own_priority() { ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kLowest); }

Result<std::vector<std::string>> list(Fs& fs, std::string const& dir) {
  auto names = fs.list(dir);
  if (!names && names.error().kind == Kind::not_found) return std::vector<std::string>{};
  return names;
}

}  // namespace

void Preparer::start() {
  thread_ = std::make_unique<std::thread>([this] { loop(); });
}

void Preparer::stop() {
  {
    std::lock_guard const lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_ && thread_->joinable()) thread_->join();
}

void Preparer::loop() {
  lower_own_priority();
  bool led = false;
  while (!stop_) {
    bool const leads = services_.leads();
    if (leads && !std::exchange(led, true))
      if (auto const settled = settle(); !settled) log::error("content.not_settled", {{"code", settled.error().code}, {"detail", settled.error().detail}});
    led = leads;
    auto const done = leads ? round() : Result<bool>(false);
    if (!done && !stop_) {
      log::warn("content.failed", {{"code", done.error().code}, {"detail", done.error().detail}});
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kAfterError, [this] { return stop_.load(); });
    } else if (done && !*done) {
      rest();
    }
  }
}

/// Until a release or a rollout changed, a device asked for what is not there, or it is time to look what devices run.
void Preparer::rest() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    bool const is_time = services_.clock.mono() - looked_ >= kLookEvery;
    if (!services_.leads()) {
      changed_.wait_for(lock, kLookAtEpoch, [this] { return stop_.load(); });
      continue;
    }
    if (is_time || services_.store.epochs().policy() != seen_ || has_work()) return;
    changed_.wait_for(lock, kLookAtEpoch, [this] { return stop_.load(); });
  }
}

bool Preparer::has_work() {
  auto const task = next_task(services_.store.reader(), too_large_);
  return task && *task;
}

Result<bool> Preparer::round() {
  bool const is_time = looked_ == MonoTime{} || services_.clock.mono() - looked_ >= kLookEvery;
  if (is_time || services_.store.epochs().policy() != seen_) FLEET_CHECK(look());
  if (stop_) return false;
  FLEET_TRY(auto const task, next_task(services_.store.reader(), too_large_));
  if (!task) return false;
  FLEET_TRY(bool const fits, task->is_needed() ? Result<bool>(true) : has_room_for(*task));
  if (!fits) {
    too_large_.insert(task->n);
    return true;  // a smaller one may have
  }
  auto const made = make_recipe(context(), *task);
  if (!made && made.error().code == "interrupted") return false;
  FLEET_CHECK(made);
  return true;
}

Result<bool> Preparer::has_room_for(Task const& task) {
  auto blob = services_.store.reader().prepare(blobs::kGetBlob);
  FLEET_TRY(bool const known, blob.bind(1, task.target).step());
  return make_room(known ? static_cast<std::uint64_t>(blob.int64(0)) : 0);
}

Result<void> Preparer::look() {
  auto const epoch = services_.store.epochs().policy();
  auto const now = services_.clock.wall();
  FLEET_TRY(auto wanted, find_wanted(services_.store.reader(), stop_));
  if (bytes_max_ == 0) std::erase_if(wanted, [](WantedRecipe const& one) { return !one.is_needed(); });
  FLEET_CHECK(note_wanted(services_.store, wanted, now));
  for (;;) {
    FLEET_TRY(auto const unwanted, find_unwanted(services_.store.reader(), now));
    if (unwanted.empty() || stop_) break;
    for (auto const n : unwanted) FLEET_CHECK(give_up(context(), n));
  }
  too_large_.clear();
  seen_ = epoch;
  looked_ = services_.clock.mono();
  return {};
}

Result<bool> Preparer::make_room(std::uint64_t bytes) {
  for (;;) {
    auto& reader = services_.store.reader();
    std::int64_t oldest = 0;
    {
      auto used = reader.prepare(kObjectsBytes);
      FLEET_CHECK(used.step());
      if (static_cast<std::uint64_t>(used.int64(0)) + bytes <= bytes_max_) return true;
      auto row = reader.prepare(kOldestReady);
      // What the last look did not ask for.
      FLEET_TRY(bool const found, row.bind(1, to_unix_ms(services_.clock.wall() - 2 * kLookEvery)).step());
      if (!found) {
        log::warn("content.full", {{"used", used.int64(0)}, {"max", bytes_max_}, {"wanted", bytes}, {"hint", "fleet-server run --content-max"}});
        return false;
      }
      oldest = row.int64(0);
    }
    FLEET_CHECK(give_up(context(), oldest));
  }
}

Result<void> Preparer::settle() {
  auto& fs = services_.fs;
  auto& reader = services_.store.reader();
  std::vector<std::int64_t> lost;
  for (std::int64_t after = 0;;) {
    std::vector<std::int64_t> ready;
    {
      auto rows = reader.prepare(kReadyAfter);
      rows.bind(1, after);
      for (;;) {
        FLEET_TRY(bool const row, rows.step());
        if (!row) break;
        ready.push_back(rows.int64(0));
      }
    }
    if (ready.empty()) break;
    after = ready.back();
    for (auto const n : ready) {
      auto rows = reader.prepare(kObjectsOf);
      rows.bind(1, n);
      for (bool there = true; there;) {
        FLEET_TRY(bool const row, rows.step());
        if (!row) break;
        auto const info = fs.info(object_path(root(), rows.digest(0)));
        there = info && info->size == static_cast<std::uint64_t>(rows.int64(1));
        if (!there) lost.push_back(n);
      }
    }
  }
  for (auto const n : lost) FLEET_CHECK(give_up(context(), n, true));
  FLEET_TRY(auto const folders, list(fs, content_dir(root()) + "/objects"));
  for (auto const& folder : folders) {
    auto const dir = content_dir(root()) + "/objects/" + folder;
    FLEET_TRY(auto const names, list(fs, dir));
    for (auto const& name : names) {
      auto const digest = Digest::parse(name);
      auto row = reader.prepare(kObject);
      FLEET_TRY(bool const known, digest ? row.bind(1, *digest).step() : Result<bool>(false));
      if (!known) FLEET_CHECK(fs.remove_tree(dir + "/" + name));
      if (stop_) return {};
    }
  }
  return {};
}

}  // namespace fleet::routes
