#include "cli/commands/published.hpp"
#include "cli/publish/draft.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/signing/sign_release.hpp"
#include "cli/publish/upload.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

/// What publishing would do, for `--dry-run`: nothing is changed.
Result<int> show_outcome(Session& session, Api& api, std::string const& model, Draft const& draft) {
  auto const version = render::text_at(draft.body, "version");
  auto const there = api.get(Route("/models/{}/releases/{}", {model, version}));
  if (!there && there.error().kind != Kind::not_found) return there.error();
  std::uint64_t bytes = 0;
  for (auto const& [digest, file] : draft.blobs) bytes += file.size;
  json::object out{{"model", model}, {"exists", there.has_value()}, {"files", draft.files}, {"size", bytes}, {"release_json", draft.document_bytes}};
  for (auto const& member : draft.body) out.emplace(member.key(), member.value());
  if (!session.for_people()) {
    show_json(session, out);
    return 0;
  }
  session.data(fmt::format("{}@{}{}: {} variants, {} files, {} ({} of {} bytes of release.json). Nothing was sent.\n", model, version,
                           there ? " exists already; the same content would be taken as done, other content refused" : " would be published",
                           draft.body.at("variants").as_array().size(), draft.files, render::size_text(bytes), draft.document_bytes, wire::kReleaseBytesMax));
  return 0;
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
  if (draft.links > 0) session.say(fmt::format("{} links are kept: they lead to what is published with them", draft.links));
  if (draft.followed > 0)
    session.say(fmt::format("{} links were followed: they lead out of their folder, and what they lead to is published under their names", draft.followed));
  if (arguments.flag("dry-run")) return show_outcome(session, *api, model, draft);
  Uploader uploader(session, *api);
  std::vector<LocalFile> files;
  for (auto const& [digest, file] : draft.blobs) files.push_back(file);
  FLEET_CHECK(uploader.upload_all(files));
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
                     {values, "--variant", "H[+H...][/NAME]=PATH", "hardware and its file or folder, again for each; with a name: what runs by a condition (manifest: variants)", true},
                     {value, "--manifest", "FILE", "golden test, health checks, probation (YAML or JSON)"},
                     {values, "--parent", "M@V=RELATION", "finetune, quantized, adapter, merge, distilled or converted from M@V"},
                     {values, "--dataset", "NAME=sha256:HEX", "data it was trained on"},
                     {values, "--metric", "NAME=NUMBER", "a measure from training"},
                     {values, "--attestation", "FILE", "evidence: an in-toto statement in a DSSE envelope (docs/ci.md)"},
                     {value, "--commit", "SHA", "commit of the training code"},
                     {flag, "--dry-run", "", "check everything and say what would be published; nothing is sent"}},
                    false,
                    true})};
  return rows;
}

}  // namespace fleet::cli
