#include "agent/link/link.hpp"

#include "agent/report/receipt.hpp"
#include "core/bundle/bundle.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/receipt.hpp"
#include "tests/unit/agent/device.hpp"
#include "tests/unit/agent/fake_server.hpp"

namespace fleet::agent {
namespace {

constexpr auto kDay = std::chrono::days{1};

/// A device that no server answers, and what a fleet would write to a stick for it.
struct Bench {
  FakeServer server;
  FakeFleet fleet{server};
  Device device;
  std::unique_ptr<Remotes> remotes;
  std::shared_ptr<Remote> remote;
  std::unique_ptr<Link> link;
  std::string const content = "model of 2";

  Bench() {
    auto& identity = device.context->identity;
    identity.private_key = crypto::make_private_key().value();
    identity.certificate = crypto::issue_device_certificate(server.authority(), crypto::make_request(identity.private_key, "cam-1").value(), "cam-1", compiled_at() - kDay,
                                                            compiled_at() + 300 * kDay)
                               .value();
    identity.ca = server.authority().certificate;
    REQUIRE(save_identity(device.fs, device.layout, identity).has_value());
    FolderStore releases(device.fs, device.layout.release_metadata()), directives(device.fs, device.layout.directive_metadata());
    REQUIRE(trust::Updater::init(releases, as_bytes(fleet.release_root)).has_value());
    REQUIRE(trust::Updater::init(directives, as_bytes(fleet.directive_root)).has_value());
    device.fs.put("/stick/other", "");
    connect();
  }
  void connect() {
    link.reset();
    remotes = std::make_unique<Remotes>(device.context->identity, std::vector<std::string>{"https://127.0.0.1:1"}, device.context->trusted, system_clock());
    remote = remotes->make().value();
    link = std::make_unique<Link>(*device.context, *remote, *device.runner, *remotes);
  }

  [[nodiscard]] wire::Release release_of(std::string const& version, wire::Manifest manifest = {}) const {
    return {"reader", version, 2, {{{"cam-a"}, {{"model.onnx", content.size(), crypto::sha256(content), false}}}}, std::move(manifest)};
  }
  [[nodiscard]] wire::Directive directive(wire::DirectiveTarget target) const {
    wire::Directive out;
    out.device = "cam-1";
    out.sequence = 10;
    out.issued_at = FakeFleet::now();
    out.expires = out.act_before = FakeFleet::now() + 90 * kDay;
    target.rollout = "bundle-1";
    out.targets = {std::move(target)};
    return out;
  }
  /// What a server has, and an order.
  void write(wire::Directive const& told, std::string const& object = {}, std::string const& device_id = "cam-1") {
    auto writer = bundle::BundleWriter::create(device.fs, "/stick/bundle");
    REQUIRE(writer.has_value());
    REQUIRE(writer->put("bundle.json", "{}").has_value());
    REQUIRE(writer->put(bundle::directive_name(device_id), fleet.envelope(told, fleet.directive_key)).has_value());
    constexpr std::string_view kServed = "/device/v1/";
    for (auto const& [path, body] : server.put_there()) REQUIRE(writer->put(path.substr(kServed.size()), body).has_value());
    REQUIRE(writer->put(bundle::blob_name(crypto::sha256(content)), object.empty() ? content : object).has_value());
    REQUIRE(writer->finish().has_value());
  }
  Installing install() {
    REQUIRE(link->offer(*device.fs.open("/stick/bundle", Fs::Mode::read)).has_value());
    link->take_offered();
    device.settle(4);
    return link->installing();
  }
  [[nodiscard]] std::string refused_as() {
    auto const installing = install();
    return installing.error ? installing.error->code : "";
  }
};

TEST_CASE("a bundle is installed with no server in reach, and its file is let go once what it brings is here") {
  Bench bench;
  bench.write(bench.directive(bench.fleet.publish(bench.release_of("2"))));
  auto const installing = bench.install();
  CHECK(installing.state == Installing::State::accepted);
  REQUIRE(installing.targets.size() == 1);
  CHECK(bench.device.state().state == State::committed);
  CHECK(bench.device.state().running.version == "2");
  CHECK(bench.device.state().rollout == "bundle-1");
  CHECK_FALSE(bench.device.runner->bundles().get().has_value());
  CHECK(bench.device.runner->told().sequence == 10);
  CHECK(load_told(bench.device.fs, bench.device.layout.directive())->sequence == 10);
}

TEST_CASE("timestamp and snapshot are judged when the bundle was made, everything else now") {
  Bench bench;
  bench.write(bench.directive(bench.fleet.publish(bench.release_of("2"))));
  SUBCASE("a month later") {
    bench.device.clock.advance(30 * kDay);
    CHECK(bench.refused_as().empty());
    CHECK(bench.device.state().running.version == "2");
  }
  SUBCASE("after its expiry") {
    bench.device.clock.advance(90 * kDay);
    CHECK(bench.refused_as() == "directive_expired");
  }
  SUBCASE("after the root's") {
    bench.device.clock.advance(400 * kDay);
    CHECK(bench.refused_as() == "metadata_expired");
  }
}

TEST_CASE("orders that are foreign, old, of a poll, or signed by others change nothing") {
  Bench bench;
  auto const good = bench.directive(bench.fleet.publish(bench.release_of("2")));
  auto told = good;
  std::string wanted, file_of = "cam-1";
  SUBCASE("it names another device") { wanted = "foreign_bundle", file_of = "cam-2"; }
  SUBCASE("another device's order stands under its name") { wanted = "foreign_directive", told.device = "cam-2"; }
  SUBCASE("it answers a poll") { wanted = "replayed", told.nonce = to_base64(Bytes(16, 7)); }
  SUBCASE("the server told more since") {
    wanted = "replayed";
    REQUIRE(bench.device.direct({}));
    bench.device.sequence = 10;
    REQUIRE(bench.device.direct({}));
  }
  SUBCASE("it brings nothing") { wanted = "bad_bundle", told.targets.clear(); }
  SUBCASE("signed by another key") {
    wanted = "threshold_unmet";
    bench.fleet.directive_key = crypto::SigningKey::generate(bench.fleet.random);
  }
  bench.write(told, {}, file_of);
  auto const before = bench.device.runner->told().sequence;
  CHECK(bench.refused_as() == wanted);
  CHECK(bench.device.runner->told().sequence == before);
  CHECK(bench.device.state().running.none());
}

TEST_CASE("a bundle whose chains disagree, or that misses a match rule, fails as over the network would") {
  Bench bench;
  auto release = bench.release_of("2");
  SUBCASE("hardware") { release.variants[0].hardware = {"cam-z"}; }
  SUBCASE("memory") { release.manifest.match.memory_min_bytes = std::uint64_t{1} << 45; }
  bench.write(bench.directive(bench.fleet.publish(release)));
  CHECK(bench.install().state == Installing::State::accepted);
  CHECK(bench.device.state().state == State::failed);
  CHECK(bench.device.state().error.code == "ineligible");
}

TEST_CASE("an object of other bytes is no file of the release; the right bundle afterwards brings it") {
  Bench bench;
  auto const told = bench.directive(bench.fleet.publish(bench.release_of("2")));
  bench.write(told, "Model of 2");
  CHECK(bench.install().state == Installing::State::accepted);
  CHECK(bench.device.state().state == State::downloading);
  bench.write(told);
  CHECK(bench.install().state == Installing::State::accepted);
  CHECK(bench.device.state().state == State::committed);
}

TEST_CASE("the same bundle again is accepted and changes nothing, also after a restart") {
  Bench bench;
  bench.write(bench.directive(bench.fleet.publish(bench.release_of("2"))));
  bench.install();
  REQUIRE(bench.device.state().state == State::committed);
  auto const since = bench.device.state().since;
  bench.device.clock.advance(kDay);
  REQUIRE(bench.device.boot());
  bench.connect();
  CHECK(bench.install().state == Installing::State::accepted);
  CHECK(bench.device.state().since == since);
  CHECK_FALSE(bench.device.runner->bundles().get().has_value());
}

TEST_CASE("an old bundle does not set the clock back, a new one does what a directive does") {
  Bench bench;
  auto told = bench.directive(bench.fleet.publish(bench.release_of("2")));
  told.issued_at += 5 * kDay;
  bench.fleet.sign(told.issued_at);
  bench.write(told);
  bench.install();
  CHECK(bench.device.context->trusted.now() >= told.issued_at);
  bench.device.clock.advance(3 * kDay);
  auto const now = bench.device.context->trusted.now();
  bench.install();  // the same again
  CHECK(bench.device.context->trusted.now() >= now);
}

TEST_CASE("a receipt is what the device would report, signed by its key, in as many lines as it takes") {
  Bench bench;
  bench.write(bench.directive(bench.fleet.publish(bench.release_of("2"))));
  bench.install();
  auto& context = *bench.device.context;
  auto const line = make_receipt(context, 10, {});
  REQUIRE(line.has_value());
  CHECK_FALSE(line->more);
  auto const read = wire::decode_signed_receipt(line->text);
  REQUIRE(read.has_value());
  CHECK(read->device == "cam-1");
  auto const key = crypto::public_key_from_pem(read->key);
  REQUIRE(key.has_value());
  auto const payload = trust::open_envelope_by(as_bytes(read->envelope), wire::kReceiptPayloadType, *key, wire::kReceiptBytesMax);
  REQUIRE(payload.has_value());
  auto const receipt = wire::decode_receipt(as_text(*payload));
  REQUIRE(receipt.has_value());
  CHECK(receipt->directive_sequence == 10);
  auto const& items = receipt->report.items[wire::Tier::critical];
  REQUIRE_FALSE(items.empty());
  CHECK(items.back().update->state == "committed");
  CHECK(line->after[wire::Tier::critical] == items.back().sequence);
  // It goes on waiting to be sent; once the server acknowledged it there is nothing more to carry.
  CHECK(context.spool->has_items());
  wire::ReportAnswer answer;
  answer.acked[wire::Tier::critical] = items.back().sequence;
  REQUIRE(context.spool->settle(answer).has_value());
  auto const later = make_receipt(context, 10, {});
  REQUIRE(later.has_value());
  auto const after = wire::decode_receipt(as_text(*trust::open_envelope_by(as_bytes(wire::decode_signed_receipt(later->text)->envelope), wire::kReceiptPayloadType, *key, wire::kReceiptBytesMax)));
  REQUIRE(after.has_value());
  CHECK(after->report.items[wire::Tier::critical].empty());
}

}  // namespace
}  // namespace fleet::agent
