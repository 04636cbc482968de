#include "core/trust/evidence.hpp"

#include "core/crypto/hash.hpp"
#include "core/trust/audit_chain.hpp"
#include "core/trust/dsse.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

namespace fleet::trust {
namespace {

using crypto::SigningKey;
constexpr auto const* kType = "application/vnd.in-toto+json";

struct Bench {
  SeededRandom random{3};
  SigningKey ci = SigningKey::generate(random), lab = SigningKey::generate(random), stranger = SigningKey::generate(random);
  std::string file = crypto::sha256("model").hex(), other = crypto::sha256("other").hex();
  ReleaseFiles release{"reader@2", {{{{"model.bin", file}, {"lib/run", other}}, {"cam-a"}, {"lib/run"}}, {{{"model.bin", file}}, {"cam-b"}, {}}}};
  EvidencePolicy policy{{{"ci", ci.public_key()}, {"lab", lab.public_key()}}, {}};

  [[nodiscard]] Result<Statement> open(std::string const& payload, std::vector<SigningKey> const& by) const {
    return open_statement(as_bytes(make_envelope(kType, as_bytes(payload), by)), policy, release);
  }
  [[nodiscard]] std::string statement(std::string_view type, std::string_view predicate) const {
    return fmt::format(
        R"({{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"model.bin","digest":{{"sha256":"{}"}}}}],"predicateType":"{}","predicate":{}}})", file,
        type, predicate);
  }
  [[nodiscard]] std::string test(std::string_view result, double accuracy) const {
    return statement("https://in-toto.io/attestation/test-result/v0.1",
                     fmt::format(R"({{"result":"{}","configuration":[{{"name":"dataset:digits","digest":{{"sha256":"{}"}}}}],"metrics":{{"accuracy":{}}}}})",
                                 result, other, accuracy));
  }
};

std::string code_of(Result<Statement> const& opened) { return opened ? opened->kind : opened.error().code; }

TEST_CASE("what none of the model's keys signed is never parsed") {
  Bench bench;
  CHECK(code_of(bench.open("{", {bench.stranger})) == "unknown_signer");
  CHECK(code_of(bench.open("{", {bench.ci})) == "bad_statement");
  CHECK(code_of(bench.open(bench.test("PASSED", 1), {})) == "unknown_signer");
  auto const signed_by = bench.open(bench.test("PASSED", 1), {bench.stranger, bench.lab, bench.ci});
  REQUIRE(signed_by.has_value());
  CHECK(signed_by->signers == std::vector<std::string>{"ci", "lab"});
  auto envelope = make_envelope(kType, as_bytes(bench.test("PASSED", 1)), std::vector{bench.ci});
  envelope.replace(envelope.find("\"keyid\":\"") + 9, 4, "zzzz");  // a hint, no more
  CHECK(open_statement(as_bytes(envelope), bench.policy, bench.release).has_value());
  CHECK(code_of(open_statement(as_bytes(make_envelope("application/x", as_bytes("{}"), std::vector{bench.ci})), bench.policy, bench.release)) ==
        "bad_envelope");
  CHECK(code_of(open_statement(as_bytes(std::string(kStatementBytesMax + 1, ' ')), bench.policy, bench.release)) == "too_large");
}

TEST_CASE("an envelope in a Sigstore bundle is judged as it is without") {
  Bench bench;
  auto const in_bundle = [](std::string_view type, std::string_view content) { return fmt::format(R"({{"mediaType":"{}",{}}})", type, content); };
  auto const judged = [&](std::string const& file) { return code_of(open_statement(as_bytes(file), bench.policy, bench.release)); };
  std::string const v3 = "application/vnd.dev.sigstore.bundle.v0.3+json", v1 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
  auto const envelope = make_envelope(kType, as_bytes(bench.test("PASSED", 1)), std::vector{bench.ci});
  auto const foreign = make_envelope(kType, as_bytes(bench.test("PASSED", 1)), std::vector{bench.stranger});
  for (auto const& type : {v3, v1}) {
    CHECK(judged(in_bundle(type, R"("verificationMaterial":{"publicKey":{"hint":"x"},"tlogEntries":[]},"dsseEnvelope":)" + envelope)) == "test-result");
    CHECK(judged(in_bundle(type, R"("dsseEnvelope":)" + foreign)) == "unknown_signer");
    CHECK(judged(in_bundle(type, R"("messageSignature":{})")) == "bad_envelope");
    CHECK(judged(in_bundle(type, R"("dsseEnvelope":[])")) == "bad_envelope");
  }
  CHECK(judged(in_bundle("application/x", R"("dsseEnvelope":)" + envelope)) == "bad_envelope");
}

TEST_CASE("an envelope may be written in the alphabet for URLs, with padding or without") {
  Bench bench;
  auto const envelope = make_envelope(kType, as_bytes(bench.test("PASSED", 1)), std::vector{bench.ci});
  auto const rewritten = [&](auto const& change) {
    auto out = envelope;
    for (std::string const member : {"\"payload\":\"", "\"sig\":\""}) {
      auto const from = out.find(member) + member.size(), to = out.find('"', from);
      auto text = out.substr(from, to - from);
      change(text);
      out.replace(from, to - from, text);
    }
    return code_of(open_statement(as_bytes(out), bench.policy, bench.release));
  };
  auto const to_url = [](std::string& text) {
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
  };
  CHECK(rewritten(to_url) == "test-result");
  CHECK(rewritten([&](std::string& text) {
          to_url(text);
          while (text.ends_with('=')) text.pop_back();
        }) == "test-result");
  CHECK(rewritten([](std::string& text) { text += "-"; }) == "bad_envelope");
}

TEST_CASE("a manifest may list links to files by what they lead to, or leave them out, and demands ask for none of them") {
  Bench bench;
  auto& variant = bench.release.variants[0];
  auto const resource = [](std::string_view name, std::string_view sha256) { return fmt::format(R"({{"name":"{}","algorithm":"sha256","digest":"{}"}})", name, sha256); };
  auto const listed = [&](std::string const& more) {
    std::string all;
    for (auto const& [name, sha256] : variant.files) all += (all.empty() ? "" : ",") + resource(name, sha256);
    return code_of(bench.open(bench.statement("https://model_signing/signature/v1.0", R"({"resources":[)" + all + more + "]}"), {bench.ci}));
  };
  CHECK(listed("") == "file-manifest");
  CHECK(listed("," + resource("latest", bench.file)) == "statement_mismatch");
  variant.links = {{"latest", bench.file}};
  CHECK(listed("") == "file-manifest");
  CHECK(listed("," + resource("latest", bench.file)) == "file-manifest");
  CHECK(listed("," + resource("latest", bench.other)) == "statement_mismatch");
}

TEST_CASE("a manifest of a single file may call it `.`") {
  Bench bench;
  auto const type = "https://model_signing/signature/v1.0";
  auto const of = [&](std::string_view digest, std::string_view more) {
    return bench.open(bench.statement(type, fmt::format(R"({{"resources":[{{"name":".","algorithm":"sha256","digest":"{}"}}{}]}})", digest, more)), {bench.ci});
  };
  auto const one = of(bench.file, "");
  REQUIRE(code_of(one) == "file-manifest");
  CHECK(code_of(of(bench.other, "")) == "statement_mismatch");  // a file, but none that a variant is made of alone
  CHECK(code_of(of(bench.file, fmt::format(R"(,{{"name":"lib/run","algorithm":"sha256","digest":"{}"}})", bench.other))) == "statement_mismatch");
  bench.policy.demands = {{"file-manifest", {}, 1, {}, {}, {}, {}, {}}};
  CHECK(unmet_demands(bench.policy, {*one}, bench.release).size() == 1);  // it says nothing of the variant of two files
  CHECK(unmet_demands(bench.policy, {*one}, ReleaseFiles{"reader@2", {bench.release.variants[1]}}).empty());
}

TEST_CASE("two names of one key are one signer") {
  Bench bench;
  bench.policy.signers.emplace("ci-again", bench.ci.public_key());
  bench.policy.demands = {{"test-result", {}, 2, {}, {}, {}, {}, {"model.bin"}}};
  auto const one = bench.open(bench.test("PASSED", 1), {bench.ci});
  REQUIRE(one.has_value());
  CHECK(unmet_demands(bench.policy, {*one}, bench.release).size() == 1);
  auto const two = bench.open(bench.test("PASSED", 1), {bench.ci, bench.lab});
  REQUIRE(two.has_value());
  CHECK(unmet_demands(bench.policy, {*two}, bench.release).empty());
}

TEST_CASE("statements that say the wrong thing are refused by name") {
  Bench bench;
  std::string const provenance = "https://slsa.dev/provenance/v1", test = "https://in-toto.io/attestation/test-result/v0.1",
                    manifest = "https://model_signing/signature/v1.0", bom = "https://cyclonedx.org/bom";
  auto const resource = [&](std::string_view name, std::string_view digest, std::string_view algorithm = "sha256") {
    return fmt::format(R"({{"name":"{}","algorithm":"{}","digest":"{}"}})", name, algorithm, digest);
  };
  auto const resources = [](std::string const& list) { return fmt::format(R"({{"resources":[{}]}})", list); };
  auto const built = [](std::string const& dependencies) {
    return R"({"buildDefinition":{"buildType":"t","resolvedDependencies":)" + dependencies + R"(},"runDetails":{"builder":{"id":"b"}}})";
  };
  struct Case {
    std::string type, predicate, outcome;
  };
  auto const whole = resource("model.bin", bench.file) + "," + resource("lib/run", bench.other);
  std::vector<Case> const cases{
      {"https://example.com/other", "{}", "bad_statement"},
      {provenance, "[]", "bad_statement"},
      {provenance, "{}", "bad_statement"},
      {provenance, built("{}"), "bad_statement"},
      {provenance, built("[1]"), "bad_statement"},
      {provenance, built(R"([{"name":"model:m@1"}])"), "bad_statement"},
      {provenance, built(R"([{"name":"dataset:d","digest":{"sha256":"ABC"}}])"), "bad_statement"},
      {provenance, built(R"([{"name":"git","digest":{"gitCommit":"a"}}])"), "provenance"},
      {test, R"({"result":"FINE"})", "bad_statement"},
      {test, R"({"result":"PASSED","metrics":{"accuracy":"high"}})", "bad_statement"},
      {test, R"({"result":"PASSED"})", "test-result"},
      {manifest, resources(whole), "file-manifest"},
      {manifest, resources(resource("model.bin", bench.file)), "file-manifest"},  // the other variant
      {manifest, resources(resource("lib/run", bench.other)), "statement_mismatch"},
      {manifest, resources(whole + "," + resource("more", bench.other)), "statement_mismatch"},
      {manifest, resources(resource("model.bin", bench.other)), "statement_mismatch"},
      {manifest, resources(whole + "," + resource("lib/run", bench.other)), "bad_statement"},
      {manifest, resources(resource("../model.bin", bench.file)), "bad_statement"},
      {manifest, resources(resource("/model.bin", bench.file)), "bad_statement"},
      {manifest, resources(resource("a/./b", bench.file)), "bad_statement"},
      {manifest, resources(resource("model.bin", bench.file, "md5")), "bad_statement"},
      {manifest, resources(resource("model.bin", "")), "bad_statement"},
      {bom, R"({"bomFormat":"SPDX","components":[{"type":"machine-learning-model"}]})", "bad_statement"},
      {bom, R"({"bomFormat":"CycloneDX","components":[{"type":"library"}]})", "bad_statement"},
      {bom, R"({"bomFormat":"CycloneDX","metadata":{"component":{"type":"machine-learning-model"}}})", "bom"},
  };
  for (auto const& one : cases) {
    CAPTURE(one.type);
    CAPTURE(one.predicate);
    CHECK(code_of(bench.open(bench.statement(one.type, one.predicate), {bench.ci})) == one.outcome);
  }
  auto foreign = bench.test("PASSED", 1);
  foreign.replace(foreign.find(bench.file), 64, std::string(64, 'a'));
  CHECK(code_of(bench.open(foreign, {bench.ci})) == "statement_mismatch");
  auto nobody = bench.test("PASSED", 1);
  nobody.replace(nobody.find("\"subject\":["), 11, "\"subject\":[],\"x\":[");
  CHECK(code_of(bench.open(nobody, {bench.ci})) == "bad_statement");
  auto old = bench.test("PASSED", 1);
  old.replace(old.find("Statement/v1"), 12, "Statement/v0");
  CHECK(code_of(bench.open(old, {bench.ci})) == "bad_statement");
  CHECK(code_of(bench.open(std::string(100, '['), {bench.ci})) == "bad_statement");
}

TEST_CASE("a demand: kind, signer, threshold, data set, measure") {
  Bench bench;
  struct Case {
    Demand demand;
    std::string result;
    double accuracy;
    bool by_lab, met;
  };
  std::vector<Case> const cases{
      {{"test-result", {}, 1, {}, {}, {}, {}, {}}, "PASSED", .5, false, true},
      {{"test-result", {}, 1, {}, {}, {}, {}, {}}, "FAILED", .5, false, false},
      {{"test-result", {"lab"}, 1, {}, {}, {}, {}, {}}, "PASSED", .5, false, false},
      {{"test-result", {"lab"}, 1, {}, {}, {}, {}, {}}, "PASSED", .5, true, true},
      {{"test-result", {}, 2, {}, {}, {}, {}, {}}, "PASSED", .5, false, false},
      {{"test-result", {}, 1, "digits", "accuracy", .95, {}, {}}, "PASSED", .95, false, true},
      {{"test-result", {}, 1, "digits", "accuracy", .95, {}, {}}, "PASSED", .949, false, false},
      {{"test-result", {}, 1, bench.other, "accuracy", {}, .95, {}}, "PASSED", .951, false, false},
      {{"test-result", {}, 1, "faces", "accuracy", .9, {}, {}}, "PASSED", .95, false, false},
      {{"test-result", {}, 1, {}, "loss", {}, 1, {}}, "PASSED", .95, false, false},
      {{"provenance", {}, 1, {}, {}, {}, {}, {}}, "PASSED", 1, false, false},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    bench.policy.demands = {cases[i].demand};
    bench.policy.demands[0].subjects = {"model.bin"};
    auto const statement = bench.open(bench.test(cases[i].result, cases[i].accuracy), {cases[i].by_lab ? bench.lab : bench.ci});
    REQUIRE(statement.has_value());
    auto const unmet = unmet_demands(bench.policy, {*statement}, bench.release);
    CHECK(unmet.empty() == cases[i].met);
    if (!unmet.empty()) CHECK(unmet[0].pointer == "/demands/0");
  }
  CHECK(unmet_demands(bench.policy, {}, bench.release)[0].detail == "expected provenance about model.bin by 1 of the model's signers; got none");
}

TEST_CASE("what is attested of one variant, or of one file, says nothing of another") {
  Bench bench;
  auto const met = [&](Demand const& demand, std::vector<std::string> const& statements, std::vector<VariantFiles> const& variants) {
    ReleaseFiles release{"reader@2", {}};
    for (auto const& files : variants) release.variants.push_back({files});
    bench.policy.demands = {demand};
    std::vector<Statement> opened;
    for (auto const& text : statements) {
      auto one = open_statement(as_bytes(make_envelope(kType, as_bytes(text), std::vector{bench.ci})), bench.policy, release);
      if (!one) return false;
      opened.push_back(*std::move(one));
    }
    return unmet_demands(bench.policy, opened, release).empty();
  };
  Demand const all{"test-result", {}, 1, {}, {}, {}, {}, {}}, model{"test-result", {}, 1, {}, {}, {}, {}, {"*.bin"}},
      files{"file-manifest", {}, 1, {}, {}, {}, {}, {}};
  std::string const evil = crypto::sha256("evil").hex();
  VariantFiles const good{{"model.bin", bench.file}}, bad{{"model.bin", evil}};
  CHECK(met(all, {bench.test("PASSED", 1)}, {good}));
  CHECK_FALSE(met(all, {bench.test("PASSED", 1)}, {bad, good}));                                         // a variant for hardware that is not there
  CHECK_FALSE(met(all, {bench.test("PASSED", 1)}, {{{"model.bin", evil}, {"x/old.bin", bench.file}}}));  // the tested file beside the other
  CHECK_FALSE(met(model, {bench.test("PASSED", 1)}, {{{"model.bin", evil}, {"x/old.bin", bench.file}}}));
  CHECK(met(model, {bench.test("PASSED", 1)}, {{{"model.bin", bench.file}, {"run", evil}}}));               // the demand is about models
  CHECK_FALSE(met(model, {bench.test("PASSED", 1)}, {good, {{"model.onnx", evil}, {"x/m", bench.file}}}));  // and there must be one
  auto const both = [&](std::string text) { return text.replace(text.find(bench.file), 64, evil); };
  CHECK_FALSE(met(all, {bench.test("PASSED", 1), both(bench.test("PASSED", 1))}, {{{"model.bin", bench.file}, {"labels", evil}}}));  // each tested with another
  auto const manifest = [&](std::string const& sha256) {
    return bench.statement("https://model_signing/signature/v1.0",
                           fmt::format(R"({{"resources":[{{"name":"model.bin","algorithm":"sha256","digest":"{}"}}]}})", sha256));
  };
  CHECK(met(files, {manifest(bench.file)}, {good}));
  CHECK_FALSE(met(files, {manifest(bench.file)}, {good, bad}));
  CHECK(met(files, {manifest(bench.file), manifest(evil)}, {good, bad}));
}

TEST_CASE("a statement is bound to what it names: file names, the release, the hardware, executable bits; and must name what the demand says") {
  Bench bench;
  ReleaseFiles const release{"reader@2", {{{{"model.bin", bench.file}, {"lib/run", bench.other}}, {"cam-a"}, {"lib/run"}}}};
  struct Subject {
    std::string name, sha256, notes;
  };
  auto const judged = [&](std::vector<Subject> const& subjects, std::set<std::string> const& binds) -> std::string {
    std::string list;
    for (auto const& one : subjects)
      list += fmt::format(R"({}{{"name":"{}","digest":{{"sha256":"{}"}}{}}})", list.empty() ? "" : ",", one.name, one.sha256,
                          one.notes.empty() ? "" : R"(,"annotations":)" + one.notes);
    auto const text = fmt::format(R"({{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicateType":"https://in-toto.io/attestation/test-result/v0.1",)"
                                  R"("predicate":{{"result":"PASSED"}}}})", list);
    bench.policy.demands = {{"test-result", {}, 1, {}, {}, {}, {}, {}, binds}};
    auto const opened = open_statement(as_bytes(make_envelope(kType, as_bytes(text), std::vector{bench.ci})), bench.policy, release);
    if (!opened) return opened.error().code;
    return unmet_demands(bench.policy, {*opened}, release).empty() ? "met" : "unmet";
  };
  struct Case {
    std::string model_notes, run_notes;
    std::set<std::string> binds;
    std::string outcome;
  };
  std::string const all = R"({"release":"reader@2","hardware":["cam-b","cam-a"],"executable":false})",
                    run = R"({"release":"reader@2","hardware":["cam-a"],"executable":true})";
  for (auto const& c : std::vector<Case>{{"", "", {}, "met"},
                                         {"", "", {"release"}, "unmet"},
                                         {"", "", {"hardware"}, "unmet"},
                                         {"", "", {"executable"}, "unmet"},
                                         {all, run, {"release", "hardware", "executable"}, "met"},
                                         {all, "", {"release"}, "unmet"},
                                         {R"({"release":"reader@1"})", "", {}, "statement_mismatch"},
                                         {R"({"hardware":["cam-b"]})", "", {}, "unmet"},
                                         {R"({"hardware":"cam-a"})", "", {}, "bad_statement"},
                                         {R"({"executable":true})", "", {}, "unmet"},
                                         {R"({"executable":1})", "", {}, "bad_statement"},
                                         {"", R"({"executable":false})", {}, "unmet"}}) {
    CAPTURE(c.model_notes);
    CAPTURE(c.run_notes);
    CHECK(judged({{"model.bin", bench.file, c.model_notes}, {"lib/run", bench.other, c.run_notes}}, c.binds) == c.outcome);
  }
  CHECK(judged({{"model.bin", bench.other, ""}, {"lib/run", bench.file, ""}}, {}) == "statement_mismatch");  // the files changed places
}

TEST_CASE("a policy is read with every wrong place, and written as it is read") {
  Bench bench;
  auto const good =
      fmt::format(R"({{"signers":{{"ci":{}}},"demands":[{{"kind":"test-result","signers":["ci"],"dataset":"sha256:{}","metric":"accuracy","min":0.5}}]}})",
                  encode(bench.ci.public_key()), bench.other);
  auto const policy = decode_evidence_policy(good);
  REQUIRE(policy.has_value());
  CHECK(policy->demands[0].dataset == bench.other);
  CHECK(encode(*decode_evidence_policy(encode(*policy))) == encode(*policy));
  auto const wrong = decode_evidence_policy(R"({"signers":{"a":{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}},"b":"no PEM"},
    "demands":[{"kind":"rumour"},{"kind":"bom","signers":["nobody"]},{"kind":"bom","metric":"x","min":1},{"kind":"provenance","metric":"x"},{"kind":"bom","dataset":"d"},
    {"kind":"bom","more":1},1,{"kind":"bom","subjects":[]},{"kind":"file-manifest","subjects":["*"]}]})");
  REQUIRE_FALSE(wrong.has_value());
  std::string places;
  for (auto const& one : wrong.error().errors) places += one.pointer + " ";
  for (auto const* const place : {"/signers/a ", "/signers/b ", "/demands/0/kind ", "/demands/1/signers ", "/demands/2/metric ", "/demands/3/metric ",
                                  "/demands/4/dataset ", "/demands/5/more ", "/demands/6 ", "/demands/7/subjects ", "/demands/8/subjects "}) {
    CAPTURE(place);
    CHECK(places.find(place) != std::string::npos);
  }
  for (auto const* const none : {"", "[]", "{", R"({"signers":[]})", R"({"demands":{}})"}) CHECK_FALSE(decode_evidence_policy(none).has_value());
}

}  // namespace
}  // namespace fleet::trust
