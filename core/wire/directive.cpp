#include "core/base/names.hpp"
#include "core/wire/device.hpp"
#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <array>
#include <set>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::int64_t kBytesOfDevice = std::int64_t{1} << 50;

constexpr auto kActions =
    std::to_array<std::pair<std::string_view, Action>>({{"install", Action::install}, {"revert", Action::revert}, {"remove", Action::remove},
                                                        {"prove", Action::prove}, {"none", Action::none}});

Action action_of(std::string_view name) {
  for (auto const& [text, action] : kActions)
    if (text == name) return action;
  return Action::unknown;
}

std::string_view name_of(Action wanted) {
  for (auto const& [text, action] : kActions)
    if (action == wanted) return text;
  return "unknown";
}

Window read_window(json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  Window out;
  out.zone = reader.required_text("zone", 64);
  out.days = reader.texts("days", 7, 3);
  out.from = reader.required_text("from", 5);
  out.to = reader.required_text("to", 5);
  out.gates = reader.text("gates", 16, "switch");
  return out;
}

/// Bounds that keep out what no device measures; absent: none.
std::optional<double> read_bound(ObjectReader& reader, std::string_view key, double min, double max) {
  if (reader.find(key) == nullptr) return std::nullopt;
  auto const value = reader.number(key, min);
  if (!(value >= min && value <= max)) reader.fault(key, fmt::format("{:g} is not between {:g} and {:g}", value, min, max));
  return value;
}

Conditions read_conditions(json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  Conditions out;
  out.battery_min_percent = static_cast<int>(reader.integer("battery_min", 0, 100, 0));
  out.metered = reader.text("metered", 16, out.metered);
  out.metered_max_bytes = reader.integer("metered_max", 0, kBytesOfDevice, 0);
  out.attempts = static_cast<int>(reader.integer("attempts", 1, 100, out.attempts));
  out.give_up = reader.duration("give_up").value_or(out.give_up);
  out.waiting_max = reader.duration("waiting_max").value_or(out.waiting_max);
  out.charging = reader.boolean("charging", false);
  out.temperature_max = read_bound(reader, "temperature_max", -100, 1000);
  out.load_max = read_bound(reader, "load_max", 0, 1000);
  out.memory_free_min = reader.integer("memory_free_min", 0, kBytesOfDevice, 0);
  out.disk_free_min = reader.integer("disk_free_min", 0, kBytesOfDevice, 0);
  return out;
}

json::object conditions_json(Conditions const& c) {
  json::object out{{"battery_min", c.battery_min_percent},
                   {"metered", c.metered},
                   {"metered_max", c.metered_max_bytes},
                   {"attempts", c.attempts},
                   {"give_up", to_string(c.give_up)},
                   {"waiting_max", to_string(c.waiting_max)}};
  if (c.charging) out["charging"] = true;
  if (c.temperature_max) out["temperature_max"] = *c.temperature_max;
  if (c.load_max) out["load_max"] = *c.load_max;
  if (c.memory_free_min > 0) out["memory_free_min"] = c.memory_free_min;
  if (c.disk_free_min > 0) out["disk_free_min"] = c.disk_free_min;
  return out;
}

DirectiveTarget read_target(json::value const& value, std::string const& at, std::vector<FieldError>& faults) {
  ObjectReader reader(value, at, faults);
  DirectiveTarget out;
  out.model = reader.required_text("model", 64);
  // A folder on the device, and whose floor holds: `./reader` must not be another model than `reader`.
  if (auto const named = check_model_name(out.model); !named) reader.fault("model", named.error().detail);
  out.path = reader.text("path", 256, {});
  out.length = static_cast<std::uint64_t>(reader.integer("length", 0, static_cast<std::int64_t>(kReleaseBytesMax), 0));
  for (auto& [algorithm, hex] : reader.text_map("hashes", 8, 128)) out.hashes.emplace(std::move(algorithm), std::move(hex));
  if (auto const sha256 = out.hashes.find("sha256"); sha256 != out.hashes.end() && !Digest::parse(sha256->second))
    reader.fault("hashes", "sha256: expected 64 hex characters, lower case");
  out.rollout = reader.text("rollout", 64, {});
  out.attempt = reader.integer("attempt", 0, 1'000'000, 0);
  out.action = action_of(reader.text("action", 32, {}));
  if (auto const* const conditions = reader.find("conditions")) out.conditions = read_conditions(*conditions, at + "/conditions", faults);
  out.revoked = reader.texts("revoked", 64, 64);
  for (auto const& digest : out.revoked)
    if (!Digest::parse(digest)) reader.fault("revoked", "expected digests of 64 hex characters, lower case");
  out.set = reader.text("set", 64, {});
  if (auto const named = check_model_name(out.set); !out.set.empty() && !named) reader.fault("set", named.error().detail);
  out.after = reader.texts("after", kMembersMax, 64);
  out.key = reader.text("key", 256, {});
  if (auto const* const windows = reader.array("window", 16))
    for (std::size_t i = 0; i < windows->size(); ++i) out.windows.push_back(read_window((*windows)[i], at + "/window/" + std::to_string(i), faults));
  return out;
}

std::vector<DirectiveTarget> read_targets(json::array const& list, std::vector<FieldError>& faults) {
  std::vector<DirectiveTarget> out;
  std::set<std::string> models;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto const at = "/targets/" + std::to_string(i);
    out.push_back(read_target(list[i], at, faults));
    if (!models.insert(out.back().model).second) faults.push_back({at + "/model", "stands twice"});
  }
  return out;
}

json::object target_json(DirectiveTarget const& target) {
  json::object hashes;
  for (auto const& [algorithm, hex] : target.hashes) hashes[algorithm] = hex;
  json::array windows;
  for (auto const& window : target.windows)
    windows.push_back(json::object{{"zone", window.zone},
                                   {"days", json::array(window.days.begin(), window.days.end())},
                                   {"from", window.from},
                                   {"to", window.to},
                                   {"gates", window.gates}});
  json::object out{{"model", target.model},
          {"path", target.path},
          {"length", target.length},
          {"hashes", std::move(hashes)},
          {"rollout", target.rollout},
          {"attempt", target.attempt},
          {"action", name_of(target.action)},
          {"conditions", conditions_json(target.conditions)},
          {"window", std::move(windows)}};
  if (!target.revoked.empty()) out["revoked"] = json::array(target.revoked.begin(), target.revoked.end());
  if (!target.set.empty()) out["set"] = target.set;
  if (!target.after.empty()) out["after"] = json::array(target.after.begin(), target.after.end());
  if (!target.key.empty()) out["key"] = target.key;
  return out;
}

/// Of a newer server's members it says nothing; an order without a name asks for nothing.
std::optional<CollectOrder> read_collect(json::value const& value, std::string const& at, std::vector<FieldError>& faults) {
  ObjectReader reader(value, at, faults);
  CollectOrder out{reader.text("id", 64, {}), reader.boolean("metered", false)};
  return out.id.empty() ? std::nullopt : std::optional(std::move(out));
}

json::object collect_json(CollectOrder const& order) { return {{"id", order.id}, {"metered", order.metered}}; }

json::array targets_json(std::vector<DirectiveTarget> const& targets) {
  json::array out;
  for (auto const& target : targets) out.push_back(target_json(target));
  return out;
}

}  // namespace

Result<Directive> decode_directive(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kDirectiveBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  Directive out;
  out.device = reader.required_text("device", 128);
  out.sequence = reader.required_integer("sequence", 1, std::int64_t{1} << 53);
  out.nonce = reader.text("nonce", 24, {});
  for (auto const& [key, at] : {std::pair{"issued_at", &out.issued_at}, std::pair{"expires", &out.expires}, std::pair{"act_before", &out.act_before}}) {
    auto const time = reader.time(key);
    if (time) *at = *time;
    else if (faults.empty()) reader.fault(key, "is required");
  }
  auto const* const targets = reader.array("targets", 64);
  if (targets != nullptr) out.targets = read_targets(*targets, faults);
  else if (faults.empty()) reader.fault("targets", "is required");  // an absent list must not read as "run nothing"
  if (auto const* const collect = reader.find("collect")) out.collect = read_collect(*collect, "/collect", faults);
  FLEET_CHECK(no_faults(faults, "directive"));
  return out;
}

std::string encode(Directive const& message) {
  json::object out{{"device", message.device},
                   {"sequence", message.sequence},
                   {"nonce", nullptr},
                   {"issued_at", to_rfc3339(message.issued_at)},
                   {"expires", to_rfc3339(message.expires)},
                   {"act_before", to_rfc3339(message.act_before)},
                   {"targets", targets_json(message.targets)}};
  if (!message.nonce.empty()) out["nonce"] = message.nonce;
  if (message.collect) out["collect"] = collect_json(*message.collect);
  return json::serialize(out);
}

std::string encode_targets(std::vector<DirectiveTarget> const& targets) { return json::serialize(targets_json(targets)); }

Result<std::vector<DirectiveTarget>> decode_targets(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kDirectiveBytesMax));
  std::vector<FieldError> faults;
  auto const* const list = value.if_array();
  if (list == nullptr) return Error{Kind::bad_input, "bad_targets", "expected a list of targets"};
  auto out = read_targets(*list, faults);
  FLEET_CHECK(no_faults(faults, "targets"));
  return out;
}

std::string encode_collect(std::optional<CollectOrder> const& order) { return order ? json::serialize(collect_json(*order)) : std::string(); }

Result<std::optional<CollectOrder>> decode_collect(std::string_view text) {
  if (text.empty()) return std::optional<CollectOrder>();
  FLEET_TRY(auto const value, parse_json(text, kPollBytesMax));
  std::vector<FieldError> faults;
  auto out = read_collect(value, "", faults);
  FLEET_CHECK(no_faults(faults, "collect"));
  return out;
}

}  // namespace fleet::wire
