#include "server/delivery/queries.hpp"
#include "tests/unit/server/delivery/house.hpp"

TEST_CASE("every query of delivery compiles on the newest schema") {
  fleet::delivery::test::House house;
  for (auto const& query : fleet::delivery::kQueries) CHECK_NOTHROW((void)house.store->reader().prepare(query));
}
