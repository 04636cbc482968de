#include "server/ceremony/import.hpp"

#include "core/trust/audit_chain.hpp"
#include "core/trust/trusted_set.hpp"
#include "server/signing/repository.hpp"
#include "server/signing/trust_status.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <functional>

namespace fleet::ceremony {
namespace {

namespace json = boost::json;
using namespace catalog;
using namespace catalog::test;
using namespace signing;
using crypto::SigningKey;

constexpr auto const* kOne = "models/reader/1/release.json";
constexpr auto const* kTwo = "models/reader/2/release.json";

struct Owners : Catalog {
  SigningKey alice = SigningKey::generate(system_random()), bob = SigningKey::generate(system_random()), carol = SigningKey::generate(system_random());

  Owners() {
    add_model("reader");
    add_release("reader", "1");
  }
  [[nodiscard]] trust::RoleSpec two_of_three() const { return {{alice.public_key(), bob.public_key(), carol.public_key()}, 2}; }
  Result<trust::Proposal> proposed(Change const& change) { return propose(store->reader(), keys, change, now); }
  static trust::Proposal signed_by(trust::Proposal proposal, std::vector<SigningKey> const& signers) {
    std::vector<trust::Signer> hands;
    for (auto const& key : signers) hands.push_back(trust::as_signer(key));
    for (auto& file : proposal.files) file.after = must(trust::cosign(file.after, hands));
    return proposal;
  }
  /// As the route does it.
  Result<Imported> import(trust::Proposal const& proposal, Authority const& authority = {}) {
    auto imported = store->write_value<Imported>(store::Lane::verbs, [&](store::Tx& tx) { return import_signed(tx, keys, proposal, by("token:admin"), authority); });
    if (imported && imported->moved) must(keys.drop(*imported->moved));
    if (imported && imported->rotated) must(keys.end_rotation("directive-root"));
    return imported;
  }
  void move(std::string const& role, trust::RoleSpec const& to, std::vector<SigningKey> const& signers) {
    must(import(signed_by(must(proposed({role, to, {}})), signers)));
  }
  bool is_here(std::string const& role) { return keys.get(role).has_value(); }
  std::string state_of(std::string const& version) { return must(load_release(store->reader(), "reader", version)).state; }
};

/// What a hostile hand makes of the signed part of a file before it is signed.
using Edit = std::function<void(json::object&)>;
trust::Proposal edited(trust::Proposal proposal, std::size_t file, Edit const& edit) {
  auto value = json::parse(proposal.files[file].after);
  edit(value.at("signed").as_object());
  proposal.files[file].after = json::serialize(value);
  return proposal;
}

TEST_CASE_FIXTURE(Owners, "roles leave the server one by one, and clients that were away follow") {
  move("m-reader", two_of_three(), {alice, carol});
  CHECK_FALSE(is_here("m-reader"));
  CHECK_FALSE(std::filesystem::exists(dir + "/keys/m-reader.key"));
  move("targets", two_of_three(), {alice, bob});
  move("root", two_of_three(), {bob, carol});
  for (auto const* const role : {"root", "targets"}) CHECK_FALSE(is_here(role));
  CHECK_FALSE(is_managed(must(trust_status(store->reader(), keys, now))));
  CHECK(must(find(kOne)).has_value());
  CHECK(findings().empty());

  add_release("reader", "2");
  CHECK(state_of("2") == "draft");
  CHECK_FALSE(must(find(kTwo)).has_value());
  auto const imported = must(import(signed_by(must(proposed({"m-reader", {}, {"2"}})), {alice, bob})));
  CHECK(imported.approved == std::vector<std::string>{"2"});
  CHECK(state_of("2") == "approved");
  CHECK(must(find(kTwo)).has_value());

  now += std::chrono::hours{24 * 300};
  CHECK(refresh() == 3);  // snapshot, timestamp, the directive root: what the owners signed is theirs to sign again
  for (auto const* const role : {"root", "targets", "m-reader"}) must(import(signed_by(must(proposed({role, {}, {}})), {alice, carol})));
  now += std::chrono::hours{24 * 100};
  CHECK(refresh() == 2);
  CHECK(must(find(kTwo)).has_value());
}

TEST_CASE_FIXTURE(Owners, "what too few signed, or keys without a say, changes nothing") {
  auto const proposal = must(proposed({"m-reader", two_of_three(), {}}));
  auto const before = read("SELECT count(*) FROM metadata");
  auto const stranger = SigningKey::generate(system_random());
  for (auto const& signers : std::vector<std::vector<SigningKey>>{{}, {alice}, {alice, alice}, {alice, stranger}}) {
    CHECK(code_of(import(signed_by(proposal, signers))) == "threshold_unmet");
    CHECK(is_here("m-reader"));
  }
  CHECK(read("SELECT count(*) FROM metadata") == before);
  add_release("reader", "2");  // the server still signs
  CHECK(state_of("2") == "approved");
  CHECK(code_of(import(signed_by(proposal, {alice, bob}))) == "stale_proposal");  // what was prepared knows nothing of it
  auto const fresh = signed_by(must(proposed({"m-reader", two_of_three(), {}})), {alice, bob, stranger});
  must(import(fresh));
  CHECK(read("SELECT bytes FROM metadata WHERE role = 'm-reader' ORDER BY version DESC LIMIT 1").find(stranger.key_id()) == std::string::npos);
  CHECK(code_of(import(fresh)) == "stale_proposal");
}

TEST_CASE_FIXTURE(Owners, "enough keys sign something else than was prepared: it is refused by name") {
  move("m-reader", two_of_three(), {alice, bob});
  move("targets", two_of_three(), {alice, bob});
  add_release("reader", "2");
  add_model("other");
  struct Case {
    Change change;
    std::size_t file;
    Edit edit;
    std::string code;
  };
  auto const target = [](json::object& content, char const* path) -> json::object& { return content.at("targets").as_object().at(path).as_object(); };
  auto const role = [](json::object& content) -> json::object& { return content.at("delegations").at("roles").as_array()[0].as_object(); };
  Change const release{"m-reader", {}, {"2"}}, keys_of_model{"m-reader", two_of_three(), {}}, root{"root", {}, {}};
  std::vector<Case> const cases{
      {release, 0, [&](json::object& c) { target(c, kTwo)["length"] = 7; }, "unexpected_change"},
      {release, 0, [&](json::object& c) { target(c, kTwo).at("hashes").as_object()["sha256"] = std::string(64, 'a'); }, "unexpected_change"},
      {release, 0, [&](json::object& c) { target(c, kTwo).at("custom").as_object()["security_floor"] = 9; }, "unexpected_change"},
      {release, 0, [&](json::object& c) { c.at("targets").as_object()["models/reader/9/release.json"] = target(c, kTwo); }, "unknown_release"},
      {release, 0, [&](json::object& c) { c.at("targets").as_object()["models/other/2/release.json"] = target(c, kTwo); }, "unexpected_change"},
      {release, 0, [&](json::object& c) { c.at("targets").as_object().erase(kOne); }, "release_missing"},
      {release, 0, [&](json::object& c) { c["version"] = 99; }, "stale_proposal"},
      {release, 0, [&](json::object& c) { c["expires"] = "2026-11-20T09:59:59Z"; }, "metadata_expired"},
      {keys_of_model, 0, [&](json::object& c) { role(c)["paths"] = json::array{"models/*/*/release.json"}; }, "unexpected_change"},
      {keys_of_model, 0, [&](json::object& c) { role(c)["terminating"] = false; }, "unexpected_change"},
      {keys_of_model, 0, [&](json::object& c) { c.at("delegations").at("roles").as_array().clear(); }, "unexpected_change"},
      {root, 0, [&](json::object& c) { c.at("roles").at("snapshot").as_object()["keyids"] = json::array{alice.key_id()}; }, "unexpected_change"},
      {root, 0, [&](json::object& c) { c["version"] = 99; }, "stale_proposal"},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    auto const rows = read("SELECT count(*) FROM metadata");
    auto proposal = edited(must(proposed(cases[i].change)), cases[i].file, cases[i].edit);
    CHECK(code_of(import(signed_by(std::move(proposal), {alice, bob}))) == cases[i].code);
    CHECK(read("SELECT count(*) FROM metadata") == rows);
    CHECK(state_of("2") == "draft");
  }
}

TEST_CASE_FIXTURE(Owners, "a file of another role than the proposal's, or a revoked or unapproved release, is refused") {
  move("m-reader", two_of_three(), {alice, bob});
  script("UPDATE models SET approvals_required = 1");
  add_release("reader", "2");
  auto const two = signed_by(must(proposed({"m-reader", {}, {"2"}})), {alice, bob});
  CHECK(code_of(import(two)) == "approvals_missing");
  auto disguised = two;
  disguised.role = "root";
  CHECK(code_of(import(disguised)) == "unexpected_change");
  for (auto const* const role : {"timestamp", "", "m", "xxreader", "../../x"}) {
    disguised.role = role;
    CHECK(code_of(import(disguised)) == "role_stays_online");
  }
  must(approve_by("token:other", "reader", "2"));
  CHECK(state_of("2") == "draft");  // approved by a person, not yet by the owners' keys
  must(revoke_it("reader", "1"));
  CHECK(state_of("1") == "revoked");
  CHECK(code_of(import(two)) == "revoked");
  CHECK(code_of(proposed({"m-reader", {}, {"1"}})) == "revoked");
  must(import(signed_by(must(proposed({"m-reader", {}, {"2"}})), {alice, bob})));
  CHECK_FALSE(must(find(kOne)).has_value());
  CHECK(must(find(kTwo)).has_value());
}

TEST_CASE_FIXTURE(Owners, "bytes that were revoked do not come back by the owners' signature, unless an administrator brings it") {
  move("m-reader", two_of_three(), {alice, bob});
  must(publish_body("reader", body("2", "reader1")));
  must(revoke_it("reader", "1"));
  auto const signed_release = signed_by(must(proposed({"m-reader", {}, {"2"}})), {alice, bob});
  CHECK(code_of(import(signed_release)) == "revoked_bytes");
  CHECK(state_of("2") == "draft");
  CHECK(code_of(import(signed_release, {.administers = true})) == "fine");
  CHECK(state_of("2") == "approved");
}

TEST_CASE_FIXTURE(Owners, "keys that make no sense, and roles that stay, are refused before anything is signed") {
  auto const here = must(keys.get("m-reader")).public_key();
  auto const code = [&](std::string const& role, trust::RoleSpec spec) { return code_of(proposed({role, std::move(spec), {}})); };
  CHECK(code("m-reader", {{}, 1}) == "bad_keys");
  CHECK(code("m-reader", {{alice.public_key()}, 2}) == "bad_keys");
  CHECK(code("m-reader", {{alice.public_key()}, 0}) == "bad_keys");
  CHECK(code("m-reader", {{alice.public_key(), alice.public_key()}, 1}) == "bad_keys");
  CHECK(code("m-reader", {{alice.public_key(), here}, 1}) == "bad_keys");  // the server's own
  CHECK(code("timestamp", {{alice.public_key()}, 1}) == "role_stays_online");
  CHECK(code("m-nobody", {{alice.public_key()}, 1}) == "unknown_model");
  CHECK(code_of(proposed({"root", {}, {"1"}})) == "bad_role");
}

TEST_CASE_FIXTURE(Owners, "a model that is made while targets are elsewhere gets its keys from their owners") {
  move("targets", two_of_three(), {alice, bob});
  add_model("new");
  CHECK_FALSE(is_here("m-new"));
  CHECK(code_of(proposed({"m-new", {}, {}})) == "unknown_role");
  move("m-new", {{carol.public_key()}, 1}, {alice, bob, carol});
  add_blob("n");
  must(publish_body("new", body("1", "n")));
  must(import(signed_by(must(proposed({"m-new", {}, {"1"}})), {carol})));
  CHECK(must(find("models/new/1/release.json")).has_value());
  CHECK(must(find(kOne)).has_value());
}

TEST_CASE_FIXTURE(Owners, "a death between the commit and the removal of the key: the next start removes it, and until then it signs nothing") {
  auto const proposal = signed_by(must(proposed({"m-reader", two_of_three(), {}})), {alice, bob});
  must(store->write_value<Imported>(store::Lane::verbs, [&](store::Tx& tx) { return import_signed(tx, keys, proposal, by("token:admin")); }));
  CHECK(std::filesystem::exists(dir + "/keys/m-reader.key"));
  CHECK_FALSE(is_here("m-reader"));
  KeyRing restarted(system_fs(), system_random(), dir + "/keys");
  must(settle_rotations(store->reader(), restarted));
  CHECK_FALSE(std::filesystem::exists(dir + "/keys/m-reader.key"));
  for (auto const* const role : {"root", "targets", "snapshot", "timestamp"}) CHECK(restarted.get(role).has_value());
}

TEST_CASE_FIXTURE(Owners, "a proposal survives its file, and what is none is refused") {
  auto const proposal = signed_by(must(proposed({"targets", two_of_three(), {}})), {alice});
  auto const text = must(trust::encode(proposal));
  auto const again = must(trust::decode_proposal(text));
  CHECK(again.role == "targets");
  REQUIRE(again.files.size() == 2);
  CHECK(again.files[0].after == proposal.files[0].after);
  CHECK(must(trust::encode(again)) == text);
  for (auto const* const bad :
       {"", "[]", "{}", R"({"format":"fleet-proposal-2","role":"root","files":[]})", R"({"format":"fleet-proposal-1","role":"root","files":[]})",
        R"({"format":"fleet-proposal-1","role":"root","files":[{"role":"root","before":null}]})"})
    CHECK_FALSE(trust::decode_proposal(bad).has_value());
}

/// The directive root as devices read it.
struct Directives : Owners {
  trust::Root root() { return must(trust::decode_root(must(trust::read_signed(as_bytes(text()), 1 << 20)))); }
  std::string text() { return read("SELECT CAST(bytes AS TEXT) FROM metadata WHERE repository = 'directive' ORDER BY version DESC LIMIT 1"); }
  crypto::PublicKey signer() { return must(keys.get("directive-root")).public_key(); }
  bool takes(crypto::PublicKey const& key) {
    auto const named = root().roles.at("targets");
    return named.threshold == 1 && named.keys.size() == 1 && named.keys.begin()->second == key;
  }
  static Change resigned() { return {"directive-root", {}, {}}; }
};

TEST_CASE_FIXTURE(Directives, "the directive root goes to its owners, and each one they sign brings a new key for directives") {
  auto const first = signer();
  auto pinned = must(trust::TrustedSet::create(as_bytes(text()), now, {}));
  CHECK(code_of(proposed(resigned())) == "bad_keys");
  move("directive-root", two_of_three(), {alice, carol});
  must(pinned.update_root(as_bytes(text())));
  CHECK(signer() != first);
  CHECK(takes(signer()));
  CHECK(root().roles.at("root").keys.size() == 3);
  for (auto const& one : must(trust_status(store->reader(), keys, now)))
    if (one.role == "directive-root") CHECK((!one.here && one.threshold == 2));
  CHECK(findings().empty());

  CHECK(code_of(write([&](store::Tx& tx) { return rotate_role(tx, keys, "directive-root", now); })) == "key_offline");
  CHECK(must(keys.open_rotations()).empty());
  now += std::chrono::hours{24 * 300};
  refresh();
  CHECK(root().version == 2);

  auto const second = signer();
  auto const proposal = must(proposed(resigned()));
  CHECK(signer() == second);  // until enough have signed
  CHECK(code_of(import(signed_by(proposal, {bob}))) == "threshold_unmet");
  CHECK(takes(second));
  must(import(signed_by(proposal, {bob, carol})));
  must(pinned.update_root(as_bytes(text())));
  CHECK(signer() != second);
  CHECK(takes(signer()));
  CHECK(code_of(import(signed_by(proposal, {bob, carol}))) == "stale_proposal");
}

TEST_CASE_FIXTURE(Directives, "a directive root that names other keys than the owners' and the one that waits here is refused") {
  auto const server = must(keys.get("directive-root"));
  Change const change{"directive-root", two_of_three(), {}};
  CHECK(code_of(proposed({"directive-root", trust::RoleSpec{{alice.public_key(), server.public_key()}, 1}, {}})) == "bad_keys");
  auto const id_of = [](SigningKey const& key) { return json::string(key.key_id()); };
  auto const role = [](json::object& content, char const* name) -> json::object& { return content.at("roles").as_object().at(name).as_object(); };
  auto const add_key = [](json::object& content, SigningKey const& key) {
    content.at("keys").as_object()[key.key_id()] = json::parse(trust::encode(key.public_key()));
  };
  struct Case {
    Edit edit;
    std::string code;
  };
  for (auto const& [edit, code] : std::vector<Case>{
           {[&](json::object& c) { role(c, "targets")["keyids"] = json::array{id_of(alice)}; }, "unexpected_change"},
           {[&](json::object& c) { role(c, "targets")["keyids"].as_array().push_back(id_of(alice)); }, "unexpected_change"},
           {[&](json::object& c) { role(c, "snapshot")["keyids"] = json::array{id_of(alice)}; }, "unexpected_change"},
           {[&](json::object& c) { add_key(c, server), role(c, "root")["keyids"].as_array().push_back(id_of(server)); }, "unexpected_change"},
           {[&](json::object& c) { add_key(c, server), role(c, "targets")["keyids"] = json::array{id_of(server)}; }, "unexpected_change"},
           {[&](json::object& c) { c["version"] = 9; }, "stale_proposal"},
           {[&](json::object& c) { c["expires"] = "2026-11-20T09:59:59Z"; }, "metadata_expired"},
       }) {
    auto const before = text();
    CHECK(code_of(import(signed_by(edited(must(proposed(change)), 0, edit), {alice, bob}))) == code);
    CHECK(text() == before);
    CHECK(signer() == server.public_key());
  }
  auto two = signed_by(must(proposed(change)), {alice, bob});
  two.files.push_back(two.files[0]);
  CHECK(code_of(import(two)) == "unexpected_change");
  must(import(signed_by(must(proposed(change)), {alice, bob})));
}

TEST_CASE_FIXTURE(Directives, "a new key for directives waits through a restart, and a death after the commit loses neither") {
  auto const proposal = signed_by(must(proposed({"directive-root", two_of_three(), {}})), {alice, bob});
  KeyRing restarted(system_fs(), system_random(), dir + "/keys");
  must(settle_rotations(store->reader(), restarted));
  CHECK(must(restarted.get("directive-root")).public_key() == signer());
  must(store->write_value<Imported>(store::Lane::verbs, [&](store::Tx& tx) { return import_signed(tx, restarted, proposal, by("token:admin")); }));
  KeyRing again(system_fs(), system_random(), dir + "/keys");
  must(settle_rotations(store->reader(), again));
  CHECK(takes(must(again.get("directive-root")).public_key()));
}

}  // namespace
}  // namespace fleet::ceremony
