#include "server/rollout/engine/plan.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::rollout;

TEST_CASE("a site is the value of a label, or the hardware; who has not the label stands nowhere") {
  wire::Labels const labels{{"site", "north"}};
  CHECK(site_of("site", "cam", labels) == Site{"site", "north"});
  CHECK(site_of("hardware", "cam", labels) == Site{"hardware", "cam"});
  CHECK_FALSE(site_of("line", "cam", labels).has_value());
}

TEST_CASE("a plan says how many turns the largest site takes, how long at least, who is not limited, and what does not fit") {
  auto const policy = *decode_policy(R"({"stages":[{"percent":100,"deadline":"1h"}],"limits":{"per":"site","at_once":2}})");
  auto const said = warn_of_sites(policy, {{{"north", 5}, {"south", 21}}, 3}, std::chrono::minutes{10});
  REQUIRE(said.size() == 3);
  CHECK(said[0].find("3 devices have no label site") != std::string::npos);
  CHECK(said[1].find("site=south has 21 devices, 2 at one time: 11 turns, at least 1h50m") != std::string::npos);
  CHECK(said[2].find("does not fit in the deadline of stage 1, 1h") != std::string::npos);
  CHECK(warn_of_sites(policy, {{{"north", 2}}, 0}, std::chrono::minutes{10}).empty());
  CHECK(warn_of_sites(*decode_policy(R"({"stages":[{"percent":100}]})"), {{{"north", 20}}, 1}, Millis{0}).empty());
}
