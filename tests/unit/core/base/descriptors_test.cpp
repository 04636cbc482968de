#include "core/base/descriptors.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>

TEST_CASE("the soft limit of descriptors is raised to the hard one") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit const low{256, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK(fleet::raise_descriptor_limit() == before.rlim_max);
  rlimit now{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &now) == 0);
  CHECK(now.rlim_cur == before.rlim_max);
  CHECK(fleet::raise_descriptor_limit() == before.rlim_max);  // again: nothing to raise
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}
