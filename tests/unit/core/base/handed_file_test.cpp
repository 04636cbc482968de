#include "core/base/fs.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

using namespace fleet;

TEST_CASE("a file is handed over open; a pipe, a folder and a device are no files, and nobody waits for a pipe's other end") {
  std::string made = (std::filesystem::temp_directory_path() / "fleet-handed.XXXXXX").string();
  REQUIRE(::mkdtemp(made.data()) != nullptr);
  REQUIRE(system_fs().replace(made + "/file", "content").has_value());
  REQUIRE(::mkfifo((made + "/pipe").c_str(), 0600) == 0);
  auto opened = open_to_read(made + "/file");
  REQUIRE(opened.has_value());
  auto const file = adopt_file(*std::move(opened), "the file");
  REQUIRE(file.has_value());
  CHECK((*file)->size().value() == 7);
  for (auto const& path : {made + "/pipe", made, std::string("/dev/zero")}) {
    CAPTURE(path);
    auto other = open_to_read(path);
    REQUIRE(other.has_value());
    CHECK(adopt_file(*std::move(other), path).error().code == "no_file");
  }
  CHECK(open_to_read(made + "/absent").error().kind == Kind::not_found);
  std::filesystem::remove_all(made);
}
