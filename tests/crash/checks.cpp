#include "tests/crash/own_program.hpp"
#include "tests/crash/programs.hpp"
#include "tests/crash/world.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::crash {
namespace {

/// Every file with its bytes and its mode, and nothing else.
void check_slot(Disk const& disk, std::string const& dir, Contents const& contents, std::vector<std::string>& faults) {
  for (auto const& [name, content] : contents.files) {
    auto const text = disk.text(dir + "/" + name);
    if (!text) faults.push_back(fmt::format("{}/{} is missing", dir, name));
    else if (*text != content) faults.push_back(fmt::format("{}/{} holds other bytes ({} of {})", dir, name, text->size(), content.size()));
    else if (is_program(name) && !disk.is_executable(dir + "/" + name)) faults.push_back(fmt::format("{}/{} is not executable", dir, name));
  }
  for (auto const& [name, target] : contents.links)
    if (disk.target(dir + "/" + name) != target) faults.push_back(fmt::format("link {}/{} is missing, or leads elsewhere", dir, name));
  for (auto const& name : contents.folders)
    if (!disk.exists(dir + "/" + name)) faults.push_back(fmt::format("folder {}/{} is missing", dir, name));
}

/// What the slot of a variant holds; empty: of the hardware's own.
Contents const* contents_of(Published const& release, std::string const& variant) {
  if (variant.empty()) return release.unpacked ? &*release.unpacked : &release;
  auto const found = release.variants.find(variant);
  return found == release.variants.end() ? nullptr : &found->second;
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

Running running(Disk const& disk, std::string const& model) {
  constexpr std::size_t kHex = 64;
  Running out{disk.target(fmt::format("{}/models/{}/current", kRoot, model)).value_or(""), {}, {}};
  auto const name = out.link.substr(out.link.find_last_of('/') + 1);
  out.digest = name.substr(0, kHex);
  if (name.size() > kHex) out.variant = name.substr(kHex + 1);
  return out;
}

std::vector<std::string> check_flash(World const& world, Disk const& disk, std::string const& model) {
  auto const digest = running(disk, model).digest;
  auto const* const release = world.peer.published(digest);
  if (release == nullptr || release->release.manifest.handler != wire::kExecHandler) return {};
  std::vector<std::string> faults;
  if (auto const there = disk.text(fmt::format("{}/current", kFlash)); there != digest)
    faults.push_back(fmt::format("the agent has that {} runs {:.8}, and its installer {:.8}", model, digest, there ? *there : "none"));
  if (disk.text(fmt::format("{}/{}", kFlash, digest)) != release->files.at("model.onnx")) faults.push_back(fmt::format("the image {:.8} is not whole", digest));
  return faults;
}

std::vector<std::string> check_disk(World const& world, Disk const& disk) {
  std::vector<std::string> faults;
  for (auto const& model : world.peer.models_ever) {
    auto const runs = running(disk, model);
    bool const must_run = world.committed.contains(model) && !world.may_run_none.contains(model);
    if (runs.link.empty() && must_run) faults.push_back(fmt::format("{} ran something, and `current` is gone", model));
    if (runs.link.empty()) continue;
    auto const* const release = world.peer.published(runs.digest);
    auto const* const contents = release == nullptr ? nullptr : contents_of(*release, runs.variant);
    if (contents == nullptr) faults.push_back(fmt::format("`current` of {} leads to {}, which nobody published", model, runs.link));
    else check_slot(disk, fmt::format("{}/models/{}/{}", kRoot, model, runs.link), *contents, faults);
  }
  for (auto& fault : check_trial(disk)) faults.push_back(std::move(fault));
  return faults;
}

void check_end(World& world) {
  if (!world.faults.empty()) return;  // it was not lived to its end
  for (auto const& complaint : world.peer.complaints()) world.fault(complaint);
  for (auto const& fault : check_disk(world, world.disk)) world.fault("at the end: " + fault);
  for (auto const& [model, version] : world.life->runs) {
    auto const digest = running(world.disk, model).digest;
    for (auto const& fault : check_flash(world, world.disk, model)) world.fault("at the end: " + fault);
    if (model == wire::kAgentModel && world.program != digest) world.fault(fmt::format("at the end the agent is {:.8}, and its link leads to {:.8}", world.program, digest));
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
  if (auto const other = world.life->also ? world.life->also(world) : std::string(); !other.empty()) world.fault(other);
}

}  // namespace fleet::crash
