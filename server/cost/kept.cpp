#include "server/cost/kept.hpp"

#include "server/catalog/models.hpp"
#include "server/cost/queries.hpp"

#include <optional>
#include <utility>

namespace fleet::cost {
namespace {

constexpr int kModelsAtOnce = 500;

using Kept = std::map<std::int64_t, Why>;

void keep_newest(std::vector<ReleaseRow> const& releases, std::int64_t newest, Kept& out) {
  std::map<std::string, std::int64_t> taken;
  for (auto const& one : releases)
    if (one.state != "revoked" && taken[one.model]++ < newest) out.try_emplace(one.n, Why::newest);
  std::map<std::string, std::int64_t> approved;
  for (auto const& one : releases)
    if (one.state == "approved" && approved.try_emplace(one.model, one.n).second) out.try_emplace(one.n, Why::approved);
}

struct Source {
  Why why;
  db::Query const& query;  ///< rows of releases
  bool asks_time = false;
};
constexpr auto kSources = std::to_array<Source>({
    {Why::running, kRunning},
    {Why::rollout, kRolledOut},
    {Why::bundle, kBundled, true},
});

using ByName = std::map<std::pair<std::string, std::string>, std::int64_t>;

void keep_named(ByName const& names, std::string const& model, std::string const& version, Why why, Kept& out) {
  if (auto const found = names.find({model, version}); found != names.end()) out.try_emplace(found->second, why);
}

/// What devices of live rollouts would return to.
Result<void> keep_before(db::Connection& reader, ByName const& names, Kept& out) {
  auto live = reader.prepare(kLive);
  for (;;) {
    FLEET_TRY(bool const rollout, live.step());
    if (!rollout) return {};
    auto const model = live.text(1);
    auto versions = reader.prepare(kRanBefore);
    versions.bind(1, live.int64(0));
    for (;;) {
      FLEET_TRY(bool const row, versions.step());
      if (!row) break;
      keep_named(names, model, versions.text(0), Why::rollout, out);
    }
  }
}

Result<void> keep_aliases(db::Connection& reader, ByName const& names, Kept& out) {
  for (std::string after;;) {
    FLEET_TRY(auto const models, catalog::list_models(reader, "", "", after, kModelsAtOnce));
    if (models.empty()) return {};
    after = models.back().name;
    for (auto const& model : models)
      for (auto const& [alias, version] : model.aliases) keep_named(names, model.name, version, Why::alias, out);
  }
}

/// A set has no set among its members.
Result<void> keep_members(db::Connection& reader, Kept& out) {
  auto const sets = out;
  auto rows = reader.prepare(kMembers);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    if (sets.contains(rows.int64(0))) out.try_emplace(rows.int64(1), Why::set);
  }
}

}  // namespace

Result<std::vector<ReleaseRow>> list_release_rows(db::Connection& reader) {
  std::vector<ReleaseRow> out;
  auto rows = reader.prepare(kReleases);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back({rows.int64(0), rows.text(1), rows.text(2), rows.text(3)});
  }
}

Result<Kept> find_kept(db::Connection& reader, std::vector<ReleaseRow> const& releases, std::int64_t newest, SysTime now) {
  Kept out;
  keep_newest(releases, newest, out);
  for (auto const& source : kSources) {
    auto rows = reader.prepare(source.query);
    if (source.asks_time) rows.bind(1, to_unix_ms(now));
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      out.try_emplace(rows.int64(0), source.why);
    }
  }
  ByName names;
  for (auto const& one : releases) names[{one.model, one.version}] = one.n;
  FLEET_CHECK(keep_before(reader, names, out));
  FLEET_CHECK(keep_aliases(reader, names, out));
  FLEET_CHECK(keep_members(reader, out));
  return out;
}

}  // namespace fleet::cost
