#include "server/catalog/releases.hpp"

#include "server/catalog/queries.hpp"
#include "server/catalog/same_bytes.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <set>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

/// What is made from a release, by name: itself first.
Result<std::vector<std::pair<std::string, std::string>>> made_from(db::Connection& reader, Release const& release) {
  std::vector<std::pair<std::string, std::string>> out;
  auto rows = reader.prepare(kWithDescendants);
  rows.bind(1, release.n);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.emplace_back(rows.text(0), rows.text(1));
  }
}

/// A release that is to go, and why.
struct Going {
  Release release;
  std::string reason;
};

/// The release, what holds its bytes under another name, and with a recall what is made from any of them: each once, in the order it was found.
class Family {
public:
  Family(db::Connection& reader, Revocation const& how, Release const& first, std::string reason)
      : reader_(reader), how_(how), name_(first.model + "@" + first.version), reason_(std::move(reason)) {
    add(first, reason_);
  }

  Result<std::vector<Going>> gather() {
    for (std::size_t i = 0; i < going_.size(); ++i) {
      auto const release = going_[i].release;
      if (release.state != "revoked") FLEET_CHECK(add_same(release));  // who was kept when it went stays kept
      if (!how_.recall) continue;
      FLEET_TRY(auto const made, made_from(reader_, release));
      for (auto const& [model, version] : made) {
        FLEET_TRY(auto const child, load_release(reader_, model, version));
        add(child, fmt::format("made from {}, which was recalled: {}", name_, reason_));
      }
    }
    return std::move(going_);
  }

private:
  Result<void> add_same(Release const& release) {
    FLEET_TRY(auto const same, same_bytes(reader_, release));
    for (auto const& other : same)
      if (is_mine(other)) add(other, fmt::format("has the bytes of {}@{}, which was revoked: {}", release.model, release.version, reason_));
    return {};
  }
  [[nodiscard]] bool is_mine(Release const& release) const {
    auto const kept = std::find(how_.keep.begin(), how_.keep.end(), release.model + "@" + release.version) != how_.keep.end();
    return !kept && (how_.only_model.empty() || how_.only_model == release.model);
  }
  void add(Release const& release, std::string reason) {
    if (seen_.insert(release.n).second) going_.push_back({release, std::move(reason)});
  }

  db::Connection& reader_;
  Revocation const& how_;
  std::string name_, reason_;
  std::set<std::int64_t> seen_;
  std::vector<Going> going_;
};

/// Rollouts through which devices got it, newest first: what can be taken back.
Result<json::array> rollouts_of(db::Connection& reader, Release const& one) {
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

Result<std::vector<Revoked>> revoke(store::Tx& tx, signing::KeyRing& keys, std::string_view model, std::string_view version, Revocation const& how,
                                    events::Deed const& deed) {
  FLEET_TRY(auto const release, load_release(tx.connection(), model, version));
  Family family(tx.connection(), how, release, deed.reason);
  FLEET_TRY(auto const going, family.gather());
  std::vector<Revoked> out;
  std::set<std::string> models;
  for (auto const& one : going) {
    if (one.release.state == "revoked") {
      out.push_back({one.release, one.release.state});
      continue;
    }
    auto why = deed;
    why.reason = one.reason;
    FLEET_TRY(auto after, set_revoked(tx, one.release, why));
    models.insert(after.model);
    out.push_back({std::move(after), one.release.state});
  }
  FLEET_CHECK(sign_without(tx, keys, models, deed.at));
  return out;
}

Result<std::string> revoked_json(db::Connection& reader, std::vector<Revoked> const& revoked) {
  json::array out;
  for (auto const& [release, was] : revoked) {
    auto count = reader.prepare(kCountRunning);
    FLEET_CHECK(count.bind_all(release.model, release.version).step());
    FLEET_TRY(auto rollouts, rollouts_of(reader, release));
    out.push_back(
        json::object{{"model", release.model}, {"version", release.version}, {"was", was}, {"devices", count.int64(0)}, {"rollouts", std::move(rollouts)}});
  }
  return json::serialize(json::object{{"items", std::move(out)}, {"next", nullptr}});
}

}  // namespace fleet::catalog
