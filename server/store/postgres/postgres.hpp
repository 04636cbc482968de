#pragma once

#include "server/store/db/db.hpp"

#include <atomic>
#include <memory>
#include <span>
#include <string>

namespace fleet::postgres {

enum class Mode {
  read_only,
  read_write,
  alone,  ///< read_write, and no other connection is `alone` or a node's on this database meanwhile
  node,   ///< read_write, beside other nodes; by open_node
};

/// Whether a database answers, told among the connections of a process: while it does not, only the one that is alone tries, and no thread that serves waits for it.
struct Reach {
  std::atomic<bool> away{false};
};

/// A connection to a PostgreSQL of version 13 or later.
///
/// Each named query is prepared once, under its name; its rows are held whole, so that queries may run inside each other. Waiting is bounded: to connect 5 s, a
/// statement 30 s (35 for its answer), a lock 5 s, and a transaction that nobody goes on with ends after 10 s, with the connection. A writer is READ COMMITTED.
///
/// On a connection that broke the rest of a transaction fails (`database_gone`), and what it did before is undone, but for a `COMMIT` whose answer was not heard,
/// or that came with a warning (a synchronous replica that was not waited for): `commit_unknown`. It is made anew by the next BEGIN, and by any statement where
/// it only reads: that is asked once more.
/// Texts with NUL are refused before they are sent (bad_input, `nul_in_text`).
/// @param url  postgresql://USER:PASSWORD@HOST:PORT/NAME?..., or libpq's key=value words (PostgreSQL, 34.1.1); the database's encoding must be UTF8, its collation C
/// @errors unavailable (`database_gone`: it cannot be reached, or refuses us), conflict (`database_in_use`: another is alone on it), unprocessable (`database_too_old`,
///         `wrong_collation`)
Result<db::Connection> open(std::string const& url, Mode mode, std::shared_ptr<Reach> reach = std::make_shared<Reach>());
/// A writer's for one of several nodes: as `alone`, beside other nodes but not beside itself. @param node  [a-z0-9-]
/// @errors as `open`; conflict (`database_in_use`: the node runs already, or somebody is alone on it)
Result<db::Connection> open_node(std::string const& url, std::string const& node, std::shared_ptr<Reach> reach);
/// One that only reads, and connects when it is first asked: what is wrong then is its statement's error.
[[nodiscard]] db::Connection reader(std::string const& url, std::shared_ptr<Reach> reach);

/// Nobody's tables are there but ours, and those hold nothing yet: so it stays for whoever is alone on it. @errors conflict (`database_not_empty`)
Result<void> check_empty(db::Connection& connection);
/// It can be read as one. What libpq says of it may hold a password and is not told. @errors bad_input (`bad_database`)
Result<void> check_url(std::string const& url);

/// The number of its newest migration; 0: none.
Result<std::int64_t> schema_version(db::Connection& connection);

/// Brings the schema to the newest, each migration in a transaction of its own: the baseline where there is none, then what is later than the schema. Several
/// may come at once: one after the other.
/// @errors conflict (`database_is_newer`), io
Result<void> migrate(db::Connection& connection, std::span<db::Migration const> migrations);

}  // namespace fleet::postgres
