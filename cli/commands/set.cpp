#include "cli/args/refs.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/commands/published.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "cli/signing/sign_release.hpp"
#include "core/base/names.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <map>

namespace fleet::cli {
namespace json = boost::json;
namespace {

/// Members with the versions and digests that the server has of them now: they are what is signed, whatever becomes of the server.
Result<json::array> read_members(Api& api, Arguments const& arguments) {
  json::array out;
  for (auto const& text : arguments.texts("member")) {
    FLEET_TRY(auto const member, parse_member(text));
    auto const release = api.get(Route("/models/{}/releases/{}", {member.release.model, member.release.version}));
    if (!release) return release.error();
    json::object one{{"model", member.release.model}, {"version", render::text_at(*release, "version")}, {"digest", render::text_at(*release, "digest")}};
    if (!member.after.empty()) one["after"] = json::array(member.after.begin(), member.after.end());
    out.push_back(std::move(one));
  }
  return out;
}

Result<int> publish_set(Session& session, Arguments const& arguments) {
  ReleaseRef const ref{arguments.text("name"), arguments.text("version")};
  FLEET_CHECK(check_model_name(ref.model));
  FLEET_CHECK(check_version_name(ref.version));
  std::vector<trust::Signer> keys;
  if (arguments.has("key")) {
    FLEET_TRY(keys, load_signers(session, arguments));
  }
  FLEET_TRY(auto* const api, session.api());
  FLEET_CHECK(check_model(*api, ref.model));
  json::object body{{"version", ref.version}};
  FLEET_TRY(body["members"], read_members(*api, arguments));
  if (arguments.has("commit")) body["commit"] = arguments.text("commit");
  // A slip in the order is told before anything is sent.
  FLEET_TRY(auto const wanted, wire::decode_wanted_release(ref.model, json::serialize(body)));
  if (arguments.flag("dry-run")) {
    session.say(fmt::format("{}@{} would be published; its members switch in this order. Nothing was sent.", ref.model, ref.version));
    for (auto const& member : wire::switch_order(wanted.members)) session.data(fmt::format("{}@{}\n", member.model, member.version));
    return 0;
  }
  FLEET_TRY(auto const answer, api->post(Route("/models/{}/releases", {ref.model}), body, arguments.text("idempotency-key")));
  FLEET_TRY(auto const release, answer.json());
  auto const state = render::text_at(release, "state");
  session.say(answer.status == 200 ? fmt::format("{}@{} is published already, with the same members", ref.model, ref.version)
                                   : fmt::format("published {}@{} ({})", ref.model, ref.version, state));
  if (state != "draft") return show_object(session, release, set_shape());
  if (!arguments.has("key")) {
    FLEET_CHECK(tell_what_it_waits_for(session, *api, ref.model, ref.version));
    return show_object(session, release, set_shape());
  }
  FLEET_TRY(int const signed_by, sign_release(session, arguments, keys, ref, &wanted, [] { return 0; }));
  FLEET_TRY(auto const after, api->get(Route("/models/{}/releases/{}", {ref.model, ref.version})));
  FLEET_CHECK(show_object(session, after, set_shape()));
  return signed_by;
}

/// Releases of one set, or of every set when none is named.
Result<int> list_sets(Session& session, Arguments const& arguments) {
  auto const one = arguments.text("name");
  FLEET_TRY(auto* const api, session.api());
  std::vector<std::string> names;
  if (!one.empty()) names.push_back(one);
  else FLEET_CHECK(api->list(Route("/models").with("kind", "set"), 0, [&names](json::value const& model) { names.push_back(render::text_at(model, "name")); }));
  ListPrinter printer(session, set_shape());
  for (auto const& name : names)
    FLEET_CHECK(api->list(Route("/models/{}/releases", {name}).with("state", arguments.text("state")), 0, [&printer](json::value const& release) { printer.add(release); }));
  printer.finish("");
  return 0;
}

/// A line a member, in the order of their switches.
std::string members_of(json::value const& release) {
  std::vector<wire::Member> members;
  std::map<std::string, json::value const*> shown;
  if (auto const* const list = render::member(release, "members").if_array())
    for (auto const& one : *list) {
      wire::Member member{render::text_at(one, "model"), render::text_at(one, "version"), {}, {}};
      if (auto const* const after = render::member(one, "after").if_array())
        for (auto const& name : *after) member.after.push_back(render::text_of(name));
      shown[member.model] = &one;
      members.push_back(std::move(member));
    }
  std::string out;
  for (auto const& member : wire::switch_order(members)) {
    auto const& one = *shown.at(member.model);
    out += fmt::format("{}{}@{}  {}  {}{}", out.empty() ? "" : "\n", member.model, member.version, render::text_at(one, "state"), render::text_at(one, "digest").substr(0, 12),
                       member.after.empty() ? "" : fmt::format("  after {}", fmt::join(member.after, ", ")));
  }
  return out;
}

Result<int> get_set(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("SET")));
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const release, api->get(Route("/models/{}/releases/{}", {ref.model, ref.version})));
  if (!render::member(release, "members").is_array())
    return Error{Kind::not_found, "no_set", fmt::format("{}@{} is a release of a model, not of a set", ref.model, ref.version),
                 fmt::format("fleetctl release get {}@{}", ref.model, ref.version)};
  return show_object(session, release, set_shape(), {{"IN ORDER", {members_of(release)}}});
}

}  // namespace

std::vector<Command> const& set_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      with_signing({"set publish",
                    "make a release of a set: releases of several models that go together",
                    "set publish --name gate --version 7 --member reader@2.0.0 --member post@2.1.0:after=reader",
                    publish_set,
                    {{value, "--name", "SET", "the set, made before with `model create`", true},
                     {value, "--version", "V", "a new version; releases never change", true},
                     {values, "--member", "M@V[:after=M,...]", "an approved release, and whose switches its own comes after; again for each", true},
                     {value, "--commit", "SHA", "commit of what says that they go together"},
                     {flag, "--dry-run", "", "say in which order they would switch; nothing is sent"}},
                    false,
                    true}),
      {"set list",
       "sets and their releases",
       "set list --name gate",
       list_sets,
       {{value, "--name", "SET", "only those of this set"}, {value, "--state", "STATE", "only those in this state", false, {"draft", "approved", "revoked"}}}},
      {"set get", "one release of a set with its members", "set get gate@7", get_set, {{argument, "SET", "", "SET@VERSION"}}},
  };
  return rows;
}

}  // namespace fleet::cli
