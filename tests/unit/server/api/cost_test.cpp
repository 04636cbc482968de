#include "tests/unit/server/api/api_fixture.hpp"

namespace fleet::api {
namespace {

using test::ApiFixture;
using enum net::Method;

constexpr char const* kPrices = R"({"egress":0.09,"storage":0.023,"requests":0.4,"currency":"EUR"})";

TEST_CASE_FIXTURE(ApiFixture, "an admin sets prices, all see them, and who read older ones changes nothing") {
  auto const none = fetch("/api/v1/cost/prices", "flt_viewer");
  CHECK(none.status == 200);
  CHECK(none.body == R"({"egress":null,"storage":null,"requests":null,"currency":null})");
  CHECK(send({put, "/api/v1/cost/prices", kPrices, "flt_operator"}).code() == "not_permitted");
  auto const set = send({put, "/api/v1/cost/prices", kPrices});
  CHECK_MESSAGE(set.status == 200, set.body);
  CHECK(fetch("/api/v1/cost/prices", "flt_viewer").json().at("egress").to_number<double>() == doctest::Approx(0.09));
  CHECK_MESSAGE(send({put, "/api/v1/cost/prices", kPrices}).code() == "if_match_required", "there are some now");
  CHECK(send({put, "/api/v1/cost/prices", "{}", "flt_admin", {{"If-Match", none.header("ETag")}}}).code() == "changed_meanwhile");
  auto const wrong = send({put, "/api/v1/cost/prices", R"({"egress":-1,"stored":1})", "flt_admin", {{"If-Match", set.header("ETag")}}});
  CHECK(wrong.status == 400);
  CHECK(wrong.body.find("/egress") != std::string::npos);
  CHECK(wrong.body.find("/stored") != std::string::npos);
  CHECK(send({put, "/api/v1/cost/prices", R"({"reason":"free at last"})", "flt_admin", {{"If-Match", set.header("ETag")}}}).body == none.body);
  CHECK(text({"test.why", "SELECT reason FROM audit WHERE action = 'prices.changed' ORDER BY seq DESC"}) == "free at last");
}

TEST_CASE_FIXTURE(ApiFixture, "without prices a cost has bytes and no money") {
  auto const bare = fetch("/api/v1/cost", "flt_viewer");
  REQUIRE_MESSAGE(bare.status == 200, bare.body);
  CHECK(bare.json().at("prices").is_null());
  CHECK(bare.json().at("money").is_null());
  CHECK(bare.json().at_pointer("/store/bytes") == 0);
  add_device("cam-1", crypto::sha256("cam-1"));
  sql({"test.contact", "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) SELECT n, ?1, 864, 60 FROM devices"}, to_unix_ms(test::kStart));
  CHECK(send({put, "/api/v1/cost/prices", R"({"requests":1000000,"currency":"EUR"})"}).status == 200);
  auto const priced = fetch("/api/v1/cost").json();
  CHECK(priced.at_pointer("/requests/polls_a_day").to_number<double>() == doctest::Approx(100));
  CHECK(priced.at_pointer("/requests/reports_a_day").to_number<double>() == doctest::Approx(1'440));
  CHECK(priced.at_pointer("/money/total").to_number<double>() == doctest::Approx(30 * 1'540));
  clock.advance(std::chrono::hours(1));
  CHECK_MESSAGE(fetch("/api/v1/cost").json().at_pointer("/requests/devices") == 0, "who is away asks nothing");
}

TEST_CASE_FIXTURE(ApiFixture, "what a cost is asked for is checked") {
  struct Case {
    std::string query, code;
  };
  for (auto const& [query, code] : {Case{"?keep_releases=0", "bad_parameter"}, Case{"?keep_releases=two", "bad_parameter"}, Case{"?keep_releases=10001", "bad_parameter"},
                                    Case{"?rollout=r_1&keep_releases=1", "bad_parameter"}, Case{"?rollout=r_1&model=m", "bad_parameter"}, Case{"?rollout=none", "unknown_rollout"},
                                    Case{"?model=none", "unknown_model"}, Case{"?keep=1", "unknown_parameter"}}) {
    CAPTURE(query);
    CHECK(fetch("/api/v1/cost" + query, "flt_viewer").code() == code);
  }
}

}  // namespace
}  // namespace fleet::api
