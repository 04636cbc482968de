#include "server/telemetry/intervals.hpp"

#include "core/wire/json.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/sketches.hpp"

#include <algorithm>

namespace fleet::telemetry {
namespace {

constexpr std::size_t kLabelsBytesMax = 64 * 1024;

Result<Source> read_source(db::Statement const& row) {
  Source out{row.int64(0), row.text(1), row.text(2), row.text(3), {}};
  FLEET_TRY(auto const labels, wire::parse_json(row.text_view(4), kLabelsBytesMax));
  if (!labels.is_object()) return Error{Kind::corrupt, "bad_labels", "the labels of a series are no object", "restore a backup"};
  for (auto const& [name, value] : labels.get_object())
    if (auto const* const text = value.if_string()) out.labels.emplace(name, *text);
  return out;
}

}  // namespace

void Sum::add(std::int64_t more, double sum_of_more, double least, double most) {
  if (more == 0) return;
  min = count == 0 ? least : std::min(min, least);
  max = count == 0 ? most : std::max(max, most);
  count += more;
  sum += sum_of_more;
}

Result<void> each_interval(db::Connection& reader, Wanted const& wanted, std::function<Result<void>(Source const&, std::int64_t, Sum const&)> const& take) {
  auto row = reader.prepare(kReadIntervals);
  row.bind_all(wanted.metric, to_unix_ms(wanted.since), wanted.model, wanted.version);
  Source source;
  bool chosen = false;
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) return {};
    if (row.int64(0) != source.n) {
      FLEET_TRY(source, read_source(row));
      bool const known = std::all_of(wanted.known.begin(), wanted.known.end(), [&](std::string const& label) { return source.labels.contains(label); });
      chosen = known && wanted.selector.matches({.id = {}, .hardware = source.hardware, .state = {}, .labels = &source.labels});
    }
    if (!chosen) continue;
    Sum sum;
    sum.add(row.int64(6), row.real(7), row.real(8), row.real(9));
    sum.flagged = row.int64(11);
    if (wanted.sketches) {
      FLEET_TRY(auto const buckets, decode_buckets(row.text_view(10)));
      sum.sketch = stats::Sketch(buckets);
    }
    FLEET_CHECK(take(source, row.int64(5), sum));
  }
}

}  // namespace fleet::telemetry
