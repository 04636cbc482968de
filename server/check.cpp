#include "server/commands.hpp"
#include "server/data_dir.hpp"

#include "server/audit/audit.hpp"
#include "server/catalog/check.hpp"

namespace fleet::server {

Result<std::vector<std::string>> check(std::string const& data_dir) {
  auto& fs = system_fs();
  Layout const layout{data_dir};
  FLEET_CHECK(check_initialised(fs, layout));
  // A connection of its own that only reads: the server may run, and nothing is mended silently.
  FLEET_TRY(auto database, db::Connection::open(layout.database(), db::Connection::Mode::read_only));
  FLEET_TRY(auto findings, database.check());
  for (auto& finding : findings) finding.insert(0, "database: ");
  FLEET_TRY(auto const catalog, catalog::check_catalog(database, fs, data_dir));
  findings.insert(findings.end(), catalog.begin(), catalog.end());
  auto const chain = audit::verify(database);
  if (!chain && chain.error().kind != Kind::corrupt) return chain.error();
  if (!chain) findings.push_back("audit: " + chain.error().detail);
  return findings;
}

}  // namespace fleet::server
