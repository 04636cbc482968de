#include "cli/publish/file_tree.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/args/refs.hpp"
#include "cli/signing/sign_release.hpp"
#include "cli/publish/upload.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "core/base/names.hpp"
#include "core/trust/evidence.hpp"
#include "core/wire/json.hpp"
#include "core/wire/release.hpp"
#include "core/wire/yaml.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <map>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::size_t kManifestBytesMax = 1024 * 1024;
/// Where text is wanted: the words of commands, names of files, rules with versions.
constexpr auto kManifestTexts = std::to_array<std::string_view>({"/golden/command/*", "/golden/inputs", "/golden/expect", "/shadow/command/*", "/health/*/exec/*",
                                                                 "/activate/exec/*", "/match/runtime"});

/// What is published: the body of the POST, and the files behind it by digest.
struct Draft {
  json::object body;
  std::map<Digest, LocalFile> blobs;
};

/// The manifest as JSON, judged here already: a wrong one is told before anything is uploaded.
Result<json::value> read_manifest(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kManifestBytesMax));
  auto const document = wire::read_yaml(text, kManifestBytesMax, kManifestTexts);
  if (!document) return wire::in_file(document.error(), path);
  if (auto const manifest = wire::decode_manifest(document->json); !manifest) return document->located(manifest.error(), path);
  return wire::parse_json(document->json, kManifestBytesMax);
}

Result<void> add_variants(Draft& draft, Session& session, Arguments const& arguments) {
  json::array variants;
  std::map<std::string, std::string> seen;
  for (auto const& text : arguments.texts("variant")) {
    FLEET_TRY(auto const variant, parse_variant(text));
    json::array hardware;
    for (auto const& name : variant.hardware) {
      if (auto const [at, fresh] = seen.emplace(name, variant.path); !fresh)
        return Error{Kind::bad_input, "bad_argument", fmt::format("hardware {} has two variants: {} and {}", name, at->second, variant.path)};
      hardware.emplace_back(name);
    }
    FLEET_TRY(auto const local, read_tree(session.around().fs, variant.path));
    json::array files;
    for (auto const& file : local) {
      files.push_back({{"name", file.name}, {"size", file.size}, {"sha256", file.sha256.hex()}, {"executable", file.executable}});
      draft.blobs.emplace(file.sha256, file);
    }
    variants.push_back({{"hardware", std::move(hardware)}, {"files", std::move(files)}});
  }
  draft.body["variants"] = std::move(variants);
  return {};
}

Result<void> add_origin(Draft& draft, Arguments const& arguments) {
  json::array parents, datasets;
  for (auto const& text : arguments.texts("parent")) {
    FLEET_TRY(auto const parent, parse_parent(text));
    parents.push_back({{"model", parent.release.model}, {"version", parent.release.version}, {"relation", parent.relation}});
  }
  for (auto const& text : arguments.texts("dataset")) {
    FLEET_TRY(auto const dataset, parse_dataset(text));
    datasets.push_back({{"name", dataset.name}, {"sha256", dataset.sha256}});
  }
  json::object metrics;
  for (auto const& text : arguments.texts("metric")) {
    FLEET_TRY(auto const metric, parse_metric(text));
    metrics[metric.first] = metric.second;
  }
  if (!parents.empty()) draft.body["parents"] = std::move(parents);
  if (!datasets.empty()) draft.body["datasets"] = std::move(datasets);
  if (!metrics.empty()) draft.body["metrics"] = std::move(metrics);
  if (arguments.has("commit")) draft.body["commit"] = arguments.text("commit");
  return {};
}

/// The bytes of each envelope as they are: what was signed.
Result<void> add_attestations(Draft& draft, Fs& fs, Arguments const& arguments) {
  json::array out;
  for (auto const& path : arguments.texts("attestation")) {
    FLEET_TRY(auto const envelope, fs.read(path, trust::kStatementBytesMax));
    out.emplace_back(to_base64(as_bytes(envelope)));
  }
  if (!out.empty()) draft.body["attestations"] = std::move(out);
  return {};
}

Result<Draft> make_draft(Session& session, Arguments const& arguments) {
  FLEET_CHECK(check_model_name(arguments.text("model")));
  FLEET_CHECK(check_version_name(arguments.text("version")));
  Draft draft;
  draft.body["version"] = arguments.text("version");
  if (!session.reason().empty()) draft.body["reason"] = session.reason();
  FLEET_CHECK(add_origin(draft, arguments));
  if (arguments.has("manifest")) {
    FLEET_TRY(draft.body["manifest"], read_manifest(session.around().fs, arguments.text("manifest")));
  }
  FLEET_CHECK(add_variants(draft, session, arguments));
  FLEET_CHECK(add_attestations(draft, session.around().fs, arguments));
  return draft;
}

/// A model that is not there is most often a slip of the pen: it is never made by publishing.
Result<void> check_model(Api& api, std::string const& model) {
  auto const known = api.get(Route("/models/{}", {model}));
  if (known) return {};
  auto error = known.error();
  if (error.kind == Kind::not_found) error.hint = "is the name right? A new model is made with: fleetctl model create " + model;
  return error;
}

/// A draft waits for people's approval, or for keys that are not on the server.
Result<void> tell_what_it_waits_for(Session& session, Api& api, std::string const& model, std::string const& version) {
  FLEET_TRY(auto const trust, api.get(Route("/trust")));
  bool here = false;
  if (auto const* const roles = render::member(trust, "roles").if_array())
    for (auto const& role : *roles) here = here || (render::text_at(role, "role") == "m-" + model && render::text_at(role, "held") == "here");
  if (here) session.say(fmt::format("it waits for approval: fleetctl release approve {}@{} --reason TEXT", model, version));
  else
    session.say(fmt::format("it waits for the owners' signatures: fleetctl trust offline prepare m-{} --release {} --out FILE, or --key and --root here", model,
                            version));
  return {};
}

Result<int> publish(Session& session, Arguments const& arguments) {
  auto const model = arguments.text("model");
  auto const name = model + "@" + arguments.text("version");
  std::vector<trust::Signer> keys;
  if (arguments.has("key")) {
    FLEET_TRY(keys, load_signers(session, arguments));
  }
  FLEET_TRY(auto const draft, make_draft(session, arguments));
  FLEET_TRY(auto* const api, session.api());
  FLEET_CHECK(check_model(*api, model));
  Uploader uploader(session, *api);
  for (auto const& [digest, file] : draft.blobs) FLEET_CHECK(uploader.upload(file));
  if (uploader.skipped() > 0) session.say(fmt::format("{} of {} files are at the server already", uploader.skipped(), draft.blobs.size()));
  FLEET_TRY(auto const answer, api->post(Route("/models/{}/releases", {model}), draft.body, arguments.text("idempotency-key")));
  FLEET_TRY(auto const release, answer.json());
  auto const state = render::text_at(release, "state");
  session.say(answer.status == 200 ? fmt::format("{} is published already, with the same content", name)
                                   : fmt::format("published {} ({}, {} sent)", name, state, render::size_text(uploader.sent_bytes())));
  if (state == "draft" && arguments.has("key")) {
    FLEET_TRY(auto const wanted, wire::decode_wanted_release(model, json::serialize(draft.body)));
    FLEET_TRY(int const signed_by, sign_release(session, arguments, keys, {model, arguments.text("version")}, &wanted, [] { return 0; }));
    FLEET_TRY(auto const after, api->get(Route("/models/{}/releases/{}", {model, arguments.text("version")})));
    FLEET_CHECK(show_object(session, after, release_shape()));
    return signed_by;
  }
  if (state == "draft") FLEET_CHECK(tell_what_it_waits_for(session, *api, model, arguments.text("version")));
  return show_object(session, release, release_shape());
}

}  // namespace

std::vector<Command> const& publish_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      with_signing({"release publish",
                    "upload files and make a release of them",
                    "release publish --model reader --version 2.0.0 --variant cam-a=./a --variant cam-b+cam-c=./model.onnx --manifest release.yaml \\\n"
                    "    --parent reader@1.0.0=finetune --metric accuracy=0.97 --commit $(git rev-parse HEAD)",
                    publish,
                    {{value, "--model", "M", "the model, made before with `model create`", true},
                     {value, "--version", "V", "a new version; releases never change", true},
                     {values, "--variant", "H[+H...]=PATH", "hardware and its file or folder, again for each", true},
                     {value, "--manifest", "FILE", "golden test, health checks, probation (YAML or JSON)"},
                     {values, "--parent", "M@V=RELATION", "finetune, quantized, adapter, merge, distilled or converted from M@V"},
                     {values, "--dataset", "NAME=sha256:HEX", "data it was trained on"},
                     {values, "--metric", "NAME=NUMBER", "a measure from training"},
                     {values, "--attestation", "FILE", "evidence: an in-toto statement in a DSSE envelope (docs/ci.md)"},
                     {value, "--commit", "SHA", "commit of the training code"}},
                    false,
                    true})};
  return rows;
}

}  // namespace fleet::cli
