#include "tests/crash/world.hpp"

#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::crash {
namespace {

/// Every file with its bytes and its mode, and nothing else.
void check_slot(Disk const& disk, std::string const& dir, Published const& release, std::vector<std::string>& faults) {
  for (auto const& [name, content] : release.files) {
    auto const text = disk.text(dir + "/" + name);
    if (!text) faults.push_back(fmt::format("{}/{} is missing", dir, name));
    else if (*text != content) faults.push_back(fmt::format("{}/{} holds other bytes ({} of {})", dir, name, text->size(), content.size()));
    else if (name.starts_with("bin/") && !disk.is_executable(dir + "/" + name)) faults.push_back(fmt::format("{}/{} is not executable", dir, name));
  }
  for (auto const& [name, target] : release.links)
    if (disk.target(dir + "/" + name) != target) faults.push_back(fmt::format("link {}/{} is missing, or leads elsewhere", dir, name));
  for (auto const& name : release.folders)
    if (!disk.exists(dir + "/" + name)) faults.push_back(fmt::format("folder {}/{} is missing", dir, name));
}

bool is_heard(World const& world, std::string const& accepted) {
  auto const space = accepted.find(' ');
  auto const item = wire::decode_report_item(std::string_view(accepted).substr(space + 1));
  auto const& received = world.peer.received()[accepted.substr(0, space) == "critical" ? wire::Tier::critical : wire::Tier::diagnostic];
  auto const found = item ? received.find(item->sequence) : received.end();
  return found != received.end() && found->second == accepted.substr(space + 1);
}

}  // namespace

bool is_all_heard(World const& world) {
  return std::all_of(world.accepted.begin(), world.accepted.end(), [&](std::string const& accepted) { return is_heard(world, accepted); });
}

std::vector<std::string> check_disk(World const& world, Disk const& disk) {
  std::vector<std::string> faults;
  for (auto const& model : world.peer.models_ever) {
    auto const home = fmt::format("{}/models/{}", kRoot, model);
    auto const link = disk.target(home + "/current");
    bool const must_run = world.committed.contains(model) && !world.may_run_none.contains(model);
    if (!link && must_run) faults.push_back(fmt::format("{} ran something, and `current` is gone", model));
    if (!link) continue;
    auto const digest = link->substr(link->find_last_of('/') + 1);
    auto const* const release = world.peer.published(digest);
    if (release == nullptr) faults.push_back(fmt::format("`current` of {} leads to {}, which nobody published", model, *link));
    else check_slot(disk, home + "/" + *link, *release, faults);
  }
  return faults;
}

void check_end(World& world) {
  if (!world.faults.empty()) return;  // it was not lived to its end
  for (auto const& complaint : world.peer.complaints()) world.fault(complaint);
  for (auto const& fault : check_disk(world, world.disk)) world.fault("at the end: " + fault);
  for (auto const& [model, version] : world.life->runs) {
    auto const link = world.disk.target(fmt::format("{}/models/{}/current", kRoot, model));
    auto const digest = link ? link->substr(link->find_last_of('/') + 1) : std::string();
    auto const wanted = version.empty() ? std::string() : world.release(model, version).digest;
    if (digest != wanted) world.fault(fmt::format("at the end {} runs {:.8}, expected {}", model, digest, version.empty() ? "none" : version));
  }
  for (auto const& [model, states] : world.life->told) {
    auto const told = world.peer.told(model);
    for (auto const& state : states)
      if (std::find(told.begin(), told.end(), state) == told.end()) world.fault(fmt::format("of {} '{}' was never told", model, state));
    if (states.size() == 1 && (told.empty() || told.back() != states.back()))
      world.fault(fmt::format("of {} '{}' was told last, expected '{}'", model, told.empty() ? "nothing" : told.back(), states.back()));
  }
  for (auto const& accepted : world.accepted)
    if (!is_heard(world, accepted)) world.fault("lost after the spool took it: " + accepted.substr(0, 200));
}

}  // namespace fleet::crash
