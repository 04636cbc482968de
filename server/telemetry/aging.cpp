#include "server/telemetry/aging.hpp"

#include "core/stats/sketch.hpp"
#include "server/store/settings.hpp"
#include "server/telemetry/ages.hpp"
#include "server/telemetry/labels.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/sketches.hpp"
#include "server/telemetry/terms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

namespace fleet::telemetry {
namespace {

/// How far the intervals of an age were added up: what comes later is of a younger one, for old samples are kept in long intervals at once (fold.cpp).
struct Reached {
  std::int64_t start = -1, series = 0;
};

std::string setting_of(Age const& age) { return fmt::format("telemetry_added_up_{}", to_string(age.interval)); }

Result<Reached> load(store::Tx& tx, Age const& age) {
  FLEET_TRY(auto const kept, store::load_setting(tx.connection(), setting_of(age)));
  if (!kept) return Reached{};
  Reached out;
  std::string_view const text = *kept;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), out.start);
  bool const sound = error == std::errc{} && end != text.data() + text.size() && *end == ' ' && std::from_chars(end + 1, text.data() + text.size(), out.series).ec == std::errc{};
  return sound ? out : Reached{};
}

Result<void> save(store::Tx& tx, Age const& age, Reached const& reached) {
  return store::save_setting(tx, setting_of(age), fmt::format("{} {}", reached.start, reached.series));
}

struct Sum {
  std::int64_t count = 0, flagged = 0;
  double sum = 0, min = 0, max = 0;
  stats::Sketch sketch;
  void add(db::Statement const& row, std::map<int, std::int64_t> const& buckets) {
    flagged += row.int64(7);
    if (row.int64(2) == 0) return;
    bool const first = count == 0;
    count += row.int64(2);
    sum += row.real(3);
    min = first ? row.real(4) : std::min(min, row.real(4));
    max = first ? row.real(5) : std::max(max, row.real(5));
    sketch.merge(stats::Sketch(buckets));
  }
};
using Place = std::pair<std::int64_t, std::int64_t>;  ///< series, start

Result<void> put(store::Tx& tx, Place const& place, Sum& sum) {
  auto const& [series, start] = place;
  {
    auto row = tx.prepare(kGetSketch);
    FLEET_TRY(bool const found, row.bind_all(series, start).step());
    if (found) {
      FLEET_TRY(auto const buckets, decode_buckets(row.text_view(0)));
      sum.sketch.merge(stats::Sketch(buckets));
    }
  }
  sum.sketch.collapse(kBucketsOfSketch);
  return tx.prepare(kPutInterval).bind_all(series, start, sum.count, sum.sum, sum.min, sum.max, encode_buckets(sum.sketch.buckets()), sum.flagged).run();
}

/// True: more are there.
Result<bool> add_up(store::Tx& tx, Age const& younger, Age const& age, SysTime now, int rows) {
  FLEET_TRY(auto reached, load(tx, age));
  auto const interval = age.interval.count();
  auto const until = to_unix_ms(now - younger.until) / interval * interval;
  if (reached.start >= until) reached = {};  // the clock was set back: what came since lies behind
  std::map<Place, Sum> sums;
  std::vector<Place> gone;
  int seen = 0;
  {
    auto row = tx.prepare(kOldIntervals);
    row.bind_all(reached.start, reached.series, until, rows);
    while (true) {
      FLEET_TRY(bool const more, row.step());
      if (!more) break;
      ++seen;
      reached = {row.int64(1), row.int64(0)};
      if (reached.start % interval == 0) continue;  // it begins a longer one, and stays where the others join it
      FLEET_TRY(auto const buckets, decode_buckets(row.text_view(6)));
      sums[{reached.series, reached.start - reached.start % interval}].add(row, buckets);
      gone.emplace_back(reached.series, reached.start);
    }
  }
  for (auto const& [series, start] : gone) FLEET_CHECK(tx.prepare(kDropInterval).bind_all(series, start).run());
  for (auto& [place, sum] : sums) FLEET_CHECK(put(tx, place, sum));
  if (seen > 0) FLEET_CHECK(save(tx, age, reached));
  return seen == rows;
}

}  // namespace

Result<bool> add_up_old(store::Tx& tx, SysTime now, int rows) {
  // One age after the other: what a younger one still makes longer would come behind where an older one has been.
  for (std::size_t i = 1; i < kAges.size(); ++i) {
    FLEET_TRY(bool const more, add_up(tx, kAges.at(i - 1), kAges.at(i), now, rows));
    if (more) return true;
  }
  return false;
}

namespace {

/// The names of the labels of series, as they are kept: `site`, `region,site`; empty of those without.
Result<std::vector<std::string>> label_sets(store::Tx& tx) {
  std::vector<std::string> out;
  auto row = tx.prepare(kLabelSets);
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) return out;
    out.push_back(row.text(0));
  }
}

bool are_chosen(std::string_view kept_by, std::vector<std::string> const& chosen) {
  auto const names = split(kept_by);
  return std::all_of(names.begin(), names.end(), [&](std::string const& name) { return std::find(chosen.begin(), chosen.end(), name) != chosen.end(); });
}

}  // namespace

Result<bool> forget_old(store::Tx& tx, SysTime now, int rows) {
  bool more = false;
  for (auto const* const query : {&kForgetIntervals, &kForgetMetrics}) {
    FLEET_TRY(auto const gone, tx.prepare(*query).bind_all(to_unix_ms(now - kRetention), rows).affected());
    more = more || gone == rows;
  }
  FLEET_TRY(auto const chosen, load_labels(tx.connection()));
  FLEET_TRY(auto const sets, label_sets(tx));
  for (auto const& kept_by : sets) {
    auto const before = to_unix_ms(now - (are_chosen(kept_by, chosen) ? kRetention : kOtherLabels));
    FLEET_TRY(auto const intervals, tx.prepare(kDropIntervals).bind_all(before, rows, kept_by).affected());
    FLEET_TRY(auto const series, tx.prepare(kDropSeries).bind_all(before, rows, kept_by).affected());
    if (series > 0) FLEET_CHECK(tx.prepare(kAddToSeriesCount).bind_all(-series).run());
    more = more || intervals == rows || series == rows;
  }
  return more;
}

}  // namespace fleet::telemetry
