#include "server/cost/traffic.hpp"

#include "server/catalog/releases.hpp"
#include "server/cost/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fleet::cost {
namespace {

struct Row {
  std::int64_t n = 0;
  RolloutTraffic out;
  std::string against;  ///< of a test: the other version
};

Row read_row(db::Statement const& row) {
  Row out;
  out.n = row.int64(0);
  auto& told = out.out;
  told.id = row.text(1);
  told.model = row.text(2);
  told.version = row.text(3);
  told.state = row.text(4);
  told.started_at = row.maybe_int64(5);
  if (!row.is_null(6)) out.against = row.text(6);
  return out;
}

struct Told {
  std::string version, hardware, from;
  std::int64_t devices = 0;
};

Result<std::vector<Told>> who_was_told(db::Connection& reader, Row const& rollout, std::int64_t limit) {
  std::vector<Told> out;
  auto rows = reader.prepare(kWhoWasTold);
  rows.bind_all(rollout.n, limit);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    bool const other = rows.text_view(0) == "against" && !rollout.against.empty();
    out.push_back({other ? rollout.against : rollout.out.version, rows.text(1), rows.text(2), rows.int64(3)});
  }
}

/// Of a set each member arrives, from what the set before had of its model.
Result<void> add_arrivals(Travels& travels, std::string const& model, Told const& told, std::map<Arrival, std::int64_t>& out) {
  FLEET_TRY(auto const* const to, travels.load(model, told.version));
  if (to == nullptr) return {};
  if (!to->is_set()) {
    out[{model, told.version, told.hardware, told.from}] += told.devices;
    return {};
  }
  FLEET_TRY(auto const* const from, travels.load(model, told.from));
  for (auto const& member : to->members) {
    std::string before;
    if (from != nullptr)
      for (auto const& one : from->members)
        if (one.model == member.model) before = one.version;
    out[{member.model, member.version, told.hardware, before}] += told.devices;
  }
  return {};
}

std::uint64_t scaled(std::uint64_t bytes, std::int64_t told, std::int64_t counted) {
  if (told == counted) return bytes;
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(bytes) / static_cast<double>(counted) * static_cast<double>(told)));
}

Result<RolloutTraffic> traffic_of(db::Connection& reader, Travels& travels, Row rollout, std::int64_t limit) {
  auto& out = rollout.out;
  auto count = reader.prepare(kTold);
  FLEET_CHECK(count.bind(1, rollout.n).step());
  out.told = count.int64(0);
  FLEET_TRY(auto const told, who_was_told(reader, rollout, limit));
  std::map<Arrival, std::int64_t> arrivals;
  for (auto const& one : told) {
    out.counted += one.devices;
    FLEET_CHECK(add_arrivals(travels, out.model, one, arrivals));
  }
  out.told = std::max(out.told, out.counted);
  FLEET_TRY(out.traffic, travels.of(arrivals));
  if (out.counted == 0) return std::move(out);
  out.traffic.bytes = scaled(out.traffic.bytes, out.told, out.counted);
  out.traffic.as_it_is = scaled(out.traffic.as_it_is, out.told, out.counted);
  return std::move(out);
}

}  // namespace

Result<wire::Release const*> Travels::load(std::string const& model, std::string const& version) {
  auto const [at, fresh] = releases_.try_emplace({model, version});
  if (fresh && !version.empty()) {
    auto const row = catalog::load_release(reader_, model, version);
    if (!row && row.error().kind != Kind::not_found) return row.error();
    if (row) {
      FLEET_TRY(at->second, wire::decode_release(row->document));
    }
  }
  return at->second ? &*at->second : nullptr;
}

Result<Traffic> Travels::of(std::map<Arrival, std::int64_t> const& arrivals) {
  Traffic out;
  for (auto const& [what, devices] : arrivals) {
    FLEET_TRY(auto const* const to, load(what.model, what.to));
    if (to == nullptr) continue;
    auto const [at, fresh] = travels_.try_emplace(what);
    if (fresh) {
      FLEET_TRY(auto const* const from, load(what.model, what.from));
      FLEET_TRY(at->second, routes::travel_of(reader_, *to, from, what.hardware));
    }
    auto const n = static_cast<std::uint64_t>(devices);
    out.bytes += at->second.bytes * n;
    out.as_it_is += at->second.size * n;
    out.largest = std::max(out.largest, at->second.bytes);
    out.lines.push_back({what, devices, at->second});
  }
  return out;
}

Result<RolloutTraffic> rollout_traffic(db::Connection& reader, std::string_view id) {
  auto row = reader.prepare(kRollout);
  FLEET_TRY(bool const found, row.bind(1, id).step());
  if (!found) return Error{Kind::not_found, "unknown_rollout", fmt::format("there is no rollout '{}'", id.substr(0, 64)), "fleetctl rollout list shows what there is"};
  Travels travels(reader);
  return traffic_of(reader, travels, read_row(row), kCountedOfOne);
}

Result<std::vector<RolloutTraffic>> rollouts_traffic(db::Connection& reader, std::string_view model, SysTime since) {
  std::vector<Row> found;
  {
    auto rows = reader.prepare(kRollouts);
    rows.bind_all(to_unix_ms(since), model, kRolloutsMax);
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      found.push_back(read_row(rows));
    }
  }
  std::vector<RolloutTraffic> out;
  Travels travels(reader);
  for (auto& one : found) {
    FLEET_TRY(auto traffic, traffic_of(reader, travels, std::move(one), kCountedOfEach));
    out.push_back(std::move(traffic));
  }
  return out;
}

}  // namespace fleet::cost
