#include "cli/render/money.hpp"

#include "cli/render/json.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <cmath>

namespace fleet::render {
namespace {

constexpr double kCent = 0.01;

}  // namespace

std::string amount_text(double amount) {
  if (amount == 0 || std::abs(amount) >= kCent) return fmt::format("{:.2f}", amount);
  return fmt::format("{:.2g}", amount);
}

std::string total_text(boost::json::value const& money) {
  if (!money.is_object()) return {};
  return amount_text(number_at(money, "total")) + " " + text_at(money, "currency");
}

std::string money_text(boost::json::value const& money) {
  if (!money.is_object()) return {};
  std::string parts;
  int count = 0;
  for (auto const* const name : {"storage", "egress", "requests"}) {
    if (!member(money, name).is_number()) continue;
    parts += fmt::format("{}{} {}", count++ == 0 ? "" : ", ", name, amount_text(number_at(money, name)));
  }
  return count < 2 ? total_text(money) : parts + ": " + total_text(money);
}

}  // namespace fleet::render
