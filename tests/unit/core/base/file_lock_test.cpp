#include "core/base/fs.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

using namespace fleet;

TEST_CASE("a file is held by one, made where it is absent, and free once that one is gone") {
  std::string made = (std::filesystem::temp_directory_path() / "fleet-file-lock.XXXXXX").string();
  std::string const dir = ::mkdtemp(made.data());
  auto const path = dir + "/update.lock";
  {
    auto const mask = ::umask(0177);
    auto first = system_fs().lock(path);
    ::umask(mask);
    REQUIRE(first.has_value());
    CHECK(std::filesystem::status(path).permissions() == static_cast<std::filesystem::perms>(0644));
    CHECK(system_fs().lock(path).error().code == "locked");
    auto moved = std::optional(*std::move(first));
    CHECK(system_fs().lock(path).error().code == "locked");
    moved.reset();
    CHECK(system_fs().lock(path).has_value());
  }
  CHECK(system_fs().lock(dir + "/absent/lock").error().kind == Kind::not_found);
  std::filesystem::create_symlink(path, dir + "/link");
  CHECK(system_fs().lock(dir + "/link").error().kind == Kind::io);
  REQUIRE(::mkfifo((dir + "/pipe").c_str(), 0600) == 0);
  CHECK(system_fs().lock(dir + "/pipe").has_value());  // at once, with nobody at its other end
  std::filesystem::remove_all(dir);
}
