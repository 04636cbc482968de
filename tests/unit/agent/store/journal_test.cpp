#include "agent/store/journal.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

std::string const kPath = "/state/journal";
std::string const kDigestA(64, 'a');
std::string const kDigestB(64, 'b');

ModelState state_of_step(int step) {
  ModelState state;
  state.model = "reader";
  state.state = State::probation;
  state.running = {kDigestB, "2"};
  state.previous = {kDigestA, "1"};
  state.target = {kDigestB, "2"};
  state.rollout = "ro-1";
  state.attempt = step;
  state.tries = 2;
  state.waiting = "window";
  state.error = {"golden_mismatch", "line 1", "output"};
  state.refusals = {{kDigestA, "ro-0", 3}};
  state.held = kDigestA;
  state.floor = 7;
  state.since = from_unix_ms(1'700'000'000'123);
  return state;
}

CrashFs with_folder() {
  CrashFs fs;
  fs.put("/state/other", "");
  return fs;
}

}  // namespace

TEST_CASE("a model's state reads back from the journal as it was saved") {
  auto fs = with_folder();
  {
    auto opened = Journal::open(fs, kPath);
    REQUIRE(opened.has_value());
    CHECK_FALSE(opened->damaged);
    REQUIRE(opened->journal.save(state_of_step(1)).has_value());
    REQUIRE(opened->journal.save(state_of_step(2)).has_value());
  }
  auto const opened = Journal::open(fs, kPath);
  REQUIRE(opened.has_value());
  CHECK_FALSE(opened->damaged);
  REQUIRE(opened->journal.models().size() == 1);
  CHECK(encode(opened->journal.models().at("reader")) == encode(state_of_step(2)));
}

TEST_CASE("a journal cut at any byte keeps every whole record before the cut") {
  auto fs = with_folder();
  std::vector<std::size_t> ends;
  {
    auto opened = Journal::open(fs, kPath);
    REQUIRE(opened.has_value());
    for (int step = 1; step <= 3; ++step) {
      REQUIRE(opened->journal.save(state_of_step(step)).has_value());
      ends.push_back(fs.text(kPath)->size());
    }
  }
  auto const whole = *fs.text(kPath);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    CAPTURE(cut);
    auto other = with_folder();
    other.put(kPath, whole.substr(0, cut));
    auto opened = Journal::open(other, kPath);
    REQUIRE(opened.has_value());
    auto const kept = std::count_if(ends.begin(), ends.end(), [&](auto end) { return end <= cut; });
    auto const& models = opened->journal.models();
    REQUIRE(models.size() == (kept > 0 ? 1U : 0U));
    if (kept > 0) CHECK(models.at("reader").attempt == kept);
    // Nothing left of a journal that was there is never taken for a fresh device.
    CHECK(opened->damaged == (kept == 0));
    // The next record follows the last whole one, not the torn one.
    REQUIRE(opened->journal.save(state_of_step(9)).has_value());
    auto const again = Journal::open(other, kPath);
    REQUIRE(again.has_value());
    CHECK_FALSE(again->damaged);
    CHECK(again->journal.models().at("reader").attempt == 9);
  }
}

TEST_CASE("one flipped bit anywhere before the last record is told as damage") {
  auto fs = with_folder();
  std::size_t first = 0;
  {
    auto opened = Journal::open(fs, kPath);
    REQUIRE(opened.has_value());
    REQUIRE(opened->journal.save(state_of_step(1)).has_value());
    first = fs.text(kPath)->size();
    REQUIRE(opened->journal.save(state_of_step(2)).has_value());
  }
  auto const whole = *fs.text(kPath);
  for (std::size_t at = 0; at < first; ++at) {
    CAPTURE(at);
    auto bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    auto other = with_folder();
    other.put(kPath, bytes);
    auto const opened = Journal::open(other, kPath);
    REQUIRE(opened.has_value());
    CHECK(opened->damaged);
  }
}

TEST_CASE("a record that was saved survives the power; one that was not leaves the one before") {
  for (int step = 1;; ++step) {
    CAPTURE(step);
    auto fs = with_folder();
    auto opened = Journal::open(fs, kPath);
    REQUIRE(opened.has_value());
    REQUIRE(opened->journal.save(state_of_step(1)).has_value());
    fs.cut_at(step);
    auto const saved = opened->journal.save(state_of_step(2));
    bool const hit = fs.was_hit();
    CHECK(saved.has_value() != hit);
    fs.restart(CrashFs::Loss::unsynced);
    auto const again = Journal::open(fs, kPath);
    REQUIRE(again.has_value());
    CHECK(again->journal.models().at("reader").attempt == (hit ? 1 : 2));
    if (!hit) break;
  }
}

TEST_CASE("the journal is written anew when it has grown, and loses no model by it") {
  auto fs = with_folder();
  auto opened = Journal::open(fs, kPath);
  REQUIRE(opened.has_value());
  auto other = state_of_step(5);
  other.model = "detector";
  REQUIRE(opened->journal.save(other).has_value());
  std::size_t largest = 0;
  for (int step = 0; step < 1000; ++step) {
    REQUIRE(opened->journal.save(state_of_step(step)).has_value());
    largest = std::max(largest, fs.text(kPath)->size());
  }
  CHECK(largest < 300'000);
  auto const again = Journal::open(fs, kPath);
  REQUIRE(again.has_value());
  CHECK(again->journal.models().at("reader").attempt == 999);
  CHECK(again->journal.models().at("detector").attempt == 5);
}

TEST_CASE("a full disk while saving leaves the last state, and the next save works") {
  Error const full{Kind::unavailable, "disk_full", "no space left"};
  for (int step = 1;; ++step) {
    CAPTURE(step);
    auto fs = with_folder();
    auto opened = Journal::open(fs, kPath);
    REQUIRE(opened.has_value());
    REQUIRE(opened->journal.save(state_of_step(1)).has_value());
    fs.fail_at(step, full);
    auto const saved = opened->journal.save(state_of_step(2));
    if (!fs.was_hit()) break;
    // What failed to be synced is written anew at once.
    CHECK(opened->journal.models().at("reader").attempt == (saved ? 2 : 1));
    if (!saved) CHECK(saved.error().code == "disk_full");
    REQUIRE(opened->journal.save(state_of_step(3)).has_value());
    auto const again = Journal::open(fs, kPath);
    REQUIRE(again.has_value());
    CHECK_FALSE(again->damaged);
    CHECK(again->journal.models().at("reader").attempt == 3);
  }
}

TEST_CASE("on a full disk a way back is journalled into the room that is kept, again and again") {
  auto fs = with_folder();
  auto opened = Journal::open(fs, kPath);
  REQUIRE(opened.has_value());
  REQUIRE(opened->journal.save(state_of_step(1)).has_value());
  fs.fill();
  for (int step = 2; step <= 40; ++step) REQUIRE(opened->journal.save(state_of_step(step)).has_value());
  fs.restart(CrashFs::Loss::unsynced);
  CHECK(Journal::open(fs, kPath)->journal.models().at("reader").attempt == 40);
}

TEST_CASE("a journal that grew on a full disk is shortened when there is room again") {
  auto fs = with_folder();
  auto opened = Journal::open(fs, kPath);
  REQUIRE(opened.has_value());
  for (int step = 1; fs.text(kPath)->size() < 256 * 1024 - 1024; ++step) REQUIRE(opened->journal.save(state_of_step(step)).has_value());
  fs.fill();
  for (int step = 1; fs.text(kPath)->size() < 256 * 1024; ++step) REQUIRE(opened->journal.save(state_of_step(step)).has_value());
  fs.fill(false);
  REQUIRE(opened->journal.save(state_of_step(7)).has_value());
  CHECK(fs.text(kPath)->size() < 4096);
  CHECK(Journal::open(fs, kPath)->journal.models().at("reader").attempt == 7);
}

TEST_CASE("after a sync failed the journal is written anew, and nothing is said to be kept before") {
  auto fs = with_folder();
  auto opened = Journal::open(fs, kPath);
  REQUIRE(opened.has_value());
  REQUIRE(opened->journal.save(state_of_step(1)).has_value());
  fs.break_sync(kPath);
  REQUIRE(opened->journal.save(state_of_step(2)).has_value());  // into a new file
  fs.restart(CrashFs::Loss::unsynced);
  CHECK(Journal::open(fs, kPath)->journal.models().at("reader").attempt == 2);
  fs.break_sync(kPath + ".new");
  CHECK(opened->journal.save(state_of_step(3)).has_value());
}

TEST_CASE("a disk that syncs nothing keeps no record, and the journal comes back with it") {
  auto fs = with_folder();
  auto opened = Journal::open(fs, kPath);
  REQUIRE(opened.has_value());
  REQUIRE(opened->journal.save(state_of_step(1)).has_value());
  fs.fail_at(2, {Kind::io, "io_failed", "input/output error"});  // the sync of a record
  REQUIRE(opened->journal.save(state_of_step(2)).has_value());
  CHECK(fs.was_hit());
  CHECK(opened->journal.models().at("reader").attempt == 2);
}
