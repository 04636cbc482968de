#include "tests/support/postgres.hpp"

#include "core/base/random.hpp"
#include "server/store/postgres/postgres.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace fleet::test {
namespace {

std::string server() {
  auto const* const url = std::getenv("FLEET_TEST_POSTGRES");
  if (url == nullptr) throw std::runtime_error("this test needs a PostgreSQL: tests/support/with_postgres COMMAND");
  return url;
}

/// By a connection of its own: no database is made or dropped in a transaction, or while somebody uses it.
void run(std::string const& sql) {
  auto connection = postgres::open(server(), postgres::Mode::read_write);
  if (!connection) throw std::runtime_error(connection.error().detail);
  if (auto const done = connection->script(sql); !done) throw std::runtime_error(done.error().detail);
}

}  // namespace

bool has_postgres() { return std::getenv("FLEET_TEST_POSTGRES") != nullptr; }

PostgresDatabase::PostgresDatabase(std::string const& how) : name(make_ulid("t", 0, system_random())) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  url = server();
  auto const slash = url.find('/', url.find("//") + 2) + 1;
  url.replace(slash, url.find('?') - slash, name);
  run(fmt::format("CREATE DATABASE {} TEMPLATE template0 {}", name, how));
}

PostgresDatabase::~PostgresDatabase() {
  try {
    run(fmt::format("DROP DATABASE {} WITH (FORCE)", name));
  } catch (std::exception const&) {  // it ends with the server
  }
}

}  // namespace fleet::test
