#include "server/api/change_quota.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using fleet::api::ChangeQuota;

namespace {

int take_all(ChangeQuota& quota, std::string const& who, MonoTime now) {
  int taken = 0;
  while (quota.take(who, now)) ++taken;
  return taken;
}

}  // namespace

TEST_CASE("a bulk change goes through at once, then changes come at a rate; each identity has its own") {
  ChangeQuota quota;
  MonoTime const start{Millis{1'000}};
  CHECK(take_all(quota, "token:a", start) == 50'000);
  CHECK(quota.take("token:b", start));
  CHECK(take_all(quota, "token:a", start + seconds{3}) == 30);
  CHECK(take_all(quota, "token:a", start + std::chrono::hours{24 * 30}) == 50'000);
}

TEST_CASE("identities that have come and gone are not remembered for ever, those that are over stay so") {
  ChangeQuota quota;
  MonoTime const start{Millis{1'000}};
  CHECK(take_all(quota, "token:greedy", start) == 50'000);
  for (int i = 0; i < 5'000; ++i) CHECK(quota.take("oidc:" + std::to_string(i), start + Millis{i}));
  CHECK(take_all(quota, "token:greedy", start + seconds{5}) == 50);
}
