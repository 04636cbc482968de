#include "cli/commands/output.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <charconv>

namespace fleet::cli {
namespace json = boost::json;
namespace {

std::string indented(std::string const& text, int by) {
  std::string out(static_cast<std::size_t>(by), ' ');
  for (auto const c : text) {
    out += c;
    if (c == '\n') out.append(static_cast<std::size_t>(by), ' ');
  }
  return out;
}

Result<std::size_t> limit_of(Arguments const& arguments) {
  auto const text = arguments.text("limit", "0");
  std::size_t limit = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (text == "all") return std::size_t{0};
  if (fault == std::errc{} && end == text.data() + text.size() && (limit > 0 || !arguments.has("limit"))) return limit;
  return Error{Kind::bad_input, "bad_limit", "--limit: expected a count from 1 or `all`, got `" + text + "`"};
}

}  // namespace

Option limit_option() { return {Option::Kind::value, "--limit", "N", "at most so many (default: all)"}; }

ListPrinter::ListPrinter(Session& session, Shape const& shape) : session_(&session), shape_(&shape) {
  for (auto const& field : shape.fields)
    if (!field.wide || session.format() == Format::wide) table_.columns.push_back({std::string(field.title), field.right, table_.columns.empty()});
}

void ListPrinter::add(json::value const& item) {
  ++items_;
  switch (session_->format()) {
    case Format::name: session_->data(render::safe_text(name_of(item, *shape_)) + "\n"); return;
    case Format::jsonl: session_->data(render::json_text(item, 0) + "\n"); return;
    case Format::json: session_->data((items_ == 1 ? "{\n  \"items\": [\n" : ",\n") + indented(render::json_text(item, 2), 4)); return;
    case Format::table:
    case Format::wide: break;
  }
  std::vector<render::Cell> row;
  for (auto const& field : shape_->fields)
    if (!field.wide || session_->format() == Format::wide) row.push_back(cell_of(item, field, session_->now()));
  table_.rows.push_back(std::move(row));
  if (shape_->below == nullptr) return;
  for (auto const& line : shape_->below(item)) below_ += line + "\n";
}

void ListPrinter::finish(std::string const& next) {
  if (session_->format() == Format::json) {
    auto const cursor = next.empty() ? std::string("null") : render::json_text(json::value(next), 0);
    session_->data((items_ == 0 ? "{\n  \"items\": [" : "\n  ") + std::string("],\n  \"next\": ") + cursor + "\n}\n");
  }
  if (!session_->for_people()) return;
  if (items_ == 0) return session_->say(fmt::format("no {}s", shape_->noun));
  session_->data(render::draw(table_, session_->paper()));
  if (!below_.empty()) session_->data("\n" + below_);
  if (!next.empty()) session_->say(fmt::format("the first {}; there are more", items_));
}

Result<int> show_list(Session& session, Arguments const& arguments, Route const& route, Shape const& shape) {
  FLEET_TRY(auto const limit, limit_of(arguments));
  FLEET_TRY(auto* const api, session.api());
  ListPrinter printer(session, shape);
  FLEET_TRY(auto const next, api->list(route, limit, [&printer](json::value const& item) { printer.add(item); }));
  printer.finish(next);
  return 0;
}

void show_json(Session& session, json::value const& value) { session.data(render::json_text(value, session.format() == Format::jsonl ? 0 : 2) + "\n"); }

Result<int> show_object(Session& session, json::value const& object, Shape const& shape, std::vector<std::pair<std::string, render::Cell>> const& more) {
  if (session.format() == Format::name) {
    session.data(render::safe_text(name_of(object, shape)) + "\n");
  } else if (!session.for_people()) {
    show_json(session, object);
  } else {
    std::vector<std::pair<std::string, render::Cell>> card;
    for (auto const& field : shape.fields) card.emplace_back(field.title, cell_of(object, field, session.now()));
    card.insert(card.end(), more.begin(), more.end());
    session.data(render::draw_card(card, session.paper()));
  }
  return 0;
}

Result<int> show(Session& session, Route const& route, Shape const& shape) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const object, api->get(route));
  return show_object(session, object, shape);
}

Result<int> show_done(Session& session, json::value const& object, Shape const& shape, std::string_view said) {
  if (session.for_people()) {
    session.say(said);
    return 0;
  }
  return show_object(session, object, shape);
}

Result<int> act(Session& session, Route const& route, json::value more, Shape const& shape, std::string_view said) {
  auto& body = more.is_object() ? more.get_object() : more.emplace_object();
  if (!session.reason().empty()) body["reason"] = session.reason();
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->post(route, more));
  FLEET_TRY(auto const object, answer.json());
  return show_done(session, object, shape, said);
}

Result<int> show_gone(Session& session, std::string_view name, std::string_view said) {
  if (session.format() == Format::name) session.data(std::string(name) + "\n");
  if (session.for_people()) session.say(said);
  return 0;
}

}  // namespace fleet::cli
