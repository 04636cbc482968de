#pragma once

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

namespace fleet::wire {

/// What a metric's values are, as a manifest's `schema` and the owner's `sensors` (agent.yaml) say it: `{unit: ms, range: [0, 500], varies: 10m, every: 1m, local: true}`.
/// @param strict  refuse unknown keys, and what is no range: what people write
[[nodiscard]] MetricSchema read_metric_schema(ObjectReader& reader, bool strict);
[[nodiscard]] boost::json::object metric_schema_json(MetricSchema const& metric);

}  // namespace fleet::wire
