#include "tests/unit/agent/device.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

Sample release_of(std::string const& model, std::string const& version, wire::Manifest manifest = {}) {
  Sample out{version, model + " of " + version, {}, {}};
  wire::Release const release{model, version, version.back() - '0', {{{"cam-a"}, {{"model.onnx", out.content.size(), crypto::sha256(out.content), false}}}}, std::move(manifest)};
  out.document = wire::encode(release);
  out.digest = crypto::sha256(out.document).hex();
  return out;
}

/// A set of `post` and `reader`, in that order of their names; post comes after reader.
struct Set {
  std::string version;
  Sample post, reader, self = {};

  Set(std::string number, Sample post_release, Sample reader_release) : version(std::move(number)), post(std::move(post_release)), reader(std::move(reader_release)) {
    wire::Release set{"gate", version, version.back() - '0', {}, {}, {}};
    set.members = {{"post", post.version, *Digest::parse(post.digest), {"reader"}}, {"reader", reader.version, *Digest::parse(reader.digest), {}}};
    self = {version, {}, wire::encode(set), {}};
    self.digest = crypto::sha256(self.document).hex();
  }
  [[nodiscard]] std::vector<std::pair<std::string, Sample const*>> parts() const { return {{"gate", &self}, {"post", &post}, {"reader", &reader}}; }
};

void bring(Device& device, Set const& set) {
  for (auto const& [model, release] : set.parts()) {
    auto const home = "/agent/models/" + model;
    device.fs.put(home + "/releases/" + release->digest + ".json", release->document);
    if (model != "gate" && !device.fs.text(home + "/versions/" + release->digest + "/model.onnx")) device.fs.put(home + "/staging/" + release->digest + "/model.onnx", release->content);
  }
}

std::vector<wire::DirectiveTarget> targets(Set const& set, std::string const& rollout, wire::Action action = wire::Action::revert, std::int64_t attempt = 1) {
  std::vector<wire::DirectiveTarget> out;
  for (auto const& [model, release] : set.parts()) {
    wire::DirectiveTarget one;
    one.model = model;
    one.path = "models/" + model + "/" + release->version + "/release.json";
    one.length = release->document.size();
    one.hashes = {{"sha256", release->digest}};
    one.rollout = rollout;
    one.attempt = attempt;
    one.action = action;  // what is kept on the device needs no server
    if (model != "gate") one.set = "gate";
    if (model == "post") one.after = {"reader"};
    out.push_back(std::move(one));
  }
  return out;
}

std::string link_of(Device& device, std::string const& model) {
  auto const link = device.fs.read_link("/agent/models/" + model + "/current");
  return link ? link->substr(link->find_last_of('/') + 1) : std::string();
}
ModelState state_of(Device& device, std::string const& model) { return device.context->journal.state(model); }

/// All of one set run, in links and in the journal.
bool runs(Device& device, Set const& set) {
  for (auto const& [model, release] : set.parts())
    if (link_of(device, model) != release->digest || state_of(device, model).running.digest != release->digest) return false;
  return true;
}

/// The device's own fault: an update of one model would wait until it is mended.
wire::Manifest unknown_program() {
  wire::Manifest manifest;
  manifest.activate = {"no-such-program"};
  return manifest;
}
wire::Manifest failing_health() {
  wire::Manifest manifest;
  manifest.health.push_back({{"bin/no-such-file"}, {}, {}});
  manifest.probation = wire::Probation{std::chrono::hours{1}, 0, std::chrono::hours{10}};
  return manifest;
}
wire::Manifest long_probation() {
  wire::Manifest manifest;
  manifest.probation = wire::Probation{std::chrono::hours{2}, 0, std::chrono::hours{10}};
  return manifest;
}

Set const kOne{"1", release_of("post", "1"), release_of("reader", "1")};
Set const kTwo{"2", release_of("post", "2"), release_of("reader", "2")};

void run_one(Device& device) {
  bring(device, kOne);
  REQUIRE(device.direct(targets(kOne, "ro-1")));
  device.settle(4);
  REQUIRE(state_of(device, "gate").state == State::committed);
  REQUIRE(runs(device, kOne));
  device.fs.restart(CrashFs::Loss::unsynced);
}

std::vector<std::string> told_of_set(Device& device) {
  std::vector<std::string> out;
  for (auto const& item : device.reports())
    if (item.model == "gate") out.push_back(item.state);
  return out;
}

}  // namespace

TEST_CASE("a set's members are switched in their order, and one outcome is told") {
  Device device;
  run_one(device);
  bring(device, kTwo);
  REQUIRE(device.direct(targets(kTwo, "ro-2")));
  device.settle(4);
  CHECK(runs(device, kTwo));
  CHECK(state_of(device, "gate").previous.digest == kOne.self.digest);
  CHECK(state_of(device, "post").previous.digest == kOne.post.digest);
  auto const told = told_of_set(device);
  CHECK(std::count(told.begin(), told.end(), "committed") == 2);
  auto const record = state_of(device, "gate").sets.back();
  REQUIRE(record.members.size() == 2);
  CHECK(record.members[0].model == "reader");
  CHECK(record.members[1] == MemberBefore{"post", {kOne.post.digest, "1"}});
  CHECK(device.fs.text("/agent/models/gate/versions/" + link_of(device, "gate") + "/release.json") == kTwo.self.document);
}

TEST_CASE("cut at any call, by kill or by power, a set's members end all at the new release, and never stay between") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    for (int step = 1;; ++step) {
      CAPTURE(step);
      CAPTURE(static_cast<int>(loss));
      Device device;
      run_one(device);
      bring(device, kTwo);
      device.fs.cut_at(step);
      if (device.direct(targets(kTwo, "ro-2"))) device.settle(2);
      bool const hit = device.fs.was_hit();
      device.fs.restart(loss);
      // What is linked is whole at any instant.
      for (auto const& model : {"post", "reader"}) REQUIRE(device.fs.text("/agent/models/" + std::string(model) + "/versions/" + link_of(device, model) + "/model.onnx"));
      REQUIRE(device.boot());
      device.settle();
      CHECK((runs(device, kTwo) || runs(device, kOne)));  // the directive may not have been kept
      bring(device, kTwo);
      device.sequence += 10;
      REQUIRE(device.direct(targets(kTwo, "ro-2")));
      device.settle();
      CHECK(runs(device, kTwo));
      CHECK(state_of(device, "gate").state == State::committed);
      CHECK(told_of_set(device).back() == "committed");
      CHECK(state_of(device, "reader").previous.digest == kOne.reader.digest);
      if (!hit) break;
    }
  }
}

TEST_CASE("when the last member fails, from any cut, all go back to what each ran before") {
  for (auto const& manifest : {failing_activation(), failing_health(), unknown_program()}) {
    Set const bad{"2", release_of("post", "2", manifest), release_of("reader", "2")};
    for (int step = 1;; ++step) {
      CAPTURE(step);
      Device device;
      run_one(device);
      bring(device, bad);
      device.fs.cut_at(step);
      if (device.direct(targets(bad, "ro-2"))) device.settle(6);
      bool const hit = device.fs.was_hit();
      device.fs.restart(CrashFs::Loss::unsynced);
      REQUIRE(device.boot());
      device.settle();
      CHECK(runs(device, kOne));
      bring(device, bad);
      device.sequence += 10;
      REQUIRE(device.direct(targets(bad, "ro-2")));
      device.settle();
      CHECK(runs(device, kOne));
      auto const state = state_of(device, "gate");
      CHECK(state.state == State::rolled_back);
      CHECK_FALSE(state.error.code.empty());
      CHECK(state_of(device, "reader").state == State::rolled_back);
      CHECK(told_of_set(device).back() == "rolled_back");
      if (!hit) break;
    }
  }
}

TEST_CASE("a first set that is taken back leaves each member at its own previous release, or at none") {
  Device device;
  device.run_committed(kOne.reader);
  bring(device, kTwo);
  REQUIRE(device.direct(targets(kTwo, "ro-2")));
  device.settle(4);
  REQUIRE(runs(device, kTwo));
  auto gone = targets(kTwo, "ro-2", wire::Action::remove);
  for (auto& one : gone) one.path.clear(), one.hashes.clear(), one.length = 0;
  REQUIRE(device.direct(gone));
  device.settle(4);
  CHECK(link_of(device, "reader") == kOne.reader.digest);
  CHECK(link_of(device, "post").empty());
  CHECK(link_of(device, "gate").empty());
  CHECK(state_of(device, "post").running.none());
  CHECK(told_of_set(device).back() == "rolled_back");
}

TEST_CASE("a member that two releases of a set share is not touched, also on the way back") {
  Set const next{"2", release_of("post", "2"), kOne.reader};
  Device device;
  run_one(device);
  auto const before = state_of(device, "reader");
  bring(device, next);
  REQUIRE(device.direct(targets(next, "ro-2")));
  device.settle(4);
  REQUIRE(runs(device, next));
  CHECK(state_of(device, "reader").previous == before.previous);
  REQUIRE(device.direct(targets(kOne, "ro-2")));
  device.settle(4);
  CHECK(runs(device, kOne));
}

TEST_CASE("the owner's way back of a member takes the set back, and holds it") {
  Device device;
  run_one(device);
  bring(device, kTwo);
  REQUIRE(device.direct(targets(kTwo, "ro-2")));
  device.settle(4);
  REQUIRE(device.runner->roll_back("post").has_value());
  device.settle(2);
  CHECK(runs(device, kOne));
  CHECK(state_of(device, "gate").held == kTwo.self.digest);
  REQUIRE(device.direct(targets(kTwo, "ro-3", wire::Action::install)));
  device.settle(3);
  CHECK(runs(device, kOne));
}

TEST_CASE("a member that is told something else alone waits while its set moves, and breaks the set up when it moves itself") {
  Set const slow{"2", release_of("post", "2", long_probation()), release_of("reader", "2")};
  Device device;
  run_one(device);
  bring(device, slow);
  REQUIRE(device.direct(targets(slow, "ro-2")));
  device.runner->round();
  device.runner->round();
  REQUIRE(state_of(device, "gate").state == State::probation);
  auto const alone = release_of("reader", "3");
  device.fs.put("/agent/models/reader/releases/" + alone.digest + ".json", alone.document);
  device.fs.put("/agent/models/reader/staging/" + alone.digest + "/model.onnx", alone.content);
  auto own = Device::target(alone, "ro-3");
  REQUIRE(device.direct({own}));
  device.runner->round();
  CHECK(state_of(device, "gate").state == State::probation);
  CHECK(link_of(device, "reader") == slow.reader.digest);
  device.settle(20);
  CHECK(link_of(device, "reader") == alone.digest);
  CHECK(link_of(device, "post") == slow.post.digest);
  CHECK(link_of(device, "gate").empty());
  CHECK(state_of(device, "gate").running.none());
  CHECK(told_of_set(device).back() == "idle");
}

TEST_CASE("a control proves what runs of all members, and a proof that fails moves none") {
  Set const watched{"2", release_of("post", "2", long_probation()), release_of("reader", "2")};
  Device device;
  run_one(device);
  bring(device, watched);
  REQUIRE(device.direct(targets(watched, "ro-2")));
  device.settle(16);
  REQUIRE(state_of(device, "gate").state == State::committed);
  REQUIRE(device.direct(targets(watched, "ro-9", wire::Action::prove)));
  device.settle(3);
  CHECK(state_of(device, "gate").state == State::proving);
  device.settle(16);
  CHECK(state_of(device, "gate").state == State::proved);
  CHECK(runs(device, watched));
}
