#include "tests/crash/begin.hpp"

namespace fleet::crash {
namespace {

std::string forgotten_call, forgotten_path;

}  // namespace

void forget(std::string const& what) {
  auto const space = what.find(' ');
  if (space == std::string::npos) return;
  forgotten_call = what.substr(0, space);
  forgotten_path = what.substr(space + 1);
}

void watch(World& world, std::function<void(Call, std::string const&)> each) {
  if (!forgotten_call.empty())
    world.disk.refuse = [](Call call, std::string const& path) {
      return to_string(call) == forgotten_call && path.find(forgotten_path) != std::string::npos ? Disk::kForget : 0;
    };
  world.disk.changed = [&world, each = std::move(each)](Call call, std::string const& path) {
    note_accepted(world, call, path);
    if (each) each(call, path);
  };
}

World begin(Life const& life) {
  World world(life, compiled_at() + std::chrono::days{1});
  watch(world, {});
  live(world);
  world.in_peace = false;
  world.at = 0;
  world.acted = false;
  return world;
}

bool is_wanted(Wanted const& wanted, std::uint64_t point) { return wanted.cut ? *wanted.cut == point : point % wanted.every == wanted.seed % wanted.every; }

}  // namespace fleet::crash
