#include "core/base/foreign.hpp"
#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace fleet;
namespace stdfs = std::filesystem;

namespace {

class Folder {
public:
  Folder() : path_((stdfs::temp_directory_path() / ("fleet-foreign-" + std::to_string(system_random().next()))).string()) { stdfs::create_directories(path_); }
  ~Folder() {
    std::error_code ignored;
    stdfs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(std::string const& name) const { return path_ + "/" + name; }

private:
  std::string path_;
};

void put(std::string const& path, std::string const& text) { std::ofstream(path) << text; }
std::size_t count(std::string const& folder) { return static_cast<std::size_t>(std::distance(stdfs::directory_iterator(folder), {})); }

}  // namespace

TEST_CASE("a tree is removed whole: deep, wide, closed to us, with links in it") {
  Folder const root;
  auto const tree = root / "tree";
  stdfs::create_directories(tree + "/closed/inner");
  put(tree + "/closed/inner/file", "x");
  stdfs::create_directories(root / "kept");
  put(root / "kept/file", "x");
  stdfs::create_symlink(root / "kept", tree + "/link");
  stdfs::create_symlink(root / "kept", tree + "/closed/link");
  ::chmod((tree + "/closed/inner").c_str(), 0);
  ::chmod((tree + "/closed").c_str(), 0500);
  // Deeper than any path or stack of descriptors reaches.
  int at = ::open(tree.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 3'000; ++i) {
    REQUIRE(::mkdirat(at, "d", 0700) == 0);
    int const next = ::openat(at, "d", O_RDONLY | O_DIRECTORY);
    ::close(at);
    at = next;
  }
  ::close(at);
  REQUIRE(system_fs().remove_tree(tree).has_value());
  CHECK_FALSE(stdfs::exists(tree));
  CHECK(count(root / "kept") == 1);
}

TEST_CASE("a file, a link and nothing at all are removed as what they are") {
  Folder const root;
  stdfs::create_directories(root / "kept");
  put(root / "kept/file", "x");
  put(root / "file", "x");
  stdfs::create_symlink(root / "kept", root / "link");
  for (std::string const name : {"file", "link", "nothing", "no/folder"}) {
    CAPTURE(name);
    CHECK(system_fs().remove_tree(root / name).has_value());
    CHECK_FALSE(stdfs::exists(stdfs::symlink_status(root / name)));
  }
  CHECK(count(root / "kept") == 1);
}

TEST_CASE("folders that are swapped for links while they are removed lead nowhere") {
  Folder const root;
  auto const victim = root / "victim", swap = root / "swap";
  stdfs::create_directories(victim);
  for (int i = 0; i < 20; ++i) put(victim + "/" + std::to_string(i), "x");
  stdfs::create_symlink(victim, swap);
  std::atomic<bool> over{false};
  std::thread attacker([&] {
    auto const folder = root / "tree/x/d";
    while (!over) ::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, swap.c_str(), RENAME_EXCHANGE);
  });
  for (int round = 0; round < 200; ++round) {
    std::error_code ignored;
    stdfs::create_directories(root / "tree/x/d", ignored);
    for (int i = 0; i < 10; ++i) put(root / ("tree/x/f" + std::to_string(i)), "x");
    static_cast<void>(system_fs().remove_tree(root / "tree"));
  }
  over = true;
  attacker.join();
  CHECK(count(victim) == 20);
}

TEST_CASE("a private folder is new and its owner's alone") {
  Folder const root;
  Owner const owner{::geteuid() == 0 ? 65534U : ::geteuid(), ::geteuid() == 0 ? 65534U : ::getegid()};
  auto const old = ::umask(0);
  REQUIRE(system_fs().make_private_dir(root / "own", owner).has_value());
  ::umask(old);
  struct stat info {};
  REQUIRE(::lstat((root / "own").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0700);
  CHECK(info.st_uid == owner.user);
  CHECK(system_fs().make_private_dir(root / "own", owner).error().kind == Kind::conflict);
  stdfs::create_symlink(root / "elsewhere", root / "link");
  CHECK(system_fs().make_private_dir(root / "link", owner).error().kind == Kind::conflict);
}

TEST_CASE("a folder of ours is closed to others, one of somebody else's is refused where it is open") {
  Folder const root;
  stdfs::create_directories(root / "own");
  auto const mode_of = [&] {
    struct stat info {};
    REQUIRE(::stat((root / "own").c_str(), &info) == 0);
    return info.st_mode & 0777U;
  };
  ::chmod((root / "own").c_str(), 0775);
  REQUIRE(system_fs().narrow_dir(root / "own", 0755).has_value());
  CHECK(mode_of() == 0755);
  REQUIRE(system_fs().narrow_dir(root / "own", 0700).has_value());
  CHECK(mode_of() == 0700);
  REQUIRE(system_fs().narrow_dir(root / "own", 0755).has_value());
  CHECK(mode_of() == 0700);
  CHECK(system_fs().narrow_dir(root / "none", 0700).error().kind == Kind::not_found);
  if (::geteuid() != 0) return;
  REQUIRE(::chown((root / "own").c_str(), 65534, 65534) == 0);
  CHECK(system_fs().narrow_dir(root / "own", 0700).error().code == "folder_open");
}

TEST_CASE("in a folder of somebody else's only a file of his own is read") {
  Folder const root;
  Owner const self{::geteuid(), ::getegid()};
  stdfs::create_directories(root / "own");
  put(root / "secret", "secret");
  auto const path = root / "own/output";
  auto const read = [&] { return system_fs().read_own(path, 10, self); };
  CHECK(read().error().kind == Kind::not_found);
  put(path, "1,2");
  CHECK(*read() == "1,2");
  put(path, "longer than ten");
  CHECK(read().error().kind == Kind::too_large);
  CHECK(system_fs().read_own(path, 100, {self.user + 1, self.group}).error().code == "not_its_own");
  stdfs::remove(path);
  stdfs::create_symlink(root / "secret", path);
  CHECK(read().error().code == "not_its_own");
  stdfs::remove(path);
  stdfs::create_hard_link(root / "secret", path);
  CHECK(read().error().code == "not_its_own");
  stdfs::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);  // nobody writes to it
  CHECK(read().error().code == "not_its_own");
  stdfs::remove(path);
  stdfs::create_directories(path);
  CHECK(read().error().code == "not_its_own");
  stdfs::remove_all(root / "own");
  stdfs::create_directories(root / "real");
  put(root / "real/output", "1");
  stdfs::create_directory_symlink(root / "real", root / "own");
  CHECK_FALSE(read().has_value());
}
