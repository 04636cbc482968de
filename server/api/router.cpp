#include "server/api/router.hpp"

#include <algorithm>
#include <stdexcept>

namespace fleet::api {
namespace {

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> out;
  path.remove_prefix(path.starts_with('/') ? 1 : 0);
  while (true) {
    auto const slash = path.find('/');
    out.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

struct Router::Node {
  struct Verb {
    std::string suffix;  ///< with its colon
    std::unique_ptr<Node> node;
  };
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::vector<Verb> verbs;
  std::unique_ptr<Node> any;
  std::vector<Route const*> routes;       ///< that end here
  std::vector<Route const*> rest_routes;  ///< that take the rest from here

  Node& child(std::string_view segment) {
    if (!segment.starts_with('{')) return made(literals[std::string(segment)]);
    auto const suffix = segment.substr(segment.find('}') + 1);
    if (suffix.empty()) return made(any);
    auto const found = std::find_if(verbs.begin(), verbs.end(), [&](Verb const& verb) { return verb.suffix == suffix; });
    if (found != verbs.end()) return *found->node;
    return *verbs.emplace_back(Verb{std::string(suffix), std::make_unique<Node>()}).node;
  }
  static Node& made(std::unique_ptr<Node>& slot) {
    if (!slot) slot = std::make_unique<Node>();
    return *slot;
  }
};

/// One search: the segments of a path, and what was found on the way.
struct Router::Walk {
  net::Method method;
  std::vector<std::string> segments;      ///< decoded
  std::vector<std::string_view> raw;
  Match match;

  bool take(std::vector<Route const*> const& routes) {
    auto const serves = [](Route const* route, net::Method wanted) { return route->method == wanted; };
    for (auto const wanted : {method, method == net::Method::head ? net::Method::get : method}) {
      for (auto const* route : routes) {
        if (!serves(route, wanted)) continue;
        match.route = route;
        return true;
      }
    }
    for (auto const* route : routes) match.allowed.push_back(route->method);
    return false;
  }

  bool visit(Node const& node, std::size_t at) {
    if (at == segments.size()) return take(node.routes);
    if (auto const literal = node.literals.find(segments[at]); literal != node.literals.end() && visit(*literal->second, at + 1)) return true;
    for (auto const& verb : node.verbs) {
      if (raw[at].size() > verb.suffix.size() && raw[at].ends_with(verb.suffix) && visit(*verb.node, at + 1)) return true;
    }
    if (node.any && !segments[at].empty() && visit(*node.any, at + 1)) return true;
    return !node.rest_routes.empty() && take(node.rest_routes);
  }

  /// Reads the values of the pattern that was found off the segments.
  void read_values() {
    auto const pattern = split(match.route->pattern);
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (!pattern[i].starts_with('{')) continue;
      auto const close = pattern[i].find('}');
      auto name = pattern[i].substr(1, close - 1);
      std::string value = segments[i];
      if (name.ends_with("...")) {
        name.remove_suffix(3);
        for (auto k = i + 1; k < segments.size(); ++k) value += "/" + segments[k];
      }
      value.resize(value.size() - (pattern[i].size() - close - 1));
      match.values.emplace(name, std::move(value));
    }
  }
};

Router::Router(std::vector<Route const*> const& routes) : root_(std::make_unique<Node>()) {
  for (auto const* route : routes) {
    auto* node = root_.get();
    bool rest = false;
    for (auto const segment : split(route->pattern)) {
      rest = segment.ends_with("...}");
      if (!rest) node = &node->child(segment);
    }
    auto& ends = rest ? node->rest_routes : node->routes;
    for (auto const* other : ends) {
      if (other->method == route->method) throw std::logic_error("two routes for " + std::string(route->pattern));
    }
    ends.push_back(route);
  }
}

Router::Router(Router&&) noexcept = default;
Router::~Router() = default;

Result<Match> Router::find(net::Method method, std::string_view path) const {
  Walk walk{method, {}, split(path), {}};
  walk.segments.reserve(walk.raw.size());
  for (auto const raw : walk.raw) {
    if (raw.find('%') == std::string_view::npos) {
      walk.segments.emplace_back(raw);
      continue;
    }
    FLEET_TRY(auto decoded, net::percent_decode(raw));
    walk.segments.push_back(std::move(decoded));
  }
  if (walk.visit(*root_, 0)) walk.read_values();
  return std::move(walk.match);
}

}  // namespace fleet::api
