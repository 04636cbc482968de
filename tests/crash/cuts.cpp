#include "tests/crash/cuts.hpp"

#include "tests/crash/begin.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

namespace fleet::crash {
namespace {

constexpr int kFaultsShown = 6;
constexpr std::uint64_t kAgainOneIn = 8;

/// A world as it was after one operation.
struct Moment {
  World world;
  Call call;
  std::string path;
};

/// The life in peace, and a picture of the world after each of its operations.
std::vector<Moment> record(World& world) {
  std::vector<Moment> out;
  out.push_back({world, Call::open, "the beginning"});
  watch(world, [&](Call call, std::string const& path) { out.push_back({world, call, path}); });
  live(world);
  world.disk.changed = {};
  check_end(world);
  return out;
}

/// Goes on from a disk that a power cut left, to the end; sometimes the power goes once more on the way.
void recover(World& world, Order order, Random& random) {
  for (int cuts = 0;; ++cuts) {
    world.disk = world.disk.after_cut(order, random);
    for (auto const& fault : check_disk(world, world.disk)) world.fault("right after the cut: " + fault);
    if (!world.faults.empty()) return;
    std::uint64_t left = cuts == 0 && random.next() % kAgainOneIn == 0 ? 1 + random.next() % 60 : 0;
    std::unique_ptr<World> cut;
    watch(world, [&](Call, std::string const&) {
      if (left > 0 && --left == 0) cut = std::make_unique<World>(world);
    });
    live(world, [&] { return cut != nullptr; });
    world.disk.changed = {};
    if (!cut) break;
    auto faults = std::move(world.faults);
    world = std::move(*cut);
    world.faults = std::move(faults);
    order = kOrders[random.next() % kOrders.size()];
  }
  check_end(world);
}

std::uint64_t seed_of(Wanted const& wanted, std::size_t life, std::uint64_t cut, int nth) {
  return ((wanted.seed * 1'000'003 + life) * 1'000'003 + cut) * 1'000'003 + static_cast<std::uint64_t>(nth);
}

class Cutter {
public:
  Cutter(Wanted const& wanted, std::size_t number) : wanted_(wanted), number_(number), life_(lives()[number]) {}

  Tried run() {
    auto const began = std::chrono::steady_clock::now();
    auto world = begin(life_);
    auto const moments = record(world);
    for (auto const& fault : world.faults) say(fault, "in peace");
    if (!world.faults.empty()) return done(began);
    for (std::uint64_t cut = 0; cut < moments.size(); ++cut) {
      if (!is_wanted(wanted_, cut)) continue;
      ++tried_.points;
      int nth = 0;
      for (auto const order : kOrders)
        for (int again = 0; again < (order == Order::mixed ? wanted_.mixed : 1); ++again, ++nth)
          if (wanted_.order.empty() || to_string(order) == wanted_.order) try_one(moments[cut], cut, order, nth);
    }
    return done(began);
  }

private:
  void try_one(Moment const& moment, std::uint64_t cut, Order order, int nth) {
    ++tried_.runs;
    auto world = moment.world;
    SeededRandom random(seed_of(wanted_, number_, cut, nth));
    recover(world, order, random);
    for (auto const& fault : world.faults)
      say(fault, fmt::format("cut {} (after {} {}), order {}, seed {}", cut, to_string(moment.call), moment.path, to_string(order), wanted_.seed));
  }

  void say(std::string const& fault, std::string const& where) {
    if (++tried_.faults <= kFaultsShown) fmt::print("  {}: {}\n    {}\n", life_.name, where, fault);
  }

  Tried done(std::chrono::steady_clock::time_point began) const {
    auto const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    fmt::print("{:<24} {:>5} points {:>6} cuts   {:>4} faults {:>6.1f} s\n", life_.name, tried_.points, tried_.runs, tried_.faults, took);
    std::fflush(stdout);
    return tried_;
  }

  Wanted const& wanted_;
  std::size_t number_;
  Life const& life_;
  Tried tried_;
};

}  // namespace

Tried cut_all(Wanted const& wanted) {
  Tried all;
  forget(wanted.forget);
  for (std::size_t i = 0; i < lives().size(); ++i) {
    if (!wanted.life.empty() && lives()[i].name != wanted.life) continue;
    all += Cutter(wanted, i).run();
  }
  fmt::print("{} operations, {} cuts tried, {} faults; seed {}\n", all.points, all.runs, all.faults, wanted.seed);
  return all;
}

}  // namespace fleet::crash
