#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <cstdlib>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr Millis kSkewMax{30'000};

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
std::optional<SysTime> parse_http_date(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  auto const month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos) return std::nullopt;
  auto const iso = fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month / 3 + 1, text.substr(5, 2), text.substr(17, 8));
  auto const parsed = parse_rfc3339(iso);
  return parsed ? std::optional<SysTime>(*parsed) : std::nullopt;
}

/// Collects the checks, in the order they depend on each other; the first that fails gives the exit code.
class Report {
public:
  void ok(std::string_view check, std::string const& detail) { add(check, "ok", detail, ""); }
  /// Something to look at, and nothing broken.
  void differs(std::string_view check, std::string const& detail, std::string const& hint) { add(check, "differs", detail, hint); }
  void fail(std::string_view check, Error const& error) {
    if (exit_ == 0) exit_ = exit_code(error.kind);
    add(check, "fail", error.detail, error.hint);
  }
  template <class T>
  bool take(std::string_view check, Result<T> const& result, std::string const& detail) {
    if (result) ok(check, detail);
    else fail(check, result.error());
    return result.has_value();
  }
  [[nodiscard]] json::array const& rows() const { return rows_; }
  [[nodiscard]] int exit() const { return exit_; }

private:
  void add(std::string_view check, std::string_view state, std::string const& detail, std::string const& hint) {
    rows_.push_back({{"check", check}, {"state", state}, {"detail", detail}, {"hint", hint}});
  }
  json::array rows_;
  int exit_ = 0;
};

void check_clock(Report& report, Answer const& answer, SysTime now) {
  auto const theirs = parse_http_date(answer.header("Date"));
  if (!theirs) return report.fail("clock", {Kind::internal, "no_date", "the server's answer has no Date", ""});
  auto const skew = Millis{std::abs((now - *theirs).count())};
  auto const words = fmt::format("{} s apart from the server's", skew.count() / 1000);
  if (skew <= kSkewMax) report.ok("clock", words);
  else report.fail("clock", {Kind::unprocessable, "clock_skew", words, "set this machine's or the server's clock (NTP)"});
}

/// Where a server keeps samples outside its database, it says how that goes.
void check_telemetry(Report& report, Answer const& ready) {
  auto const told = ready.json();
  auto const state = told ? render::text_at(*told, "telemetry") : "";
  if (state == "ok") report.ok("telemetry", "is kept where it should be");
  else if (state == "behind")
    report.differs("telemetry", "what devices measure waits in the server's database: the place that keeps it is away, or slow", "look at ClickHouse, and at telemetry.behind in the server's log");
  else if (state == "full")
    report.differs("telemetry", "what devices measure stays with them: the place that keeps it is away, and as much waits for it as may",
                   "look at ClickHouse, and at telemetry.behind in the server's log; results of updates pass, and nothing that was acknowledged is lost");
}

/// A store of blobs that does not answer, or not as it should.
void check_blobs(Report& report, Answer const& ready) {
  auto const said = ready.json();
  auto const* const blobs = said ? &render::member(*said, "blobs") : nullptr;
  if (blobs == nullptr || !blobs->is_object()) return;
  report.fail("blobs", {Kind::unavailable, render::text_at(*blobs, "code"), fmt::format("{} since {}: {}", render::text_at(*blobs, "code"), render::text_at(*blobs, "since"), render::text_at(*blobs, "detail")),
                        render::text_at(*blobs, "hint")});
}

/// Since a backup was restored: what waits for a person, and what this server does not know.
void check_restored(Report& report, json::value const& told) {
  auto const each = [&](std::string_view key, auto const& tell) {
    if (auto const* const list = render::member(told, key).if_array())
      for (auto const& one : *list) tell(one);
  };
  auto const since = render::text_at(told, "restored_at");
  each("rollouts", [&](json::value const& one) {
    auto const id = render::text_at(one, "id");
    report.differs("restored",
                   fmt::format("rollout {} of {}@{}, {}, is from before the restore of {}: it sends no device back", id, render::text_at(one, "model"),
                               render::text_at(one, "version"), render::text_at(one, "state"), since),
                   fmt::format("fleetctl rollout resume {} if it still holds", id));
  });
  each("releases", [&](json::value const& one) {
    report.differs("restored",
                   fmt::format("{} devices ({}, ...) run {}@{} ({}), which this server does not know", render::text_at(one, "devices"), render::text_at(one, "example"),
                               render::text_at(one, "model"), render::text_at(one, "version"), render::text_at(one, "digest").substr(0, 12)),
                   "publish it again");
  });
  each("lost_rollouts", [&](json::value const& one) {
    report.differs("restored",
                   fmt::format("{} devices ({}, ...) name rollout {}, which this server does not know", render::text_at(one, "devices"),
                               render::text_at(one, "example"), render::text_at(one, "id")),
                   "roll out what they should run");
  });
}

void check_server(Report& report, Session& session, Settings const& settings) {
  auto const made = session.api();
  if (!report.take("credentials", made, settings.ca.value + " (from " + settings.ca.from + ")")) return;
  auto& api = **made;
  api.set_patience(Millis{0});  // it tells what it sees
  auto const health = api.send(net::Method::get, "/healthz");
  if (!report.take("tls", health, api.server() + " answers with a certificate of this CA")) return;
  check_clock(report, *health, session.now());
  if (auto const ready = api.send(net::Method::get, "/readyz"); report.take("server", ready, "ready")) {
    check_telemetry(report, *ready);
    check_blobs(report, *ready);
  }
  auto const token = settings.token.value.empty() ? settings.token_file : settings.token;
  if (token.value.empty())
    return report.fail("token", {Kind::unauthenticated, "no_token", "no token is known", "use --token-file, FLEETCTL_TOKEN_FILE or a context with one"});
  auto const me = api.get(Route("/auth/status"));
  auto const words = me ? fmt::format("{}, role {} (from {})", render::text_at(*me, "name"), render::text_at(*me, "role"), token.from) : "";
  if (!report.take("token", me, words)) return;
  // A token that sees a part of the fleet is not told of the whole.
  if (auto const told = api.get(Route("/restored"))) check_restored(report, *told);
}

Shape const& check_shape() {
  static Shape const shape{"check", "check", {{"CHECK", "check"}, {"STATE", "state", Form::state}, {"DETAIL", "detail"}, {"HINT", "hint"}}};
  return shape;
}

Result<int> doctor(Session& session, Arguments const&) {
  Report report;
  auto const settings = session.settings();
  auto const server = settings ? settings->server : Setting{};
  if (settings && server.value.empty())
    report.fail("config", {Kind::bad_input, "no_server", "no server is known", "use --server URL, FLEETCTL_SERVER, or `fleetctl context add`"});
  else if (report.take("config", settings, server.value + " (from " + server.from + ")")) check_server(report, session, *settings);
  ListPrinter printer(session, check_shape());
  for (auto const& row : report.rows()) printer.add(row);
  printer.finish("");
  return report.exit();
}

}  // namespace

std::vector<Command> const& doctor_commands() {
  static std::vector<Command> const rows{
      {"doctor", "looks at config, TLS, clocks, the server and the token, and says what to do", "doctor", doctor},
  };
  return rows;
}

}  // namespace fleet::cli
