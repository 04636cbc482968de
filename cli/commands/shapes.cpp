#include "cli/commands/shapes.hpp"

#include "cli/render/failure.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <array>

namespace fleet::cli {
namespace json = boost::json;
using render::Cell;
using render::member;
using render::text_at;
using render::Tone;
namespace {

using MakeCell = Cell (*)(json::value const& value, SysTime now);

std::string comma(std::string const& out, std::string const& more) { return out + (out.empty() ? "" : ",") + more; }

Cell text_cell(json::value const& value, SysTime) { return {value.is_object() || value.is_array() ? render::json_text(value, 0) : render::text_of(value)}; }

Cell state_cell(json::value const& value, SysTime) {
  auto const text = render::text_of(value);
  return {text, render::tone_of(text)};
}

Cell time_cell(json::value const& value, SysTime now) {
  auto const text = render::text_of(value);
  auto const at = parse_rfc3339(text);
  return {at ? render::relative(*at, now) : text};
}

Cell joined_cell(json::value const& value, SysTime) { return {render::joined(value)}; }

Cell yes_no_cell(json::value const& value, SysTime) {
  if (!value.is_bool()) return {};
  return value.get_bool() ? Cell{"yes", Tone::good} : Cell{"no", Tone::dim};
}

Cell release_cell(json::value const& value, SysTime) { return {text_at(value, "model") + "@" + text_at(value, "version")}; }

Cell running_cell(json::value const& value, SysTime) {
  std::string out;
  if (auto const* models = value.if_object())
    for (auto const& [model, version] : *models) out = comma(out, std::string(model) + "@" + (version.is_string() ? render::text_of(version) : "?"));
  return {out};
}

Cell update_cell(json::value const& value, SysTime) {
  if (!value.is_object()) return {};
  auto const state = text_at(value, "state");
  return {text_at(value, "model") + "@" + text_at(value, "version") + " " + state, render::tone_of(state)};
}

Cell hardware_cell(json::value const& value, SysTime) {
  std::string out;
  if (auto const* variants = value.if_array())
    for (auto const& variant : *variants) {
      auto const name = text_at(variant, "name");
      out = comma(out, render::joined(member(variant, "hardware")) + (name.empty() ? "" : "/" + name));
    }
  return {out};
}

Cell parents_cell(json::value const& value, SysTime) {
  std::string out;
  if (auto const* parents = value.if_array())
    for (auto const& parent : *parents)
      out = comma(out, text_at(parent, "model") + "@" + text_at(parent, "version") + " (" + text_at(parent, "relation") + ")");
  return {out};
}

Cell members_cell(json::value const& value, SysTime) {
  std::string out;
  if (auto const* members = value.if_array())
    for (auto const& one : *members) out = comma(out, text_at(one, "model") + "@" + text_at(one, "version"));
  return {out};
}

/// `stable: standard on site=lab`, a policy of one's own as `own policy`.
Cell standing_cell(json::value const& value, SysTime) {
  std::string out;
  if (auto const* all = value.if_array())
    for (auto const& one : *all) {
      auto const policy = text_at(one, "policy"), selector = text_at(one, "selector");
      bool const preset = member(one, "policy").is_string();
      out += fmt::format("{}{}: {} on {}", out.empty() ? "" : "; ", text_at(one, "alias"), preset ? policy : "own policy", selector.empty() ? "all devices" : selector);
    }
  return {out};
}

Cell progress_cell(json::value const& value, SysTime) {
  if (!value.is_object()) return {};
  auto const failed = render::number_at(value, "failed") > 0;
  return {text_at(value, "healthy") + "/" + text_at(value, "targeted"), failed ? Tone::bad : Tone::plain};
}

Cell stage_cell(json::value const& value, SysTime) {
  if (!value.is_object()) return {};
  auto out = text_at(value, "index") + "/" + text_at(value, "of");
  if (render::number_at(value, "index") == 0) return {out};  // not started
  if (auto const percent = text_at(value, "percent"); !percent.empty()) out += " " + percent + "%";
  if (auto const state = text_at(value, "state"); !state.empty()) out += " " + state;
  return {out};
}

Cell error_cell(json::value const& value, SysTime) {
  if (value.is_string()) return {render::text_of(value), Tone::bad};
  if (!value.is_object()) return {};
  auto const text = text_at(value, "text");
  return {text_at(value, "code") + (text.empty() ? "" : ": " + text), Tone::bad};
}

Cell sensors_cell(json::value const& value, SysTime) {
  std::string out;
  if (auto const* all = value.if_array())
    for (auto const& one : *all) out = comma(out, text_at(one, "metric") + " " + text_at(one, "flag"));
  return {out, Tone::bad};
}

// In the order of enum Form.
constexpr auto kMakers = std::to_array<MakeCell>({text_cell, state_cell, time_cell, joined_cell, joined_cell, yes_no_cell, release_cell, running_cell,
                                                  update_cell, hardware_cell, parents_cell, members_cell, progress_cell, stage_cell, error_cell, standing_cell, sensors_cell});
static_assert(kMakers.size() == static_cast<std::size_t>(Form::sensors) + 1, "each form has a maker");

}  // namespace

Cell cell_of(json::value const& object, Field const& field, SysTime now) {
  return kMakers.at(static_cast<std::size_t>(field.form))(member(object, field.path), now);
}

std::string name_of(json::value const& object, Shape const& shape) {
  auto const at = shape.name.find('@');
  if (at == std::string_view::npos) return text_at(object, shape.name);
  return text_at(object, shape.name.substr(0, at)) + "@" + text_at(object, shape.name.substr(at + 1));
}

Shape const& device_shape() {
  static Shape const shape{"device",
                           "id",
                           {{"ID", "id"},
                            {"HARDWARE", "hardware"},
                            {"STATE", "state", Form::state},
                            {"ONLINE", "online", Form::yes_no},
                            {"LAST SEEN", "last_seen", Form::time},
                            {"RUNNING", "running", Form::running},
                            {"UPDATE", "update", Form::update},
                            {"LABELS", "labels", Form::pairs, true},
                            {"REPORTED", "reported", Form::pairs, true},
                            {"AGENT", "agent", Form::text, true},
                            {"KEY", "key", Form::text, true},
                            {"ERROR", "update.error", Form::error, true}}};
  return shape;
}

Shape const& device_token_shape() {
  static Shape const shape{"device token",
                           "id",
                           {{"ID", "id"},
                            {"DEVICE", "device"},
                            {"HARDWARE", "hardware"},
                            {"LABELS", "labels", Form::pairs},
                            {"CREATED", "created_at", Form::time},
                            {"EXPIRES", "expires_at", Form::time},
                            {"USED", "used_at", Form::time},
                            {"BY", "used_by"},
                            {"REVOKED", "revoked_at", Form::time}}};
  return shape;
}

Shape const& history_shape() {
  static Shape const shape{"change",
                           "time",
                           {{"TIME", "time"},
                            {"RELEASE", "", Form::release},
                            {"STATE", "state", Form::state},
                            {"ROLLOUT", "rollout"},
                            {"ATTEMPT", "attempt", Form::text, false, true},
                            {"ERROR", "error", Form::error},
                            {"RECEIVED", "received", Form::text, true}},
                           render::failure_lines};
  return shape;
}

Shape const& group_shape() {
  static Shape const shape{"group",
                           "name",
                           {{"NAME", "name"},
                            {"SELECTOR", "selector"},
                            {"IDS", "devices", Form::text, false, true},
                            {"OF NO DEVICE", "unknown", Form::text, true, true},
                            {"BY", "created_by"},
                            {"CHANGED", "changed_at", Form::time},
                            {"SHA256", "sha256", Form::text, true}}};
  return shape;
}

Shape const& group_id_shape() {
  static Shape const shape{"id", "id", {{"ID", "id"}, {"KNOWN", "known", Form::yes_no}}};
  return shape;
}

Shape const& model_shape() {
  static Shape const shape{"model",
                           "name",
                           {{"NAME", "name"},
                            {"APPROVALS", "approvals_required", Form::text, false, true},
                            {"KIND", "kind"},
                            {"ALIASES", "aliases", Form::pairs},
                            {"FOLLOWED", "standing", Form::standing},
                            {"CREATED", "created_at", Form::time}}};
  return shape;
}

Shape const& release_shape() {
  static Shape const shape{"release",
                           "model@version",
                           {{"RELEASE", "", Form::release},
                            {"STATE", "state", Form::state},
                            {"HARDWARE", "variants", Form::hardware},
                            {"PARENTS", "parents", Form::parents},
                            {"BY", "created_by"},
                            {"CREATED", "created_at", Form::time},
                            {"METRICS", "metrics", Form::pairs, true},
                            {"COMMIT", "commit", Form::text, true},
                            {"DIGEST", "digest", Form::text, true}}};
  return shape;
}

Shape const& set_shape() {
  static Shape const shape{"set",
                           "model@version",
                           {{"SET", "", Form::release},
                            {"STATE", "state", Form::state},
                            {"MEMBERS", "members", Form::members},
                            {"BY", "created_by"},
                            {"CREATED", "created_at", Form::time},
                            {"COMMIT", "commit", Form::text, true},
                            {"DIGEST", "digest", Form::text, true}}};
  return shape;
}

Shape const& rollout_shape() {
  static Shape const shape{"rollout",
                           "id",
                           {{"ID", "id"},
                            {"RELEASE", "", Form::release},
                            {"STATE", "state", Form::state},
                            {"STAGE", "stage", Form::stage},
                            {"HEALTHY", "counts", Form::progress, false, true},
                            {"FAILED", "counts.failed", Form::text, false, true},
                            {"SELECTOR", "selector"},
                            {"CREATED", "created_at", Form::time},
                            {"VERDICT", "verdict.decision", Form::state, true},
                            {"BY", "created_by", Form::text, true},
                            {"FOLLOWS", "follows", Form::text, true},
                            {"REASON", "verdict.reason"}}};
  return shape;
}

Shape const& rollout_device_shape() {
  static Shape const shape{"device",
                           "device",
                           {{"DEVICE", "device"},
                            {"STAGE", "stage", Form::text, false, true},
                            {"ARM", "arm"},
                            {"STATE", "state", Form::state},
                            {"OUTCOME", "outcome", Form::state},
                            {"FROM", "from"},
                            {"TO", "to"},
                            {"ATTEMPT", "attempt", Form::text, false, true},
                            {"SINCE", "since", Form::time},
                            {"ERROR", "error", Form::error}},
                           render::failure_lines};
  return shape;
}

Shape const& token_shape() {
  static Shape const shape{"token",
                           "id",
                           {{"ID", "id"},
                            {"NAME", "name"},
                            {"ROLE", "role"},
                            {"MODEL", "model"},
                            {"SELECTOR", "selector"},
                            {"IDENTITY", "identity", Form::text, true},
                            {"CREATED", "created_at", Form::time},
                            {"EXPIRES", "expires_at", Form::time},
                            {"REVOKED", "revoked_at", Form::time}}};
  return shape;
}

Shape const& metric_shape() {
  static Shape const shape{
      "metric", "name", {{"MODEL", "model"}, {"METRIC", "name"}, {"TYPE", "type"}, {"UNIT", "unit"}, {"LAST SEEN", "last_seen", Form::time}}};
  return shape;
}

Shape const& latest_shape() {
  static Shape const shape{"metric",
                           "metric",
                           {{"METRIC", "metric"},
                            {"MODEL", "model"},
                            {"VERSION", "version"},
                            {"VALUE", "value", Form::text, false, true},
                            {"UNIT", "unit"},
                            {"AT", "at", Form::time},
                            {"FLAG", "flag"},
                            {"SINCE", "since", Form::time, true},
                            {"SAMPLES", "count", Form::text, true, true},
                            {"TYPE", "type", Form::text, true}}};
  return shape;
}

Shape const& event_shape() {
  static Shape const shape{"event",
                           "id",
                           {{"ID", "id", Form::text, false, true},
                            {"TIME", "time"},
                            {"TYPE", "type"},
                            {"SUBJECT", "subject"},
                            {"ACTOR", "actor"},
                            {"DATA", "data", Form::text, true}}};
  return shape;
}

Shape const& audit_shape() {
  static Shape const shape{"entry",
                           "seq",
                           {{"SEQ", "seq", Form::text, false, true},
                            {"TIME", "time"},
                            {"ACTOR", "actor"},
                            {"ACTION", "action"},
                            {"SUBJECT", "subject"},
                            {"REASON", "reason"},
                            {"REQUEST", "request_id", Form::text, true},
                            {"HASH", "hash", Form::text, true}}};
  return shape;
}

}  // namespace fleet::cli
