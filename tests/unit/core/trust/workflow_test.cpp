// The client workflow of TUF 1.0.34, section 5, clause by clause.
#include "tests/unit/core/trust/simulator.hpp"

#include <doctest/doctest.h>

#include <limits>

using namespace fleet;
using namespace fleet::trust;
using namespace fleet::trust::simulator;

namespace {

constexpr auto kHighest = std::numeric_limits<std::int64_t>::max();

std::string kept_root(Client& client) { return std::string(as_text(client.disk.files.at("root"))); }

}  // namespace

TEST_CASE("5.3: every root is walked and kept, also over expired ones; what comes after a bad one is not reached") {
  Repository repository;
  Client client(repository);
  for (repository.root_version = 2; repository.root_version <= 5; ++repository.root_version) {
    repository.root_expires = repository.root_version == 3 ? kNow : kFar;
    repository.publish_root();
  }
  auto const honest = repository.files.at("4.root.json");
  repository.files["4.root.json"] = edited(honest, repository.model, "/version", "4");
  CHECK(client.refresh(repository) == "threshold_unmet");
  CHECK(kept_root(client) == repository.files.at("3.root.json"));
  repository.files["4.root.json"] = honest;
  CHECK(client.refresh(repository) == "ok");
  CHECK(kept_root(client) == repository.files.at("5.root.json"));
}

TEST_CASE("5.3.4: a new root is signed by the old keys and by its own") {
  struct Row {
    char const* signers;
    char const* outcome;
  };
  for (auto const& [signers, outcome] : std::to_array<Row>({{"old", "threshold_unmet"}, {"new", "threshold_unmet"}, {"both", "ok"}})) {
    CAPTURE(signers);
    Repository repository;
    Client client(repository);
    auto const old = repository.root;
    repository.root = SigningKey::generate(repository.random);
    RootSpec const spec{2,
                        kFar,
                        {{"root", {{repository.root.public_key()}, 1}},
                         {"targets", {{repository.targets.public_key()}, 1}},
                         {"snapshot", {{repository.snapshot.public_key()}, 1}},
                         {"timestamp", {{repository.timestamp.public_key()}, 1}}}};
    std::vector<SigningKey> keys;
    if (signers != std::string_view("new")) keys.push_back(old);
    if (signers != std::string_view("old")) keys.push_back(repository.root);
    repository.files["2.root.json"] = compose_root(spec, keys);
    CHECK(client.refresh(repository) == outcome);
  }
}

TEST_CASE("5.3.10: only the last root must not be expired") {
  Repository repository;
  Client client(repository);
  repository.root_version = 2;
  repository.root_expires = kNow;
  repository.publish_root();
  CHECK(client.refresh(repository) == "metadata_expired");
  repository.root_version = 3;
  repository.root_expires = kFar;
  repository.publish_root();
  CHECK(client.refresh(repository) == "ok");
}

TEST_CASE("5.3.11: versions that a thief ran up are forgotten with the thief's key, and not before") {
  struct Row {
    char const* name;
    std::int64_t Repository::*version;
    SigningKey Repository::*key;
  };
  for (auto const& [name, version, key] : std::to_array<Row>({{"timestamp", &Repository::timestamp_version, &Repository::timestamp},
                                                              {"snapshot", &Repository::snapshot_version, &Repository::timestamp},
                                                              {"role in snapshot", &Repository::model_version, &Repository::snapshot}})) {
    CAPTURE(name);
    Repository repository;
    Client client(repository);
    repository.step();
    repository.*version = kHighest;
    repository.publish();
    CHECK(client.refresh(repository) == "ok");
    repository.*version = 3;
    if (version != &Repository::timestamp_version) ++repository.timestamp_version;
    if (version == &Repository::model_version) ++repository.snapshot_version;
    repository.publish();
    CHECK(client.refresh(repository) == "rollback");
    repository.*key = SigningKey::generate(repository.random);
    repository.root_version = 2;
    repository.publish_root();
    repository.publish();
    CHECK(client.refresh(repository) == "ok");
  }
}

TEST_CASE("5.3.11: also where the new root keeps the thief's key, and within one updater") {
  for (bool const same_updater : {false, true}) {
    CAPTURE(same_updater);
    Repository repository;
    Client client(repository);
    repository.timestamp_version = kHighest;
    repository.model_version = kHighest;
    repository.publish();
    CHECK(client.refresh(repository) == "ok");
    auto updater = *Updater::load(client.disk, repository, kNow);
    REQUIRE(updater.refresh().has_value());
    repository.timestamp_version = 1;
    repository.model_version = 1;
    ++repository.snapshot_version;
    repository.publish();
    CHECK(updater.refresh().error().code == "rollback");
    repository.more_online_keys = {SigningKey::generate(repository.random).public_key()};
    repository.root_version = 2;
    repository.publish_root();
    CHECK((same_updater ? updater.refresh().has_value() : client.refresh(repository) == "ok"));
  }
}

TEST_CASE("5.4.2, 5.5.3, 5.6.3: a role that a stranger signed is refused") {
  struct Row {
    char const* name;
    SigningKey Repository::*key;
  };
  for (auto const& [name, key] : std::to_array<Row>(
           {{"timestamp", &Repository::timestamp}, {"snapshot", &Repository::snapshot}, {"targets", &Repository::targets}, {"m-reader", &Repository::model}})) {
    CAPTURE(name);
    Repository repository;
    Client client(repository);
    auto const honest = repository.*key;
    repository.*key = SigningKey::generate(repository.random);
    if (key != &Repository::model) repository.publish();  // The model's key stands in its delegation, too.
    else repository.files["1.m-reader.json"] = edited(repository.files["1.m-reader.json"], repository.model, "/version", "1");
    CHECK(client.refresh(repository) == "threshold_unmet");
    repository.*key = honest;
    repository.publish();
    CHECK(client.refresh(repository) == "ok");
  }
}

TEST_CASE("5.4.4, 5.5.6, 5.6.5: every role expires, at the second it names") {
  struct Row {
    char const* file;
    SigningKey Repository::*key;
  };
  for (auto const& [file, key] : std::to_array<Row>({{"timestamp.json", &Repository::timestamp},
                                                     {"1.snapshot.json", &Repository::snapshot},
                                                     {"1.targets.json", &Repository::targets},
                                                     {"1.m-reader.json", &Repository::model}})) {
    CAPTURE(file);
    Repository repository;
    repository.files[file] = edited(repository.files[file], repository.*key, "/expires", R"("2026-12-01T00:00:00Z")");
    Client client(repository);
    CHECK(client.refresh(repository, at("2026-11-30T23:59:59Z")) == "ok");
    CHECK(client.refresh(repository, at("2026-12-01T00:00:00Z")) == "metadata_expired");
  }
}

TEST_CASE("a power cut at any write leaves a client that goes on, and that still cannot be rolled back") {
  bool whole = false;
  for (int writes = 0; !whole; ++writes) {
    CAPTURE(writes);
    Repository repository;
    Client client(repository);
    REQUIRE(client.refresh(repository) == "ok");
    repository.step();
    repository.timestamp = SigningKey::generate(repository.random);
    repository.root_version = 2;
    repository.publish_root();
    repository.publish();
    auto const old = repository.files;
    client.disk.writes_left = writes;
    whole = client.refresh(repository) == "ok";
    client.disk.writes_left = 1000;
    CHECK(client.refresh(repository) == "ok");
    repository.step();
    CHECK(client.refresh(repository) == "ok");
    repository.files = old;
    CHECK(client.refresh(repository) == "rollback");
  }
}

TEST_CASE("5.4.4: a repository that says nothing new is asked for its root and timestamp only") {
  Repository repository;
  Client client(repository);
  CHECK(client.refresh(repository) == "ok");
  repository.asked.clear();
  CHECK(client.refresh(repository) == "ok");
  CHECK(repository.asked == std::vector<std::string>{"2.root.json", "timestamp.json"});
}

TEST_CASE("5.5.5: no role leaves the snapshot") {
  Repository repository;
  Client client(repository);
  CHECK(client.refresh(repository) == "ok");
  repository.step();
  repository.files["2.snapshot.json"] = edited(repository.files["2.snapshot.json"], repository.snapshot, "/meta/m-reader.json", "");
  CHECK(client.refresh(repository) == "rollback");
}

TEST_CASE("5.5.4, 5.6.4: files of two moments are not mixed") {
  struct Row {
    char const* name;
    SigningKey Repository::*key;
  };
  for (auto const& [name, key] :
       std::to_array<Row>({{"1.snapshot.json", &Repository::snapshot}, {"1.targets.json", &Repository::targets}, {"1.m-reader.json", &Repository::model}})) {
    CAPTURE(name);
    Repository repository;
    Client client(repository);
    repository.files[name] = edited(repository.files[name], repository.*key, "/version", "7");
    CHECK(client.refresh(repository) == "rollback");
  }
}

TEST_CASE("kept files that rotted are fetched again; a kept root is the anchor and is not") {
  for (auto const* const role : {"timestamp", "snapshot", "targets", "m-reader"}) {
    CAPTURE(role);
    Repository repository;
    Client client(repository);
    CHECK(client.refresh(repository) == "ok");
    auto const good = client.disk.files;
    client.disk.files.at(role).resize(20);
    if (role == std::string_view("timestamp")) repository.step();  // An equal version would be saved by nobody.
    CHECK(client.refresh(repository) == "ok");
    if (role != std::string_view("timestamp")) CHECK(client.disk.files == good);
  }
  Repository repository;
  Client client(repository);
  client.disk.files.at("root").resize(20);
  CHECK(client.refresh(repository) == "bad_metadata");
}

TEST_CASE("nothing is found before a refresh succeeded") {
  Repository repository;
  Client client(repository);
  auto updater = *Updater::load(client.disk, repository, kNow);
  CHECK(updater.find("models/reader/1/release.json").error().code == "not_refreshed");
  CHECK(updater.refresh().has_value());
  CHECK(updater.find("models/reader/1/release.json").has_value());
  repository.files["timestamp.json"] = "{}";
  CHECK_FALSE(updater.refresh().has_value());
  CHECK(updater.find("models/reader/1/release.json").error().code == "not_refreshed");
}

TEST_CASE("a role is judged once a refresh, however many paths are asked for") {
  Repository repository;
  Client client(repository);
  auto updater = *Updater::load(client.disk, repository, kNow);
  CHECK(updater.refresh().has_value());
  CHECK(updater.find("models/reader/1/release.json").has_value());
  client.disk.files.clear();
  repository.asked.clear();
  CHECK(updater.find("models/reader/1/release.json").value().has_value());
  CHECK(updater.find("models/reader/2/release.json").value() == std::nullopt);
  CHECK(repository.asked.empty());
  repository.releases.push_back({"models/reader/2/release.json", 1, {{"sha256", "00"}}, ""});
  repository.step();
  CHECK(updater.refresh().has_value());
  CHECK(updater.find("models/reader/2/release.json").value().has_value());
}
