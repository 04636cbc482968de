#include "cli/args/refs.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/client/config_file.hpp"
#include "cli/publish/file_tree.hpp"
#include "cli/render/json.hpp"
#include "cli/signing/evidence_flags.hpp"
#include "cli/signing/trusted.hpp"
#include "core/trust/evidence.hpp"
#include "core/wire/links.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <map>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Error not_listed(ReleaseRef const& ref) { return {Kind::signature, "not_signed", fmt::format("no trusted role lists {}@{}", ref.model, ref.version)}; }

/// Rows of what was checked, as a person reads them.
class Checks {
public:
  void note(std::string_view check, Result<std::string> const& outcome) {
    rows_.push_back({{"check", check}, {"state", outcome ? "ok" : "failed"}, {"detail", outcome ? *outcome : outcome.error().detail}});
    if (!outcome && !first_) first_ = outcome.error();
  }
  void left_out(std::string_view check, std::string_view why) { rows_.push_back({{"check", check}, {"state", "left out"}, {"detail", why}}); }
  [[nodiscard]] json::array const& rows() const { return rows_; }
  [[nodiscard]] int exit() const { return first_ ? exit_code(Kind::signature) : 0; }

private:
  json::array rows_;
  std::optional<Error> first_;
};

Shape const& check_shape() {
  static Shape const shape{"check", "check", {{"CHECK", "check"}, {"STATE", "state", Form::state}, {"DETAIL", "detail"}}};
  return shape;
}

trust::ReleaseFiles files_of(wire::Release const& release) {
  trust::ReleaseFiles out{release.model + "@" + release.version, {}};
  for (auto const& variant : release.variants) {
    trust::ReleaseFiles::Variant one{{}, variant.hardware, {}};
    for (auto const& file : variant.files) {
      one.files.emplace(file.name, file.sha256.hex());
      if (file.executable) one.executable.insert(file.name);
    }
    one.links = wire::linked_digests(variant);
    out.variants.push_back(std::move(one));
  }
  return out;
}

/// Local files against a variant's. @param text  HARDWARE=PATH
Result<std::string> compare_files(Session& session, wire::Release const& release, std::string const& text) {
  FLEET_TRY(auto const wanted, parse_variant(text));
  auto const variant = std::find_if(release.variants.begin(), release.variants.end(), [&](wire::Variant const& one) {
    return one.name == wanted.name && std::find(one.hardware.begin(), one.hardware.end(), wanted.hardware.front()) != one.hardware.end();
  });
  if (variant == release.variants.end())
    return Error{Kind::bad_input, "bad_argument", fmt::format("the release has no variant for {}{}{}", wanted.hardware.front(), wanted.name.empty() ? "" : "/", wanted.name)};
  FLEET_TRY(auto local, read_tree(session.around().fs, absolute_path(session.around().folder, wanted.path)));
  FLEET_CHECK(hash_files(session.around().fs, local.files));
  std::map<std::string, std::string> here, there;
  for (auto const& file : local.files) here.emplace(file.name, "digest " + file.sha256.hex());
  for (auto const& link : local.links) here.emplace(link.name, "a link to " + link.target);
  for (auto const& file : variant->files) there.emplace(file.name, "digest " + file.sha256.hex());
  for (auto const& link : variant->links) there.emplace(link.name, "a link to " + link.target);
  if (here == there)
    return variant->links.empty() ? fmt::format("{} files, each with its digest", here.size())
                                  : fmt::format("{} files, each with its digest, and {} links", variant->files.size(), variant->links.size());
  for (auto const& [name, digest] : there) {
    auto const found = here.find(name);
    if (found == here.end()) return Error{Kind::signature, "digest_mismatch", fmt::format("{} has no {}", wanted.path, name)};
    if (found->second != digest) return Error{Kind::signature, "digest_mismatch", fmt::format("{}: {}, expected {}", name, found->second, digest)};
  }
  return Error{Kind::signature, "digest_mismatch", fmt::format("{} has files that the release does not have", wanted.path)};
}

/// What a statement says, for whoever approves: `test-result by lab: PASSED, accuracy 0.97, on digits`.
std::string words_of(trust::Statement const& statement) {
  std::vector<std::string> said;
  for (auto const& text : {statement.builder, statement.result})
    if (!text.empty()) said.push_back(text);
  for (auto const& [name, value] : statement.metrics) said.push_back(fmt::format("{} {}", name, value));
  for (auto const& parent : statement.parents) said.push_back(fmt::format("{} of {}", parent.relation, parent.name));
  for (auto const& dataset : statement.datasets) said.push_back("on " + dataset.name);
  return fmt::format("{} by {}{}{}", statement.kind, fmt::join(statement.signers, ", "), said.empty() ? "" : ": ", fmt::join(said, ", "));
}

/// Whose word counts, and what must have been said: the command line's, or, where it names nobody, what the server says of the model.
struct Judged {
  trust::EvidencePolicy policy;
  bool own = false;
};
Result<Judged> load_policy(Session& session, Arguments const& arguments, Api& api, ReleaseRef const& ref) {
  Judged out;
  out.own = arguments.has("signer") || arguments.has("demands");
  if (out.own) {
    json::object body;
    FLEET_CHECK(set_evidence(session.around().fs, arguments, {}, body));
    FLEET_TRY(out.policy, trust::decode_evidence_policy(render::json_text(body, 0)));
    return out;
  }
  FLEET_TRY(auto const model, api.send(net::Method::get, Route("/models/{}", {ref.model}).target()));
  FLEET_TRY(out.policy, trust::decode_evidence_policy(model.body));
  return out;
}

/// Who is named and nothing is demanded of: something each must have signed.
void check_signers(Checks& checks, trust::EvidencePolicy const& policy, std::vector<trust::Statement> const& statements) {
  for (auto const& [name, key] : policy.signers) {
    auto const signed_it = [&](trust::Statement const& one) { return std::find(one.signers.begin(), one.signers.end(), name) != one.signers.end(); };
    auto const count = std::count_if(statements.begin(), statements.end(), signed_it);
    checks.note("signer " + name, count > 0 ? Result<std::string>(fmt::format("signed {} statements", count))
                                            : Error{Kind::signature, "evidence_missing", "signed no statement of this release"});
  }
}

/// A release that was taken back is none to ship, whatever is signed. @param state  as the server says
void check_state(Checks& checks, std::string const& state) {
  checks.note("state", state == "revoked" ? Result<std::string>(Error{Kind::signature, "release_revoked", "is revoked"}) : Result<std::string>(state));
}

/// Every statement again, over the bytes that were received, and what is demanded.
Result<void> check_evidence(Checks& checks, Judged const& judged, Api& api, ReleaseRef const& ref, wire::Release const& release) {
  auto const& policy = judged.policy;
  FLEET_TRY(auto const listed, api.get(Route("/models/{}/releases/{}/attestations", {ref.model, ref.version})));
  std::vector<trust::Statement> statements;
  auto const files = files_of(release);
  auto const* const items = render::member(listed, "items").if_array();
  for (std::size_t i = 0; items != nullptr && i < items->size() && i < trust::kStatementsMax; ++i) {
    auto const name = fmt::format("attestation {}", i + 1);
    auto const envelope = from_base64(render::text_at((*items)[i], "envelope"));
    auto statement = envelope ? trust::open_statement(*envelope, policy, files) : Result<trust::Statement>(envelope.error());
    if (!statement && judged.own && statement.error().code == "unknown_signer") {
      checks.left_out(name, "signed by nobody who was named");
      continue;
    }
    if (!statement) {
      checks.note(name, statement.error());
      continue;
    }
    checks.note(name, words_of(*statement));
    statements.push_back(*std::move(statement));
  }
  auto const unmet = trust::unmet_demands(policy, statements, files);
  for (auto const& one : unmet) checks.note("demand " + one.pointer.substr(one.pointer.rfind('/') + 1), Error{Kind::signature, "evidence_missing", one.detail});
  if (judged.own && policy.demands.empty()) check_signers(checks, policy, statements);
  else if (unmet.empty() && judged.own) checks.note("demands", fmt::format("{}, all met", policy.demands.size()));
  else if (policy.demands.empty()) checks.left_out("demands", "the model demands nothing; judge by your own: --signer NAME=FILE --demands FILE");
  else if (unmet.empty())
    checks.left_out("demands", fmt::format("{} by the server's word, all met; judge by your own: --signer NAME=FILE --demands FILE", policy.demands.size()));
  return {};
}

Result<int> verify(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto ref, parse_release(arguments.text("RELEASE")));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const shown, api->get(Route("/models/{}/releases/{}", {ref.model, ref.version})));
  if (auto named = render::text_at(shown, "version"); !named.empty() && named != ref.version) {
    session.say(fmt::format("{}@{} is {}@{}", ref.model, ref.version, ref.model, named));
    ref.version = std::move(named);
  }
  auto digest = render::text_at(shown, "digest");
  Checks checks;
  check_state(checks, render::text_at(shown, "state"));
  if (auto const root = arguments.text("root"); !root.empty()) {
    auto const view = fetch_trusted(session, *api, root, ref);
    auto const trusted = !view ? Result<Digest>(view.error()) : view->entry ? view->entry->sha256() : Result<Digest>(not_listed(ref));
    if (trusted) digest = trusted->hex();
    checks.note("metadata", trusted ? Result<std::string>("signed by the owners that " + root + " trusts") : trusted.error());
  } else {
    checks.left_out("metadata", "no --root: what the server says of the release is taken for true");
  }
  auto const release = fetch_document(*api, ref, digest);
  checks.note("release.json", release ? Result<std::string>(digest) : release.error());
  if (release) {
    for (auto const& text : arguments.texts("path")) checks.note("files " + text.substr(0, text.find('=')), compare_files(session, *release, text));
    FLEET_TRY(auto const judged, load_policy(session, arguments, *api, ref));
    FLEET_CHECK(check_evidence(checks, judged, *api, ref, *release));
    auto const parents = render::member(shown, "parents").if_array();
    for (std::size_t i = 0; parents != nullptr && i < parents->size(); ++i) {
      auto const model = render::text_at((*parents)[i], "model"), version = render::text_at((*parents)[i], "version");
      FLEET_TRY(auto const parent, api->get(Route("/models/{}/releases/{}", {model, version})));
      auto const state = render::text_at(parent, "state");
      checks.note(fmt::format("parent {}@{}", model, version),
                  state == "revoked" ? Result<std::string>(Error{Kind::signature, "parent_revoked", "is revoked"}) : Result<std::string>(state));
    }
  }
  ListPrinter printer(session, check_shape());
  for (auto const& row : checks.rows()) printer.add(row);
  printer.finish("");
  return checks.exit();
}

}  // namespace

std::vector<Command> const& verify_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"release verify",
       "check a release's signatures, files and evidence once more, without trusting the server; 4 when something is wrong",
       "release verify reader@2.0.0 --root root.json --path cam-a=./model --signer lab=lab.pub.pem --demands demands.yaml",
       verify,
       {{argument, "RELEASE", "", "MODEL@VERSION"},
        {value, "--root", "FILE", "the root you pinned (trust export-root)"},
        {values, "--path", "HARDWARE=PATH", "compare these local files with the variant"},
        {values, "--signer", "NAME=FILE", "whose statements count: a key you have, as of model set; again for each"},
        {value, "--demands", "FILE", "what must be attested (YAML; docs/ci.md); without --signer and --demands the server says both"}}},
  };
  return rows;
}

}  // namespace fleet::cli
