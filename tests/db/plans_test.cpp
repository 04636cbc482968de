#include "tests/db/database.hpp"
#include "tests/db/folders.hpp"

#include <map>
#include <set>

using namespace fleet;
using namespace fleet::test;

namespace {

/// What grows with the fleet, or with what devices and tokens do.
std::set<std::string> const kLarge{"devices",        "contacts",  "device_models", "device_history", "device_tokens", "pending_enrolments", "rollout_devices",
                                   "rollout_samples", "metric_intervals", "events",        "audit",          "idempotency",   "tokens",             "uploads", "releases",
                                   "device_list_ids", "bundle_orders", "bundle_holds", "support_bundles", "telemetry_outbox"};

/// Queries that walk a whole large table on purpose, and why that holds nobody up. Everything else walks an index.
std::map<std::string_view, std::string_view> const kWalks{
    {"registry.scan", "a page of devices, by number, on a worker"},
    {"last_audit", "the last of the key"},
    {"forget_events", "the first so many of the key"},
    {"forget_history", "the first so many of the key"},
    {"raise_sequences", "a restore, before the server serves"},
    {"drop_open_uploads", "a restore, before the server serves"},
    {"registry.origin_known", "releases by a data set that they name, on a worker"},
    {"registry.group_uses", "the deletion of a group: whom it would take something from"},
    {"rollout_gaps", "a plan, on a worker: how long devices are quiet"},
    {"rollout_unknown_running", "what differs after a restore, on a worker, when an administrator asks"},
    {"rollout_unknown_rollouts", "what differs after a restore, on a worker, when an administrator asks"},
    {"cost_releases", "what is stored, on a worker"},
    {"cost_on_their_way", "what is stored, on a worker: uploads of a week"},
    {"telemetry_move_intervals", "the first so many by time"},
    {"telemetry_drop_oldest", "the same ones"},
    {"telemetry_end_of_batch", "the first so many of the key"},
    {"all_documents", "the command check, and a server's start"},
};

std::vector<std::string> plan_of(Database& database, db::Query const& query) {
  std::vector<std::string> out;
  auto const text = "EXPLAIN QUERY PLAN " + std::string(query.sql);
  auto plan = database.connection.prepare({query.name, text});
  while (*plan.step()) out.push_back(plan.text(3));
  return out;
}

/// The table of a step that walks all of it: `SCAN t`, `SCAN t USING COVERING INDEX i`.
std::string walked(std::string const& step) {
  if (!step.starts_with("SCAN ")) return {};
  return step.substr(5, step.find(' ', 5) - 5);
}

/// Aliases hide a table's name in its plan: the one that stands before the alias.
std::string table_of(std::string_view sql, std::string const& name) {
  if (kLarge.contains(name)) return name;
  for (auto const& table : kLarge)
    if (sql.find(table + " " + name + " ") != std::string_view::npos || sql.find(table + " AS " + name + " ") != std::string_view::npos) return table;
  return {};
}

}  // namespace

TEST_CASE("no query walks a table that grows, save those that say why they may") {
  Database database;
  database.migrate(kMigrations);
  std::set<std::string_view> walk;
  for (auto const& [folder, queries] : folders())
    for (auto const& query : queries)
      for (auto const& step : plan_of(database, query)) {
        auto const table = table_of(query.sql, walked(step));
        if (table.empty()) continue;
        walk.insert(query.name);
        CHECK_MESSAGE(kWalks.contains(query.name), query.name << " walks " << table << ": " << step);
      }
  for (auto const& [name, reason] : kWalks) CHECK_MESSAGE(walk.contains(name), name << " does not, or is gone: " << reason);
}

TEST_CASE("a snapshot of the rollouts, a round of the judge, and a scrape, read no rollout that ended long ago") {
  Database database;
  database.migrate(kMigrations);
  // Of those that ended there is one index that holds all that is asked of them; the others hold only those that have a say.
  std::set<std::string> const allowed{"SCAN rollouts USING INDEX rollouts_live", "SCAN r USING INDEX rollouts_live", "SCAN b USING INDEX rollouts_rolled_back",
                                      "SCAN rollouts USING COVERING INDEX rollouts_ended", "SCAN rollouts USING INDEX rollouts_unsettled", "SCAN ended",
                                      "SCAN live", "SCAN rollouts USING COVERING INDEX rollouts_live"};
  std::set<std::string_view> const judged{"rollout_started", "rollout_judged_now", "rollout_unsettled", "rollout_live", "rollout_live_counts"};
  std::size_t seen = 0;
  for (auto const& query : folders().at("server/rollout/shell")) {
    if (!judged.contains(query.name)) continue;
    ++seen;
    for (auto const& step : plan_of(database, query)) CHECK_MESSAGE((!step.starts_with("SCAN") || step.starts_with("SCAN (") || allowed.contains(step)), query.name << ": " << step);
  }
  CHECK(seen == judged.size());
}

TEST_CASE("a page of a rollout's devices in one state reads those of the state alone, in the order of the list") {
  Database database;
  database.migrate(kMigrations);
  std::set<std::string> searched;
  for (auto const& query : folders().at("server/rollout/shell")) {
    if (query.name != "rollout_list_state") continue;
    for (auto const& step : plan_of(database, query)) {
      if (step.find("rollout_devices_") != std::string::npos) searched.insert(step);
      CHECK_MESSAGE(step.find("SCAN rollout_devices") == std::string::npos, step);
    }
  }
  CHECK(searched == std::set<std::string>{"SEARCH rollout_devices USING INDEX rollout_devices_outcome (rollout=? AND outcome=? AND device>?)",
                                          "SEARCH rollout_devices USING INDEX rollout_devices_state (rollout=? AND state=? AND device>?)"});
}

TEST_CASE("what is deleted takes its children along by an index") {
  Database database;
  database.migrate(kMigrations);
  for (auto const& key : database.lines("SELECT s.name || '|' || f.\"table\" || '|' || group_concat(f.\"from\", ' = 1 AND ') || ' = 1' FROM sqlite_schema s JOIN "
                                        "pragma_foreign_key_list(s.name) f WHERE s.type = 'table' AND f.on_delete = 'CASCADE' GROUP BY s.name, f.id")) {
    auto const bar = key.find('|'), second = key.find('|', bar + 1);
    auto const child = key.substr(0, bar), where = key.substr(second + 1);
    auto const sql = "SELECT 1 FROM " + child + " WHERE " + where;
    for (auto const& step : plan_of(database, {"test.child", sql})) CHECK_MESSAGE(step.starts_with("SEARCH"), key << ": " << step);
  }
}

TEST_CASE("counts that are kept are those that counting gives, whatever becomes of the rows") {
  Database database;
  database.migrate(kMigrations);
  must(database.connection.script(R"(
    INSERT INTO models (name, created_at) VALUES ('m', 0);
    INSERT INTO releases (n, model, version, digest, document, request, state, created_by, created_at) VALUES (1, 'm', '1', x'01', '', x'', 'approved', '', 0);
    INSERT INTO rollouts (n, id, model, release, version, selector, policy, salt, state, created_by, created_at)
      VALUES (1, 'r', 'm', 1, '1', '', '', '', 'running', '', 0);
    WITH RECURSIVE k(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM k WHERE n < 60)
      INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) SELECT n, 'd' || n, 'a', 'active', CAST(n AS BLOB), 0, 0 FROM k;
    INSERT INTO device_models (device, model, running, since) SELECT n, 'm', CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '1' ELSE '2' END, 0 FROM devices;
    INSERT INTO rollout_devices (rollout, device, stage, stratum, state, attempt, dispatched_at, since, silent_at)
      SELECT 1, n, 1, CASE n % 2 WHEN 0 THEN 'x' ELSE 'y' END, 'dispatched', 1, 0, 0, 0 FROM devices;
    UPDATE rollout_devices SET state = 'healthy', outcome = 'healthy', exposed = 1 WHERE device % 5 = 0;
    UPDATE rollout_devices SET outcome = 'failed' WHERE device % 7 = 0;
    UPDATE rollout_devices SET code = 'x' WHERE device % 14 = 0;
    UPDATE rollout_devices SET outcome = 'failed', code = 'y' WHERE device % 10 = 1;
    UPDATE rollout_devices SET outcome = NULL, code = '' WHERE device = 21;
    UPDATE rollout_devices SET arm = 'control', in_window = 2 WHERE device % 4 = 0;
    UPDATE rollout_devices SET in_window = 1, kind = 'golden' WHERE device % 7 = 0;
    UPDATE rollout_devices SET attempt = 2 WHERE device % 9 = 0;
    INSERT INTO rollout_samples (rollout, metric, device, arm, samples, class, healthy)
      SELECT 1, CASE device % 2 WHEN 0 THEN 'a' ELSE 'b' END, device, arm, '{}', 0, 0 FROM rollout_devices WHERE true
      ON CONFLICT (rollout, metric, device) DO UPDATE SET class = excluded.class;
    INSERT INTO rollout_samples (rollout, metric, device, arm, samples, class, healthy) SELECT 1, 'a', device, arm, '{}', 7, 0 FROM rollout_devices WHERE true
      ON CONFLICT (rollout, metric, device) DO UPDATE SET class = excluded.class, healthy = device % 3 = 0;
    UPDATE rollout_samples SET healthy = 1 WHERE device % 5 = 0;
    UPDATE rollout_samples SET arm = 'canary' WHERE device % 8 = 0;
    UPDATE rollout_samples SET samples = '{"blocks":1}';
    DELETE FROM rollout_samples WHERE rollout = 1 AND device BETWEEN 20 AND 25;
    DELETE FROM rollout_devices WHERE device > 55;
    UPDATE rollout_devices SET since = 7;
    UPDATE device_models SET running = '2' WHERE device < 20;
    UPDATE device_models SET running = NULL WHERE device > 50;
    UPDATE devices SET state = 'retired' WHERE n BETWEEN 10 AND 30;
    DELETE FROM devices WHERE n BETWEEN 5 AND 15;
    DELETE FROM device_models WHERE device = 40;
    INSERT INTO device_models (device, model, running, since) VALUES (40, 'm', '9', 0), (41, 'm', '9', 0) ON CONFLICT (device, model) DO UPDATE SET running = excluded.running;
  )"));
  struct Kept {
    char const *kept, *counted;
  };
  for (auto const& [kept, counted] :
       {Kept{"SELECT stratum || arm || in_window || state || outcome || exposed || kind || attempt || devices FROM rollout_counts WHERE devices <> 0 ORDER BY 1",
             "SELECT stratum || arm || in_window || state || coalesce(outcome, '') || exposed || kind || attempt || count(*) FROM rollout_devices "
             "GROUP BY stratum, arm, in_window, state, outcome, exposed, kind, attempt ORDER BY 1"},
        Kept{"SELECT code || ' ' || devices FROM rollout_failure_counts WHERE devices <> 0 ORDER BY 1",
             "SELECT code || ' ' || count(*) FROM rollout_devices WHERE outcome = 'failed' GROUP BY code ORDER BY 1"},
        Kept{"SELECT metric || arm || class || healthy || devices FROM rollout_metric_counts WHERE devices <> 0 ORDER BY 1",
             "SELECT metric || arm || class || healthy || count(*) FROM rollout_samples GROUP BY metric, arm, class, healthy ORDER BY 1"},
        Kept{"SELECT state || devices FROM device_counts WHERE devices <> 0 ORDER BY 1", "SELECT state || count(*) FROM devices GROUP BY state ORDER BY 1"},
        Kept{"SELECT version || devices FROM running_counts WHERE devices <> 0 ORDER BY 1",
             "SELECT running || count(*) FROM device_models WHERE running IS NOT NULL GROUP BY running ORDER BY 1"}}) {
    auto const wanted = database.lines(counted);
    CHECK(wanted.size() >= 2);
    CHECK(database.lines(kept) == wanted);
  }
}
