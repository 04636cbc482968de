#include "core/wire/json.hpp"
#include "server/cost/kept.hpp"
#include "server/cost/report.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <boost/json/serialize.hpp>

using namespace fleet;
using namespace fleet::cost;
using catalog::test::must;

namespace {

/// Two models; five releases of one, each of a file of its own, a file that all have, and one of the other model's.
struct House : catalog::test::Catalog {
  std::string const shared = std::string(5'000, 's');
  int devices = 0;

  House() {
    for (auto const* const model : {"reader", "post"}) add_model(model);
    add_blob(shared);
    for (int i = 1; i <= 5; ++i) publish("reader", i);
    publish("post", 1);
  }
  static std::string content(std::string const& model, int version) { return std::string(static_cast<std::size_t>(1'000 * version), model[0]); }
  void publish(std::string const& model, int version) {
    add_blob(content(model, version));
    must(publish_body(model, fmt::format(R"({{"version":"{}","variants":[{{"hardware":["cam-a"],"files":[{},{}]}}]}})", version, file_json("model.bin", content(model, version)),
                                         file_json("labels.txt", shared))));
  }
  /// So many devices that a rollout told, of which the first `known` are still there.
  void tell(std::string const& rollout, std::string const& arm, std::string const& from, int count, int known) {
    for (int i = 0; i < count; ++i) {
      auto const n = ++devices;
      if (i < known)
        script(fmt::format("INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES ({0}, 'd{0}', 'cam-a', 'active', x'{1}', 0, 0)", n,
                           crypto::sha256(std::to_string(n)).hex()));
      script(fmt::format("INSERT INTO rollout_devices (rollout, device, stage, stratum, state, arm, from_version, attempt, dispatched_at, since, silent_at) "
                         "SELECT n, {}, 1, '', 'healthy', '{}', {}, 1, 0, 0, 0 FROM rollouts WHERE id = '{}'",
                         n, arm, from.empty() ? "NULL" : "'" + from + "'", rollout));
    }
  }
  void roll_out(std::string const& id, std::string const& version, std::string const& state, std::string const& selector = "", std::chrono::hours ago = std::chrono::hours(1)) {
    script(fmt::format("INSERT INTO rollouts (id, model, release, version, selector, policy, salt, state, started_at, moment, created_by, created_at) "
                       "SELECT '{0}', 'reader', n, '{1}', '{2}', '{{}}', 's', '{3}', {4}, (SELECT count(*) FROM rollouts), 'x', 0 FROM releases WHERE model = 'reader' AND version = '{1}'",
                       id, version, selector, state, to_unix_ms(now - ago)));
  }
  std::string kept(std::int64_t newest) {
    std::string out;
    auto& reader = store->reader();
    auto const rows = must(list_release_rows(reader));
    auto const stay = must(find_kept(reader, rows, newest, now));
    for (auto const& row : rows)
      if (auto const found = stay.find(row.n); found != stay.end()) out += fmt::format("{}@{}:{} ", row.model, row.version, to_string(found->second));
    return out;
  }
  boost::json::value ask(Question const& question) { return must(wire::parse_json(must(cost_json(store->reader(), question, {}, now)), 1'000'000)); }
};

std::int64_t at(boost::json::value const& value, std::string_view pointer) { return value.at_pointer(pointer).to_number<std::int64_t>(); }

}  // namespace

TEST_CASE("the newest stay, and what devices, rollouts, aliases, bundles and sets need") {
  House house;
  CHECK(house.kept(2) == "post@1:newest reader@5:newest reader@4:newest ");
  house.script("INSERT INTO running_counts (model, version, devices) VALUES ('reader', '1', 1), ('reader', '2', 0)");
  CHECK(house.kept(1) == "post@1:newest reader@5:newest reader@1:running ");
  house.script("UPDATE models SET aliases = '{\"stable\":\"3\"}' WHERE name = 'reader'");
  CHECK(house.kept(1) == "post@1:newest reader@5:newest reader@3:alias reader@1:running ");
  house.script("UPDATE releases SET state = 'draft' WHERE model = 'reader' AND version = '5'; UPDATE models SET aliases = '{}'");
  CHECK_MESSAGE(house.kept(1) == "post@1:newest reader@5:newest reader@4:approved reader@1:running ", "what latest means");
  house.script("UPDATE releases SET state = 'revoked' WHERE model = 'reader' AND version = '5'");
  CHECK_MESSAGE(house.kept(1) == "post@1:newest reader@4:newest reader@1:running ", "nobody needs a revoked one, but who runs it");
  house.script(fmt::format("INSERT INTO bundles (id, release, selector, created_by, created_at, expires_at) SELECT 'b', n, '', 'x', 0, {} FROM releases WHERE model = 'reader' AND version = '2'",
                           to_unix_ms(house.now) + 1));
  CHECK(house.kept(1) == "post@1:newest reader@4:newest reader@2:bundle reader@1:running ");
  house.now += std::chrono::hours(1);
  CHECK(house.kept(1) == "post@1:newest reader@4:newest reader@1:running ");
}

TEST_CASE("a rollout keeps its release while it lives, what its devices ran before, and the last word on its selector") {
  House house;
  house.roll_out("r_1", "1", "completed", "site=a");
  house.roll_out("r_2", "2", "completed", "site=a");
  CHECK_MESSAGE(house.kept(1) == "post@1:newest reader@5:newest reader@2:rollout ", "who enrols at the site gets it");
  house.roll_out("r_3", "4", "running", "site=b");
  house.tell("r_3", "canary", "3", 1, 1);
  CHECK(house.kept(1) == "post@1:newest reader@5:newest reader@4:rollout reader@3:rollout reader@2:rollout ");
  house.script("UPDATE rollouts SET state = 'aborted' WHERE id = 'r_3'");
  CHECK(house.kept(1) == "post@1:newest reader@5:newest reader@2:rollout ");
}

TEST_CASE("what members of a set that stays have stays") {
  House house;
  house.add_model("gate");
  must(house.publish_body("gate", R"({"version":"7","members":[{"model":"reader","version":"2"},{"model":"post","version":"1"}]})"));
  CHECK(house.kept(1) == "gate@7:newest post@1:newest reader@5:newest reader@2:set ");
}

TEST_CASE("stored bytes are those of the files, each once a model, and a simulation deletes nothing") {
  House house;
  auto const all = house.ask({"", 2, ""});
  CHECK(at(all, "/models/0/bytes") == 6'000);
  CHECK(all.at_pointer("/models/1/model") == "reader");
  CHECK(at(all, "/models/1/releases") == 5);
  CHECK(at(all, "/models/1/files") == 6);
  CHECK(at(all, "/models/1/bytes") == 1'000 + 2'000 + 3'000 + 4'000 + 5'000 + 5'000);
  CHECK(at(all, "/store/bytes") == 21'000);
  CHECK(at(all, "/store/unnamed_bytes") == 0);
  CHECK(at(all, "/models/1/keep/gone_bytes") == 6'000);
  CHECK(at(all, "/models/1/keep/bytes") == 14'000);
  CHECK(boost::json::serialize(all.at_pointer("/models/1/keep/gone_versions")) == R"(["3","2","1"])");
  CHECK(boost::json::serialize(all.at_pointer("/models/1/keep/because")) == R"({"newest":2})");
  CHECK(at(all, "/models/0/keep/gone") == 0);
  CHECK(at(all, "/keep/gone") == 3);
  CHECK(at(all, "/keep/gone_bytes") == 6'000);
  CHECK(house.read("SELECT CAST(count(*) AS TEXT) FROM releases") == "6");
  CHECK(at(house.ask({}), "/models/1/bytes") == 20'000);
  CHECK(house.ask({}).at("keep").is_null());
  house.add_blob("of no release");
  CHECK(at(house.ask({}), "/store/unnamed_bytes") == 13);
}

TEST_CASE("who sees one model is told of nothing else, not even that another keeps a file that both have") {
  House house;
  house.script("UPDATE releases SET state = 'revoked' WHERE model = 'reader'");
  CHECK(at(house.ask({"", 1, ""}), "/models/1/keep/gone_bytes") == 15'000);
  auto const mine = house.ask({"", 1, "reader"});
  CHECK(mine.at("models").as_array().size() == 1);
  CHECK(at(mine, "/models/0/keep/gone_bytes") == 20'000);
  for (auto const* const name : {"store", "requests", "sent_bytes", "keep"}) CHECK(mine.at(name).is_null());
  CHECK(cost_json(house.store->reader(), {"none", {}, ""}, {}, house.now).error().code == "unknown_model");
}

TEST_CASE("a rollout sends what each of those that it told lacks, and who is gone was like the others") {
  House house;
  house.roll_out("r_1", "5", "running");
  house.tell("r_1", "canary", "1", 2, 2);
  house.tell("r_1", "canary", "", 1, 1);
  house.tell("r_1", "control", "1", 4, 4);
  auto const one = must(rollout_traffic(house.store->reader(), "r_1"));
  CHECK(one.told == 3);
  CHECK(one.counted == 3);
  CHECK(one.traffic.bytes == 5'000 + 5'000 + 10'000);
  CHECK(one.traffic.as_it_is == 30'000);
  CHECK(one.traffic.largest == 10'000);
  CHECK(rollout_traffic(house.store->reader(), "none").error().code == "unknown_rollout");
  house.tell("r_1", "canary", "1", 3, 0);
  CHECK(must(rollout_traffic(house.store->reader(), "r_1")).traffic.bytes == 40'000);

  must(house.write([&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(set_prices(tx, {.egress = 1e6, .storage = 1e6, .requests = {}, .currency = "EUR"}, house.by("token:admin")));
    return {};
  }));
  house.roll_out("r_0", "4", "completed", "", std::chrono::hours(24 * 31));  // longer ago than a month
  auto const all = house.ask({});
  CHECK(all.at("rollouts").as_array().size() == 1);
  CHECK(at(all, "/models/1/out_bytes") == 40'000);
  CHECK(at(all, "/models/1/rollouts") == 1);
  CHECK(all.at_pointer("/models/1/money/egress").to_number<double>() == doctest::Approx(40));
  CHECK(all.at_pointer("/models/1/money/storage").to_number<double>() == doctest::Approx(20));
  CHECK(all.at_pointer("/money/total").to_number<double>() == doctest::Approx(61));
}

TEST_CASE("prices that are the same leave nothing in the log; a change says what they were") {
  House house;
  auto const set = [&](Prices const& wanted) {
    return must(house.store->write_value<Prices>(store::Lane::verbs, [&](store::Tx& tx) { return set_prices(tx, wanted, house.by("token:admin")); })).revision;
  };
  CHECK(must(load_prices(house.store->reader())).revision == 0);
  CHECK(set({.egress = 0.09, .storage = {}, .requests = {}, .currency = "EUR"}) == 1);
  CHECK(set({.egress = 0.09, .storage = {}, .requests = {}, .currency = "EUR"}) == 1);
  CHECK(set({.egress = 0.08, .storage = 0, .requests = {}, .currency = "EUR"}) == 2);
  auto const kept = must(load_prices(house.store->reader()));
  CHECK(kept.egress == 0.08);
  CHECK(kept.storage == 0);
  CHECK_FALSE(kept.requests);
  CHECK(house.read("SELECT CAST(count(*) AS TEXT) FROM audit WHERE action = 'prices.changed'") == "2");
  CHECK(house.read("SELECT before FROM audit WHERE action = 'prices.changed' ORDER BY seq DESC").find("9E-2") != std::string::npos);
}
