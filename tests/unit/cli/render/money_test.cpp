#include "cli/render/money.hpp"

#include <boost/json/parse.hpp>
#include <doctest/doctest.h>

using namespace fleet::render;

TEST_CASE("money is told with two decimals, and with what it is made of where that is more than one thing") {
  for (auto const& [amount, text] : {std::pair{0.0, "0.00"}, std::pair{1234.567, "1234.57"}, std::pair{0.01, "0.01"}, std::pair{0.00234, "0.0023"}}) CHECK(amount_text(amount) == text);
  struct Case {
    char const *money, *text, *total;
  };
  for (auto const& [money, text, total] : {Case{R"({"egress":1.25,"storage":0.5,"total":1.75,"currency":"EUR"})", "storage 0.50, egress 1.25: 1.75 EUR", "1.75 EUR"},
                                           Case{R"({"requests":2,"total":2,"currency":"USD"})", "2.00 USD", "2.00 USD"}, Case{"null", "", ""}}) {
    CHECK(money_text(boost::json::parse(money)) == text);
    CHECK(total_text(boost::json::parse(money)) == total);
  }
}
