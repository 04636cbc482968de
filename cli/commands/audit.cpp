#include "cli/commands/audit_log.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "core/base/text.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <deque>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kKeyBytesMax = 16 * 1024;
constexpr std::uint64_t kExportBytesMax = std::uint64_t{2} << 30;
using Line = std::function<Result<void>(std::string_view line)>;

Result<int> list_audit(Session& session, Arguments const& arguments) {
  Route route("/audit");
  for (auto const* const filter : {"actor", "action", "subject", "since"}) route.with(filter, arguments.text(filter));
  return show_list(session, arguments, route, audit_shape());
}

/// A list, page by page; `take` says whether to go on.
Result<void> each_of(Api& api, std::string_view path, std::function<Result<bool>(json::value const&)> const& take) {
  std::string cursor;
  do {
    auto route = Route(path);
    route.with("limit", "500").with("cursor", cursor);
    FLEET_TRY(auto const answer, api.get(route));
    auto const* const items = render::member(answer, "items").if_array();
    if (items == nullptr) return Error{Kind::internal, "bad_answer", fmt::format("GET {}: expected a list with `items`", path)};
    for (auto const& item : *items) {
      FLEET_TRY(bool const more, take(item));
      if (!more) return {};
    }
    cursor = render::text_at(answer, "next");
  } while (!cursor.empty());
  return {};
}

std::int64_t seq_of(json::value const& item) { return static_cast<std::int64_t>(render::number_at(item, "seq")); }

/// The log up to its head of now, which the server signs for it: the key, then entries, each checkpoint behind the entry it is of.
Result<void> export_log(Session& session, Line const& line) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const made, api->post(Route("/audit:checkpoint"), json::object{}));
  FLEET_TRY(auto const head, made.json());
  FLEET_TRY(auto const key, api->get(Route("/audit/key")));
  FLEET_CHECK(line(json::serialize(json::object{{"key", key}})));
  std::deque<json::value> checkpoints;
  auto const keep = [&](json::value const& one) -> Result<bool> {
    checkpoints.push_back(one);
    return seq_of(one) < seq_of(head);
  };
  FLEET_CHECK(each_of(*api, "/audit/checkpoints", keep));
  auto const tell = [&](json::value const& entry) -> Result<bool> {
    FLEET_CHECK(line(json::serialize(entry)));
    while (!checkpoints.empty() && seq_of(checkpoints.front()) <= seq_of(entry)) {
      FLEET_CHECK(line(json::serialize(checkpoints.front())));
      checkpoints.pop_front();
    }
    return seq_of(entry) < seq_of(head);
  };
  return each_of(*api, "/audit", tell);
}

Result<int> export_audit(Session& session, Arguments const&) {
  auto const print = [&](std::string_view line) -> Result<void> {
    session.data(safe_json(line) + "\n");
    return {};
  };
  FLEET_CHECK(export_log(session, print));
  return 0;
}

Result<void> each_line(Session& session, std::string const& path, Line const& line) {
  FLEET_TRY(auto const text, session.around().fs.read(path, kExportBytesMax));
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    auto const end = std::min(rest.find('\n'), rest.size());
    if (end > 0)
      if (auto const done = line(rest.substr(0, end)); !done) {
        auto fault = done.error();
        fault.detail = fmt::format("{}, line {}: {}", path, number, fault.detail);
        return fault;
      }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

Result<int> verify_audit(Session& session, Arguments const& arguments) {
  AuditLog log;
  if (arguments.has("key")) {
    FLEET_TRY(auto const text, session.around().fs.read(arguments.text("key"), kKeyBytesMax));
    FLEET_TRY(auto const key, trust::decode_public_key(text));
    log.pin(key);
  }
  if (arguments.has("against")) {
    auto const path = arguments.text("against");
    FLEET_CHECK(each_line(session, path, [&](std::string_view line) { return log.expect(line); }));
    if (!log.expects_any())
      return Error{Kind::bad_input, "no_checkpoint", fmt::format("{}: there is no checkpoint in it, so it proves nothing", path),
                   "give an export that `fleetctl audit export` wrote whole"};
  }
  auto const add = [&](std::string_view line) { return log.add(line); };
  FLEET_CHECK(arguments.has("FILE") ? each_line(session, arguments.text("FILE"), add) : export_log(session, add));
  FLEET_TRY(auto const proved, log.finish());
  if (!log.pinned()) session.say("the signatures were checked with the key that came with the log; --key FILE pins it (fleetctl audit key > FILE)");
  if (session.for_people()) session.data(fmt::format("sound: {} entries, {} checkpoints, head {}\n", proved.entries, proved.checkpoints, proved.head.hex()));
  else if (session.format() == Format::name) session.data(proved.head.hex() + "\n");
  else show_json(session, json::object{{"entries", proved.entries}, {"checkpoints", proved.checkpoints}, {"head", proved.head.hex()}});
  return 0;
}

Result<int> audit_key(Session& session, Arguments const&) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const key, api->get(Route("/audit/key")));
  session.data(json::serialize(key) + "\n");
  return 0;
}

}  // namespace

std::vector<Command> const& audit_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"audit list",
       "who did what and why, oldest first",
       "audit list --actor user:ann --since 24h",
       list_audit,
       {{value, "--actor", "WHO", "token:NAME, user:NAME, device:ID, system:judge"},
        {value, "--action", "WHAT", "such as rollout.paused"},
        {value, "--subject", "WHAT", "such as device/cam-1, rollout/ID, release/M@V"},
        {value, "--since", "TIME", "a time, or how long ago: 24h"},
        limit_option()}},
      {"audit export", "the whole log as JSON lines, with its signed checkpoints", "audit export > audit.jsonl", export_audit},
      {"audit verify",
       "proves that nothing was removed or changed, on the server or in an export",
       "audit verify audit.jsonl --key audit.pub --against last-month.jsonl",
       verify_audit,
       {{optional_argument, "FILE", "", "an export; no server is asked then"},
        {value, "--key", "FILE", "the public key that checkpoints must be signed with"},
        {value, "--against", "FILE", "an older export, or its last lines: its checkpoints must still hold"}}},
      {"audit key", "the public key of the checkpoints", "audit key > audit.pub", audit_key},
  };
  return rows;
}

}  // namespace fleet::cli
