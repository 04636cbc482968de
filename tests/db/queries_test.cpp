#include "tests/db/database.hpp"
#include "tests/db/folders.hpp"
#include "tests/support/source_dir.hpp"

#include <algorithm>
#include <map>
#include <regex>
#include <set>

using namespace fleet;
using namespace fleet::test;

namespace {

std::string read_source(std::string const& path) {
  auto const text = system_fs().read(test::source_dir() + "/" + path, 1 << 20);
  REQUIRE(text.has_value());
  return *text;
}

}  // namespace

TEST_CASE("every query compiles on the newest schema") {
  Database database;
  database.migrate(kMigrations);
  for (auto const& [folder, queries] : folders()) {
    for (auto const& query : queries) {
      CAPTURE(folder);
      CAPTURE(query.name);
      CHECK_NOTHROW((void)database.connection.prepare(query));
    }
  }
}

TEST_CASE("equality with NULL is asked as SQLite and PostgreSQL both speak it: IS [NOT] DISTINCT FROM") {
  constexpr int kReleased = 14;  // what has been released stays as it is
  std::regex const other(R"(\bIS (NOT )?(?!(NOT )?(NULL|DISTINCT FROM)))");
  auto const speaks_both = [&](std::string_view sql) { return !std::regex_search(sql.begin(), sql.end(), other); };
  REQUIRE_FALSE(speaks_both("a IS NOT ?1"));
  for (auto const& [folder, queries] : folders())
    for (auto const& query : queries) CHECK_MESSAGE(speaks_both(query.sql), query.name);
  for (auto const& migration : kMigrations)
    if (migration.number > kReleased) CHECK_MESSAGE(speaks_both(migration.sql), migration.name);
}

TEST_CASE("every query has a name of its own") {
  std::set<std::string_view> names;
  for (auto const& [folder, queries] : folders())
    for (auto const& query : queries) {
      CAPTURE(folder);
      CHECK_MESSAGE(names.insert(query.name).second, query.name);
    }
}

TEST_CASE("every query that a folder declares is in its array, and every folder with queries is known here") {
  std::regex const declared(R"(constexpr (?:db::)?Query k\w+\s*\{\s*"([^"]+)\")");
  std::set<std::string> seen;
  for (auto const& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(test::source_dir()) / "server")) {
    if (entry.path().extension() != ".hpp" && entry.path().extension() != ".cpp") continue;
    auto const path = std::filesystem::relative(entry.path(), test::source_dir());
    auto const text = read_source(path.string());
    std::set<std::string> found;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), declared); it != std::sregex_iterator(); ++it) found.insert((*it)[1]);
    if (found.empty()) continue;
    auto const folder = path.parent_path().string();
    CHECK_MESSAGE(path.filename() == "queries.hpp", path.string());
    REQUIRE_MESSAGE(folders().contains(folder), folder);
    seen.insert(folder);
    for (auto const& query : folders().at(folder)) found.erase(std::string(query.name));
    for (auto const& missing : found) CHECK_MESSAGE(false, folder << ": " << missing);
  }
  CHECK(seen.size() == folders().size());
}

TEST_CASE("what every poll and report asks, and what retention drops, walks an index, never a whole table") {
  Database database;
  database.migrate(kMigrations);
  std::set<std::string_view> const hot{"access.token_by_hash",
                                       "registry.device_by_key",
                                       "delivery_get_record",
                                       "delivery_get_record_models",
                                       "registry.device_facts",
                                       "rollout_rows_of_device",
                                       "rollout_row",
                                       "store_seen_at",
                                       "get_blob",
                                       "blob_named_to_device",
                                       "blob_in_release",
                                       "delivery_name_release",
                                       "get_metadata",
                                       "newest_metadata",
                                       "document_by_digest",
                                       "release_of",
                                       "last_audit",
                                       "telemetry_version_of_digest",
                                       "telemetry_find_series",
                                       "telemetry_knows_metric",
                                       "telemetry_count_metrics",
                                       "telemetry_forget_intervals",
                                       "telemetry_old_intervals",
                                       "telemetry_drop_series",
                                       "telemetry_drop_intervals",
                                       "telemetry_forget_metrics",
                                       "delivery_get_tiers",
                                       "delivery_holds",
                                       "delivery_order_by_sequence",
                                       "delivery_knows_model",
                                       "delivery_trim_history",
                                       "registry.quotas"};
  std::set<std::string_view> seen;
  for (auto const& [folder, queries] : folders())
    for (auto const& query : queries) {
      if (!hot.contains(query.name)) continue;
      seen.insert(query.name);
      auto const text = "EXPLAIN QUERY PLAN " + std::string(query.sql);
      auto plan = database.connection.prepare({query.name, text});
      while (*plan.step()) {
        CAPTURE(query.name);
        auto const step = plan.text(3);
        bool const ordered = query.name == "last_audit" || query.name == "newest_metadata";  // the first row of an order
        CHECK_MESSAGE((ordered || !step.starts_with("SCAN")), step);
        CHECK_MESSAGE(step.find("TEMP B-TREE") == std::string::npos, step);
      }
    }
  for (auto const& name : hot) CHECK_MESSAGE(seen.contains(name), name);
}
