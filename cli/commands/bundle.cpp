#include "cli/args/refs.hpp"
#include "cli/bundle/export_bundle.hpp"
#include "cli/bundle/inspect_bundle.hpp"
#include "cli/bundle/serve_bundle.hpp"
#include "cli/client/config_file.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "core/wire/json.hpp"
#include "core/wire/receipt.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kReceiptFileMax = 256 * 1024 * 1024;
constexpr char kListen[] = "0.0.0.0:8480";
constexpr unsigned kServeThreads = 2;
constexpr Millis kLookAgain{2'000};
constexpr Millis kOrderWork = std::chrono::minutes{5};  ///< what ten thousand orders may take

Shape const& bundle_shape() {
  static Shape const shape{"bundle",
                           "id",
                           {{"ID", "id"},
                            {"RELEASE", "", Form::release},
                            {"DEVICES", "devices", Form::text, false, true},
                            {"TAKEN", "taken", Form::text, false, true},
                            {"SELECTOR", "selector"},
                            {"EXPIRES", "expires_at", Form::time},
                            {"BY", "created_by", Form::text, true},
                            {"CREATED", "created_at", Form::time, true}}};
  return shape;
}
Shape const& check_shape() {
  static Shape const shape{"check", "check", {{"CHECK", "check"}, {"STATE", "state", Form::state}, {"DETAIL", "detail"}}};
  return shape;
}
Shape const& receipt_shape() {
  static Shape const shape{"receipt", "device", {{"DEVICE", "device"}, {"ITEMS", "items", Form::text, false, true}, {"NEW", "new", Form::text, false, true}}};
  return shape;
}

/// Which devices: all conditions hold.
Result<std::string> selector_of(Session const& session, Arguments const& arguments) {
  std::vector<std::string> parts;
  if (auto const& ids = arguments.texts("device"); !ids.empty()) parts.push_back(fmt::format("id in ({})", fmt::join(ids, ",")));
  if (arguments.has("hardware")) parts.push_back("hardware=" + arguments.text("hardware"));
  if (!session.selector().empty()) parts.push_back(session.selector());
  if (!parts.empty()) return fmt::format("{}", fmt::join(parts, ","));
  return Error{Kind::bad_input, "no_device", "nothing says which devices the bundle is for", "--device ID (again for each), --hardware H, or -l SELECTOR"};
}

void tell_left_out(Session& session, json::value const& answer) {
  auto const* const left_out = render::member(answer, "left_out").if_array();
  if (left_out == nullptr || left_out->empty()) return;
  session.say(fmt::format("left out: {} devices", render::text_at(answer, "left_out_count")));
  for (auto const& one : *left_out) session.say(fmt::format("  {}: {}", render::text_at(one, "device"), render::text_at(one, "text")));
}

Result<int> export_devices(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const ref, parse_release(arguments.text("release")));
  FLEET_TRY(auto const selector, selector_of(session, arguments));
  auto const path = absolute_path(session.around().folder, arguments.text("to"));
  if (session.around().fs.info(path)) return Error{Kind::conflict, "file_exists", path + " is there already", "take another name, or remove it"};
  json::object body{{"model", ref.model}, {"version", ref.version}, {"selector", selector}};
  if (arguments.has("expires")) {
    FLEET_CHECK(parse_duration(arguments.text("expires")));
    body["expires_in"] = arguments.text("expires");
  }
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_TRY(auto* const api, session.api());
  net::Headers headers{{"Content-Type", "application/json"}};
  if (arguments.has("idempotency-key")) headers.push_back({"Idempotency-Key", arguments.text("idempotency-key")});
  FLEET_TRY(auto const answer, api->send(net::Method::post, Route("/bundles").target(), render::json_text(body, 0), std::move(headers), {.work = kOrderWork}));
  FLEET_TRY(auto const made, answer.json());
  tell_left_out(session, made);
  OrderedBundle ordered{render::text_at(made, "id"), render::text_at(made, "model"), render::text_at(made, "version"), render::text_at(made, "created_at"),
                        render::text_at(made, "expires_at"), {}, render::member(made, "devices").to_number<std::int64_t>()};
  if (auto const* const hardware = render::member(made, "hardware").if_array())
    for (auto const& name : *hardware) ordered.hardware.insert(render::text_of(name));
  FLEET_TRY(auto const written, export_bundle(session, *api, ordered, path));
  session.say(fmt::format("wrote {}: {}@{} for {} devices, {}; on each: fleet-agent install {} --root DIR --receipt FILE", path, ordered.model, ordered.version,
                          ordered.devices, render::size_text(written.bytes), path.substr(path.rfind('/') + 1)));
  return show_object(session, made, bundle_shape());
}

json::object directive_json(wire::Directive const& directive) {
  json::array targets;
  for (auto const& target : directive.targets) targets.push_back(json::object{{"model", target.model}, {"path", target.path}, {"rollout", target.rollout}});
  return {{"device", directive.device},
          {"sequence", directive.sequence},
          {"issued_at", to_rfc3339(directive.issued_at)},
          {"expires", to_rfc3339(directive.expires)},
          {"targets", std::move(targets)}};
}

json::array texts_json(std::vector<std::string> const& texts) {
  json::array out;
  for (auto const& text : texts) out.push_back(json::value(text));
  return out;
}

Result<int> inspect(Session& session, Arguments const& arguments) {
  auto const path = absolute_path(session.around().folder, arguments.text("FILE"));
  auto const file_of = [&](std::string_view flag) { return arguments.has(flag) ? absolute_path(session.around().folder, arguments.text(flag)) : std::string(); };
  FLEET_TRY(auto const found, inspect_bundle(session.around().fs, path, {file_of("tuf-root"), file_of("directive-root"), !arguments.flag("quick")}, session.now()));
  int const code = found.is_sound() ? 0 : exit_code(Kind::signature);
  json::array checks;
  for (auto const& one : found.checks) checks.push_back(json::object{{"check", one.check}, {"state", one.state}, {"detail", one.detail}});
  if (!session.for_people()) {
    json::array devices;
    for (auto const& directive : found.directives) devices.push_back(directive_json(directive));
    auto about = wire::parse_json(found.about, found.about.size() + 1);
    show_json(session, json::object{{"about", about ? *std::move(about) : json::value(nullptr)},
                                    {"sound", code == 0},
                                    {"releases", texts_json(found.releases)},
                                    {"hardware", texts_json(found.hardware)},
                                    {"objects", found.objects},
                                    {"object_bytes", found.object_bytes},
                                    {"devices", std::move(devices)},
                                    {"checks", std::move(checks)}});
    return code;
  }
  session.data(render::safe_text(fmt::format("{}: {} for {} devices, {} objects of {}", path.substr(path.rfind('/') + 1), fmt::join(found.releases, ", "), found.directives.size(),
                                             found.objects, render::size_text(found.object_bytes))) +
               "\n");
  ListPrinter printer(session, check_shape());
  for (auto const& row : checks) printer.add(row);
  printer.finish("");
  return code;
}

Result<int> accept(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto* const api, session.api());
  ListPrinter printer(session, receipt_shape());
  for (auto const& file : arguments.texts("RECEIPT")) {
    FLEET_TRY(auto const text, session.around().fs.read(absolute_path(session.around().folder, file), kReceiptFileMax));
    std::size_t lines = 0;
    for (std::size_t at = 0; at < text.size();) {
      auto const end = std::min(text.find('\n', at), text.size());
      auto const line = text.substr(at, end - at);
      at = end + 1;
      if (line.empty()) continue;
      ++lines;
      if (auto const read = wire::decode_signed_receipt(line); !read) return Error{Kind::bad_input, "bad_receipt", fmt::format("{}, line {}: {}", file, lines, read.error().detail)};
      FLEET_TRY(auto const answer, api->send(net::Method::post, Route("/receipts").target(), line, {{"Content-Type", "application/json"}}));
      FLEET_TRY(auto const taken, answer.json());
      printer.add(taken);
    }
    if (lines == 0) return Error{Kind::bad_input, "bad_receipt", file + " is empty"};
  }
  printer.finish("");
  return 0;
}

/// `ADDRESS:PORT`, an IPv6 address in brackets.
Result<net::ListenerConfig> parse_listen(std::string const& text) {
  net::ListenerConfig out;
  auto const colon = text.rfind(':');
  auto const wrong = Error{Kind::bad_input, "bad_argument", fmt::format("--listen: expected ADDRESS:PORT, got `{}`", text)};
  if (colon == std::string::npos || colon == 0) return wrong;
  FLEET_TRY(auto const port, parse_count("--listen", text.substr(colon + 1), 0));
  constexpr std::int64_t kPortMax = 65'535;
  if (port > kPortMax) return wrong;
  out.address = text.substr(0, colon);
  if (out.address.starts_with('[') && out.address.ends_with(']')) out.address = out.address.substr(1, out.address.size() - 2);
  out.port = static_cast<std::uint16_t>(port);
  out.name = "bundle";
  out.plain = true;
  return out;
}

/// Until it is interrupted. A folder is looked at again and again: bundles may come and go.
Result<int> serve(Session& session, Arguments const& arguments) {
  auto& around = session.around();
  auto const path = absolute_path(around.folder, arguments.text("PATH"));
  FLEET_TRY(auto listener, parse_listen(arguments.text("listen", kListen)));
  auto const shelf = std::make_shared<ObjectShelf>();
  listener.handler = shelf;
  auto const load = [&](FoundBundles const& found) {
    for (auto const& one : shelf->load(around.fs, found.files)) session.say("passed over: " + render::safe_text(one));
    session.say(fmt::format("{} objects of {} bundles", shelf->objects(), found.files.size()));
  };
  FLEET_TRY(auto known, find_bundles(around.fs, path));
  load(known);
  auto const address = listener.address.find(':') == std::string::npos ? listener.address : "[" + listener.address + "]";
  std::vector<net::ListenerConfig> listeners;
  listeners.push_back(std::move(listener));
  FLEET_TRY(auto const server, net::Server::create(std::move(listeners), {}, kServeThreads, around.clock));
  server->start();
  auto const url = fmt::format("http://{}:{}", address, server->port(0));
  if (session.for_people()) session.data(url + "\n");
  else show_json(session, json::object{{"url", url}, {"objects", shelf->objects()}});
  for (;;) {
    around.console.pause(kLookAgain);
    auto found = find_bundles(around.fs, path);
    if (!found || *found == known) continue;  // a stick that is pulled leaves what was known: its objects are 500 until it is back
    known = *std::move(found);
    load(known);
  }
}

Result<int> list(Session& session, Arguments const& arguments) { return show_list(session, arguments, Route("/bundles"), bundle_shape()); }
Result<int> get(Session& session, Arguments const& arguments) { return show(session, Route("/bundles/{}", {arguments.text("ID")}), bundle_shape()); }

}  // namespace

std::vector<Command> const& bundle_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"bundle export",
       "write a release, its metadata and an order for each device to one file, for devices that no network reaches",
       "bundle export --release reader@2.0.0 -l site=mine --to mine.bundle\n"
       "bundle export --release reader@2.0.0 --device cam-1 --device cam-2 --expires 30d --to two.bundle",
       export_devices,
       {{value, "--release", "M@V", "an approved release, or a set's", true},
        {values, "--device", "ID", "for this device; again for each"},
        {value, "--hardware", "H", "for all devices of a hardware class that are there now"},
        {value, "--expires", "DURATION", "how long devices may take it (default 90d)"},
        {value, "--to", "FILE", "the file to write", true}},
       true,
       true},
      {"bundle inspect",
       "say what a bundle holds, and verify what can be without a server; needs no account; 4 when something is wrong",
       "bundle inspect mine.bundle --tuf-root root.json -o json",
       inspect,
       {{argument, "FILE", "", "the bundle"},
        {value, "--tuf-root", "FILE", "the root you pinned (trust export-root)"},
        {value, "--directive-root", "FILE", "the root of directives you pinned"},
        {flag, "--quick", "", "leave out the objects' digests"}}},
      {"bundle accept",
       "hand in receipts: each result counts once, also when the device tells it itself later",
       "bundle accept cam-1.receipt",
       accept,
       {{arguments, "RECEIPT", "", "what fleet-agent install --receipt wrote"}}},
      {"bundle serve",
       "give the objects of bundles to the agents of a depot, by plain HTTP: each believes its digest alone; needs no account",
       "bundle serve /srv/bundles --listen 0.0.0.0:8480",
       serve,
       {{argument, "PATH", "", "a bundle, or a folder of them (NAME.bundle), which may come and go"},
        {value, "--listen", "ADDRESS:PORT", "default 0.0.0.0:8480; port 0 picks a free one"}}},
      {"bundle list", "bundles that were exported, the newest first", "bundle list", list, {limit_option()}},
      {"bundle get", "one bundle: for how many devices, and how many have it", "bundle get bundle-01K...", get, {{argument, "ID", "", "the bundle"}}},
  };
  return rows;
}

}  // namespace fleet::cli
