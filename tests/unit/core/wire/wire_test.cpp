#include "core/wire/device.hpp"
#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace fleet;
using namespace fleet::wire;

namespace {

std::string const kDigest(64, 'a');

Release sample() {
  Release release{
      "reader", "2.0.0", 2, {{{"cam-a", "cam-b"}, {{"model.onnx", 10, *Digest::parse(kDigest), false}, {"bin/run", 5, *Digest::parse(kDigest), true}}}}, {}};
  release.manifest.golden = Golden{{"bin/run", "--golden"}, Millis{30'000}, "in.csv", "out.csv", 1e-4};
  release.manifest.health.push_back({{}, {}, HealthCheck::StatsD{"accuracy", 0.9, std::nullopt, "mean", Millis{60'000}, 50}, Millis{2'000}, Millis{10'000}});
  release.manifest.probation = Probation{Millis{5'000}, 20, Millis{60'000}};
  release.manifest.match.memory_min_bytes = 64 << 20;
  release.manifest.schema = {{"accuracy", {"1", MetricSchema::Range{0, 1}}}, {"latency_ms", {"ms", std::nullopt}}, {"level", {"", std::nullopt, std::chrono::minutes{10}, std::chrono::minutes{1}, true}}};
  return release;
}

}  // namespace

TEST_CASE("release.json reads back as it was written") {
  auto const text = encode(sample());
  auto const release = decode_release(text);
  REQUIRE(release.has_value());
  CHECK(encode(*release) == text);
  CHECK(release->manifest.schema == sample().manifest.schema);
  CHECK(find_variant(*release, "cam-b") != nullptr);
  CHECK(find_variant(*release, "cam-c") == nullptr);
}

TEST_CASE("a newer server's extra members of release.json are kept out, not refused") {
  auto text = encode(sample());
  text.insert(1, R"("future":{"x":1},)");
  CHECK(decode_release(text).has_value());
}

TEST_CASE("CVE-2026-6968, CVE-2025-67903: release.json with dangerous or impossible files, or a file without a digest, is refused with the place") {
  struct Row {
    std::string_view from, to, pointer;
  };
  for (auto const& [from, to, pointer] : std::to_array<Row>({
           {"\"model.onnx\"", "\"../model.onnx\"", "/variants/0/files/0/name"},
           {"\"model.onnx\"", "\"/etc/passwd\"", "/variants/0/files/0/name"},
           {"\"model.onnx\"", "\"bin/run\"", "/variants/0/files"},
           {"\"model.onnx\"", "\"bin\"", "/variants/0/files"},
           {"\"size\":10", "\"size\":-1", "/variants/0/files/0/size"},
           {"\"sha256\":", "\"sha255\":", "/variants/0/files/0/sha256"},
           {"\"cam-b\"", "\"cam-a\"", "/variants/0/hardware"},
           {"\"2.0.0\"", "\"latest\"", "/version"},
           {"\"release_counter\":2", "\"release_counter\":0", "/release_counter"},
       })) {
    auto text = encode(sample());
    text.replace(text.find(from), from.size(), to);
    auto const release = decode_release(text);
    CAPTURE(text);
    REQUIRE_FALSE(release.has_value());
    REQUIRE(release.error().errors.size() >= 1);
    CHECK(release.error().errors.front().pointer == pointer);
  }
}

TEST_CASE("a manifest's schema tells what metrics are, and is refused at its place") {
  auto const manifest = decode_manifest(R"({"schema":{"accuracy":{"unit":"1","range":[0,1]},"temperature":{"range":[-40.5,85]},"seen":{}}})");
  REQUIRE(manifest.has_value());
  CHECK(manifest->schema.at("accuracy") == MetricSchema{"1", MetricSchema::Range{0, 1}});
  CHECK(manifest->schema.at("temperature").range == MetricSchema::Range{-40.5, 85});
  CHECK(manifest->schema.at("seen") == MetricSchema{});
  struct Case {
    std::string schema, pointer;
  };
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":{}";
  for (auto const& [schema, pointer] : std::to_array<Case>({
           {R"([])", "/schema"},
           {"{" + many + "}", "/schema"},
           {R"({"":{}})", "/schema/"},
           {R"({"agent.temperature":{}})", "/schema/agent.temperature"},
           {"{\"" + std::string(129, 'a') + "\":{}}", "/schema/" + std::string(128, 'a')},
           {R"({"a":{"unit":7}})", "/schema/a/unit"},
           {R"({"a":{"unit":"012345678901234567890123456789012"}})", "/schema/a/unit"},
           {R"({"a":{"range":[0]}})", "/schema/a/range"},
           {R"({"a":{"range":[0,1,2]}})", "/schema/a/range"},
           {R"({"a":{"range":[1,1]}})", "/schema/a/range"},
           {R"({"a":{"range":[1,0]}})", "/schema/a/range"},
           {R"({"a":{"range":["0",1]}})", "/schema/a/range"},
           {R"({"a":{"rnge":[0,1]}})", "/schema/a/rnge"},
           {R"({"a":{"varies":"10ms"}})", "/schema/a/varies"},
           {R"({"a":{"every":"9000d"}})", "/schema/a/every"},
           {R"({"a":{"local":1}})", "/schema/a/local"},
       })) {
    CAPTURE(schema.substr(0, 60));
    auto const refused = decode_manifest("{\"schema\":" + schema + "}");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().errors.at(0).pointer == pointer);
  }
}

TEST_CASE("a manifest names what it does not know and what was meant") {
  auto const manifest =
      decode_manifest(R"({"golden":{"comand":["x"],"expect":"a"},"health":[{"http":"http://10.0.0.1/x"},{"exec":["a"],"http":"http://127.0.0.1:1/"}]})");
  REQUIRE_FALSE(manifest.has_value());
  auto const& errors = manifest.error().errors;
  auto const has = [&](std::string_view pointer, std::string_view part) {
    for (auto const& e : errors)
      if (e.pointer == pointer && e.detail.find(part) != std::string::npos) return true;
    return false;
  };
  CHECK(has("/golden/comand", "did you mean 'command'"));
  CHECK(has("/golden/command", "required"));
  CHECK(has("/health/0/http", "loopback"));
  CHECK(has("/health/1", "exactly one"));
}

TEST_CASE("budgets, tolerances and shadow of a manifest are taken as people write them, and read back") {
  auto const manifest = decode_manifest(R"({"golden":{"command":["a"],"expect":"e","tolerances":{"score":0.01,"2":0.5,"none":null},"latency_max":"0.5ms","memory_max":"64MiB","again":"7d"},
                                            "shadow":{"command":["a","--shadow"],"n":200,"disagree_max":"2%"}})");
  REQUIRE(manifest.has_value());
  auto const& golden = *manifest->golden;
  CHECK(golden.tolerances == std::map<std::string, double>{{"2", 0.5}, {"score", 0.01}});
  CHECK(golden.latency_max_ms == doctest::Approx(0.5));
  CHECK(golden.memory_max_bytes == std::uint64_t{64} << 20U);
  CHECK(golden.again == std::chrono::days{7});
  CHECK(manifest->shadow->n == 200);
  CHECK(manifest->shadow->disagree_max == doctest::Approx(0.02));
  auto release = sample();
  auto const before = encode(release);
  CHECK(before.find("tolerances") == std::string::npos);  // a release that says no more than before keeps its digest
  CHECK(before.find("memory_max") == std::string::npos);
  release.manifest = *manifest;
  auto const again = decode_release(encode(release));
  REQUIRE(again.has_value());
  CHECK(encode(*again) == encode(release));
  CHECK(again->manifest.golden->latency_max_ms == golden.latency_max_ms);
  CHECK(again->manifest.shadow->command == std::vector<std::string>{"a", "--shadow"});
}

TEST_CASE("a budget, tolerance or shadow that says nothing is refused where it is written") {
  struct Case {
    std::string manifest, pointer, words;
  };
  auto const golden = [](std::string const& more) { return R"({"golden":{"command":["a"],"expect":"e",)" + more + "}}"; };
  auto const shadow = [](std::string const& more) { return R"({"shadow":{"command":["a"])" + more + "}}"; };
  for (auto const& [manifest, pointer, words] : std::to_array<Case>({
           {golden(R"("latency_max":"fast")"), "/golden/latency_max", "'fast' is no latency"},
           {golden(R"("latency_max":"0ms")"), "/golden/latency_max", "is no latency"},
           {golden(R"("latency_max":"2h")"), "/golden/latency_max", "up to an hour"},
           {golden(R"("latency_max":50)"), "/golden/latency_max", "expected a text"},
           {golden(R"("memory_max":"64 MB")"), "/golden/memory_max", "is not a size"},
           {golden(R"("again":"59m")"), "/golden/again", "at least 1h, got 59m"},
           {golden(R"("again":"367d")"), "/golden/again", "at most 366d"},
           {golden(R"("tolerances":{"a":-1})"), "/golden/tolerances/a", "negative"},
           {golden(R"("tolerances":{"a":"1%"})"), "/golden/tolerances/a", "number"},
           {golden(R"("tolerances":{"":1})"), "/golden/tolerances", "1 to 128 bytes"},
           {golden(R"("tolerances":[1])"), "/golden/tolerances", "object"},
           {shadow(R"(,"n":0)"), "/shadow/n", "1"},
           {shadow(""), "/shadow/n", "required"},
           {shadow(R"(,"n":1,"disagree_max":"101%")"), "/shadow/disagree_max", "0% to 100%"},
           {shadow(R"(,"n":1,"disagree_max":2)"), "/shadow/disagree_max", "0% to 100%"},
           {shadow(R"(,"n":1,"disagree_max":"2")"), "/shadow/disagree_max", "0% to 100%"},
           {shadow(R"(,"n":1,"timeout":"2h")"), "/shadow/timeout", "at most 1h"},
           {R"({"shadow":{"n":1}})", "/shadow/command", "required"},
       })) {
    CAPTURE(manifest);
    auto const refused = decode_manifest(manifest);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().errors[0].pointer == pointer);
    CHECK(refused.error().errors[0].detail.find(words) != std::string::npos);
  }
}

TEST_CASE("a time that a device would spend on a release for ever is refused where it is written") {
  struct Case {
    std::string manifest, pointer, words;
  };
  for (auto const& [manifest, pointer, words] : std::to_array<Case>({
           {R"({"golden":{"command":["a"],"expect":"e","timeout":"61m"}})", "/golden/timeout", "at most 1h, got 1h1m"},
           {R"({"golden":{"command":["a"],"expect":"e","timeout":"0"}})", "/golden/timeout", "longer than 0"},
           {R"({"health":[{"exec":["a"],"timeout":"2h"}]})", "/health/0/timeout", "at most 1h"},
           {R"({"health":[{"exec":["a"],"every":"31d"}]})", "/health/0/every", "at most 30d"},
           {R"({"health":[{"statsd":{"metric":"a","min":1,"window":"31d"}}]})", "/health/0/statsd/window", "at most 30d"},
           {R"({"probation":{"time":"31d"}})", "/probation/time", "at most 30d"},
           {R"({"probation":{"time":"1h","max":"90d"}})", "/probation/max", "at most 30d"},
       })) {
    CAPTURE(manifest);
    auto const refused = decode_manifest(manifest);
    REQUIRE_FALSE(refused.has_value());
    REQUIRE(refused.error().errors.size() == 1);
    CHECK(refused.error().errors[0].pointer == pointer);
    CHECK(refused.error().errors[0].detail.find(words) != std::string::npos);
  }
  auto const longest = decode_manifest(R"({"golden":{"command":["a"],"expect":"e","timeout":"1h"},"probation":{"time":"20d"}})");
  REQUIRE(longest.has_value());
  CHECK(longest->probation->max == kProbationMax);
}

TEST_CASE("a release whose floor is above its own counter is refused: it would be its model's last on each device") {
  auto release = sample();
  release.release_counter = 7;
  release.manifest.security_floor = 7;
  CHECK(decode_release(encode(release)).has_value());
  release.manifest.security_floor = 8;
  auto const refused = decode_release(encode(release));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().errors.at(0).pointer == "/manifest/security_floor");
  // A publication has no counter yet: the server judges it when it gives one.
  release.manifest = {};
  release.manifest.security_floor = 8;
  auto const wanted = decode_wanted_release(release.model, encode(release));
  REQUIRE(wanted.has_value());
  CHECK(wanted->manifest.security_floor == 8);
}

TEST_CASE("a poll reads back, and every wrong member is named") {
  PollRequest poll;
  poll.nonce = to_base64(Bytes(16, 7));
  poll.wait_s = 50;
  poll.clock = *parse_rfc3339("2026-11-20T09:30:05Z");
  poll.models["reader"] = {kDigest, "1.0.0", "committed", "ro1", 1, ""};
  auto const back = decode_poll_request(encode(poll));
  REQUIRE(back.has_value());
  CHECK(back->models == poll.models);
  CHECK(encode(*back) == encode(poll));
  auto const wrong = decode_poll_request(R"({"nonce":"AAAA","wait_s":56,"models":{"m":{"digest":"zz"}},"future":1})");
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().errors.size() == 3);
}

TEST_CASE("duplicate keys, depth, trailing text and size are refused") {
  std::string const deep = "{\"nonce\":" + std::string(40, '[') + std::string(40, ']') + "}";
  for (std::string const& text : {std::string(R"({"nonce":"a","nonce":"b"})"), deep, std::string(R"({"nonce":"a"} x)"), std::string("{"), std::string(),
                                  std::string(kPollBytesMax + 1, ' ')}) {
    CAPTURE(text.substr(0, 60));
    CHECK_FALSE(decode_poll_request(text).has_value());
  }
}

TEST_CASE("a directive reads back; without targets it is refused, not taken for nothing") {
  Directive directive;
  directive.device = "cam-1";
  directive.sequence = 4;
  directive.nonce = to_base64(Bytes(16, 1));
  directive.issued_at = directive.expires = directive.act_before = *parse_rfc3339("2026-11-20T09:30:05Z");
  directive.targets.push_back({"reader",
                               "models/reader/2.0.0/release.json",
                               100,
                               {{"sha256", kDigest}},
                               "ro1",
                               1,
                               Action::install,
                               {30, "avoid", 20 << 20, 3},
                               {{"Europe/Berlin", {"mon"}, "01:00", "05:00", "switch"}},
                               {kDigest}});
  auto const text = encode(directive);
  auto const back = decode_directive(text);
  REQUIRE(back.has_value());
  CHECK(back->targets == directive.targets);
  CHECK(*decode_targets(encode_targets(directive.targets)) == directive.targets);
  // What is not set is not sent: such targets stay, byte for byte, what they were.
  for (auto const* const key : {"charging", "temperature_max", "load_max", "memory_free_min", "disk_free_min"}) CHECK(text.find(key) == std::string::npos);
  auto cold = directive;
  auto& rule = cold.targets.front().conditions;
  rule.charging = true;
  rule.temperature_max = -12.5;
  rule.load_max = 0.8;
  rule.memory_free_min = 64 << 20;
  rule.disk_free_min = 200 << 20;
  CHECK(encode_targets(cold.targets).find(R"("charging":true,"temperature_max":-1.25E1,"load_max":8E-1,"memory_free_min":67108864,"disk_free_min":209715200)") !=
        std::string::npos);
  CHECK(decode_directive(encode(cold))->targets == cold.targets);
  rule.load_max = 1e6;
  CHECK(decode_directive(encode(cold)).error().errors.at(0).pointer == "/targets/0/conditions/load_max");
  auto cut = text;
  cut.replace(cut.find("\"targets\""), 9, "\"tragets\"");
  CHECK_FALSE(decode_directive(cut).has_value());
  auto strange = text;
  strange.replace(strange.find("\"install\""), 9, "\"explode\"");
  CHECK(decode_directive(strange)->targets.front().action == Action::unknown);
  for (auto const& [action, name] : std::to_array<std::pair<Action, std::string>>(
           {{Action::install, "install"}, {Action::revert, "revert"}, {Action::remove, "remove"}, {Action::prove, "prove"}, {Action::none, "none"}})) {
    CAPTURE(name);
    directive.targets.front().action = action;
    auto const told = encode(directive);
    CHECK(told.find("\"action\":\"" + name + "\"") != std::string::npos);
    CHECK(decode_directive(told)->targets == directive.targets);
  }
}

TEST_CASE("a directive's model is a name, once, and its digest is one: each is a folder on the device") {
  auto const with = [](std::string const& targets) {
    return R"({"format":1,"device":"cam-1","sequence":1,"nonce":"","issued_at":"2026-11-20T10:00:00Z","expires":"2026-11-27T10:00:00Z","act_before":"2026-11-27T10:00:00Z","targets":[)" +
           targets + "]}";
  };
  auto const target = [](std::string const& model, std::string const& sha256) {
    return R"({"model":")" + model + R"(","path":"models/reader/1/release.json","hashes":{"sha256":")" + sha256 + R"("},"action":"revert"})";
  };
  std::string const digest(64, 'a');
  auto const good = decode_directive(with(target("reader", digest)));
  REQUIRE_MESSAGE(good.has_value(), (good ? "" : good.error().detail));
  for (auto const* const model : {"./reader", "../reader", "reader/", "", "a b", "*"}) {
    CAPTURE(model);
    CHECK_FALSE(decode_directive(with(target(model, digest))).has_value());
  }
  CHECK_FALSE(decode_directive(with(target("reader", digest + digest))).has_value());
  CHECK_FALSE(decode_directive(with(target("reader", "../../x"))).has_value());
  CHECK_FALSE(decode_directive(with(target("reader", digest) + "," + target("reader", digest))).has_value());
}

TEST_CASE("what a device counts is bounded: no sum of all devices can be spoilt by one") {
  auto const with = [](std::string const& metric) {
    return R"({"tiers":{"bulk":{"items":[{"sequence":1,"type":"metrics","since":"2026-11-20T10:00:00Z","until":"2026-11-20T10:01:00Z","model":"m","metrics":[{"name":"x","kind":"h",)" +
           metric + "}]}]}}}";
  };
  auto const good = decode_report(with(R"("count":5,"buckets":{"1":"5"})"));
  REQUIRE_MESSAGE(good.has_value(), (good ? "" : good.error().detail));
  for (auto const* const metric : {R"("count":9223372036854775807)", R"("count":1000000001)", R"("count":5,"buckets":{"1":"9223372036854775807"})",
                                   R"("count":5,"buckets":{"-2147483648":"1"})", R"("count":5,"buckets":{"40001":"1"})", R"("flagged":{"stuck":1000000001})", R"("flagged":{"missing":-1})", R"("flagged":{"stuck":0.5})",
                                   R"("flagged":7)"}) {
    CAPTURE(metric);
    CHECK_FALSE(decode_report(with(metric)).has_value());
  }
}

TEST_CASE("a report reads back by tiers, and in each the sequences must rise") {
  Report report;
  report.boot_id = "boot";
  ReportItem item;
  item.sequence = 7;
  item.update = UpdateItem{SysTime{}, "reader", "2.0.0", kDigest, "ro1", 1, "failed", "1.0.0", kDigest, {"golden_mismatch", "row 3", "out"}};
  report.items[Tier::critical] = {item};
  ReportItem facts;
  facts.sequence = 1;
  facts.facts = FactsItem{SysTime{}, {{"os", "debian"}}};
  ReportItem note;
  note.sequence = 2;
  note.note = NoteItem{SysTime{}, "metric_types_differ", "t"};
  report.items[Tier::diagnostic] = {facts, note};
  ReportItem metrics;
  metrics.sequence = 1;
  metrics.metrics = MetricsItem{SysTime{}, SysTime{}, "reader", kDigest, {{"accuracy", "d", 2, 1.5, 0.5, 1.0, {{-3, 1}, {0, 1}}}, {"level", "g", 0, 0, 0, 0, {}, {{7, 0, 1, 0}}}}};
  report.clock = from_unix_ms(1'700'000'000'123);
  report.items[Tier::bulk] = {metrics};
  auto const text = encode(report);
  auto const back = decode_report(text);
  REQUIRE_MESSAGE(back.has_value(), (back ? "" : back.error().detail));
  CHECK(encode(*back) == text);
  CHECK(back->size() == 4);
  CHECK(back->items[Tier::bulk][0].metrics->metrics[0].buckets.at(-3) == 1);
  CHECK(back->items[Tier::bulk][0].metrics->metrics[0].flagged == Flagged{});
  CHECK(back->items[Tier::bulk][0].metrics->metrics[1].flagged == Flagged{{7, 0, 1, 0}});
  CHECK(back->items[Tier::bulk][0].metrics->metrics[1].flagged.most() == Flag::stuck);
  CHECK(back->clock == report.clock);
  CHECK(back->items[Tier::diagnostic][1].note->code == "metric_types_differ");
  report.items[Tier::diagnostic][1].sequence = 1;
  CHECK_FALSE(decode_report(encode(report)).has_value());
  // Nothing to say is a word, too; what a newer peer says is kept out.
  CHECK(decode_report(R"({"boot_id":"b","tiers":{}})")->size() == 0);
  auto const unknown = decode_report(R"({"tiers":{"critical":{"items":[{"sequence":1,"type":"hologram"}]},"holographic":{"items":[{"no":"item"}]}}})");
  REQUIRE(unknown.has_value());
  CHECK(unknown->size() == 1);
  CHECK_FALSE(unknown->items[Tier::critical][0].update.has_value());
  for (auto const* const wrong : {R"({})", R"({"tiers":[]})", R"({"tiers":{"bulk":[]}})", R"({"tiers":{"bulk":{"items":[{"type":"facts"}]}}})",
                                  R"({"tiers":{"bulk":{"items":[{"sequence":0,"type":"facts"}]}}})"}) {
    CAPTURE(wrong);
    CHECK_FALSE(decode_report(wrong).has_value());
  }
}

TEST_CASE("a report of the days before tiers is refused with a hint") {
  auto const old = decode_report(R"({"sequence":1,"boot_id":"b","items":[{"sequence":1,"type":"facts","reported":{}}]})");
  REQUIRE_FALSE(old.has_value());
  CHECK(old.error().code == "single_sequence");
  CHECK(old.error().hint.find("tiers") != std::string::npos);
}

TEST_CASE("values that samples cannot have are refused by name: no device's sum becomes the mean of a fleet") {
  auto const with = [](std::string const& metric) {
    return R"({"tiers":{"bulk":{"items":[{"sequence":1,"type":"metrics","metrics":[{"name":"m","kind":"h",)" + metric + R"(}]}]}}})";
  };
  for (auto const* const good : {R"("count":1,"sum":0.9,"min":0.9,"max":0.9)", R"("count":3,"sum":3.5,"min":1,"max":1)", R"("count":2,"sum":-8,"min":-5,"max":-3)",
                                 R"("count":2,"sum":5)", R"("count":0,"sum":0)"}) {
    CAPTURE(good);
    CHECK(decode_report(with(good)).has_value());
  }
  for (auto const* const bad : {R"("count":1,"sum":1.7e308,"min":0.9,"max":0.9)", R"("count":1,"sum":1.7e308)", R"("count":1,"sum":1e999,"min":0.9,"max":0.9)",
                                R"("count":1,"sum":0.9,"min":0.9,"max":1.7e308)", R"("count":1,"sum":0.9,"min":-1e16,"max":0.9)",
                                R"("count":10,"sum":20,"min":0,"max":1)", R"("count":1,"sum":1,"min":2,"max":1)"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_report(with(bad)).has_value());
  }
}

TEST_CASE("an acknowledgement reads back, and what is received is at least what is acknowledged") {
  ReportAnswer answer;
  answer.acked = {{3, 0, 7}};
  answer.received = {{3, 2, 9}};
  answer.resend_after_s = 5;
  auto const back = decode_report_answer(encode(answer));
  REQUIRE(back.has_value());
  CHECK(*back == answer);
  CHECK(decode_report_answer(R"({"acked":{"critical":5}})")->received[Tier::critical] == 5);
  for (auto const* const wrong : {R"({"acked":5})", R"({})", R"({"acked":{"bulk":-1}})", R"({"acked":{},"resend_after_s":-1})"}) {
    CAPTURE(wrong);
    CHECK_FALSE(decode_report_answer(wrong).has_value());
  }
}

TEST_CASE("sizes") {
  CHECK(*parse_size("64MiB") == 64ULL << 20);
  CHECK(*parse_size("1GB") == 1'000'000'000);
  CHECK(*parse_size("12") == 12);
  for (std::string_view const text : {"", "MiB", "1 MiB", "-1", "1XB", "99999999999TiB"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text).has_value());
  }
}

TEST_CASE("U+0000 is in no text and no name: one database keeps it, and the other refuses it") {
  for (auto const* const json : {R"({"a":"b\u0000c"})", R"({"a\u0000":1})", R"({"a":[{"b":["\u0000"]}]})"}) {
    CAPTURE(json);
    auto const parsed = wire::parse_json(json, 1'000);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().code == "nul_in_text");
  }
  CHECK(wire::parse_json(R"({"a":"\\u0000"})", 1'000).has_value());
}
