#include "tests/crash/begin.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>

namespace fleet::crash {
namespace {

constexpr int kFaultsShown = 6;
constexpr auto kLasts = std::chrono::minutes{30};

bool takes_room(Call call) { return call == Call::create || call == Call::write || call == Call::mkdir || call == Call::symlink || call == Call::datasync; }
bool may_be_interrupted(Call call) {
  return call == Call::open || call == Call::read || call == Call::write || call == Call::truncate || call == Call::datasync || call == Call::sync;
}
bool any(Call) { return true; }

/// What goes wrong from one call on.
struct Trouble {
  std::string_view name;
  int number;
  bool (*meets)(Call);
  bool lasts;
};
constexpr auto kTroubles = std::to_array<Trouble>({
    {"EIO once", EIO, any, false},
    {"ENOSPC once", ENOSPC, takes_room, false},
    {"EDQUOT once", EDQUOT, takes_room, false},
    {"EINTR once", EINTR, may_be_interrupted, false},
    {"short write", Disk::kShort, [](Call call) { return call == Call::write; }, false},
    {"short writes", Disk::kShort, [](Call call) { return call == Call::write; }, true},
    {"EIO at changes", EIO, changes, true},
    {"EIO", EIO, any, true},
    {"ENOSPC", ENOSPC, takes_room, true},
    {"EDQUOT", EDQUOT, takes_room, true},
    {"EROFS", EROFS, changes, true},
});

class Failer {
public:
  Failer(Wanted const& wanted, Life const& life) : wanted_(wanted), life_(life) {}

  Tried run() {
    auto const began = std::chrono::steady_clock::now();
    auto const start = begin(life_);
    auto const calls = count_calls(start);
    for (auto const& trouble : kTroubles) {
      if (!wanted_.error.empty() && trouble.name != wanted_.error) continue;
      for (std::uint64_t call = 1; call <= calls; ++call)
        if (is_wanted(wanted_, call)) try_one(start, trouble, call);
    }
    tried_.points = calls;
    auto const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    fmt::print("{:<24} {:>5} calls  {:>6} errors {:>4} faults {:>6.1f} s, {} requests at most\n", life_.name, tried_.points, tried_.runs, tried_.faults, took, requests_);
    std::fflush(stdout);
    return tried_;
  }

private:
  static std::uint64_t count_calls(World const& start) {
    auto world = start;
    watch(world, {});
    std::uint64_t calls = 0;
    world.disk.refuse = [&calls](Call, std::string const&) {
      ++calls;
      return 0;
    };
    live(world);
    return calls;
  }

  /// The n-th call that such an error can meet is not the n-th call: from there on, the first that it can.
  void try_one(World const& start, Trouble const& trouble, std::uint64_t nth) {
    auto world = start;
    watch(world, {});
    world.peer.may_ask_anew = true;
    std::uint64_t calls = 0;
    std::optional<MonoTime> since;
    std::string where;
    world.disk.refuse = [&](Call call, std::string const& path) {
      bool const over = since && (!trouble.lasts || world.clock.mono() >= *since + kLasts);
      world.disk.full_errno = since && !over && trouble.lasts && (trouble.number == ENOSPC || trouble.number == EDQUOT) ? trouble.number : 0;
      world.disk.read_only = since && !over && trouble.number == EROFS;
      if (++calls < nth || over || !trouble.meets(call)) return 0;
      if (!since) {
        since = world.clock.mono();
        where = fmt::format("{} {}", to_string(call), path);
      }
      return world.disk.full_errno != 0 || world.disk.read_only ? 0 : trouble.number;
    };
    live(world);
    if (!since) return;  // none came
    ++tried_.runs;
    requests_ = std::max(requests_, world.peer.requests());
    world.disk.refuse = {};
    world.disk.full_errno = 0;
    world.disk.read_only = false;
    check_end(world);
    for (auto const& fault : world.faults)
      if (++tried_.faults <= kFaultsShown) fmt::print("  {}: {} from call {} on ({})\n    {}\n", life_.name, trouble.name, nth, where, fault);
  }

  Wanted const& wanted_;
  Life const& life_;
  Tried tried_;
  std::uint64_t requests_ = 0;  ///< of the life that had the most
};

}  // namespace

Tried fail_all(Wanted const& wanted) {
  Tried all;
  for (auto const& life : lives()) {
    if (!wanted.life.empty() && life.name != wanted.life) continue;
    all += Failer(wanted, life).run();
  }
  fmt::print("{} calls, {} errors tried, {} faults; seed {}\n", all.points, all.runs, all.faults, wanted.seed);
  return all;
}

}  // namespace fleet::crash
