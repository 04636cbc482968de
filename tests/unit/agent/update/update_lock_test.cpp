#include "core/base/fs.hpp"
#include "tests/unit/agent/device.hpp"

#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace fleet::agent {
namespace {

Sample const kOne = sample("1");
Sample const kTwo = sample("2");

/// What a program of the owner does: it opens the file and locks it.
class Holder {
public:
  explicit Holder(std::string const& path, int how = LOCK_EX) : fd_(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644)) {
    REQUIRE(fd_ >= 0);
    REQUIRE(::flock(fd_, how | LOCK_NB) == 0);
  }
  Holder(Holder const&) = delete;
  ~Holder() { ::close(fd_); }

private:
  int fd_;
};

struct Locked {
  std::string const dir = [] {
    std::string made = (std::filesystem::temp_directory_path() / "fleet-lock.XXXXXX").string();
    return std::string(::mkdtemp(made.data()));
  }();
  std::string const file = dir + "/update.lock";
  Device device;

  explicit Locked(std::string const& more = "") {
    device.fs.put("/agent/agent.yaml", "update_lock: {file: " + file + ", max_delay: 12h" + more + "}");
    device.run_committed(kOne);
    device.bring(kTwo);
  }
  ~Locked() { std::filesystem::remove_all(dir); }
  [[nodiscard]] bool is_free() const { return system_fs().lock(file).has_value(); }
  [[nodiscard]] std::string runs() const { return device.state().running.version; }
  void want_two() { REQUIRE(device.direct({Device::target(kTwo, "ro-2")})); }
  /// An installation of version 2 that has come as far as its slot.
  void bring_two(std::int64_t attempt) {
    REQUIRE(device.direct({}));
    device.runner->round();
    device.bring(kTwo);
    if (!device.fs.text("/agent/models/reader/versions/" + kTwo.digest + "/model.onnx"))
      REQUIRE(device.context->slots.install("reader", kTwo.digest, wire::decode_release(kTwo.document)->variants[0]).has_value());
    auto state = device.state();
    state.state = State::staged;
    state.target = {kTwo.digest, "2"};
    state.rollout = "ro-2";
    state.attempt = attempt;
    REQUIRE(device.context->journal.save(state).has_value());
    REQUIRE(device.boot());
    auto wanted = Device::target(kTwo, "ro-2", attempt);
    wanted.action = wire::Action::install;
    REQUIRE(device.direct({wanted}));
  }
};

}  // namespace

TEST_CASE("while a program of the owner holds the lock nothing switches, and it goes on once that ended") {
  for (int const how : {LOCK_EX, LOCK_SH}) {
    CAPTURE(how);
    Locked test;
    {
      Holder const busy(test.file, how);
      test.want_two();
      test.device.settle(5);
      CHECK(test.device.state().state == State::waiting);
      CHECK(test.device.state().waiting == "update_lock");
      CHECK(test.runs() == "1");
    }
    test.device.runner->round();
    CHECK(test.runs() == "2");
    CHECK(test.device.state().waiting.empty());
    CHECK(test.is_free());
  }
}

TEST_CASE("the lock is passed over after its longest delay, counted from the first refusal and over restarts") {
  Locked test;
  Holder const busy(test.file);
  test.want_two();
  test.device.runner->round();
  test.device.clock.advance(std::chrono::hours{5});
  test.device.runner->round();
  REQUIRE(test.device.boot());
  test.device.runner->round();
  test.device.clock.advance(std::chrono::hours{6});
  test.device.runner->round();
  CHECK(test.device.state().waiting == "update_lock");
  CHECK(test.runs() == "1");
  test.device.clock.advance(std::chrono::hours{1});
  test.device.runner->round();
  CHECK(test.runs() == "2");
  // The next update begins its own.
  auto const three = sample("3");
  test.device.bring(three);
  REQUIRE(test.device.direct({Device::target(three, "ro-3")}));
  test.device.settle(5);
  CHECK(test.device.state().waiting == "update_lock");
  CHECK(test.runs() == "2");
}

TEST_CASE("a lock that is taken while the release is tested is seen before the switch") {
  Locked test;
  REQUIRE(test.device.context->slots.install("reader", kTwo.digest, wire::decode_release(kTwo.document)->variants[0]).has_value());
  auto state = test.device.state();
  state.state = State::testing;
  state.target = {kTwo.digest, "2"};
  state.rollout = "ro-2";
  REQUIRE(test.device.context->journal.save(state).has_value());
  REQUIRE(test.device.boot());
  {
    Holder const busy(test.file);
    test.want_two();
    test.device.runner->round();
    CHECK(test.device.state().state == State::waiting);
    CHECK(test.device.state().waiting == "update_lock");
    CHECK(test.device.current() == kOne.digest);
  }
  test.device.runner->round();
  CHECK(test.runs() == "2");
}

TEST_CASE("a return that is ordered waits for the lock, the owner's own and one after a failure do not") {
  for (bool const removes : {false, true}) {
    CAPTURE(removes);
    Locked test;
    test.want_two();
    test.device.settle(1);
    REQUIRE(test.runs() == "2");
    auto back = Device::target(kOne, "ro-2");
    if (removes) back.action = wire::Action::remove;
    auto const was = test.device.state();
    {
      Holder const busy(test.file);
      REQUIRE(test.device.direct({back}));
      test.device.settle(2);
      CHECK(test.runs() == "2");
      CHECK(test.device.state().waiting == "update_lock");
      CHECK(test.device.state().state == was.state);
      // Something else is wanted: the reason goes, too.
      REQUIRE(test.device.direct({}));
      test.device.settle(1);
      CHECK(test.device.state().waiting.empty());
      REQUIRE(test.device.direct({back}));
      test.device.settle(1);
      CHECK(test.runs() == "2");
    }
    test.device.settle(1);
    CHECK(test.runs() == (removes ? "" : "1"));
    CHECK(test.device.state().state == State::rolled_back);
  }
  Locked test;
  test.want_two();
  test.device.settle(1);
  Holder const busy(test.file);
  REQUIRE(test.device.runner->roll_back("reader").has_value());
  test.device.settle(1);
  CHECK(test.runs() == "1");
}

TEST_CASE("no proof starts while the lock is held, and one that runs does not keep it") {
  Locked test;
  wire::Manifest manifest;
  manifest.probation = wire::Probation{std::chrono::hours{1}, 0, std::chrono::hours{4}};
  auto const slow = sample("4", manifest);
  test.device.run_committed(slow);
  {
    Holder const busy(test.file);
    REQUIRE(test.device.direct({Device::proof_of(slow)}));
    test.device.settle(2);
    CHECK(test.device.state().state == State::waiting);
    CHECK(test.device.state().waiting == "update_lock");
  }
  test.device.runner->round();
  CHECK(test.device.state().state == State::proving);
  CHECK(test.is_free());
}

TEST_CASE("a lock that nobody can hold keeps nothing back; one that cannot be read does, for its longest delay") {
  Locked absent;
  std::filesystem::remove_all(absent.dir);
  absent.want_two();
  absent.device.settle(1);
  CHECK(absent.runs() == "2");
  Locked bent;
  std::filesystem::create_symlink("/dev/null", bent.file);
  bent.want_two();
  bent.device.settle(5);
  CHECK(bent.device.state().waiting == "update_lock");
  bent.device.clock.advance(std::chrono::hours{12});
  bent.device.runner->round();
  CHECK(bent.runs() == "2");
}

TEST_CASE("a model that its owner lists waits for a person's word, which counts for one release, rollout and attempt and survives a restart") {
  Locked test(", consent: [reader]");
  CHECK(test.device.runner->consent("reader").error().code == "nothing_waits");
  CHECK(test.device.runner->consent("other").error().code == "unknown_model");
  test.bring_two(1);
  test.device.settle(100);
  CHECK(test.device.state().state == State::waiting);
  CHECK(test.device.state().waiting == "consent");
  CHECK(reasons_of(test.device.state()).front().code == "consent");
  {
    Holder const busy(test.file);
    REQUIRE(test.device.runner->consent("reader").has_value());
    test.device.settle(1);
    CHECK(test.device.state().waiting == "update_lock");
    REQUIRE(test.device.boot());
    test.device.settle(1);
    CHECK(test.device.state().waiting == "update_lock");
    test.bring_two(2);
    test.device.settle(2);
    CHECK(test.device.state().waiting == "consent");
  }
  REQUIRE(test.device.runner->consent("reader").has_value());
  test.device.settle(1);
  CHECK(test.runs() == "2");
}

TEST_CASE("consent that is heard where no daemon runs goes nowhere by itself, and counts when it does") {
  Locked test(", consent: [reader]");
  test.bring_two(1);
  test.device.settle(1);
  REQUIRE(test.device.state().waiting == "consent");
  test.device.run_with({}, test.device.context->identity.ca);
  REQUIRE(test.device.runner->consent("reader").has_value());
  test.device.runner->hear("reader");
  CHECK(test.device.state().state == State::waiting);
  REQUIRE(test.device.boot());
  test.device.settle(1);
  CHECK(test.runs() == "2");
}

TEST_CASE("a proof waits for consent as a switch does; what no owner lists needs none, nor does a return that is ordered") {
  Locked test(", consent: [reader]");
  REQUIRE(test.device.direct({Device::proof_of(kOne)}));
  test.device.settle(2);
  CHECK(test.device.state().waiting == "consent");
  REQUIRE(test.device.runner->consent("reader").has_value());
  test.device.settle(1);
  CHECK(test.device.state().state == State::proved);
  test.device.bring(kTwo);
  test.want_two();
  test.device.settle(1);
  CHECK(test.runs() == "2");
  Locked other(", consent: [counter]");
  CHECK(other.device.runner->consent("reader").error().code == "consent_not_asked");
  other.bring_two(1);
  other.device.settle(1);
  CHECK(other.runs() == "2");
}

}  // namespace fleet::agent
