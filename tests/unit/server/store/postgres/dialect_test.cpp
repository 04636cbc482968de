#include "server/store/postgres/dialect.hpp"

#include <doctest/doctest.h>

using namespace fleet;

TEST_CASE("one text is translated in its placeholders and hints alone") {
  struct Case {
    std::string_view sql, expected;
  };
  for (auto const& [sql, expected] : {
           Case{"SELECT a FROM t WHERE b = ?2 AND c = ?1", "SELECT a FROM t WHERE b = $2 AND c = $1"},
           Case{"INSERT INTO t VALUES (?, ?, ?)", "INSERT INTO t VALUES ($1, $2, $3)"},
           Case{"SELECT ?3, ?, ?1, ?", "SELECT $3, $4, $1, $5"},  // one more than the highest so far, as SQLite counts
           Case{"SELECT ?12", "SELECT $12"},
           Case{"SELECT '?', 'it''s ?', \"?\" -- ?\n, ? /* ? */", "SELECT '?', 'it''s ?', \"?\" -- ?\n, $1 /* ? */"},
           Case{"SELECT 'open ?", "SELECT 'open ?"},
           Case{"SELECT a FROM t INDEXED BY t_by_a2 WHERE a = ?", "SELECT a FROM t WHERE a = $1"},
           Case{"SELECT a FROM t x INDEXED BY t_by_a", "SELECT a FROM t x "},
           Case{"SELECT 'INDEXED BY t'", "SELECT 'INDEXED BY t'"},
           Case{"", ""},
       })
    CHECK(postgres::translated(sql) == expected);
}
