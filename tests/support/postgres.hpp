#pragma once

#include <string>

namespace fleet::test {

/// There is one: the program was started by tests/support/with_postgres.
[[nodiscard]] bool has_postgres();

/// A database of its own in the PostgreSQL that tests/support/with_postgres started; gone when this goes out of scope. Fails the test where there is none.
struct PostgresDatabase {
  /// @param how  words of CREATE DATABASE for other than what the server's own is
  explicit PostgresDatabase(std::string const& how = "");
  ~PostgresDatabase();
  PostgresDatabase(PostgresDatabase const&) = delete;
  std::string name;
  std::string url;
};

}  // namespace fleet::test
