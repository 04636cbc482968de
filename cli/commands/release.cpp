#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/args/refs.hpp"
#include "cli/signing/sign_release.hpp"
#include "cli/render/json.hpp"
#include "cli/render/lineage.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <set>

namespace fleet::cli {
namespace json = boost::json;
namespace {

/// `cam-a,cam-b`, or `cam-a/small` of a variant that has a name.
std::string whose(json::value const& one, std::string_view name_key) {
  auto const name = render::text_at(one, name_key);
  return render::joined(render::member(one, "hardware")) + (name.empty() ? "" : "/" + name);
}

std::string files_of(json::value const& release) {
  std::string out;
  auto const* const variants = render::member(release, "variants").if_array();
  for (std::size_t i = 0; variants != nullptr && i < variants->size(); ++i) {
    auto const& variant = (*variants)[i];
    auto const hardware = whose(variant, "name");
    if (auto const* files = render::member(variant, "files").if_array())
      for (auto const& file : *files)
        out += fmt::format("{}{}: {}  {}{}  {}", out.empty() ? "" : "\n", hardware, render::text_at(file, "name"),
                           render::size_text(static_cast<std::uint64_t>(render::number_at(file, "size"))),
                           render::text_at(file, "executable") == "true" ? ", executable" : "", render::text_at(file, "sha256").substr(0, 12));
    if (auto const* links = render::member(variant, "links").if_array())
      for (auto const& link : *links)
        out += fmt::format("{}{}: {} -> {}", out.empty() ? "" : "\n", hardware, render::text_at(link, "name"), render::text_at(link, "target"));
  }
  return out;
}

std::string datasets_of(json::value const& release) {
  std::string out;
  if (auto const* datasets = render::member(release, "datasets").if_array())
    for (auto const& one : *datasets)
      out += fmt::format("{}{} sha256:{}", out.empty() ? "" : "\n", render::text_at(one, "name"), render::text_at(one, "sha256"));
  return out;
}

std::string inspected(json::value const& release) {
  auto const* inspection = render::member(release, "inspection").if_object();
  if (inspection == nullptr || inspection->empty()) return {};
  std::string out;
  for (auto const& [file, facts] : *inspection) out += fmt::format("{}{}: {}", out.empty() ? "" : "\n", std::string(file), render::json_text(facts, 0));
  return out;
}

/// One line a route: what is ready and what it saves, what is being made, what was not worth it.
std::string routes_of(json::array const& items) {
  std::string out;
  for (auto const& item : items) {
    auto const* const routes = render::member(item, "routes").if_array();
    for (std::size_t i = 0; routes != nullptr && i < routes->size(); ++i) {
      auto const& route = (*routes)[i];
      auto const state = render::text_at(route, "state"), from = render::text_at(route, "from");
      auto const kind = state == "ready" ? render::text_at(route, "kind") : from.empty() ? "compressed" : "delta";
      std::string told = fmt::format("{}: {}", state, render::text_at(route, "why"));
      if (state == "ready")
        told = fmt::format("{}, saves {:.1f} %", render::size_text(static_cast<std::uint64_t>(render::number_at(route, "bytes"))), render::number_at(route, "saves_percent"));
      if (state == "waiting") told = "is being prepared";
      if (state == "refused") told = "saves too little";
      out += fmt::format("{}{}: {}: {}{}  {}", out.empty() ? "" : "\n", whose(item, "variant"), render::text_at(item, "file"), kind,
                         from.empty() ? "" : " from " + from, told);
    }
  }
  return out;
}

/// What the server has prepared for it; nothing of a server from before routes.
Result<json::array> load_routes(Api& api, ReleaseRef const& ref) {
  json::array out;
  auto const got = api.list(Route("/models/{}/releases/{}/routes", {ref.model, ref.version}), 0, [&out](json::value const& item) { out.push_back(item); });
  if (!got && got.error().kind != Kind::not_found) return got.error();
  return out;
}

/// Releases of one model, or of every model when none is named.
Result<int> list_releases(Session& session, Arguments const& arguments) {
  auto const one = arguments.text("model");
  FLEET_TRY(auto* const api, session.api());
  std::vector<std::string> models;
  if (!one.empty()) models.push_back(one);
  else FLEET_CHECK(api->list(Route("/models"), 0, [&models](json::value const& model) { models.push_back(render::text_at(model, "name")); }));
  ListPrinter printer(session, release_shape());
  for (auto const& model : models) {
    Route route("/models/{}/releases", {model});
    route.with("state", arguments.text("state")).with("created_by", arguments.text("created-by"));
    FLEET_CHECK(api->list(route, 0, [&printer](json::value const& release) { printer.add(release); }));
  }
  printer.finish("");
  return 0;
}

Result<int> get_release(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("RELEASE")));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto release, api->get(Route("/models/{}/releases/{}", {ref.model, ref.version})));
  FLEET_TRY(auto const routes, load_routes(*api, ref));
  if (!session.for_people() && release.is_object()) release.as_object()["routes"] = routes;
  return show_object(session, release, release_shape(),
                     {{"DATASETS", {datasets_of(release)}}, {"FILES", {files_of(release)}}, {"ROUTES", {routes_of(routes)}}, {"INSPECTION", {inspected(release)}}});
}

/// The release as it is called today: what a person confirms or signs is a version, whatever becomes of the alias.
Result<ReleaseRef> settled(Session& session, std::string const& text) {
  FLEET_TRY(auto const ref, parse_release(text));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const release, api->get(Route("/models/{}/releases/{}", {ref.model, ref.version})));
  auto version = render::text_at(release, "version");
  return ReleaseRef{ref.model, version.empty() ? ref.version : std::move(version)};
}

/// The same of what cannot be undone: who named it by another word says yes to the version, too.
Result<ReleaseRef> confirmed(Session& session, std::string const& text, std::string_view what) {
  FLEET_CHECK(session.confirm(fmt::format("This revokes {} {}", text, what)));
  FLEET_TRY(auto const ref, settled(session, text));
  auto const name = ref.model + "@" + ref.version;
  if (name != text) FLEET_CHECK(session.confirm(fmt::format("{} is {}: this revokes that.", text, name)));
  return ref;
}

Result<int> approve_by_token(Session& session, ReleaseRef const& ref) {
  return act(session, Route("/models/{}/releases/{}:approve", {ref.model, ref.version}), json::object(), release_shape(),
             ref.model + "@" + ref.version + " has your approval");
}

Result<int> approve_release(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, settled(session, arguments.text("RELEASE")));
  if (!arguments.has("key")) return approve_by_token(session, ref);
  FLEET_TRY(auto const keys, load_signers(session, arguments));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const model, api->get(Route("/models/{}", {ref.model})));
  bool const asked = render::number_at(model, "approvals_required") > 0;
  return sign_release(session, arguments, keys, ref, nullptr, [&] { return asked ? approve_by_token(session, ref) : Result<int>(0); });
}

Shape const& recalled_shape() {
  static Shape const shape{
      "recalled", "model@version", {{"RELEASE", "", Form::release}, {"WAS", "was", Form::state}, {"DEVICES", "devices", Form::text, false, true}}};
  return shape;
}

/// What was recalled, who runs it, and what to type next.
Result<int> recall_release(Session& session, std::string const& text) {
  FLEET_CHECK(parse_release(text));
  FLEET_TRY(auto const ref, confirmed(session, text, "and everything made from it for good: no device takes any of it any more."));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(Route("/models/{}/releases/{}:revoke", {ref.model, ref.version}), {{"reason", session.reason()}, {"recall", true}}));
  FLEET_TRY(auto const recalled, answer.json());
  if (!session.for_people() && session.format() != Format::name) {
    show_json(session, recalled);
    return 0;
  }
  ListPrinter printer(session, recalled_shape());
  auto const* const items = render::member(recalled, "items").if_array();
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) printer.add((*items)[i]);
  printer.finish("");
  session.say(
      "Devices that run one of these go to the newest completed rollout of what still stands, at their next poll. Where there is none they keep what\n"
      "they run, until you take the rollout back, which returns each to its own previous version:");
  for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
    auto const* const rollouts = render::member((*items)[i], "rollouts").if_array();
    if (render::number_at((*items)[i], "devices") == 0 || rollouts == nullptr || rollouts->empty()) continue;
    session.say(fmt::format("  fleetctl rollout rollback {} --yes", render::text_at(rollouts->front(), "id")));
  }
  return 0;
}

Result<int> revoke_release(Session& session, Arguments const& arguments) {
  auto const text = arguments.text("RELEASE");
  if (arguments.flag("recall")) return recall_release(session, text);
  FLEET_CHECK(parse_release(text));
  FLEET_TRY(auto const ref, confirmed(session, text, "for good: no device takes it any more."));
  json::object body;
  if (auto const kept = arguments.texts("keep"); !kept.empty()) body["keep"] = json::array(kept.begin(), kept.end());
  return act(session, Route("/models/{}/releases/{}:revoke", {ref.model, ref.version}), std::move(body), release_shape(),
             ref.model + "@" + ref.version + " is revoked");
}

Result<int> lineage(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("RELEASE")));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->get(Route("/models/{}/releases/{}/lineage", {ref.model, ref.version})));
  auto const descendants = arguments.flag("descendants");
  if (arguments.flag("dot")) {
    session.data(render::lineage_dot(answer));
  } else if (session.format() == Format::name) {
    std::vector<std::string> names;
    if (auto const* const list = render::member(answer, descendants ? "descendants" : "ancestors").if_array())
      for (auto const& one : *list) names.push_back(render::safe_text(render::text_at(one, "model") + "@" + render::text_at(one, "version")));
    std::set<std::string> told;  // one that was reached twice stands once
    for (auto const& name : names)
      if (told.insert(name).second) session.data(name + "\n");
  } else if (session.for_people()) {
    session.data(render::lineage_tree(answer, descendants));
  } else {
    show_json(session, answer);
  }
  if (render::text_at(answer, "cut") == "true") session.say("there are more than 10000 relatives: the nearest are shown");
  return 0;
}

/// Of one release; or of everything made from it, or from a data set.
Result<int> release_devices(Session& session, Arguments const& arguments) {
  auto const release = arguments.text("RELEASE"), origin = arguments.text("descends-from"), dataset = arguments.text("dataset");
  if ((release.empty() ? 0 : 1) + (origin.empty() ? 0 : 1) + (dataset.empty() ? 0 : 1) != 1)
    return Error{Kind::bad_input, "bad_argument", "expected one of MODEL@VERSION, --descends-from and --dataset"};
  if (!release.empty()) {
    FLEET_TRY(auto const ref, parse_release(release));
    return show_list(session, arguments, Route("/models/{}/releases/{}/devices", {ref.model, ref.version}), device_shape());
  }
  if (!origin.empty()) FLEET_CHECK(parse_release(origin));
  return show_list(session, arguments, Route("/devices").with("descends_from", origin).with("dataset", dataset), device_shape());
}

}  // namespace

std::vector<Command> const& release_commands() {
  using enum Option::Kind;
  static Option const release{argument, "RELEASE", "", "MODEL@VERSION, MODEL@ALIAS or MODEL@latest"};
  static std::vector<Command> const rows{
      {"release list",
       "releases",
       "release list --model reader --state approved",
       list_releases,
       {{value, "--model", "M", "only those of this model"},
        {value, "--state", "STATE", "only those in this state", false, {"draft", "approved", "revoked"}},
        {value, "--created-by", "WHO", "only those of this token or user"}}},
      {"release get", "one release with its files, and by which routes they reach devices", "release get reader@2.0.0", get_release, {release}},
      with_signing({"release approve",
                    "sign off a release; with --key, sign it where its model's keys lie elsewhere",
                    "release approve reader@2.0.0 --reason \"field test of Oct 3\"\nrelease approve reader@2.0.0 --reason \"field test\" --root root.json "
                    "--key alice.key",
                    approve_release,
                    {release},
                    false,
                    false,
                    true}),
      {"release revoke",
       "forbid a release for good",
       "release revoke reader@2.0.0 --reason \"leaks memory\" --yes\nrelease revoke reader@1.0.0 --recall --reason \"trained on data without consent\" --yes",
       revoke_release,
       {release,
        {flag, "--recall", "", "and everything made from it, with a plan to take it back"},
        {values, "--keep", "M@V", "an approved release of the same bytes that stays (by an administrator); others go with it"}},
       false,
       false,
       true},
      {"release lineage",
       "what a release was made from",
       "release lineage reader@2.0.0\nrelease lineage reader@1.0.0 --descendants -o name\nrelease lineage reader@1.0.0 --dot | dot -Tsvg > family.svg",
       lineage,
       {release, {flag, "--descendants", "", "what was made from it"}, {flag, "--dot", "", "both ways, as a graph for Graphviz"}}},
      {"release devices",
       "devices that run a release, or anything made from a release or a data set",
       "release devices reader@2.0.0 -o name\nrelease devices --descends-from reader@1.0.0\nrelease devices --dataset sha256:9f86d081...",
       release_devices,
       {{optional_argument, "RELEASE", "", "MODEL@VERSION"},
        {value, "--descends-from", "M@V", "whatever was made from this release, and itself"},
        {value, "--dataset", "NAME", "whatever was trained on it, or made from such; a name or sha256:HEX"},
        limit_option()}},
  };
  return rows;
}

}  // namespace fleet::cli
