#include "core/base/users.hpp"

#include <doctest/doctest.h>

using namespace fleet;

namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# a comment\n"
    "short:x:5\n"
    ":x:7:7:::\n"
    "bad:x:five:5:::\n"
    "large:x:4294967296:1:::\n"
    "camera:x:1001:1002:A, B:/home/camera:/bin/sh\n"
    "camera:x:0:0:second of a name::\n"
    "+nis::::::\n"
    "last:x:4294967294:99::/:";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "video:x:44:camera,other\n"
    "render:x:105:other,camera\n"
    "cameras:x:106:camera2,acamera\n"
    "again:x:44:camera\n"
    "odd:x:-1:camera\n"
    "short:x:9\n"
    "end:x:107:camera";

}  // namespace

TEST_CASE("users by name, as passwd(5) has them") {
  CHECK(user_tables::user(kPasswd, "root")->uid == 0);
  auto const camera = user_tables::user(kPasswd, "camera").value();
  CHECK(camera.uid == 1001);
  CHECK(camera.gid == 1002);
  CHECK(user_tables::user(kPasswd, "last")->uid == 4294967294U);
  for (auto const* name : {"", "short", "bad", "large", "cam", "+nis", "nobody", "# a comment"}) CHECK_FALSE(user_tables::user(kPasswd, name).has_value());
  CHECK_FALSE(user_tables::user("", "root").has_value());
}

TEST_CASE("groups by name and by member, as group(5) has them") {
  CHECK(user_tables::group(kGroup, "render") == std::optional<gid_t>{105});
  CHECK(user_tables::group(kGroup, "end") == std::optional<gid_t>{107});
  for (auto const* name : {"", "odd", "short", "ender"}) CHECK_FALSE(user_tables::group(kGroup, name).has_value());
  CHECK(user_tables::groups_of(kGroup, "camera", 1002) == std::vector<gid_t>{1002, 44, 105, 107});
  CHECK(user_tables::groups_of(kGroup, "nobody", 1) == std::vector<gid_t>{1});
  CHECK(user_tables::groups_of("", "camera", 5) == std::vector<gid_t>{5});
}

TEST_CASE("this machine's own users are found") {
  auto const root = find_user("root").value().value();
  CHECK(root.uid == 0);
  CHECK(find_group("root").value() == std::optional<gid_t>{0});
  CHECK(groups_of("root", 0).value().front() == 0);
  CHECK_FALSE(find_user("no-such-user").value().has_value());
  CHECK_FALSE(find_group("no-such-group").value().has_value());
}
