#include "server/rollout/policy/amounts.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fleet::rollout;

TEST_CASE("a share's text is the shortest that reads back to the bit") {
  for (auto const& [share, text] : {std::pair{.02, "2%"}, {.07, "7%"}, {.125, "12.5%"}, {.5, "50%"}, {.999, "99.9%"}, {.0003, "0.03%"}, {0., "0%"}, {.1 + .2, "30.000000000000004%"},
                                    {1. / 3, "33.33333333333333%"}, {20. / 57, "35.08771929824561%"}, {1e-9, "0.0000001%"}}) {
    CAPTURE(text);
    CHECK(share_text(share) == text);
    CHECK(parse_share(text) == share);
  }
}

TEST_CASE("what is no share is none") {
  for (auto const* const text : {"", "%", "2", "two%", "2 percent", "nan%", "inf%", "1e999%", "2%%", "0x2%"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_share(text).has_value());
    CHECK_FALSE(parse_percent(text).has_value());
  }
  CHECK(parse_share("5 %") == .05);
  CHECK(parse_share("1e1%") == .1);
  CHECK(parse_percent("5 %") == 5.);
  CHECK(percent_sign_text(12.5) == "12.5%");
}
