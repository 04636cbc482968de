#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/refs.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

namespace fleet::commands {
namespace json = boost::json;
namespace {

std::string files_of(json::value const& release) {
  std::string out;
  if (auto const* variants = render::member(release, "variants").if_array())
    for (auto const& variant : *variants)
      if (auto const* files = render::member(variant, "files").if_array())
        for (auto const& file : *files)
          out += fmt::format("{}{}: {}  {}{}  {}", out.empty() ? "" : "\n", render::joined(render::member(variant, "hardware")), render::text_at(file, "name"),
                             render::size_text(static_cast<std::uint64_t>(render::number_at(file, "size"))),
                             render::text_at(file, "executable") == "true" ? ", executable" : "", render::text_at(file, "sha256").substr(0, 12));
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
  FLEET_TRY(auto const release, api->get(Route("/models/{}/releases/{}", {ref.model, ref.version})));
  return show_object(session, release, release_shape(),
                     {{"DATASETS", {datasets_of(release)}}, {"FILES", {files_of(release)}}, {"INSPECTION", {inspected(release)}}});
}

Result<int> approve_release(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("RELEASE")));
  return act(session, Route("/models/{}/releases/{}:approve", {ref.model, ref.version}), json::object(), release_shape(),
             ref.model + "@" + ref.version + " has your approval");
}

Result<int> revoke_release(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("RELEASE")));
  FLEET_CHECK(session.confirm("This revokes " + ref.model + "@" + ref.version + " for good: no device takes it any more."));
  return act(session, Route("/models/{}/releases/{}:revoke", {ref.model, ref.version}), json::object(), release_shape(),
             ref.model + "@" + ref.version + " is revoked");
}

void tell_relatives(Session& session, json::value const& relatives, bool descendants) {
  auto const* list = relatives.if_array();
  if (list == nullptr) return;
  for (auto const& one : *list) {
    auto const name = render::text_at(one, "model") + "@" + render::text_at(one, "version");
    auto const relation = render::text_at(one, "relation");
    auto const of = render::text_at(one, "of");
    auto const line = session.format() == Format::name ? name : fmt::format("{}  {} of {} ({})", name, descendants ? "child" : "parent", of, relation);
    session.data(render::safe_text(line) + "\n");
  }
}

Result<int> lineage(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("RELEASE")));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->get(Route("/models/{}/releases/{}/lineage", {ref.model, ref.version})));
  if (!session.for_people() && session.format() != Format::name) {
    show_json(session, answer);
    return 0;
  }
  auto const descendants = arguments.flag("descendants");
  auto const& relatives = render::member(answer, descendants ? "descendants" : "ancestors");
  if (relatives.is_array() && relatives.get_array().empty())
    session.say(fmt::format("{}@{} has no {}", ref.model, ref.version, descendants ? "descendants" : "ancestors"));
  tell_relatives(session, relatives, descendants);
  return 0;
}

Result<int> release_devices(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("RELEASE")));
  return show_list(session, arguments, Route("/models/{}/releases/{}/devices", {ref.model, ref.version}), device_shape());
}

}  // namespace

std::vector<Command> const& release_commands() {
  using enum Option::Kind;
  static Option const release{argument, "RELEASE", "", "MODEL@VERSION"};
  static std::vector<Command> const rows{
      {"release list",
       "releases",
       "release list --model reader --state approved",
       list_releases,
       {{value, "--model", "M", "only those of this model"},
        {value, "--state", "STATE", "only those in this state", false, {"draft", "approved", "revoked"}},
        {value, "--created-by", "WHO", "only those of this token or user"}}},
      {"release get", "one release with its files", "release get reader@2.0.0", get_release, {release}},
      {"release approve",
       "sign off a release",
       "release approve reader@2.0.0 --reason \"field test of Oct 3\"",
       approve_release,
       {release},
       false,
       false,
       true},
      {"release revoke",
       "forbid a release for good",
       "release revoke reader@2.0.0 --reason \"leaks memory\" --yes",
       revoke_release,
       {release},
       false,
       false,
       true},
      {"release lineage",
       "what a release was made from",
       "release lineage reader@2.0.0\nrelease lineage reader@1.0.0 --descendants -o name",
       lineage,
       {release, {flag, "--descendants", "", "what was made from it"}}},
      {"release devices", "devices that run a release", "release devices reader@2.0.0 -o name", release_devices, {release, limit_option()}},
  };
  return rows;
}

}  // namespace fleet::commands
