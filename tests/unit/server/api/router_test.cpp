#include "server/api/router.hpp"
#include "tests/unit/server/registry/result_printer.hpp"

#include <algorithm>
#include <array>

namespace fleet::api {
namespace {

using enum net::Method;

Result<Reply> nothing(Services&, Call const&, db::Connection&) { return Reply{}; }

std::vector<Route> const kRoutes{
    {get, "/devices", Permission::read, kOpen, &nothing},
    {get, "/devices/{id}", Permission::read, kOpen, &nothing},
    {del, "/devices/{id}", Permission::read, kOpen, &nothing},
    {post, "/devices/{id}:approve", Permission::read, kOpen, &nothing},
    {post, "/devices/{id}:revoke", Permission::read, kOpen, &nothing},
    {get, "/devices/{id}/history", Permission::read, kOpen, &nothing},
    {get, "/devices/special", Permission::read, kOpen, &nothing},
    {post, "/rollouts:plan", Permission::read, kOpen, &nothing},
    {get, "/rollouts", Permission::read, kOpen, &nothing},
    {get, "/models/{m}/releases/{v}", Permission::read, kOpen, &nothing},
    {post, "/models/{m}/releases/{v}:revoke", Permission::read, kOpen, &nothing},
    {get, "/tuf/{rest...}", Permission::read, kOpen, &nothing},
    {head, "/uploads/{id}", Permission::read, kOpen, &nothing},
    {patch, "/uploads/{id}", Permission::read, kOpen, &nothing},
};

Router make_router() {
  std::vector<Route const*> pointers;
  for (auto const& route : kRoutes) pointers.push_back(&route);
  return Router(pointers);
}

TEST_CASE("a path leads to its route, with its values decoded") {
  struct Case {
    net::Method method;
    std::string_view path, pattern;
    PathValues values;
  };
  auto const cases = std::vector<Case>{
      {get, "/devices", "/devices", {}},
      {get, "/devices/a", "/devices/{id}", {{"id", "a"}}},
      {head, "/devices/a", "/devices/{id}", {{"id", "a"}}},
      {get, "/devices/special", "/devices/special", {}},
      {del, "/devices/special", "/devices/{id}", {{"id", "special"}}},
      {get, "/devices/00:11:22", "/devices/{id}", {{"id", "00:11:22"}}},
      {post, "/devices/00:11:22:approve", "/devices/{id}:approve", {{"id", "00:11:22"}}},
      {post, "/devices/x:revoke", "/devices/{id}:revoke", {{"id", "x"}}},
      {get, "/devices/x%3Arevoke", "/devices/{id}", {{"id", "x:revoke"}}},
      {get, "/devices/a%2Fb/history", "/devices/{id}/history", {{"id", "a/b"}}},
      {post, "/rollouts:plan", "/rollouts:plan", {}},
      {get, "/models/m/releases/1.0+build", "/models/{m}/releases/{v}", {{"m", "m"}, {"v", "1.0+build"}}},
      {get, "/models/m/releases/1.0%2Bbuild", "/models/{m}/releases/{v}", {{"m", "m"}, {"v", "1.0+build"}}},
      {post, "/models/m/releases/1:revoke", "/models/{m}/releases/{v}:revoke", {{"m", "m"}, {"v", "1"}}},
      {get, "/tuf/1.root.json", "/tuf/{rest...}", {{"rest", "1.root.json"}}},
      {get, "/tuf/targets/models/m", "/tuf/{rest...}", {{"rest", "targets/models/m"}}},
      {head, "/uploads/u", "/uploads/{id}", {{"id", "u"}}},
  };
  auto const router = make_router();
  for (auto const& [method, path, pattern, values] : cases) {
    CAPTURE(path);
    auto const match = router.find(method, path);
    REQUIRE(match);
    REQUIRE(match->route);
    CHECK(match->route->pattern == pattern);
    CHECK(match->values == values);
  }
}

TEST_CASE("a path that is not there, or not with this method, leads nowhere") {
  auto const router = make_router();
  for (auto const* path : {"/", "", "/device", "/devices/", "/devices/a/", "/devices//history", "//devices", "/tuf", "/devices/a/history/b",
                           "/rollouts:", "/tuf/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h"}) {
    CAPTURE(path);
    auto const match = router.find(get, path);
    REQUIRE(match);
    CHECK_FALSE(match->route);
    CHECK(match->allowed.empty());
  }
  auto const match = router.find(put, "/devices/a");
  CHECK_FALSE(match->route);
  CHECK(match->allowed == std::vector{get, del});
  auto const verb = router.find(put, "/devices/a:revoke");
  CHECK(verb->allowed == std::vector{post});
  CHECK(router.find(get, "/devices/a:revoke")->allowed == std::vector{post});
  CHECK_FALSE(router.find(get, "/devices/%zz"));
  CHECK_FALSE(router.find(get, "/devices/%00"));
}

TEST_CASE("two routes for one method and pattern are a bug") { CHECK_THROWS_AS(Router({&kRoutes[0], &kRoutes[0]}), std::logic_error); }

}  // namespace
}  // namespace fleet::api
