#include "cli/client/session.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <array>

namespace fleet::cli {
namespace json = boost::json;
namespace {

struct FormatName {
  std::string_view name;
  Format format;
};
constexpr auto kFormats =
    std::to_array<FormatName>({{"table", Format::table}, {"wide", Format::wide}, {"json", Format::json}, {"jsonl", Format::jsonl}, {"name", Format::name}});

Format format_of(std::string_view name) {
  for (auto const& row : kFormats)
    if (row.name == name) return row.format;
  return Format::table;  // the parser let no other name through
}

bool dumb_terminal(Surroundings const& around) { return around.environment("TERM").value_or("") == "dumb"; }

}  // namespace

Result<Session> Session::create(Surroundings const& around, Arguments const& globals) {
  Session session(around);
  session.format_ = format_of(globals.text("output", "table"));
  session.flags_ = {globals.text("server"), globals.text("ca"), globals.text("token-file"), globals.text("context")};
  session.selector_ = globals.text("selector");
  session.reason_ = globals.text("reason");
  session.color_ = !globals.flag("no-color") && around.environment("NO_COLOR").value_or("").empty() && !dumb_terminal(around);
  session.progress_ = !globals.flag("no-progress");
  session.yes_ = globals.flag("yes");
  session.quiet_ = globals.flag("quiet");
  if (globals.has("timeout")) {
    auto const parsed = parse_duration(globals.text("timeout"));
    if (!parsed || parsed->count() <= 0)
      return Error{Kind::bad_input, "bad_timeout", "--timeout: expected a time such as 30s or 6h, got `" + globals.text("timeout") + "`"};
    session.timeout_ = *parsed;
  }
  return session;
}

Result<Api*> Session::api(std::optional<Millis> request_timeout) {
  if (!api_) {
    FLEET_TRY(auto const settings, resolve_settings(flags_, around_));
    auto tell = [&console = around_.console, quiet = quiet_](std::string_view text) {
      if (!quiet) console.err(render::safe_lines(text) + "\n");
    };
    FLEET_TRY(auto made, Api::create(settings, around_, request_timeout.value_or(timeout_.value_or(Api::kTimeout)), std::move(tell)));
    api_ = std::make_unique<Api>(std::move(made));
    if (timeout_) api_->set_patience(*timeout_);
  }
  return api_.get();
}

std::string Session::problem(Error const& error) const {
  if (api_ && !api_->last_problem().empty()) {
    boost::system::error_code fault;
    auto const sent = json::parse(api_->last_problem(), fault);
    if (!fault && render::text_at(sent, "code") == error.code) return render::json_text(sent, 2);
  }
  json::array errors;
  for (auto const& one : error.errors) errors.push_back({{"pointer", one.pointer}, {"detail", one.detail}});
  return render::json_text({{"type", "urn:fleet:problem:" + error.code},
                            {"title", to_string(error.kind)},
                            {"status", http_status(error.kind)},
                            {"detail", error.detail},
                            {"code", error.code},
                            {"hint", error.hint},
                            {"request_id", nullptr},
                            {"errors", std::move(errors)}},
                           2);
}

void Session::say(std::string_view text) {
  if (!quiet_) around_.console.err(render::safe_lines(text) + "\n");
}

bool Session::shows_progress() const { return progress_ && !quiet_ && around_.console.err_is_terminal() && !dumb_terminal(around_); }

bool Session::redraws() const { return progress_ && around_.console.out_is_terminal() && !dumb_terminal(around_); }

render::Paper Session::paper() const {
  if (!around_.console.out_is_terminal()) return {};
  return {around_.console.window().width, color_};
}

Result<void> Session::confirm(std::string_view what) {
  if (yes_) return {};
  if (!around_.console.interactive()) return Error{Kind::bad_input, "confirmation_required", std::string(what) + " Nobody can be asked here.", "add --yes"};
  auto const answer = around_.console.ask(render::safe_text(what) + " Go on? [y/N] ");
  if (answer && (*answer == "y" || *answer == "Y" || *answer == "yes")) return {};
  return Error{Kind::unprocessable, "not_confirmed", "nothing was changed: the answer was not `y`"};
}

}  // namespace fleet::cli
