#include "server/rollout/engine/progress.hpp"

#include "core/wire/json.hpp"
#include "server/rollout/engine/exact.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr std::size_t kBytesMax = 16 * 1024 * 1024;

std::string numbers(Sums const& sums) { return write_exact(sums); }

json::value maybe(std::optional<Millis> time) { return time ? json::value(time->count()) : json::value(); }

json::array tally_json(stats::Tally tally) { return {tally.bad, tally.devices}; }

stats::Tally read_tally(json::value const* value) {
  if (value == nullptr || !value->is_array() || value->get_array().size() != 2) return {};
  auto const number = [&](std::size_t at) { return value->get_array()[at].is_number() ? value->get_array()[at].to_number<std::int64_t>() : 0; };
  return {number(0), number(1)};
}

/// The row is this program's own: what is not there is nothing.
struct Reader {
  json::object const& from;

  [[nodiscard]] json::value const* find(std::string_view key) const { return from.if_contains(key); }
  [[nodiscard]] std::int64_t integer(std::string_view key) const {
    auto const* const value = find(key);
    return value != nullptr && value->is_number() ? value->to_number<std::int64_t>() : 0;
  }
  [[nodiscard]] bool flag(std::string_view key) const {
    auto const* const value = find(key);
    return value != nullptr && value->is_bool() && value->get_bool();
  }
  [[nodiscard]] std::optional<Millis> time(std::string_view key) const {
    auto const* const value = find(key);
    return value != nullptr && value->is_number() ? std::optional(Millis(value->to_number<std::int64_t>())) : std::nullopt;
  }
  [[nodiscard]] Sums sums(std::string_view key) const {
    auto const* const value = find(key);
    return value != nullptr && value->is_string() ? read_exact(value->get_string()) : Sums{};
  }
  [[nodiscard]] Winner winner() const {
    auto const* const value = find("winner");
    auto const* const found = value != nullptr && value->is_string() ? std::find(kWinnerNames.begin(), kWinnerNames.end(), std::string_view(value->get_string())) : kWinnerNames.end();
    return found == kWinnerNames.end() ? Winner::open : static_cast<Winner>(found - kWinnerNames.begin());
  }
  [[nodiscard]] stats::Tally tally(std::string_view key) const { return read_tally(find(key)); }
};

json::object compared_json(Compared const& compared) {
  return {{"first", numbers(compared.first)}, {"all", numbers(compared.all)}, {"calm", numbers(compared.calm)}};
}

Compared read_compared(json::value const* value) {
  if (value == nullptr || !value->is_object()) return {};
  Reader const reader{value->get_object()};
  return {reader.sums("first"), reader.sums("all"), reader.sums("calm")};
}

json::array wealths_json(std::vector<Wealths> const& all) {
  json::array out;
  for (auto const& one : all)
    out.push_back(json::object{{"logs", numbers(one.logs)}, {"canaries", one.canaries}, {"worse", one.worse}, {"level", numbers(one.level)}, {"seen", one.seen}, {"healthy", one.healthy}});
  return out;
}

std::vector<Wealths> read_wealths(json::value const* value) {
  std::vector<Wealths> out;
  if (value == nullptr || !value->is_array()) return out;
  for (auto const& one : value->get_array()) {
    if (!one.is_object()) continue;
    Reader const reader{one.get_object()};
    out.push_back({reader.sums("logs"), reader.sums("level"), reader.integer("canaries"), reader.integer("worse"), reader.integer("seen"), reader.integer("healthy")});
  }
  return out;
}

void put(json::object& out, Tallies const& t) {
  out["canaries"] = t.canaries;
  out["controls"] = t.controls;
  out["failed"] = tally_json(t.failed);
  out["silent"] = tally_json(t.silent);
  out["golden"] = tally_json(t.golden);
  out["seen"] = json::array{tally_json(t.seen[0].canary), tally_json(t.seen[0].control), tally_json(t.seen[1].canary), tally_json(t.seen[1].control)};
  out["control_failed"] = tally_json(t.control_failed);
  out["control_silent"] = tally_json(t.control_silent);
  out["control_golden"] = tally_json(t.control_golden);
  out["left"] = t.left;
  out["control_left"] = t.control_left;
}

void read(Reader const& reader, Tallies& out) {
  out.canaries = reader.integer("canaries");
  out.controls = reader.integer("controls");
  out.failed = reader.tally("failed");
  out.silent = reader.tally("silent");
  out.golden = reader.tally("golden");
  if (auto const* const seen = reader.find("seen"); seen != nullptr && seen->is_array() && seen->get_array().size() == 4)
    for (std::size_t i = 0; i < 2; ++i) out.seen[i] = {read_tally(&seen->get_array()[2 * i]), read_tally(&seen->get_array()[2 * i + 1])};
  out.control_failed = reader.tally("control_failed");
  out.control_silent = reader.tally("control_silent");
  out.control_golden = reader.tally("control_golden");
  out.left = reader.integer("left");
  out.control_left = reader.integer("control_left");
}

json::object folded_json(Folded const& folded) {
  json::object strata;
  for (auto const& [name, compared] : folded.strata) {
    auto& one = strata[name].emplace_object();
    one["failures"] = compared_json(compared[0]);
    one["silence"] = compared_json(compared[1]);
    if (auto const found = folded.by_stratum.find(name); found != folded.by_stratum.end()) put(one, found->second);
  }
  json::object out{{"odds", numbers(folded.odds)}, {"alternatives", numbers(folded.alternatives)}, {"strata", std::move(strata)}, {"parts", folded.parts}, {"windows", folded.windows},
                   {"storms", folded.storms}, {"install_failed", folded.install_failed}, {"metrics", wealths_json(folded.metrics)}, {"drift", wealths_json(folded.drift)}, {"metrics_against", wealths_json(folded.metrics_against)}};
  put(out, folded);
  return out;
}

Folded read_folded(json::object const& from) {
  Reader const reader{from};
  Folded out;
  out.odds = reader.sums("odds");
  out.alternatives = reader.sums("alternatives");
  if (auto const* const strata = reader.find("strata"); strata != nullptr && strata->is_object())
    for (auto const& member : strata->get_object())
      if (member.value().is_object()) {
        auto const& both = member.value().get_object();
        out.strata[std::string(member.key())] = {read_compared(both.if_contains("failures")), read_compared(both.if_contains("silence"))};
        if (both.contains("canaries")) read({both}, out.by_stratum[std::string(member.key())]);  // earlier servers counted all strata together alone
      }
  read(reader, out);
  out.parts = std::max<std::int64_t>(reader.integer("parts"), static_cast<std::int64_t>(out.strata.size()));
  out.install_failed = reader.integer("install_failed");
  out.windows = reader.integer("windows");
  out.storms = reader.integer("storms");
  out.metrics = read_wealths(reader.find("metrics"));
  out.drift = read_wealths(reader.find("drift"));
  out.metrics_against = read_wealths(reader.find("metrics_against"));
  return out;
}

}  // namespace

std::string encode(Progress const& p) {
  json::object out{{"window", p.window},
                   {"shut", p.shut},
                   {"judged", p.judged},
                   {"opened", p.opened.count()},
                   {"stage", p.stage},
                   {"full", p.full},
                   {"in_stage", p.in_stage},
                   {"canaries", p.canaries},
                   {"controls", p.controls},
                   {"installs_seen", p.installs_seen},
                   {"complete_since", maybe(p.complete_since)},
                   {"winner", to_string(p.winner)},
                   {"waived", p.waived},
                   {"stage_since", maybe(p.stage_since)},
                   {"bake_since", maybe(p.bake_since)},
                   {"deadline", maybe(p.deadline)},
                   {"folded", folded_json(p.folded)}};
  json::array quarantined;
  for (auto const& stratum : p.quarantined) quarantined.push_back(json::string(stratum));
  out["quarantined"] = std::move(quarantined);
  return json::serialize(out);
}

Result<Progress> decode_progress(std::string_view text) {
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  if (!value.is_object()) return Error{Kind::corrupt, "bad_row", "a rollout's progress is no object"};
  Reader const reader{value.get_object()};
  Progress out;
  out.window = static_cast<int>(reader.integer("window"));
  out.shut = reader.flag("shut");
  out.judged = out.window == 0 || reader.flag("judged");
  out.opened = reader.time("opened").value_or(Millis{0});
  out.stage = static_cast<int>(reader.integer("stage"));
  out.full = reader.flag("full");
  out.in_stage = static_cast<int>(reader.integer("in_stage"));
  out.canaries = static_cast<int>(reader.integer("canaries"));
  out.controls = static_cast<int>(reader.integer("controls"));
  out.installs_seen = reader.integer("installs_seen");
  out.complete_since = reader.time("complete_since");
  out.winner = reader.winner();
  out.waived = reader.flag("waived");
  out.stage_since = reader.time("stage_since");
  out.bake_since = reader.time("bake_since");
  out.deadline = reader.time("deadline");
  if (auto const* const quarantined = reader.find("quarantined"); quarantined != nullptr && quarantined->is_array())
    for (auto const& one : quarantined->get_array())
      if (one.is_string()) out.quarantined.emplace(one.get_string());
  if (auto const* const folded = reader.find("folded"); folded != nullptr && folded->is_object()) out.folded = read_folded(folded->get_object());
  return out;
}

}  // namespace fleet::rollout
