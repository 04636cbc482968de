#include "server/api/events.hpp"

#include "core/wire/json.hpp"
#include "server/api/event_scope.hpp"
#include "server/events/stream.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <charconv>

namespace fleet::api {
namespace {

namespace json = boost::json;

constexpr std::size_t kDataMax = 1024 * 1024;
constexpr int kEventsAtOnce = 500;
constexpr Millis kLookEvery{50};      // or what the timers' grain makes of it: at a counter; at the database only when it was raised
constexpr Millis kListenMax{25'000};  // below what proxies end a silent answer at

struct Event {
  std::int64_t id;
  std::string type;
  std::string text;  ///< the event object
};

json::value stored(std::string_view text) {
  if (text.empty()) return nullptr;
  auto parsed = wire::parse_json(text, kDataMax);
  return parsed ? std::move(*parsed) : json::value(text);
}

/// What a look found: the events that the caller may see, and how far it read.
struct Seen {
  std::vector<Event> events;
  std::int64_t last = 0;  ///< the event read last, or where it began
  bool more = false;
};

Result<Seen> load_events(Call const& call, db::Connection& reader, std::int64_t after, int limit) {
  FLEET_TRY(auto const rows, events::list_events(reader, after, limit + 1));
  Seen out;
  out.last = after;
  out.more = rows.size() > static_cast<std::size_t>(limit);
  for (std::size_t i = 0; i < rows.size() - (out.more ? 1 : 0); ++i) {
    auto const& row = rows[i];
    out.last = row.id;
    auto data = stored(row.data);
    FLEET_TRY(bool const visible, may_see(call, reader, row.subject, data));
    if (!visible) continue;
    json::object const event{{"id", std::to_string(row.id)}, {"time", to_rfc3339(row.time, true)}, {"type", row.type},
                             {"subject", row.subject},       {"actor", row.actor},                 {"data", std::move(data)}};
    out.events.push_back({row.id, row.type, json::serialize(event)});
  }
  return out;
}

Result<std::int64_t> read_number(std::string_view name, std::string_view text) {
  std::int64_t out = 0;
  auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed == std::errc{} && end == text.data() + text.size() && out >= 0) return out;
  return Error{Kind::bad_input, "bad_parameter", fmt::format("{}: expected the id of an event, got '{}'", name, text)};
}

/// The list form; `cursor` is the id that the last page ended with.
Result<Reply> list_events(Call const& call, db::Connection& reader) {
  FLEET_CHECK(only_query(call, {"after", "limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const start, read_number("after", call.query_value("after", "0")));
  FLEET_TRY(auto const after, read_number_cursor(page, start));
  FLEET_TRY(auto const seen, load_events(call, reader, after, page.limit));
  std::vector<std::string> items;
  for (auto const& event : seen.events) items.push_back(event.text);
  return list_reply(call, items, seen.more ? std::to_string(seen.last) : std::string());
}

/// One client that waits for events.
struct Listening {
  Call call;
  net::Responder responder;
  std::int64_t after = 0;
  bool tell_position = false;  ///< the client's id is behind `after`: it gets one even when nothing happened that it may see
  std::uint64_t epoch = 0;     ///< of events, when the database was last read
  MonoTime until;
};

net::Response stream(Listening const& listening, std::vector<Event> const& events) {
  Reply reply;
  reply.content_type = "text/event-stream";
  reply.body = "retry: 1000\n\n";
  if (events.empty() && listening.tell_position) reply.body += fmt::format("id: {}\n\n", listening.after);
  for (auto const& event : events) reply.body += fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.type, event.text);
  return render(std::move(reply), listening.call);
}

/// Reads the database when events came since it last did; answers when there is something to say, or when the time is up.
void look(Services& services, std::shared_ptr<Listening> const& listening) {
  if (!listening->responder.alive()) return;
  bool const over = services.net == nullptr || services.draining || services.clock.mono() >= listening->until;
  auto const epoch = services.store.epochs().events();  // before the rows: what comes later raises it again
  std::vector<Event> events;
  if (epoch != listening->epoch) {
    auto seen = load_events(listening->call, services.store.reader(), listening->after, kEventsAtOnce);
    if (!seen) return listening->responder(problem(seen.error(), listening->call.request_id));
    if (seen->last != listening->after) listening->tell_position = true;
    listening->after = seen->last;
    listening->epoch = seen->more ? 0 : epoch;
    events = std::move(seen->events);
  }
  if (over || !events.empty()) return listening->responder(stream(*listening, events));
  services.net->after(services.net->current_thread(), kLookEvery, [&services, listening] { look(services, listening); });
}

Result<std::shared_ptr<Listening>> start(Services& services, Call&& call, net::Responder& responder) {
  FLEET_CHECK(only_query(call, {"after"}));
  auto from = std::string(call.request.header("Last-Event-ID"));
  if (from.empty()) from = call.query_value("after");
  auto listening = std::make_shared<Listening>();
  listening->until = services.clock.mono() + kListenMax;
  listening->tell_position = from.empty();
  if (from.empty()) {
    FLEET_TRY(listening->after, events::last_event(services.store.reader()));
  } else {
    FLEET_TRY(listening->after, read_number("Last-Event-ID", from));
  }
  listening->call.request_id = std::move(call.request_id);
  listening->call.actor = std::move(call.actor);
  listening->responder = std::move(responder);
  return listening;
}

}  // namespace

void get_events(Services& services, Call&& call, net::Responder responder) {
  auto const id = call.request_id;
  if (call.request.header("Accept").find("application/json") != std::string_view::npos) {
    auto reply = list_events(call, services.store.reader());
    return responder(reply ? render(std::move(*reply), call) : problem(reply.error(), id));
  }
  auto const listening = start(services, std::move(call), responder);
  if (!listening) return responder(problem(listening.error(), id));
  look(services, *listening);
}

}  // namespace fleet::api
