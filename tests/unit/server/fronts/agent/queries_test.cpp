#include "server/delivery/queries.hpp"
#include "tests/unit/server/fronts/agent/house.hpp"

TEST_CASE("every query of delivery compiles on the newest schema") {
  fleet::fronts::test::House house;
  for (auto const& query : fleet::delivery::kQueries) CHECK_NOTHROW((void)house.store->reader().prepare(query));
}
