#pragma once

#include "server/events/deed.hpp"
#include "server/store/store.hpp"

#include <optional>
#include <string>
#include <string_view>

/// What the operator pays, as he says it: nothing here knows a provider.
namespace fleet::cost {

inline constexpr double kGigabyte = 1e9;  ///< bytes, as providers count them
inline constexpr int kMonthDays = 30;

/// What is not set is left out of every sum.
struct Prices {
  std::optional<double> egress;    ///< of a GB out
  std::optional<double> storage;   ///< of a GB kept for a month
  std::optional<double> requests;  ///< of a million
  std::string currency;            ///< ISO 4217; empty where no price is set
  std::int64_t revision = 0;       ///< 0: never set
  [[nodiscard]] bool any() const { return egress || storage || requests; }
};

/// What is to be paid for; what a sum is not about is not there.
struct Amounts {
  std::optional<double> out_bytes, stored_bytes, requests;
};
/// `{"egress","storage","requests","total","currency"}` with what has both a price and an amount; `null` where nothing has.
[[nodiscard]] std::string money_json(Prices const& prices, Amounts const& amounts);

struct WantedPrices {
  Prices prices;
  std::string reason;
};
/// The body of a PUT: all prices as they shall be; null, or not there: none. @errors bad_input with every wrong place
[[nodiscard]] Result<WantedPrices> decode_prices(std::string_view body);
/// `{"egress","storage","requests","currency"}`
[[nodiscard]] std::string prices_json(Prices const& prices);

[[nodiscard]] Result<Prices> load_prices(db::Connection& reader);
/// The revision rises, and the log says who did it, where they are others than before.
[[nodiscard]] Result<Prices> set_prices(store::Tx& tx, Prices wanted, events::Deed const& deed);

}  // namespace fleet::cost
