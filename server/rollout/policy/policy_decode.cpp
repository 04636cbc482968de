#include "server/rollout/policy/decode.hpp"
#include "server/rollout/policy/presets.hpp"

#include "core/base/zone.hpp"

#include <fmt/format.h>

namespace fleet::rollout {
namespace {

constexpr std::size_t kPolicyBytesMax = 64 * 1024;

Result<Policy> read_preset(std::string_view name, std::string const& pointer) {
  Policy policy;
  policy.preset = name;
  if (is_preset(name)) return policy;
  auto const detail = fmt::format("'{}' is no preset", name.substr(0, 64));
  return Error{Kind::bad_input, "bad_policy", detail, fmt::format("presets: {}; or write a policy", fmt::join(kPresetNames, ", ")), {{pointer, detail}}};
}

}  // namespace

Result<Policy> decode_policy(std::string_view text, std::string const& pointer) {
  FLEET_TRY(auto const value, wire::parse_json(text, kPolicyBytesMax));
  if (value.is_string()) return read_preset(value.get_string(), pointer);
  Faults faults;
  Policy policy;
  ObjectReader reader(value, pointer, faults);
  read_stages(reader, policy, faults);
  read_gates(reader, policy, faults);
  policy.on_harm = read_either(reader, "on_harm", "rollback", OnHarm::rollback, "pause", OnHarm::pause);
  policy.on_deadline = read_either(reader, "on_deadline", "pause", OnDeadline::pause, "rollback", OnDeadline::rollback);
  read_device(reader, policy, faults);
  read_strata(reader, policy);
  read_limits(reader, policy, faults);
  read_times(reader, policy, faults);
  read_terms(reader, policy, faults);
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "policy"));
  return policy;
}

Result<Policy> take_policy(Fs& fs, std::string_view text, std::string const& pointer) {
  FLEET_TRY(auto policy, decode_policy(text, pointer));
  Faults faults;
  for (std::size_t i = 0; i < policy.windows.size(); ++i)
    if (auto const zone = Zone::load(fs, policy.windows[i].zone); !zone)
      faults.push_back({fmt::format("{}/windows/{}/zone", pointer, i), fmt::format("{}; {}", zone.error().detail, zone.error().hint)});
  FLEET_CHECK(wire::no_faults(faults, "policy"));
  return policy;
}

}  // namespace fleet::rollout
