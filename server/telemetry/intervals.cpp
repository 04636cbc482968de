#include "server/telemetry/intervals.hpp"

#include "core/wire/json.hpp"
#include "server/telemetry/queries.hpp"
#include "server/telemetry/sketches.hpp"

#include <algorithm>

namespace fleet::telemetry {
namespace {

constexpr std::size_t kLabelsBytesMax = 64 * 1024;

Result<Source> read_source(db::Statement const& row) {
  FLEET_TRY(auto labels, read_labels(row.text_view(4)));
  return Source{row.int64(0), row.text(1), row.text(2), row.text(3), std::move(labels)};
}

}  // namespace

Result<wire::Labels> read_labels(std::string_view json) {
  wire::Labels out;
  FLEET_TRY(auto const labels, wire::parse_json(json, kLabelsBytesMax));
  if (!labels.is_object()) return Error{Kind::corrupt, "bad_labels", "the labels of a series are no object", "restore a backup"};
  for (auto const& [name, value] : labels.get_object())
    if (auto const* const text = value.if_string()) out.emplace(name, *text);
  return out;
}

bool Wanted::covers(Source const& source) const {
  bool const all_known = std::all_of(known.begin(), known.end(), [&](std::string const& label) { return source.labels.contains(label); });
  return all_known && selector.matches({.id = {}, .hardware = source.hardware, .state = {}, .labels = &source.labels});
}

void Sum::add(std::int64_t more, double sum_of_more, double least, double most) {
  if (more == 0) return;
  min = count == 0 ? least : std::min(min, least);
  max = count == 0 ? most : std::max(max, most);
  count += more;
  sum += sum_of_more;
}

Result<void> OwnIntervals::each(Wanted const& wanted, Take const& take) const {
  auto row = reader_.prepare(kReadIntervals);
  row.bind_all(wanted.metric, to_unix_ms(wanted.since), wanted.model, wanted.version);
  Source source;
  bool chosen = false;
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) return {};
    if (row.int64(0) != source.n) {
      FLEET_TRY(source, read_source(row));
      chosen = wanted.covers(source);
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
