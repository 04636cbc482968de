#include "cli/signing/addition.hpp"

#include "cli/render/json.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <set>

namespace fleet::cli {
namespace {

constexpr std::chrono::hours kLongest{24 * 400};
constexpr std::int64_t kCounterLeapMax = 1'000'000;

std::int64_t counter_of(trust::Target const& target) {
  auto const custom = wire::parse_json(target.custom.empty() ? "{}" : target.custom, 1024 * 1024);
  auto const* const counter = custom ? &render::member(*custom, "release_counter") : nullptr;
  return counter != nullptr && counter->is_int64() ? counter->get_int64() : 0;
}

}  // namespace

Error unexpected(std::string detail) {
  return {Kind::signature, "unexpected_change", std::move(detail), "do not sign: ask who prepared it, and look at it with fleetctl trust offline show"};
}

Result<trust::Target> the_addition(trust::Targets const& before, trust::Targets const& after, std::string const& path, SysTime now) {
  if (after.version != before.version + 1) return unexpected(fmt::format("version {}, the trusted one is {}", after.version, before.version));
  if (after.expires <= now || after.expires > now + kLongest) return unexpected(fmt::format("good until {}", to_rfc3339(after.expires)));
  if (!after.delegations.empty() || after.succinct) return unexpected("it delegates further");
  std::int64_t newest = 0;
  for (auto const& [name, target] : before.targets) {
    newest = std::max(newest, counter_of(target));
    auto const still = after.targets.find(name);
    bool const same =
        still != after.targets.end() && still->second.length == target.length && still->second.hashes == target.hashes && still->second.custom == target.custom;
    if (!same) return unexpected(fmt::format("{} is there with other bytes, or gone", name));
  }
  auto const added = after.targets.find(path);
  if (added == after.targets.end() || before.targets.contains(path) || after.targets.size() != before.targets.size() + 1)
    return unexpected(fmt::format("{} entries are to be added, expected {} alone", after.targets.size() - before.targets.size(), path));
  auto const counter = counter_of(added->second);
  if (counter <= newest) return unexpected(fmt::format("release counter {}, there is {} already", counter, newest));
  // One at its end would be the last release there can be.
  if (counter - newest > kCounterLeapMax) return unexpected(fmt::format("release counter {}, the one before is {}", counter, newest));
  return added->second;
}

Result<void> check_entry(trust::Target const& entry, wire::Release const& release, ReleaseRef const& ref) {
  if (release.model != ref.model || release.version != ref.version) return unexpected(fmt::format("the document is of {}@{}", release.model, release.version));
  FLEET_TRY(auto const custom, wire::parse_json(entry.custom.empty() ? "{}" : entry.custom, 1024 * 1024));
  if (!custom.is_object() || custom.get_object().size() != 3) return unexpected("the metadata say more of the release than hardware, counter and floor");
  std::set<std::string> said, listed;
  for (auto const& variant : release.variants) said.insert(variant.hardware.begin(), variant.hardware.end());
  if (auto const* const hardware = render::member(custom, "hardware").if_array())
    for (auto const& one : *hardware) listed.insert(render::text_of(one));
  bool const same = said == listed && release.release_counter == counter_of(entry) &&
                    release.manifest.security_floor == static_cast<std::int64_t>(render::number_at(custom, "security_floor"));
  return same ? Result<void>() : unexpected("hardware, counter or floor in the metadata are not the release's");
}

Result<void> check_published(wire::Release expected, wire::Release const& release) {
  expected.release_counter = release.release_counter;
  return wire::encode(expected) == wire::encode(release) ? Result<void>() : unexpected("the server's release.json is not what was published here");
}

}  // namespace fleet::cli
