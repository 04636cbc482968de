#include "server/rollout/policy/amounts.hpp"
#include "server/rollout/policy/decode.hpp"

#include "core/base/names.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr double kHoldbackMax = .5;
constexpr std::int64_t kPriorityMax = 1'000;
constexpr std::int64_t kSizeMax = std::int64_t{1} << 50;
constexpr auto kDays = std::to_array<std::string_view>({"mon", "tue", "wed", "thu", "fri", "sat", "sun"});

/// `20MiB`, or bytes.
std::int64_t read_size(ObjectReader& reader, std::string_view key, std::int64_t fallback) {
  auto const* const size = reader.find(key);
  if (size == nullptr) return fallback;
  if (size->is_number()) return reader.integer(key, 0, kSizeMax, fallback);
  auto const bytes = wire::parse_size(reader.text(key, 40, "0"));
  if (bytes && *bytes <= static_cast<std::uint64_t>(kSizeMax)) return static_cast<std::int64_t>(*bytes);
  reader.fault(key, bytes ? fmt::format("{} bytes, at most {} are taken", *bytes, kSizeMax) : bytes.error().detail);
  return fallback;
}

bool is_time_of_day(std::string_view text) {
  auto const digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  return text.size() == 5 && text[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4) && text.substr(0, 2) <= "23" && text.substr(3) <= "59";
}

wire::Window read_window(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  wire::Window window;
  window.zone = reader.required_text("zone", 64);
  window.days = reader.texts("days", 7, 16);
  window.from = reader.required_text("from", 5);
  window.to = reader.required_text("to", 5);
  window.gates = reader.text("gates", 16, "switch");
  for (auto const& day : window.days)
    if (std::find(kDays.begin(), kDays.end(), day) == kDays.end())
      reader.fault("days", fmt::format("'{}' is no day; write mon, tue, wed, thu, fri, sat, sun", day));
  if (!window.from.empty() && !is_time_of_day(window.from)) reader.fault("from", "expected HH:MM");
  if (!window.to.empty() && !is_time_of_day(window.to)) reader.fault("to", "expected HH:MM");
  if (window.gates != "switch" && window.gates != "download" && window.gates != "both") reader.fault("gates", "is switch, download or both");
  reader.refuse_unknown();
  return window;
}

SysTime read_moment(ObjectReader& reader, std::string_view key) {
  if (reader.valid() && reader.find(key) == nullptr) reader.fault(key, "is required: a time such as 2026-12-20T00:00:00Z");
  return reader.time(key).value_or(SysTime{});
}

Freeze read_freeze(json::value const& value, std::string pointer, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  auto const before = faults.size();
  Freeze freeze{read_moment(reader, "from"), read_moment(reader, "to")};
  if (faults.size() == before && freeze.to <= freeze.from)
    reader.fault("to", fmt::format("{} is not after from, {}", to_rfc3339(freeze.to, true), to_rfc3339(freeze.from, true)));
  reader.refuse_unknown();
  return freeze;
}

/// `reader@1.4.0`.
void check_release_name(ObjectReader& reader, std::string_view key, std::string_view text) {
  auto const at = text.find('@');
  if (at == std::string_view::npos) return reader.fault(key, fmt::format("'{}' is no release; write MODEL@VERSION", text));
  if (auto const model = check_model_name(text.substr(0, at)); !model) reader.fault(key, model.error().detail);
  if (auto const version = check_version_name(text.substr(at + 1)); !version) reader.fault(key, version.error().detail);
}

void read_test(json::value const& value, std::string pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  AbTest test;
  test.against = reader.required_text("against", 130);
  if (!test.against.empty()) check_release_name(reader, "against", test.against);
  test.share = read_share(reader, "share", test.share);
  auto const time = [&](std::string_view key, Millis otherwise) { return reader.find(key) == nullptr ? otherwise : read_duration(reader, key); };
  StageSpec arm;
  arm.size.percent = 100 * test.share;
  arm.window = reader.integer("window", 1, kCountMax, 0);
  arm.every = time("every", AbTest::kEvery);
  arm.grow = read_number(reader, "grow", AbTest::kGrow, {1, 10});
  arm.bake = time("bake", policy.reads_samples() ? AbTest::kBake : Millis{0});
  arm.deadline = time("deadline", AbTest::kDeadline);
  if (arm.deadline == Millis{0}) reader.fault("deadline", "a test ends: say when at the latest, such as 14d");
  else if (arm.deadline <= arm.bake) reader.fault("deadline", "is not after the first window's bake: nothing would be compared");
  reader.refuse_unknown();
  policy.stages = {arm};
  policy.ab = std::move(test);
}

/// What would be silently off in a test.
void check_test(ObjectReader& reader, Policy const& policy, Faults& faults) {
  if (!policy.ab) return;
  if (!policy.failures && !policy.silent && policy.metrics.empty())
    reader.fault("ab", "no gate compares the two releases: name failures, silent or metrics under `gates`");
  if (policy.holdback > 0) reader.fault("holdback", "a test brings nobody the release afterwards: leave it out");
  auto const no_stage = [&](bool named, std::string_view key) {
    if (named) faults.push_back({fmt::format("{}/{}", reader.pointer("gates"), key), "a test has no stage to pass: leave it out"});
  };
  if (policy.retry) reader.fault("retry", "a test compares first attempts: leave it out");
  no_stage(!policy.certify.empty(), "certify");
  no_stage(policy.failures && !policy.failures->max_odds_ratio.empty(), "failures/max_odds_ratio");
}

/// An emergency skips bake and evidence, so what stops it must be named.
void check_emergency(ObjectReader& reader, Policy const& policy) {
  if (!policy.emergency) return;
  if (policy.ab) reader.fault("emergency", "an emergency is no test: name one of `emergency` and `ab`");
  if (!policy.failures && !policy.silent && policy.absolute.empty())
    reader.fault("emergency", "bake and evidence are skipped, and no gate would stop harm: name failures, silent or absolute under `gates`");
}

void read_retry(boost::json::value const& value, std::string const& pointer, Policy& policy, Faults& faults) {
  ObjectReader reader(value, pointer, faults);
  RetryRule rule;
  rule.attempts = reader.integer("attempts", 2, 100, rule.attempts);
  if (reader.find("backoff") != nullptr) rule.backoff = read_duration(reader, "backoff");
  rule.backoff_max = std::max(rule.backoff_max, rule.backoff);
  if (reader.find("backoff_max") != nullptr) rule.backoff_max = read_duration(reader, "backoff_max");
  if (rule.backoff < seconds{1}) reader.fault("backoff", "at least 1s");
  if (rule.backoff_max < rule.backoff) reader.fault("backoff_max", "no less than backoff");
  reader.refuse_unknown();
  policy.retry = rule;
}

void check_control(std::string const& pointer, Policy const& policy, Faults& faults) {
  if (policy.controls > 0) return;
  for (auto const& [name, named] : {std::pair{"failures", policy.failures.has_value()}, std::pair{"metrics", !policy.metrics.empty()},
                                    std::pair{"drift", policy.drift.has_value()}})
    if (named) faults.push_back({pointer, fmt::format("0 leaves gate '{}' nothing to compare canaries with; 1 to 9, or leave out the gate", name)});
}

}  // namespace

void read_device(ObjectReader& policy_reader, Policy& policy, Faults& faults) {
  auto const* const value = policy_reader.find("device");
  if (value == nullptr) return;
  ObjectReader reader(*value, policy_reader.pointer("device"), faults);
  auto& device = policy.device;
  if (auto const battery = read_percent(reader, "battery_min")) {
    device.battery_min_percent = static_cast<int>(*battery);
    if (*battery != device.battery_min_percent) reader.fault("battery_min", fmt::format("expected whole percents, got {}", *battery));
  }
  device.metered = reader.text("metered", 16, "allow");
  if (device.metered != "allow" && device.metered != "avoid" && device.metered != "never")
    reader.fault("metered", fmt::format("is allow, avoid or never, got '{}'", device.metered));
  device.metered_max_bytes = read_size(reader, "metered_max", 0);
  device.charging = reader.boolean("charging", false);
  if (reader.find("temperature_max") != nullptr) device.temperature_max = read_number(reader, "temperature_max", 0, {-100, 200});
  if (reader.find("load_max") != nullptr) device.load_max = read_number(reader, "load_max", 1, {0, 1'000, true});
  device.memory_free_min = read_size(reader, "memory_free_min", 0);
  device.disk_free_min = read_size(reader, "disk_free_min", 0);
  device.attempts = static_cast<int>(reader.integer("attempts", 1, 100, 3));
  for (auto const& [key, time] : {std::pair{"give_up", &device.give_up}, std::pair{"waiting_max", &device.waiting_max}}) {
    if (reader.find(key) == nullptr) continue;
    *time = read_duration(reader, key);
    if (*time < std::chrono::minutes{1}) reader.fault(key, "at least 1m");
  }
  reader.refuse_unknown();
}

void read_strata(ObjectReader& reader, Policy& policy) {
  if (reader.find("strata") == nullptr) return;
  policy.strata = reader.texts("strata", 8, 128);
  for (auto const& name : policy.strata)
    if (auto const checked = check_id("stratum", name); !checked) reader.fault("strata", checked.error().detail);
  auto sorted = policy.strata;
  std::sort(sorted.begin(), sorted.end());
  if (auto const twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) reader.fault("strata", fmt::format("'{}' is named twice", *twice));
}

void read_limits(ObjectReader& policy_reader, Policy& policy, Faults& faults) {
  if (auto const* const limits = policy_reader.find("limits")) {
    ObjectReader reader(*limits, policy_reader.pointer("limits"), faults);
    policy.in_flight = reader.integer("in_flight", 0, kCountMax, 0);
    if (reader.find("egress") != nullptr) {
      auto const rate = wire::parse_rate(reader.text("egress", 40, {}));
      if (rate) policy.egress = *rate;
      else reader.fault("egress", rate.error().detail + ": " + rate.error().hint);
    }
    PlaceLimit place;
    place.label = reader.text("per", 128, {});
    place.at_once = reader.integer("at_once", 1, kCountMax, place.at_once);
    if (!place.label.empty()) {
      if (auto const checked = check_id("label", place.label); !checked) reader.fault("per", checked.error().detail);
      policy.per_place = place;
    } else if (reader.find("at_once") != nullptr) {
      reader.fault("at_once", "of what? name the label with `per`, such as {per: site, at_once: 1}");
    }
    reader.refuse_unknown();
  }
  if (auto const* const control = policy_reader.find("control")) {
    ObjectReader reader(*control, policy_reader.pointer("control"), faults);
    policy.controls = reader.integer("per_canary", 0, 9, policy.controls);
    check_control(reader.pointer("per_canary"), policy, faults);
    reader.refuse_unknown();
  }
}

void read_times(ObjectReader& reader, Policy& policy, Faults& faults) {
  auto const each = [&](std::string_view key, auto& out, auto const& read) {
    auto const* const list = reader.array(key, kItemsMax);
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) out.push_back(read((*list)[i], fmt::format("{}/{}", reader.pointer(key), i), faults));
  };
  each("windows", policy.windows, read_window);
  each("freeze", policy.freeze, read_freeze);
  policy.start_at = reader.time("start_at");
}

void read_terms(ObjectReader& reader, Policy& policy, Faults& faults) {
  if (auto const* const approvals = reader.find("approvals")) {
    ObjectReader inner(*approvals, reader.pointer("approvals"), faults);
    policy.approvals_required = inner.integer("required", 0, 100, 1);
    auto const last = std::max<std::int64_t>(1, policy.stage_count());
    policy.approvals_before_stage = static_cast<int>(inner.integer("before_stage", 1, last, 1));
    inner.refuse_unknown();
  }
  if (auto const* const holdback = reader.find("holdback")) {
    auto const share = holdback->is_string() ? parse_share(holdback->get_string()) : std::nullopt;
    if (share && (*share == 0 || *share >= kShareMin) && *share <= kHoldbackMax) policy.holdback = std::abs(*share);
    else reader.fault("holdback", fmt::format("expected a share of the devices up to {} %, such as 5%", kHoldbackMax * 100));
  }
  if (auto const* const retry = reader.find("retry")) read_retry(*retry, reader.pointer("retry"), policy, faults);
  policy.priority = reader.integer("priority", -kPriorityMax, kPriorityMax, 0);
  if (auto const* const test = reader.find("ab")) read_test(*test, reader.pointer("ab"), policy, faults);
  policy.emergency = reader.boolean("emergency", false);
  check_emergency(reader, policy);
  check_test(reader, policy, faults);
}

}  // namespace fleet::rollout
