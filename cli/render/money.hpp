#pragma once

#include <string>

namespace boost::json {
class value;
}

/// Money of the API's `money` objects, as people read it. Pure.
namespace fleet::render {

/// Two decimals; of what is less than one of these, two digits that tell something.
[[nodiscard]] std::string amount_text(double amount);
/// `storage 0.50, egress 1.25: 1.75 EUR`, `1.25 EUR` where it is one thing; empty where nothing has a price.
[[nodiscard]] std::string money_text(boost::json::value const& money);
/// `1.75 EUR`, all together; empty where nothing has a price.
[[nodiscard]] std::string total_text(boost::json::value const& money);

}  // namespace fleet::render
