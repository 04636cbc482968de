// usage: steady [--updates N] [--hours N]: one agent lives long, on a virtual clock, over a model of a disk, with a server in the same process (world.hpp): update after
// update, then hours of polls, samples and reports. What it holds in memory (all that C++ allocated and did not give back), in descriptors and on the disk late
// must be what it held early. Exit 1 with what grew.
#include "tests/crash/begin.hpp"
#include "tests/crash/programs.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <CLI/CLI.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> allocated = 0;

}  // namespace

void* operator new(std::size_t size) {
  void* const out = std::malloc(size);
  if (out == nullptr) throw std::bad_alloc();
  allocated += ::malloc_usable_size(out);
  return out;
}
void operator delete(void* given) noexcept {
  allocated -= ::malloc_usable_size(given);
  std::free(given);
}
void operator delete(void* given, std::size_t) noexcept { operator delete(given); }

namespace fleet::crash {
namespace {

constexpr char kConfig[] = "poll: {interval: 50s, jitter: 0}\nexec: {run_as: nobody}\n";
constexpr std::size_t kMayGrow = 4'096;  ///< numbers get longer, and what is kept by name has its limits: for a whole life, not a step of it

/// What files hold before they begin anew: the journal 256 KiB, a tier of the spool a segment.
constexpr std::uint64_t kFilesMayGrow = 256 * 1024 + agent::SpoolTier::kSegmentBytes;

/// What the agent holds.
struct Held {
  std::size_t memory = 0, descriptors = 0, files = 0;
  std::size_t lost = 0;     ///< memory that nobody gave back when all of it was over
  std::uint64_t bytes = 0;  ///< of the files
};

void add_files(Disk const& disk, std::string const& folder, Held& out) {
  for (auto const& name : disk.names(folder)) {
    auto const path = folder + "/" + name;
    if (disk.target(path)) continue;
    auto const text = disk.text(path);
    if (!text) {
      add_files(disk, path, out);
      continue;
    }
    ++out.files;
    out.bytes += text->size();
  }
}

/// The daemon goes at the end: what the memory is less without it, it held.
Held live_to_the_end(Life const& life) {
  World world(life, compiled_at() + std::chrono::days{1});
  world.in_peace = false;
  watch(world, {});
  Held out;
  std::size_t with = 0;
  live(world, [&] {
    with = allocated;
    out.descriptors = world.disk.opened();
    return false;
  });
  // The last look was before the turn that found it over, and did nothing else.
  out.memory = with - std::min(with, allocated.load());
  add_files(world.disk, kRoot, out);
  check_end(world);
  for (auto const& fault : world.faults) throw std::runtime_error(fault);
  return out;
}

/// A few files, of which one is in all; a golden test, and a probation of three seconds.
Published sample(int n) {
  Published what;
  what.files = {{"model.onnx", fmt::format("weights {} {}", n, std::string(3'000, 'w'))}, {"labels", "cat\ndog\n"}, {"answer", "1 2 3"}, {"expect", "1 2 3"}, {"bin/golden", kGolden}};
  wire::Manifest manifest;
  manifest.golden = wire::Golden{{"bin/golden"}, Millis{5'000}, "", "expect", 0};
  manifest.probation = wire::Probation{Millis{3'000}, 0, Millis{60'000}};
  return publish("reader", std::to_string(n), n, std::move(what), std::move(manifest));
}

Held live_through(Life const& life) {
  auto const before = allocated.load();
  auto out = live_to_the_end(life);
  auto const after = allocated.load();
  out.lost = after - std::min(after, before);
  return out;
}

Step updates_to(int n) {
  auto const name = std::to_string(n), rollout = "ro-" + name;
  return {"update " + name,
          [=](World& world) {
            if (n > 2) world.peer.retire(world.release("reader", std::to_string(n - 2)).digest);
            world.add(sample(n));
            world.peer.direct({Peer::target(world.release("reader", name), rollout)});
          },
          [=](World const& world) { return world.peer.was_told("reader", "committed", rollout); }};
}

/// An hour of an app that tells three metrics of what runs; orders are given each hour.
Step hours(int n) {
  auto const until = std::make_shared<MonoTime>();
  return {fmt::format("{} hours", n), [=](World& world) { *until = world.clock.mono() + std::chrono::hours{n}; },
          [=](World const& world) { return world.clock.mono() >= *until; },
          [](World& world, agent::Daemon& daemon) {
            auto const& release = world.release("reader", "1").digest;
            for (int i = 0; i < 3'600; ++i)
              daemon.context->collector.take(fmt::format("inferences:10|c|#release:{0}\nlatency_ms:{1}|ms|#release:{0}\nconfidence:0.{2}|h|#release:{0}", release, 8 + i % 97 * 0.1, 10 + i % 89));
          }};
}

Life life_of(int updates, int of_hours) {
  Life out;
  out.name = fmt::format("{} updates, {} hours", updates, of_hours);
  out.config = kConfig;
  for (int n = 1; n <= updates; ++n) out.steps.push_back(updates_to(n));
  if (of_hours > 0) out.steps.push_back(hours(of_hours));
  out.most = std::chrono::hours{48 + updates + of_hours};
  out.requests_most = 10'000 + 200 * static_cast<std::uint64_t>(updates + of_hours);
  return out;
}

/// @returns whether the late one holds no more than the early one
bool compare(Life const& early, Life const& late) {
  bool fine = true;
  std::array<Held, 2> held;
  for (std::size_t i = 0; i < 2; ++i) {
    auto const& life = i == 0 ? early : late;
    held[i] = live_through(life);
    fmt::print("{:<28} {:>9} bytes of memory, {} lost, {} descriptors, {} files of {} bytes\n", life.name, held[i].memory, held[i].lost, held[i].descriptors, held[i].files, held[i].bytes);
  }
  auto const grew = [&](char const* what, std::uint64_t before, std::uint64_t after, std::uint64_t may) {
    if (after <= before + may) return;
    fmt::print("FAILED: {} grew from {} to {}\n", what, before, after);
    fine = false;
  };
  grew("memory", held[0].memory, held[1].memory, kMayGrow);
  grew("what is lost", held[0].lost, held[1].lost, 0);
  grew("descriptors", held[0].descriptors, held[1].descriptors, 0);
  grew("files", held[0].files, held[1].files, 0);
  grew("the disk", held[0].bytes, held[1].bytes, kFilesMayGrow);
  return fine && held[0].memory > 0;
}

}  // namespace
}  // namespace fleet::crash

int main(int argc, char** argv) try {
  CLI::App app("steady: an agent that lives long holds no more than one that has just begun");
  int updates = 1'000, of_hours = 24;
  app.add_option("--updates", updates, "in a row")->check(CLI::Range(101, 100'000));
  app.add_option("--hours", of_hours, "of polls, samples and reports")->check(CLI::Range(3, 10'000));
  CLI11_PARSE(app, argc, argv);
  fleet::log::set_level(static_cast<fleet::log::Level>(4));
  using namespace fleet::crash;
  static_cast<void>(live_through(life_of(1, 1)));  // what is made once, made
  bool const updates_fine = compare(life_of(100, 0), life_of(updates, 0));
  bool const hours_fine = compare(life_of(1, 2), life_of(1, of_hours));
  return updates_fine && hours_fine ? 0 : 1;
} catch (std::exception const& fault) {
  fmt::print(stderr, "steady: {}\n", fault.what());
  return 1;
}
