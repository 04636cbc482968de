#include "agent/trust/verifier.hpp"
#include "tests/unit/agent/fake_server.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

wire::Release release_of(std::string version) {
  wire::Release release{"reader", std::move(version), 5, {{{"cam-a"}, {{"model.onnx", 1, crypto::sha256("x"), false}}}}, {}};
  return release;
}

/// A device that was enrolled: both roots kept, a server to ask.
struct Bench {
  FakeServer server;
  FakeFleet fleet{server};
  CrashFs fs;
  FakeClock clock{FakeFleet::now()};
  TrustedClock trusted = TrustedClock::load(fs, clock, "/state/floor");
  std::unique_ptr<Remote> remote;
  std::unique_ptr<DirectiveVerifier> verifier;
  std::unique_ptr<RemoteReleases> source;
  std::string const nonce = to_base64(Bytes(16, 7));

  Bench() {
    fs.put("/state/other", "");
    FolderStore releases(fs, "/state/tuf"), directives(fs, "/state/directive-tuf");
    REQUIRE(trust::Updater::init(releases, as_bytes(fleet.release_root)).has_value());
    REQUIRE(trust::Updater::init(directives, as_bytes(fleet.directive_root)).has_value());
    remote = server.remote(trusted);
    source = std::make_unique<RemoteReleases>(*remote);
    verifier = std::make_unique<DirectiveVerifier>(fs, *remote, trusted, "/state/directive-tuf", "cam-1");
  }

  [[nodiscard]] wire::Directive directive() {
    wire::Directive out;
    out.device = "cam-1";
    out.sequence = 10;
    out.nonce = nonce;
    out.issued_at = clock.wall();
    out.expires = out.act_before = out.issued_at + std::chrono::days{7};
    wire::DirectiveTarget target;
    target.model = "reader";
    target.path = "models/reader/1/release.json";
    target.length = 5;
    target.hashes = {{"sha256", std::string(64, 'a')}};
    out.targets = {target};
    return out;
  }
  std::string code_of(wire::Directive const& told, Told const& last = {}) {
    auto const verified = verifier->verify(fleet.envelope(told, fleet.directive_key), nonce, last);
    return verified ? "" : verified.error().code;
  }
};

}  // namespace

TEST_CASE("a directive for this device and this poll is accepted, and raises the floor of trusted time") {
  Bench bench;
  auto told = bench.directive();
  told.issued_at += std::chrono::days{20};
  told.expires += std::chrono::days{20};
  CHECK(bench.code_of(told).empty());
  CHECK(bench.trusted.now() == told.issued_at);
}

TEST_CASE("directives that are replayed, foreign, old, expired or signed by others are refused by name") {
  Bench bench;
  auto const good = bench.directive();
  struct Case {
    std::string_view code;
    std::function<void(wire::Directive&)> spoil;
  };
  for (auto const& [code, spoil] : std::to_array<Case>({
           {"foreign_directive", [](auto& d) { d.device = "cam-2"; }},
           {"replayed", [](auto& d) { d.nonce = to_base64(Bytes(16, 8)); }},
           {"replayed", [](auto& d) { d.nonce.clear(); }},
           {"directive_expired", [](auto& d) { d.expires = FakeFleet::now(); }},
           {"sequence_leap", [](auto& d) { d.sequence = std::int64_t{1} << 50; }},
       })) {
    CAPTURE(code);
    auto told = good;
    spoil(told);
    CHECK(bench.code_of(told) == code);
  }
  Told const last{10, {}, good.targets};
  CHECK(bench.code_of(good, last).empty());  // the equal one, sent again
  CHECK(bench.code_of(good, {11, {}, good.targets}) == "replayed");
  auto other = good;
  other.targets[0].attempt += 1;
  CHECK(bench.code_of(other, last) == "replayed");  // the same sequence with other targets
  other.sequence = 11;
  CHECK(bench.code_of(other, last).empty());
  auto const foreign = bench.verifier->verify(bench.fleet.envelope(good, bench.fleet.release_key), bench.nonce, {});
  REQUIRE_FALSE(foreign.has_value());
  CHECK(foreign.error().kind == Kind::signature);
}

TEST_CASE("uptane-standard #31: a time far in the future is refused, or mended by the next directive; it bricks nothing") {
  Bench bench;
  auto told = bench.directive();
  told.issued_at += std::chrono::days{3650};
  told.expires = told.act_before = told.issued_at + std::chrono::days{7};
  CHECK(bench.code_of(told) == "metadata_expired");  // by then its root is expired
  CHECK(bench.trusted.now() == FakeFleet::now());
  told.issued_at = FakeFleet::now() + std::chrono::days{300};
  told.expires = told.act_before = told.issued_at + std::chrono::days{7};
  CHECK(bench.code_of(told).empty());
  CHECK(bench.trusted.now() == told.issued_at);
  auto honest = bench.directive();
  honest.sequence = told.sequence + 1;
  CHECK(bench.code_of(honest, {told.sequence, told.act_before, told.targets}).empty());
  CHECK(bench.trusted.now() == FakeFleet::now());
}

TEST_CASE("SWUpdate 5219f2f4: a payload is not parsed before its signature is verified, nor a release.json before its digest") {
  Bench bench;
  std::string const garbage = "{\"device\":[[[[";
  auto const stranger = crypto::SigningKey::generate(bench.fleet.random);
  auto const kind = [&](crypto::SigningKey const& key) {
    return bench.verifier->verify(trust::make_envelope(wire::kDirectivePayloadType, as_bytes(garbage), {&key, 1}), bench.nonce, {}).error().kind;
  };
  CHECK(kind(stranger) == Kind::signature);
  CHECK(kind(bench.fleet.directive_key) == Kind::bad_input);
  auto target = bench.fleet.publish(release_of("1.0"));
  bench.server.put("/device/v1/tuf/targets/models/reader/1.0/" + target.hashes["sha256"] + ".release.json", garbage);
  CHECK(fetch_release(bench.fs, *bench.source, bench.trusted, "/state/tuf", target).error().kind == Kind::signature);
}

TEST_CASE("a flipped byte anywhere in the envelope is never accepted as another directive") {
  Bench bench;
  auto const whole = bench.fleet.envelope(bench.directive(), bench.fleet.directive_key);
  auto const expected = wire::encode(bench.directive());
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    CAPTURE(at);
    auto spoiled = whole;
    spoiled[at] = static_cast<char>(spoiled[at] ^ 1);
    auto const verified = bench.verifier->verify(spoiled, bench.nonce, {});
    if (verified) CHECK(wire::encode(*verified) == expected);
  }
}

TEST_CASE("a key that the directive root hands over to is found by its chain") {
  Bench bench;
  auto const successor = crypto::SigningKey::generate(bench.fleet.random);
  trust::RootSpec root{2, FakeFleet::now() + std::chrono::days{365}, {}, "directive"};
  for (auto const* const role : {"root", "targets", "snapshot", "timestamp"}) root.roles[role] = {{successor.public_key()}, 1};
  std::vector<crypto::SigningKey> const both{bench.fleet.directive_key, successor};
  CHECK_FALSE(bench.verifier->verify(bench.fleet.envelope(bench.directive(), successor), bench.nonce, {}).has_value());
  bench.server.put("/device/v1/directive/2.root.json", trust::compose_root(root, both));
  CHECK(bench.verifier->verify(bench.fleet.envelope(bench.directive(), successor), bench.nonce, {}).has_value());
  CHECK_FALSE(bench.verifier->verify(bench.fleet.envelope(bench.directive(), bench.fleet.directive_key), bench.nonce, {}).has_value());
}

TEST_CASE("a release is taken when both chains agree on it") {
  Bench bench;
  auto const target = bench.fleet.publish(release_of("1.0"));
  auto const got = fetch_release(bench.fs, *bench.source, bench.trusted, "/state/tuf", target);
  REQUIRE(got.has_value());
  CHECK(got->release.version == "1.0");
  CHECK(crypto::sha256(got->document).hex() == target.hashes.at("sha256"));
}

TEST_CASE("a release on which the chains disagree, or that only one of them names, is refused") {
  struct Case {
    std::string_view code;
    std::function<void(Bench&, wire::DirectiveTarget&)> spoil;
  };
  for (auto const& [code, spoil] : std::to_array<Case>({
           {"chains_disagree", [](Bench&, auto& t) { t.length += 1; }},
           {"chains_disagree", [](Bench&, auto& t) { t.hashes["sha256"] = std::string(64, 'a'); }},
           {"chains_disagree", [](Bench&, auto& t) { t.hashes["sha512"] = std::string(128, 'a'); }},
           {"not_signed", [](Bench&, auto& t) { t.path = "models/reader/2.0/release.json"; }},
           {"bad_path", [](Bench&, auto& t) { t.path = "models/other/1.0/release.json"; }},
           {"bad_path", [](Bench&, auto& t) { t.path = "../../etc/passwd"; }},
           {"digest_mismatch",
            [](Bench& b, auto& t) {
              auto other = wire::encode(release_of("1.1"));
              b.server.put("/device/v1/tuf/targets/models/reader/1.0/" + t.hashes["sha256"] + ".release.json", other);
            }},
       })) {
    CAPTURE(code);
    Bench bench;
    auto target = bench.fleet.publish(release_of("1.0"));
    spoil(bench, target);
    auto const got = fetch_release(bench.fs, *bench.source, bench.trusted, "/state/tuf", target);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == code);
  }
}

TEST_CASE("expired metadata is not adopted, whatever the system clock says below the floor") {
  Bench bench;
  auto const target = bench.fleet.publish(release_of("1.0"));
  bench.clock.set_wall(FakeFleet::now() + std::chrono::days{2});
  auto const late = fetch_release(bench.fs, *bench.source, bench.trusted, "/state/tuf", target);
  REQUIRE_FALSE(late.has_value());
  CHECK(late.error().kind == Kind::expired);
  REQUIRE(bench.trusted.set_floor(FakeFleet::now() + std::chrono::days{2}).has_value());
  bench.clock.set_wall(from_unix_ms(0));
  CHECK_FALSE(fetch_release(bench.fs, *bench.source, bench.trusted, "/state/tuf", target).has_value());
  bench.fleet.sign(FakeFleet::now() + std::chrono::days{2});
  CHECK(fetch_release(bench.fs, *bench.source, bench.trusted, "/state/tuf", target).has_value());
}

TEST_CASE("hardware, runtime, memory and counter decide whether this device may adopt a release") {
  Identity const identity{"cam-1", "cam-a", {}, {{"onnxruntime", "1.16.3"}}, {}, {}, {}};
  struct Case {
    std::string_view code;
    std::function<void(wire::Release&)> change;
    std::int64_t floor = 0;
  };
  for (auto const& [code, change, floor] : std::to_array<Case>({
           {"", [](auto&) {}},
           {"",
            [](auto& r) {
              r.manifest.match = {"onnxruntime>=1.16", 1 << 20};
            }},
           {"", [](auto& r) { r.manifest.match.runtime = "onnxruntime>=1.9"; }},
           {"", [](auto& r) { r.manifest.match.runtime = "onnxruntime>=1.16.3"; }},
           {"ineligible", [](auto& r) { r.manifest.match.runtime = "onnxruntime>=1.16.4"; }},
           {"ineligible", [](auto& r) { r.manifest.match.runtime = "onnxruntime>=2"; }},
           {"ineligible", [](auto& r) { r.manifest.match.runtime = "tensorrt>=8"; }},
           {"ineligible", [](auto& r) { r.manifest.match.memory_min_bytes = 1 << 30; }},
           {"ineligible", [](auto& r) { r.variants[0].hardware = {"cam-b"}; }},
           {"", [](auto&) {}, 5},
           {"below_floor", [](auto&) {}, 6},
       })) {
    CAPTURE(code);
    auto release = release_of("1.0");
    change(release);
    auto const checked = check_eligible(release, identity, floor, 512 << 20);
    CHECK((checked ? std::string() : checked.error().code) == code);
  }
}

TEST_CASE("what was told reads back as it was kept, and a damaged file is an error, not an empty directive") {
  CrashFs fs;
  fs.put("/state/other", "");
  Bench bench;
  Told const told{42, FakeFleet::now(), bench.directive().targets};
  REQUIRE(save_told(fs, "/state/directive.json", told).has_value());
  fs.restart(CrashFs::Loss::unsynced);
  auto const back = load_told(fs, "/state/directive.json");
  REQUIRE(back.has_value());
  CHECK(back->sequence == 42);
  CHECK(back->targets == told.targets);
  CHECK(load_told(fs, "/state/none.json")->sequence == 0);
  fs.put("/state/directive.json", "{");
  CHECK_FALSE(load_told(fs, "/state/directive.json").has_value());
}
