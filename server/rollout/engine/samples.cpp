#include "server/rollout/engine/samples.hpp"

#include "core/wire/json.hpp"
#include "server/rollout/engine/exact.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr std::size_t kBytesMax = 16 * 1024;
constexpr std::size_t kBets = DeviceSamples::kBets;
constexpr int kBad = 1, kCovered = 2;
constexpr int reached_at(std::size_t age) { return 1 << (2 + 2 * age); }
constexpr int bad_by(std::size_t age) { return 2 << (2 + 2 * age); }
constexpr int kFlagged = 1 << (2 + 2 * kAges.size()), kNothing = 2 << (2 + 2 * kAges.size());
/// Of a gate's `devices_max`: what a device's own sequence may err.
constexpr double kLevelShare = .25;

double level_of(AbsoluteGate const& gate) { return gate.devices_max * kLevelShare / (gate.min && gate.max ? 2 : 1); }

/// One side by betting: the half of the process that asks for it. `first` is where that half's logs begin.
bool bet(std::array<double, kBets>& logs, stats::BoundedMean::Limits limits, std::size_t first, double mean, double level) {
  std::vector<double> both(2 * kBets, 0.);
  std::copy(logs.begin(), logs.end(), both.begin() + static_cast<std::ptrdiff_t>(first));
  auto process = stats::BoundedMean::restored(limits, both);
  if (!process) return false;
  process->add(mean);
  both = process->logs();
  std::copy_n(both.begin() + static_cast<std::ptrdiff_t>(first), kBets, logs.begin());
  return first == 0 ? process->shows_below(level) : process->shows_above(level);
}

/// Whether the device is shown to be bad by now.
bool observe(DeviceSamples& s, AbsoluteGate const& gate, std::optional<MetricRange> const& range, double mean) {
  auto const level = level_of(gate);
  bool bad = false;
  if (range && range->lo < range->hi) {
    mean = std::clamp(mean, range->lo, range->hi);
    auto const between = [&](double bound) { return range->lo < bound && bound < range->hi; };  // at or beyond an end no mean can be outside
    if (gate.min && between(*gate.min)) bad |= bet(s.below, {range->lo, range->hi, *gate.min}, 0, mean, level);
    if (gate.max && between(*gate.max)) bad |= bet(s.above, {range->lo, range->hi, *gate.max}, kBets, mean, level);
    return bad;
  }
  stats::AsymptoticMean process(s.sums);
  process.add(mean);
  s.sums = process.sums();
  bad |= gate.min && process.shows_below(*gate.min, level);
  bad |= gate.max && process.shows_above(*gate.max, level);
  return bad;
}

void close_block(DeviceSamples& s, AbsoluteGate const& gate, std::optional<MetricRange> const& range) {
  if (s.count == 0) return;
  bool const bad = observe(s, gate, range, s.sum / static_cast<double>(s.count));
  ++s.blocks;
  if (bad && s.bad_at == 0) s.bad_at = s.blocks;
  s.samples += s.count;
  s.count = 0;
  s.sum = 0;
}

std::int64_t block_at(AbsoluteGate const& gate, SysTime at) { return to_unix_ms(at) / std::max<std::int64_t>(1, gate.block.count()); }

bool read_numbers(json::object const& from, std::string_view key, std::span<double> out) {
  auto const* const found = from.if_contains(key);
  if (found == nullptr) return true;
  if (!found->is_string()) return false;
  auto const read = read_exact(found->get_string());
  if (read.size() != out.size()) return false;
  std::copy(read.begin(), read.end(), out.begin());
  return true;
}

bool any(std::array<double, kBets> const& logs) {
  return std::any_of(logs.begin(), logs.end(), [](double one) { return one != 0; });
}

}  // namespace

bool DeviceSamples::operator==(DeviceSamples const& o) const {
  return block == o.block && count == o.count && sum == o.sum && blocks == o.blocks && samples == o.samples && flagged == o.flagged && bad_at == o.bad_at && below == o.below && above == o.above &&
         sums.count == o.sums.count && sums.mean == o.sums.mean && sums.squares == o.sums.squares;
}

void add(DeviceSamples& s, AbsoluteGate const& gate, std::optional<MetricRange> const& range, SysTime at, std::int64_t count, double sum) {
  if (count <= 0 || !std::isfinite(sum)) return;
  auto const block = block_at(gate, at);
  if (s.blocks + s.count > 0 && (block < s.block || (block == s.block && s.count == 0))) return;
  if (block > s.block) close_block(s, gate, range);
  s.block = block;
  s.count += count;
  s.sum += sum;
}

void close(DeviceSamples& s, AbsoluteGate const& gate, std::optional<MetricRange> const& range, SysTime now) {
  if (block_at(gate, now) > s.block) close_block(s, gate, range);
}

void add_flagged(DeviceSamples& s, std::int64_t count) {
  if (count > 0 && __builtin_add_overflow(s.flagged, count, &s.flagged)) s.flagged = INT64_MAX;
}

bool is_flagged(DeviceSamples const& s) { return s.flagged > 0 && s.flagged >= s.samples + s.count; }

bool is_covered(DeviceSamples const& s, AbsoluteGate const& gate) { return !is_flagged(s) && s.blocks >= gate.blocks && s.samples >= gate.samples; }

int class_of(DeviceSamples const& s, AbsoluteGate const& gate) {
  int out = (is_bad(s) ? kBad : 0) | (is_covered(s, gate) ? kCovered : 0) | (is_flagged(s) ? kFlagged : 0) | (s.blocks + s.count == 0 ? kNothing : 0);
  for (std::size_t i = 0; i < kAges.size(); ++i) {
    auto const age = std::max<std::int64_t>(1, std::llround(kAges[i] * static_cast<double>(gate.blocks)));
    if (s.blocks < age) continue;
    out |= reached_at(i);
    if (is_bad(s) && s.bad_at <= age) out |= bad_by(i);
  }
  return out;
}

void count(MetricTally& tally, int sample_class, Arm arm, bool healthy, std::int64_t devices) {
  bool const canary = side_of(arm) == 0;
  auto const is = [&](int bit) { return (sample_class & bit) != 0; };
  if (!is(kNothing)) (canary ? tally.seen : tally.control_seen) += devices;
  (canary ? tally.heard : tally.control_heard) += devices;
  if (is(kFlagged)) (canary ? tally.flagged : tally.control_flagged) += devices;
  if (is(kBad)) (canary ? tally.bad : tally.control_bad) += devices;
  if (canary && healthy && is(kCovered)) tally.covered += devices;
  for (std::size_t i = 0; i < kAges.size(); ++i) {
    if (!is(reached_at(i))) continue;
    auto& one = canary ? tally.aged[i].canary : tally.aged[i].control;
    one.devices += devices;
    if (is(bad_by(i))) one.bad += devices;
  }
}

void count(MetricTally& tally, DeviceSamples const& s, AbsoluteGate const& gate, Arm arm, bool healthy, int devices) {
  if (s.blocks + s.count + s.flagged > 0) count(tally, class_of(s, gate), arm, healthy, devices);
}

std::string encode(DeviceSamples const& s) {
  json::object out{{"block", s.block}, {"count", s.count}, {"blocks", s.blocks}, {"samples", s.samples}, {"bad_at", s.bad_at}};
  if (s.flagged > 0) out["flagged"] = s.flagged;
  if (s.sum != 0) out["sum"] = write_exact({&s.sum, 1});
  if (any(s.below)) out["below"] = write_exact(s.below);
  if (any(s.above)) out["above"] = write_exact(s.above);
  if (s.sums.count > 0) out["sums"] = write_exact(std::array{static_cast<double>(s.sums.count), s.sums.mean, s.sums.squares});
  return json::serialize(out);
}

Result<DeviceSamples> decode_samples(std::string_view text) {
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  Error const corrupt{Kind::corrupt, "bad_row", "a device's samples are not as they were written"};
  if (!value.is_object()) return corrupt;
  auto const& from = value.get_object();
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  constexpr std::int64_t kMost = INT64_C(1) << 62;
  DeviceSamples out;
  out.block = reader.integer("block", -kMost, kMost, 0);
  out.count = reader.integer("count", 0, kMost, 0);
  out.blocks = reader.integer("blocks", 0, kMost, 0);
  out.samples = reader.integer("samples", 0, kMost, 0);
  out.flagged = reader.integer("flagged", 0, INT64_MAX, 0);
  out.bad_at = reader.integer("bad_at", 0, kMost, 0);
  std::array<double, 3> sums{};
  if (!faults.empty() || !read_numbers(from, "sum", {&out.sum, 1}) || !read_numbers(from, "below", out.below) || !read_numbers(from, "above", out.above) || !read_numbers(from, "sums", sums)) return corrupt;
  out.sums = {static_cast<std::int64_t>(sums[0]), sums[1], sums[2]};
  return out;
}

}  // namespace fleet::rollout
