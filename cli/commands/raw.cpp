#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "core/base/text.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::cli {
namespace {

constexpr std::uint64_t kBodyBytesMax = 64 * 1024 * 1024;
constexpr auto kMethods =
    std::to_array<net::Method>({net::Method::get, net::Method::head, net::Method::post, net::Method::put, net::Method::patch, net::Method::del});
// Paths that are not below /api/v1.
constexpr auto kRoots = std::to_array<std::string_view>({"/api/", "/tuf/", "/blobs/", "/healthz", "/readyz", "/metrics", "/openapi.json"});

Result<net::Method> parse_method(std::string text) {
  for (auto& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (auto const method : kMethods)
    if (net::to_string(method) == text) return method;
  return Error{Kind::bad_input, "bad_argument", "METHOD: expected GET, HEAD, POST, PUT, PATCH or DELETE, got `" + text + "`"};
}

Result<std::string> parse_target(std::string const& path) {
  if (!path.starts_with('/') || std::any_of(path.begin(), path.end(), [](char c) { return c <= ' ' || c == 0x7F; }))
    return Error{Kind::bad_input, "bad_argument", "PATH: expected a path such as /devices or /api/v1/devices, got `" + path + "`"};
  auto const rooted = std::any_of(kRoots.begin(), kRoots.end(), [&path](std::string_view root) { return path.starts_with(root); });
  return rooted ? path : "/api/v1" + path;
}

Result<int> call(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const method, parse_method(arguments.text("METHOD")));
  FLEET_TRY(auto const target, parse_target(arguments.text("PATH")));
  auto body = arguments.text("data");
  if (body.starts_with('@')) {
    FLEET_TRY(body, session.around().fs.read(body.substr(1), kBodyBytesMax));
  }
  net::Headers headers;
  if (arguments.has("data")) headers.push_back({"Content-Type", "application/json"});
  for (auto const& text : arguments.texts("header")) {
    auto const colon = text.find(':');
    if (colon == std::string::npos || colon == 0) return Error{Kind::bad_input, "bad_argument", "--header: expected `Name: value`, got `" + text + "`"};
    auto const value = text.find_first_not_of(' ', colon + 1);
    headers.push_back({text.substr(0, colon), value == std::string::npos ? "" : text.substr(value)});
  }
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const answer, api->send(method, target, std::move(body), std::move(headers)));
  if (method == net::Method::head) {
    for (auto const& header : answer.headers) session.data(safe_text(header.name + ": " + header.value) + "\n");
    return 0;
  }
  if (answer.header("Content-Type").starts_with("application/json")) {
    FLEET_TRY(auto const json, answer.json());
    show_json(session, json);
  } else {
    session.data(session.around().console.out_is_terminal() ? safe_lines(answer.body) : answer.body);
  }
  return 0;
}

}  // namespace

std::vector<Command> const& raw_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"api",
       "any route of the API, as it answers",
       "api GET /devices?limit=2\napi PATCH /devices/cam-1 -H 'If-Match: \"3\"' -d '{\"labels\":{\"site\":\"lab\"}}'\napi POST /rollouts -d @rollout.json",
       call,
       {{argument, "METHOD", "", "GET, HEAD, POST, PUT, PATCH or DELETE"},
        {argument, "PATH", "", "below /api/v1, or from the root (/healthz)"},
        {value, "-d,--data", "JSON|@FILE", "the body"},
        {values, "-H,--header", "NAME: VALUE", "one more header"}}},
  };
  return rows;
}

}  // namespace fleet::cli
