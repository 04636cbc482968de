#include "cli/publish/draft.hpp"

#include "cli/args/refs.hpp"
#include "cli/client/config_file.hpp"
#include "core/base/names.hpp"
#include "core/inspect/expected.hpp"
#include "core/trust/evidence.hpp"
#include "core/wire/json.hpp"
#include "core/wire/links.hpp"
#include "core/wire/release.hpp"
#include "core/wire/yaml.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <array>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::size_t kManifestBytesMax = 1024 * 1024;

/// Where text is wanted: the words of commands, names of files, rules with versions.
constexpr auto kManifestTexts = std::to_array<std::string_view>({"/golden/command/*", "/golden/inputs", "/golden/expect", "/shadow/command/*", "/health/*/exec/*",
                                                                 "/activate/exec/*", "/activate/timeout", "/handler", "/installer/*", "/match/runtime"});

/// The manifest as JSON, judged here already: a wrong one is told before anything is uploaded.
Result<json::value> read_manifest(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kManifestBytesMax));
  auto const document = wire::read_yaml(text, kManifestBytesMax, kManifestTexts);
  if (!document) return wire::in_file(document.error(), path);
  if (auto const manifest = wire::decode_manifest(document->json); !manifest) return document->located(manifest.error(), path);
  return wire::parse_json(document->json, kManifestBytesMax);
}

/// A variant as it lies on this machine.
struct LocalVariant {
  std::vector<std::string> hardware;
  LocalTree tree;
  std::string name = {};
};

Result<std::vector<LocalVariant>> read_variants(Session& session, Arguments const& arguments) {
  std::vector<LocalVariant> out;
  std::map<std::string, std::string> seen;
  for (auto const& text : arguments.texts("variant")) {
    FLEET_TRY(auto const variant, parse_variant(text));
    for (auto const& name : variant.hardware)
      if (auto const [at, fresh] = seen.emplace(name + "/" + variant.name, variant.path); !fresh)
        return Error{Kind::bad_input, "bad_argument", fmt::format("hardware {} has two variants: {} and {}", name, at->second, variant.path),
                     "a second one needs a name, and the manifest a word on when it runs: --variant HARDWARE/NAME=PATH"};
    FLEET_TRY(auto tree, read_tree(session.around().fs, absolute_path(session.around().folder, variant.path)));
    out.push_back({variant.hardware, std::move(tree), variant.name});
  }
  return out;
}

json::array variants_json(std::vector<LocalVariant> const& variants) {
  json::array out;
  for (auto const& variant : variants) {
    json::array files;
    for (auto const& file : variant.tree.files) {
      json::object entry{{"name", file.name}, {"size", file.size}, {"sha256", file.sha256.hex()}};
      if (file.executable) entry["executable"] = true;
      files.push_back(std::move(entry));
    }
    json::object entry{{"hardware", json::array(variant.hardware.begin(), variant.hardware.end())}, {"files", std::move(files)}};
    if (!variant.name.empty()) entry["name"] = variant.name;
    if (!variant.tree.folders.empty()) entry["folders"] = json::array(variant.tree.folders.begin(), variant.tree.folders.end());
    json::array links;
    for (auto const& link : variant.tree.links) links.push_back({{"name", link.name}, {"target", link.target}});
    if (!links.empty()) entry["links"] = std::move(links);
    out.push_back(std::move(entry));
  }
  return out;
}

/// What stands in the files. A fault is told with the file as it lies here.
Result<void> inspect_variants(Fs& fs, std::vector<LocalVariant> const& variants, wire::Release const& wanted) {
  inspect::Inspector inspector(fs);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    std::vector<inspect::VariantFile> files;
    for (auto const& file : variants[i].tree.files) files.push_back({file.name, file.path, file.size});
    wire::Links links(wanted.variants[i]);
    auto const real_name = [&](std::string const& name) { return links.find(name).value_or(name); };
    FLEET_CHECK(inspector.check(files, real_name));
    FLEET_CHECK(inspect::check_expected(fs, files, wanted.manifest, real_name));
  }
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

}  // namespace

Result<wire::Release> check_folder(Session& session, std::string const& folder, std::string const& manifest) {
  auto& fs = session.around().fs;
  json::object body{{"version", "0"}};
  FLEET_TRY(body["manifest"], read_manifest(fs, manifest));
  std::vector<LocalVariant> variants{{{"here"}, {}}};
  FLEET_TRY(variants.front().tree, read_tree(fs, folder));
  body["variants"] = variants_json(variants);
  FLEET_TRY(auto wanted, wire::decode_wanted_release("here", json::serialize(body)));
  FLEET_CHECK(inspect_variants(fs, variants, wanted));
  return wanted;
}

Result<Draft> make_draft(Session& session, Arguments const& arguments) {
  auto& fs = session.around().fs;
  auto const model = arguments.text("model");
  FLEET_CHECK(check_model_name(model));
  FLEET_CHECK(check_version_name(arguments.text("version")));
  Draft draft;
  draft.body["version"] = arguments.text("version");
  if (!session.reason().empty()) draft.body["reason"] = session.reason();
  FLEET_CHECK(add_origin(draft, arguments));
  if (arguments.has("manifest")) {
    FLEET_TRY(draft.body["manifest"], read_manifest(fs, arguments.text("manifest")));
  }
  FLEET_CHECK(add_attestations(draft, fs, arguments));
  FLEET_TRY(auto variants, read_variants(session, arguments));
  draft.body["variants"] = variants_json(variants);
  FLEET_TRY(auto const wanted, wire::decode_wanted_release(model, json::serialize(draft.body)));
  FLEET_CHECK(inspect_variants(fs, variants, wanted));
  for (auto& variant : variants) {
    FLEET_CHECK(hash_files(fs, variant.tree.files));
    for (auto const& file : variant.tree.files) draft.blobs.emplace(file.sha256, file);
    draft.files += variant.tree.files.size();
    draft.links += variant.tree.links.size();
    draft.followed += variant.tree.followed;
  }
  draft.body["variants"] = variants_json(variants);
  draft.document_bytes = wire::encode(wanted).size();  // digests are of one length
  return draft;
}

}  // namespace fleet::cli
