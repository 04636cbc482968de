#include "tests/unit/server/api/api_fixture.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::api {
namespace {

using test::ApiFixture;
using enum net::Method;

std::string list_body(int from, int until) {
  boost::json::array ids;
  for (int i = from; i < until; ++i) ids.push_back(boost::json::string(fmt::format("a-device-with-a-longish-serial-number-{:07}", i)));
  return boost::json::serialize(boost::json::object{{"name", "many"}, {"devices", std::move(ids)}});
}

TEST_CASE_FIXTURE(ApiFixture, "a group is made, read, changed by its ETag, and deleted") {
  add_device("in", crypto::sha256("in"));
  auto const made = submit("/api/v1/groups", R"({"name":"few","devices":["to-come","in","in"]})", "flt_operator");
  REQUIRE_MESSAGE(made.status == 201, made.body);
  CHECK(made.json().at("devices") == 2);
  CHECK(made.json().at("unknown") == 1);
  CHECK(made.json().at("unknown_ids").as_array().at(0) == "to-come");
  CHECK(fetch("/api/v1/groups/few").header("ETag") == made.header("ETag"));
  CHECK(fetch("/api/v1/groups/few/devices").json().at("items").as_array().size() == 2);
  CHECK(fetch("/api/v1/devices?selector=group%3Dfew").json().at("items").as_array().size() == 1);
  CHECK(fetch("/api/v1/devices?selector=group%3Dnone").code() == "unknown_group");
  CHECK(send({put, "/api/v1/groups/few", R"({"selector":"site=1"})"}).status == 428);
  auto const changed = send({put, "/api/v1/groups/few", R"({"selector":"site=1","reason":"moved"})", "flt_operator", {{"If-Match", made.header("ETag")}}});
  REQUIRE_MESSAGE(changed.status == 200, changed.body);
  CHECK(send({put, "/api/v1/groups/few", R"({"selector":"site=2"})", "flt_operator", {{"If-Match", made.header("ETag")}}}).status == 412);
  CHECK(fetch("/api/v1/groups/few/devices").code() == "no_list");
  CHECK(send({del, "/api/v1/groups/few", {}, "flt_operator"}).status == 204);
  CHECK(fetch("/api/v1/groups/few").status == 404);
}

TEST_CASE_FIXTURE(ApiFixture, "a body that is no group is refused with every place that is wrong") {
  struct Case {
    std::string_view body, says;
  };
  for (auto const& [body, says] : std::vector<Case>{{R"({"name":"x"})", "either a selector or a list"},
                                                    {R"({"name":"x","selector":"a=1","devices":[]})", "either a selector or a list"},
                                                    {R"({"name":"x","selector":""})", "every device"},
                                                    {R"({"name":"x","devices":"a"})", "a list of ids"},
                                                    {R"({"name":"x","devices":["ok","../no",7]})", "/devices/1"},
                                                    {R"({"name":"x","selector":"a b"})", "bad_selector"},
                                                    {R"({"name":"x","selector":"a=1","more":1})", "more"},
                                                    {R"({"name":"x y","devices":[]})", "bad_name"}}) {
    CAPTURE(body);
    auto const answer = submit("/api/v1/groups", std::string(body), "flt_operator");
    CHECK(answer.status == 400);
    CHECK_MESSAGE(answer.body.find(says) != std::string::npos, answer.body);
  }
}

TEST_CASE_FIXTURE(ApiFixture, "a hundred thousand ids are taken in one request, one more is refused by name") {
  auto const made = submit("/api/v1/groups", list_body(0, 100'000), "flt_operator");
  REQUIRE_MESSAGE(made.status == 201, made.body.substr(0, 500));
  CHECK(made.json().at("unknown") == 100'000);
  CHECK(made.json().at("unknown_ids").as_array().size() == 10);
  auto const over = submit("/api/v1/groups", list_body(0, 100'001), "flt_operator");
  CHECK(over.status == 413);
  CHECK(over.code() == "too_many_ids");
}

}  // namespace
}  // namespace fleet::api
