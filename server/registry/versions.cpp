#include "server/registry/versions.hpp"

#include "server/registry/queries.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>

namespace fleet::registry {

Result<std::string> version_named(db::Connection& reader, std::string_view model, std::string_view word) {
  {
    auto row = reader.prepare(queries::kVersionKnown);
    FLEET_TRY(bool const known, row.bind_all(model, word).step());
    if (known) return std::string(word);
  }
  if (word == kLatest) {
    auto row = reader.prepare(queries::kLatestVersion);
    FLEET_TRY(bool const found, row.bind_all(model).step());
    return found ? row.text(0) : std::string(word);
  }
  auto row = reader.prepare(queries::kAliases);
  FLEET_TRY(bool const found, row.bind_all(model).step());
  if (!found) return std::string(word);
  auto const aliases = boost::json::parse(row.text(0));  // our own text
  auto const* const version = aliases.as_object().if_contains(word);
  return version == nullptr ? std::string(word) : std::string(version->as_string());
}

Result<std::string> release_named(db::Connection& reader, std::string_view release) {
  auto const at = release.find('@');
  if (at == std::string_view::npos) return std::string(release);
  FLEET_TRY(auto const version, version_named(reader, release.substr(0, at), release.substr(at + 1)));
  return std::string(release.substr(0, at + 1)) + version;
}

Result<Selector> with_versions(db::Connection& reader, Selector selector) {
  if (!selector.asks_running()) return selector;
  auto conditions = selector.conditions();
  for (auto& condition : conditions) {
    if (condition.key != "running") continue;
    for (auto& value : condition.values) {
      FLEET_TRY(value, release_named(reader, value));
    }
    std::sort(condition.values.begin(), condition.values.end());
    condition.values.erase(std::unique(condition.values.begin(), condition.values.end()), condition.values.end());
  }
  return Selector(std::move(conditions));
}

Result<void> check_versions(db::Connection& reader, Selector const& selector) {
  for (auto const& condition : selector.conditions())
    for (auto const& value : condition.values) {
      auto const at = value.find('@');
      if (condition.key != "running" || at == std::string::npos) continue;
      auto row = reader.prepare(queries::kVersionKnown);
      FLEET_TRY(bool const known, row.bind_all(value.substr(0, at), value.substr(at + 1)).step());
      if (!known)
        return Error{Kind::bad_input, "unknown_version", "selector: running=" + value + ": there is no release and no alias of that name", "fleetctl release list, fleetctl model get"};
    }
  return {};
}

}  // namespace fleet::registry
