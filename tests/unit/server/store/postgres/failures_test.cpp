#include "server/store/postgres/failures.hpp"

#include <doctest/doctest.h>

using namespace fleet;

TEST_CASE("what the server says is one of our failures: what may run again, what is busy, what is gone") {
  struct Case {
    std::string_view sqlstate, code;
    Kind kind;
  };
  for (auto const& [sqlstate, code, kind] : {
           Case{"40001", "run_again", Kind::unavailable},
           Case{"40P01", "run_again", Kind::unavailable},
           Case{"23505", "constraint", Kind::conflict},
           Case{"23503", "constraint", Kind::conflict},
           Case{"53100", "disk_full", Kind::unavailable},
           Case{"53300", "database_busy", Kind::unavailable},
           Case{"55P03", "database_busy", Kind::unavailable},
           Case{"57014", "database_busy", Kind::unavailable},
           Case{"57P01", "database_gone", Kind::unavailable},
           Case{"25P03", "database_gone", Kind::unavailable},
           Case{"08006", "database_gone", Kind::unavailable},
           Case{"", "database_gone", Kind::unavailable},
           Case{"25P02", "transaction_failed", Kind::internal},
           Case{"25006", "database_read_only", Kind::unavailable},
           Case{"XX001", "database_corrupt", Kind::corrupt},
           Case{"58030", "disk_failed", Kind::io},
           Case{"22012", "database_failed", Kind::io},
       }) {
    CAPTURE(sqlstate);
    auto const error = postgres::failure(sqlstate, "words\n", "get_device");
    CHECK(error.code == code);
    CHECK(error.kind == kind);
    CHECK(error.detail == (sqlstate.empty() ? std::string("get_device: words") : "get_device: words (" + std::string(sqlstate) + ")"));
  }
  CHECK(postgres::commit_unknown("lost\n").code == "commit_unknown");
  CHECK(postgres::is_bug("42601"));
  CHECK_FALSE(postgres::is_bug("40001"));
}
