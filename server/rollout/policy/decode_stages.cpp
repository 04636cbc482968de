#include "server/rollout/policy/amounts.hpp"
#include "server/rollout/policy/decode.hpp"

#include <fmt/format.h>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

/// `"90%"`, or a number of devices.
Amount read_cap(ObjectReader& reader) {
  Amount cap;
  auto const* const value = reader.find("cap");
  if (value == nullptr) return cap;
  if (value->is_string()) {
    cap.percent = parse_percent(value->get_string());
    if (cap.percent && *cap.percent >= kShareMin * 100 && *cap.percent <= 100) return cap;
    cap.percent.reset();
    reader.fault("cap", "expected a number of devices, or a share up to 100%, such as 90%");
  } else {
    cap.devices = reader.integer("cap", 1, kCountMax, 1);
  }
  return cap;
}

void check_stage(ObjectReader& reader, StageSpec const& stage) {
  auto const& [size, cap] = std::pair{stage.size, stage.cap};
  if ((cap.percent && size.percent && *cap.percent < *size.percent) || (cap.devices && size.devices && *cap.devices < *size.devices))
    reader.fault("cap", "is below the stage's own size: windows go on from there to the cap");
  if (stage.grow != 1 && stage.window == 0) reader.fault("grow", "windows grow, and this stage has none: name `window`, the devices of its first");
}

StageSpec read_stage(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  StageSpec stage;
  bool const has_percent = reader.find("percent") != nullptr;
  bool const has_devices = reader.find("devices") != nullptr;
  stage.size.percent = read_percent(reader, "percent");
  if (has_devices) stage.size.devices = reader.integer("devices", 1, kCountMax, 1);
  if (reader.valid() && has_percent == has_devices) reader.fault("", "a stage has either percent or devices");
  stage.bake = read_duration(reader, "bake");
  stage.min_devices = reader.integer("min_devices", 0, kCountMax, 0);
  stage.deadline = read_duration(reader, "deadline");
  stage.window = reader.integer("window", 1, kCountMax, 0);
  stage.every = read_duration(reader, "every");
  stage.grow = read_number(reader, "grow", 1, {1, 10});
  stage.cap = read_cap(reader);
  check_stage(reader, stage);
  reader.refuse_unknown();
  return stage;
}

}  // namespace

void read_stages(ObjectReader& reader, Policy& policy, Faults& faults) {
  auto const* const list = reader.array("stages", kItemsMax);
  bool const is_test = reader.find("ab") != nullptr;
  if (is_test) {
    if (reader.find("stages") != nullptr) reader.fault("stages", "a test (`ab`) comes instead of stages: name one of the two");
    policy.stages.emplace_back();  // read_terms knows of what
    return;
  }
  if (list == nullptr || list->empty()) {
    if (list != nullptr || reader.find("stages") == nullptr) reader.fault("stages", "at least one stage is required");
    return;
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto const pointer = fmt::format("{}/{}", reader.pointer("stages"), i);
    policy.stages.push_back(read_stage((*list)[i], pointer, faults));
    if (i == 0) continue;
    auto const &now = policy.stages.back().size, &before = policy.stages[i - 1].size;
    bool const shrinks = (now.percent && before.percent && *now.percent <= *before.percent) || (now.devices && before.devices && *now.devices <= *before.devices);
    if (shrinks) faults.push_back({pointer, "stages are cumulative: each must be larger than the one before"});
  }
}

}  // namespace fleet::rollout
