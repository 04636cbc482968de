#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"
#include "server/cost/prices.hpp"
#include "server/cost/requests.hpp"
#include "server/cost/stored.hpp"
#include "tests/unit/server/registry/result_printer.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::cost;

namespace {

Digest digest(std::uint8_t first) {
  Digest out{};
  out.bytes[0] = first;
  return out;
}

std::string code_of(std::string_view body) {
  auto const read = decode_prices(body);
  return read ? "fine" : read.error().code;
}

}  // namespace

TEST_CASE("money is the amount by its unit, of what has a price and an amount alone") {
  Prices const all{.egress = 0.5, .storage = 0.25, .requests = 2, .currency = "EUR"};
  auto const money = *wire::parse_json(money_json(all, {.out_bytes = 4e9, .stored_bytes = 8e9, .requests = 500'000}), 1'000);
  CHECK(money.at("egress").to_number<double>() == doctest::Approx(2));
  CHECK(money.at("storage").to_number<double>() == doctest::Approx(2));
  CHECK(money.at("requests").to_number<double>() == doctest::Approx(1));
  CHECK(money.at("total").to_number<double>() == doctest::Approx(5));
  CHECK(money.at("currency") == "EUR");
  auto const out = *wire::parse_json(money_json({.egress = 0.5, .storage = {}, .requests = 2, .currency = "USD"}, {.out_bytes = 1e9, .stored_bytes = 8e9, .requests = {}}), 1'000);
  CHECK(out.at("total").to_number<double>() == doctest::Approx(0.5));
  CHECK(out.as_object().size() == 3);
  CHECK(money_json({}, {.out_bytes = 1e9, .stored_bytes = 1e9, .requests = 1}) == "null");
  CHECK(money_json({.egress = 0.5, .storage = {}, .requests = {}, .currency = "USD"}, {.out_bytes = {}, .stored_bytes = 1e9, .requests = 1}) == "null");
}

TEST_CASE("a price is a number that is not negative, and has a currency") {
  auto const read = decode_prices(R"({"egress":0.09,"storage":null,"currency":"EUR","reason":"the new contract"})");
  REQUIRE(read);
  CHECK(read->prices.egress == 0.09);
  CHECK_FALSE(read->prices.storage);
  CHECK_FALSE(read->prices.requests);
  CHECK(read->reason == "the new contract");
  CHECK(decode_prices("{}")->prices.currency.empty());
  CHECK_MESSAGE(decode_prices(R"({"currency":"EUR"})")->prices.currency.empty(), "of no price");
  for (auto const* const body : {R"({"egress":-1,"currency":"EUR"})", R"({"egress":1e10,"currency":"EUR"})", R"({"egress":"0.09","currency":"EUR"})", R"({"egress":0.09})", R"({"egress":0.09,"currency":"euro"})",
                                 R"({"currency":"eur"})", R"({"ingress":1,"currency":"EUR"})", "[]"}) {
    CAPTURE(body);
    CHECK(code_of(body) != "fine");
  }
}

TEST_CASE("a digest counts once a model, once in all, and goes where nothing that is kept names it") {
  Owners const owners{{1, {"a", false}}, {2, {"a", true}}, {3, {"b", false}}, {4, {"b", true}}};
  Tally tally(owners);
  auto const add = [&](std::uint8_t of, std::int64_t size, std::initializer_list<std::int64_t> releases) {
    for (auto const release : releases) tally.add(digest(of), size, release);
  };
  add(1, 10, {1});           // of what goes alone
  add(2, 100, {1, 2});       // of an older and a newer release
  add(3, 1'000, {1, 4});     // of two models: the other one's release stays
  add(4, 10'000, {1, 1, 3});  // of two models, none of which keeps it
  add(5, 100'000, {9});      // of what the caller may not see
  auto const out = tally.take();
  CHECK(out.models.at("a").files == 4);
  CHECK(out.models.at("a").bytes == 11'110);
  CHECK(out.models.at("a").gone_bytes == 10'010);
  CHECK(out.models.at("b").bytes == 11'000);
  CHECK(out.models.at("b").gone_bytes == 10'000);
  CHECK(out.all.files == 4);
  CHECK(out.all.bytes == 11'110);
  CHECK(out.all.gone_bytes == 10'010);
  CHECK(Tally(owners).take().all.files == 0);
}

TEST_CASE("who waits here asks each minute, the others at their intervals") {
  std::vector<Habit> const habits{{900, 60, 3}, {3'600, 0, 1}};
  auto const none_waits = requests_of(habits, 0);
  CHECK(none_waits.devices == 4);
  CHECK(none_waits.polls_a_day == doctest::Approx(3 * 96 + 24));
  CHECK(none_waits.reports_a_day == doctest::Approx(3 * 1'440));
  CHECK(requests_of(habits, 4).polls_a_day == doctest::Approx(4 * 86'400 / kParkedPollS));
  CHECK_MESSAGE(requests_of(habits, 40).polls_a_day == doctest::Approx(4 * 86'400 / kParkedPollS), "of devices that are not told of yet");
  CHECK(requests_of(habits, 2).polls_a_day == doctest::Approx(2 * 86'400 / kParkedPollS + (3 * 96 + 24) / 2.0));
  CHECK(requests_of({}, 7).polls_a_day == 0);
}
