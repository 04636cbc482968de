#include "core/crypto/key_files.hpp"

#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace fleet::crypto {
namespace {

using agent::CrashFs;
constexpr auto const* kMaster = "/keys/master.sealed";

struct Folder {
  CrashFs fs;
  SeededRandom random{7};
  Folder() { fs.put("/keys/old.key", "plain"); }
  [[nodiscard]] Result<KeyFiles> open(std::optional<std::string> const& passphrase) { return KeyFiles::open(fs, random, kMaster, passphrase); }
};

TEST_CASE("without a master key the files lie there as they are") {
  Folder folder;
  auto const files = folder.open({});
  REQUIRE(files.has_value());
  CHECK_FALSE(files->sealed());
  REQUIRE(files->write("/keys/a.key", "secret").has_value());
  CHECK(folder.fs.text("/keys/a.key") == "secret");
  CHECK(*files->read("/keys/a.key") == "secret");
  CHECK(folder.open("a passphrase").error().code == "keys_not_sealed");
  CHECK(files->change_passphrase(kMaster, "another one").error().code == "keys_not_sealed");
}

TEST_CASE("sealed, nothing of a key is in its file, and only the passphrase opens it") {
  Folder folder;
  auto const made = KeyFiles::create(folder.fs, folder.random, kMaster, "correct horse");
  REQUIRE(made.has_value());
  CHECK(KeyFiles::create(folder.fs, folder.random, kMaster, "another one").error().code == "keys_sealed");
  REQUIRE(made->write("/keys/a.key", "secret").has_value());
  CHECK(folder.fs.text("/keys/a.key")->find("secret") == std::string::npos);
  CHECK(folder.open({}).error().code == "passphrase_needed");
  CHECK(folder.open("wrong horse").error().code == "wrong_passphrase");
  REQUIRE(made->change_passphrase(kMaster, "another horse").has_value());
  CHECK(folder.open("correct horse").error().code == "wrong_passphrase");
  auto const again = folder.open("another horse");
  REQUIRE(again.has_value());
  CHECK(*again->read("/keys/a.key") == "secret");
}

TEST_CASE("what was changed, swapped in from elsewhere, or left plain is refused by name") {
  Folder folder;
  auto const files = KeyFiles::create(folder.fs, folder.random, kMaster, "correct horse");
  REQUIRE(files.has_value());
  REQUIRE(files->write("/keys/a.key", "secret").has_value());
  auto const sealed = *folder.fs.text("/keys/a.key");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    folder.fs.put("/keys/a.key", changed);
    CHECK(files->read("/keys/a.key").error().code == (i < std::string_view("fleet-key-1\n").size() ? "key_not_sealed" : "key_damaged"));
    folder.fs.put("/keys/a.key", sealed.substr(0, i));
    CHECK_FALSE(files->read("/keys/a.key").has_value());
  }
  folder.fs.put("/keys/a.key", sealed);
  CHECK(*files->read("/keys/a.key") == "secret");
  CHECK(files->read("/keys/old.key").error().code == "key_not_sealed");
  CHECK(files->read("/keys/none.key").error().kind == Kind::not_found);
  KeyFiles const without(folder.fs, folder.random);
  CHECK(without.read("/keys/a.key").error().code == "passphrase_needed");
  auto const elsewhere = KeyFiles::create(folder.fs, folder.random, "/keys/second.sealed", "correct horse");
  REQUIRE(elsewhere.has_value());
  CHECK(elsewhere->read("/keys/a.key").error().code == "key_damaged");
}

TEST_CASE("sealing may be cut at every write and repeated: no key is ever lost") {
  Folder folder;
  auto const files = KeyFiles::create(folder.fs, folder.random, kMaster, "correct horse");
  REQUIRE(files.has_value());
  for (int cut = 1;; ++cut) {
    CAPTURE(cut);
    auto const first = fmt::format("/keys/a{}.key", cut), second = fmt::format("/keys/b{}.key", cut);
    folder.fs.put(first, "one");
    folder.fs.put(second, "two");
    folder.fs.cut_at(cut);
    auto const seal_both = [&]() -> Result<void> {
      for (auto const& path : {first, second}) FLEET_CHECK(files->seal_plain(path));
      return {};
    };
    bool const done = seal_both().has_value();
    folder.fs.restart(CrashFs::Loss::unsynced);
    REQUIRE(seal_both().has_value());
    CHECK(*files->read(first) == "one");
    CHECK(*files->read(second) == "two");
    CHECK_FALSE(*files->seal_plain(first));
    if (done) break;
  }
}

}  // namespace
}  // namespace fleet::crypto
