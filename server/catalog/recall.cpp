#include "server/catalog/releases.hpp"

#include "server/catalog/queries.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

struct Affected {
  std::string model, version, state;
};

/// The release and everything made from it, by name.
Result<std::vector<Affected>> list_affected(db::Connection& reader, Release const& release) {
  std::vector<Affected> out;
  auto rows = reader.prepare(kWithDescendants);
  rows.bind(1, release.n);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back({rows.text(0), rows.text(1), rows.text(2)});
  }
}

/// Rollouts through which devices got it, newest first: what can be taken back.
Result<json::array> rollouts_of(db::Connection& reader, Affected const& one) {
  json::array out;
  auto rows = reader.prepare(kRolloutsOfRelease);
  rows.bind_all(one.model, one.version);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back(json::object{{"id", rows.text_view(0)}, {"state", rows.text_view(1)}});
  }
}

}  // namespace

Result<std::string> recall(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, Cause const& cause) {
  FLEET_TRY(auto const release, load_release(tx.connection(), model, version));
  FLEET_TRY(auto const affected, list_affected(tx.connection(), release));
  std::vector<std::pair<Release, std::string>> revoked;
  for (auto const& one : affected) {
    FLEET_TRY(auto made, load_release(tx.connection(), one.model, one.version));
    bool const itself = made.n == release.n;
    revoked.emplace_back(std::move(made),
                         itself ? cause.reason : fmt::format("made from {}@{}, which was recalled: {}", release.model, release.version, cause.reason));
  }
  FLEET_CHECK(revoke_each(tx, keys, revoked, cause));
  json::array out;
  for (auto const& one : affected) {
    auto count = tx.prepare(kCountRunning);
    FLEET_CHECK(count.bind_all(one.model, one.version).step());
    FLEET_TRY(auto rollouts, rollouts_of(tx.connection(), one));
    out.push_back(
        json::object{{"model", one.model}, {"version", one.version}, {"was", one.state}, {"devices", count.int64(0)}, {"rollouts", std::move(rollouts)}});
  }
  return json::serialize(json::object{{"items", std::move(out)}, {"next", nullptr}});
}

}  // namespace fleet::catalog
