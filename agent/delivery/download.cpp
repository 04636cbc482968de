#include "agent/delivery/download.hpp"

#include "agent/delivery/copy_file.hpp"
#include "agent/delivery/file_fetch.hpp"
#include "agent/thread.hpp"
#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <list>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kSpare = 1024 * 1024;
constexpr std::uint64_t kBlock = 4096;  ///< what a file takes is a multiple of it

/// A file that is neither there nor on the shelf.
struct Job {
  wire::ReleaseFile const* file = nullptr;
  std::vector<wire::Route> routes;  ///< those that are worth it, the best first
  bool by_recipe = false;           ///< there was one at first
  std::atomic<std::uint64_t> left{0};
};

}  // namespace

struct Download::State {
  State(DownloadRoom given, Wanted what, std::atomic<bool> const& ends)
      : room(given), wanted(std::move(what)), stop(ends), dir(room.slots.staging(wanted.model, wanted.digest)), parts(room.slots.parts(wanted.model, wanted.digest)) {}

  DownloadRoom room;
  Wanted wanted;
  std::atomic<bool> const& stop;
  std::string dir, parts;
  Shelf shelf;
  std::vector<wire::ReleaseFile const*> copies;  ///< what the shelf should have
  std::vector<wire::ReleaseFile const*> again;   ///< equal to one that comes before
  std::list<Job> jobs;
  std::atomic<std::uint64_t> unwritten{0};

  std::function<Result<void>(bool)> may_go_on;
  std::mutex asking;
  std::mutex mutex;  ///< of the two below, while threads work
  std::array<std::list<Job>::iterator, 2> next{};  ///< of those as they are, of those by recipe
  std::optional<Error> failed;

  [[nodiscard]] std::string path_of(wire::ReleaseFile const& file) const { return dir + "/" + file.name; }
  [[nodiscard]] std::uint64_t size_of(std::string const& path) const {
    auto const there = room.fs.info(path);
    return there ? there->size : 0;
  }

  Result<void> look();
  Result<bool> is_there(wire::ReleaseFile const& file);
  void plan_job(wire::ReleaseFile const& file, std::optional<wire::ReleaseRoutes> const& routes);
  Result<void> check_space();
  Result<bool> copy(wire::ReleaseFile const& file);
  Result<void> fetch_all(Lines& lines);
  void work(Remote& remote, bool by_recipe);
  Job* take(bool by_recipe);
  Result<void> bring(Fetcher const& with, Job& job);
  Result<bool> follow(Fetcher const& with, Job& job, wire::Route const& route);
};

Download::Download(DownloadRoom room, Wanted wanted, std::atomic<bool> const& stop) : state_(std::make_unique<State>(room, std::move(wanted), stop)) {}
Download::~Download() = default;

Result<void> Download::plan(std::function<Result<std::optional<wire::ReleaseRoutes>>()> const& routes) {
  auto& state = *state_;
  auto const& wanted = state.wanted;
  FLEET_CHECK(state.room.slots.prepare_staging(wanted.model, wanted.digest, wanted.variant));
  FLEET_CHECK(state.look());
  std::set<Digest> digests;
  for (auto const* const file : state.copies) digests.insert(file->sha256);
  if (digests.empty()) return {};
  std::optional<wire::ReleaseRoutes> told;
  if (routes) {
    FLEET_TRY(told, routes());
  }
  for (auto const& file : told ? told->files : std::vector<wire::FileRoutes>{})
    for (auto const& route : file.routes) digests.insert(route.bases.begin(), route.bases.end());
  state.shelf.look(state.room.fs, state.room.slots, wanted.hardware, digests, state.stop);
  if (state.stop) return interrupted();
  std::vector<wire::ReleaseFile const*> copies;
  for (auto const* const file : std::exchange(state.copies, {})) {
    if (!state.shelf.find(state.room.fs, file->sha256, file->size).empty()) state.copies.push_back(file);
    else state.plan_job(*file, told);
  }
  return {};
}

bool Download::lacks_ways() const {
  auto const& state = *state_;
  return state.wanted.key && std::any_of(state.jobs.begin(), state.jobs.end(), [](Job const& job) { return job.routes.empty(); });
}

std::uint64_t Download::to_fetch() const {
  std::uint64_t out = 0;
  for (auto const& job : state_->jobs) out += job.left;
  return out;
}

std::uint64_t Download::to_write() const {
  std::uint64_t out = 0;
  for (auto const& file : state_->wanted.variant.files) out += file.size - std::min(file.size, state_->size_of(state_->path_of(file)));
  return out;
}

Result<void> Download::run(Lines& lines, std::function<Result<void>(bool)> may_go_on) {
  auto& state = *state_;
  if (may_go_on)
    state.may_go_on = [&state, may_go_on = std::move(may_go_on)](bool more) {
      std::lock_guard const lock(state.asking);
      return may_go_on(more);
    };
  FLEET_CHECK(state.check_space());
  for (auto const* const file : std::exchange(state.copies, {})) {
    FLEET_TRY(bool const copied, state.copy(*file));
    if (!copied) state.plan_job(*file, {});
  }
  FLEET_CHECK(state.fetch_all(lines));
  for (auto const& job : state.jobs) state.shelf.add(job.file->sha256, {state.dir, job.file->name});
  for (auto const* const file : state.again) {
    FLEET_TRY(bool const copied, state.copy(*file));
    if (!copied) return Error{Kind::io, "io_failed", fmt::format("file '{}' cannot be read back", file->name)};
  }
  return {};
}

/// What lies in the staging folder whole is done; what is missing is to be copied, until nobody has it.
Result<void> Download::State::look() {
  copies.clear();
  again.clear();
  jobs.clear();
  shelf = {};
  std::set<Digest> missing;
  for (auto const& file : wanted.variant.files) {
    FLEET_TRY(bool const there, is_there(file));
    if (there) shelf.add(file.sha256, {dir, file.name});
    else (missing.insert(file.sha256).second ? copies : again).push_back(&file);
  }
  return {};
}

/// In the staging folder, whole and right; else its folder is made there.
Result<bool> Download::State::is_there(wire::ReleaseFile const& file) {
  auto const path = path_of(file);
  if (auto const slash = file.name.find_last_of('/'); slash != std::string::npos) FLEET_CHECK(room.fs.make_dirs(dir + "/" + file.name.substr(0, slash)));
  if (auto const there = room.fs.info(path); !there || there->size != file.size) return false;
  auto const found = crypto::sha256_file(room.fs, path, &stop);
  if (found) return found->size == file.size && found->sha256 == file.sha256;
  if (stop) return interrupted();
  FLEET_CHECK(room.fs.remove(path));  // its bytes cannot be read any more
  return false;
}

void Download::State::plan_job(wire::ReleaseFile const& file, std::optional<wire::ReleaseRoutes> const& routes) {
  auto& job = jobs.emplace_back();
  auto have = size_of(path_of(file));
  if (have >= file.size) have = 0;  // whole, and wrong: how much of it is not known
  job.file = &file;
  job.left = file.size - have;
  auto const of_file = [&](wire::FileRoutes const& one) { return one.sha256 == file.sha256 && one.size == file.size; };
  auto const found = routes ? std::find_if(routes->files.begin(), routes->files.end(), of_file) : std::vector<wire::FileRoutes>::const_iterator{};
  if (!routes || found == routes->files.end()) return;
  // What a recipe began is judged by its blocks: after a power cut a length says nothing of what is there.
  bool const begun = std::any_of(found->routes.begin(), found->routes.end(), [&](wire::Route const& route) { return room.fs.info(parts + "/" + route.recipe.hex()).has_value(); });
  auto const instead = wanted.key ? std::nullopt : std::optional(file.size - std::min(file.size, begun ? 0 : have));
  job.routes = choose_routes(*found, begun ? 0 : have, shelf, {kRecipeMemoryMax, instead});
  std::erase_if(job.routes, [&](wire::Route const& route) { return wanted.spent.contains(route.recipe); });
  job.by_recipe = !job.routes.empty();
  if (job.by_recipe) job.left = cost_of(job.routes.front(), file.size, have);
}

Result<void> Download::State::check_space() {
  std::uint64_t needed = kSpare;
  for (auto const& file : wanted.variant.files) {
    auto const missing = file.size - std::min(file.size, size_of(path_of(file)));
    needed += (missing + kBlock - 1) / kBlock * kBlock;
  }
  for (auto const& job : jobs)
    if (job.by_recipe) needed += job.routes.front().recipe_bytes;
  FLEET_TRY(auto const free, room.fs.free_bytes(dir));
  if (free >= needed) return {};
  return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes are needed, {} are free at {}", needed, free, dir), "free some space on the device"};
}

/// False: nobody on this device has it. What was begun of it is given up for a copy only once there is one to copy.
Result<bool> Download::State::copy(wire::ReleaseFile const& file) {
  for (auto const& place : shelf.find(room.fs, file.sha256, file.size)) {
    auto const source = room.fs.open(place.path(), Fs::Mode::read);
    if (!source) continue;
    // What cannot be read there is nobody's fault here: another place may have it.
    auto const read = [&](std::uint64_t offset, std::span<std::uint8_t> out) {
      auto const n = (*source)->read_at(offset, out);
      return Result<std::size_t>(n ? *n : 0);
    };
    FLEET_TRY(bool const copied, copy_verified(room.fs, read, file, path_of(file), stop));
    if (copied) return true;
  }
  return false;
}

/// By this thread and those that help it: recipes by this one alone, for each takes some memory. After an error nothing more is begun.
Result<void> Download::State::fetch_all(Lines& lines) {
  next = {jobs.begin(), jobs.begin()};
  failed.reset();
  auto const as_they_are = static_cast<std::size_t>(std::count_if(jobs.begin(), jobs.end(), [](Job const& job) { return !job.by_recipe; }));
  auto const give_back = [&lines](int*) { lines.helpers()->release(); };
  std::vector<std::unique_ptr<int, decltype(give_back)>> taken;
  std::vector<std::unique_ptr<Thread>> threads;
  FLEET_TRY(auto* const own, lines.at(0));
  int token = 0;
  auto const useful = std::min(as_they_are, jobs.empty() ? 0 : jobs.size() - 1);
  while (lines.helpers() != nullptr && threads.size() < useful && lines.helpers()->try_acquire()) {
    taken.emplace_back(&token, give_back);
    auto const line = lines.at(threads.size() + 1);
    if (!line) break;
    try {
      threads.push_back(std::make_unique<Thread>([this, remote = *line] { work(*remote, false); }));
    } catch (std::runtime_error const&) {
      break;  // the machine has none left: then without help
    }
  }
  work(*own, true);
  work(*own, false);
  threads.clear();
  return failed ? Result<void>(*failed) : Result<void>();
}

void Download::State::work(Remote& remote, bool by_recipe) {
  Fetcher const with{room.fs, remote, room.sources, room.throttle, may_go_on, stop};
  while (auto* const job = take(by_recipe)) {
    auto const fetched = bring(with, *job);
    if (fetched) continue;
    std::lock_guard const lock(mutex);
    if (!failed) failed = fetched.error();
  }
}

Job* Download::State::take(bool by_recipe) {
  std::lock_guard const lock(mutex);
  auto& at = next[by_recipe ? 1 : 0];
  while (at != jobs.end() && at->by_recipe != by_recipe) ++at;
  return failed || at == jobs.end() ? nullptr : &*at++;
}

Result<void> Download::State::bring(Fetcher const& with, Job& job) {
  auto const& file = *job.file;
  while (!job.routes.empty()) {
    FLEET_TRY(bool const whole, follow(with, job, job.routes.front()));
    if (whole) return {};
    log::warn("download.next_route", {{"file", file.name}, {"kind", job.routes.front().kind}, {"recipe", job.routes.front().recipe.hex()}});
    wanted.spent.insert(job.routes.front().recipe);
    job.routes.erase(job.routes.begin());
    auto const have = size_of(path_of(file));
    job.left = job.routes.empty() ? file.size - std::min(file.size, have) : cost_of(job.routes.front(), file.size, have);
    if (may_go_on) FLEET_CHECK(may_go_on(true));
  }
  if (wanted.key) return Error{Kind::unprocessable, "no_route", fmt::format("no way that the server knows leads to file '{}', which travels encrypted alone", file.name)};
  return fetch_file(with, file, path_of(file), job.left);
}

/// False: another route is to be taken. What it left of the file is right from its start to its end.
Result<bool> Download::State::follow(Fetcher const& with, Job& job, wire::Route const& route) {
  auto const& file = *job.file;
  FLEET_CHECK(room.fs.make_dirs(parts));
  wire::ReleaseFile const recipe{route.recipe.hex(), route.recipe_bytes, route.recipe, false};
  auto const recipe_path = parts + "/" + recipe.name;
  auto const kept = crypto::sha256_file(room.fs, recipe_path, &stop);
  if (!kept || kept->sha256 != route.recipe) {
    std::atomic<std::uint64_t> left{0};
    auto const fetched = fetch_file(with, recipe, recipe_path, left);
    if (!fetched && (fetched.error().kind == Kind::not_found || is_lie(fetched.error()))) return false;
    FLEET_CHECK(fetched);
    // Before the file's first byte: what a recipe began is known by the recipe beside it.
    FLEET_CHECK(room.fs.sync_dir(parts));
    FLEET_CHECK(room.fs.sync_dir(parts.substr(0, parts.find_last_of('/'))));
  }
  log::info("download.route", {{"file", file.name}, {"kind", route.kind}, {"bytes", route.bytes}, {"of", file.size}});
  FLEET_TRY(auto const followed, follow_recipe(with, {file, path_of(file), route.recipe, recipe_path, parts + "/" + file.sha256.hex() + ".map", shelf, room.assemblers, job.left, wanted.key}));
  if (followed.whole) return true;
  if (!followed.verified) return false;
  FLEET_TRY(auto const target, room.fs.open(path_of(file), Fs::Mode::append_or_create));
  FLEET_CHECK(target->truncate(*followed.verified));
  FLEET_CHECK(target->sync());
  return false;
}

}  // namespace fleet::agent
