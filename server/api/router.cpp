#include "server/api/router.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace fleet::api {
namespace {

/// No route is deeper, and what `{rest...}` takes is not either.
constexpr std::size_t kSegmentsMax = 16;

/// The segments of a path, without memory of their own: every request is split twice.
struct Segments {
  std::array<std::string_view, kSegmentsMax> items;
  std::size_t count = 0;

  /// False when there are too many.
  bool split(std::string_view path) {
    path.remove_prefix(path.starts_with('/') ? 1 : 0);
    for (count = 0; count < kSegmentsMax;) {
      auto const slash = path.find('/');
      items[count++] = path.substr(0, slash);
      if (slash == std::string_view::npos) return true;
      path.remove_prefix(slash + 1);
    }
    return false;
  }
};

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
  Segments raw;
  Segments decoded;                  ///< views of `raw`, or of `escaped` where it had escapes
  std::vector<std::string> escaped;  ///< never grows beyond what was reserved: the views stay
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
    if (at == raw.count) return take(node.routes);
    if (auto const literal = node.literals.find(decoded.items[at]); literal != node.literals.end() && visit(*literal->second, at + 1)) return true;
    // What ends like a verb is that verb alone, and takes no other's methods; a name that ends so is written with %3A.
    for (auto const& verb : node.verbs) {
      if (raw.items[at].size() > verb.suffix.size() && raw.items[at].ends_with(verb.suffix)) return visit(*verb.node, at + 1);
    }
    if (node.any && !decoded.items[at].empty() && visit(*node.any, at + 1)) return true;
    return !node.rest_routes.empty() && take(node.rest_routes);
  }

  /// Reads the values of the pattern that was found off the segments.
  void read_values() {
    if (match.route->pattern.find('{') == std::string_view::npos) return;
    Segments pattern;
    pattern.split(match.route->pattern);
    for (std::size_t i = 0; i < pattern.count; ++i) {
      auto const segment = pattern.items[i];
      if (!segment.starts_with('{')) continue;
      auto const close = segment.find('}');
      auto name = segment.substr(1, close - 1);
      std::string value(decoded.items[i]);
      if (name.ends_with("...")) {
        name.remove_suffix(3);
        for (auto k = i + 1; k < decoded.count; ++k) value.append("/").append(decoded.items[k]);
      }
      value.resize(value.size() - (segment.size() - close - 1));
      match.values.emplace(name, std::move(value));
    }
  }
};

Router::Router(std::vector<Route const*> const& routes) : root_(std::make_unique<Node>()) {
  for (auto const* route : routes) {
    auto* node = root_.get();
    bool rest = false;
    Segments pattern;
    if (!pattern.split(route->pattern)) throw std::logic_error("too deep: " + std::string(route->pattern));
    for (std::size_t i = 0; i < pattern.count; ++i) {
      rest = pattern.items[i].ends_with("...}");
      if (!rest) node = &node->child(pattern.items[i]);
    }
    auto& ends = rest ? node->rest_routes : node->routes;
    for (auto const* other : ends) {
      if (other->method == route->method) throw std::logic_error("two routes for " + std::string(route->pattern));
    }
    ends.push_back(route);
  }
}

Router::~Router() = default;

Result<Match> Router::find(net::Method method, std::string_view path) const {
  Walk walk{method, {}, {}, {}, {}};
  if (!walk.raw.split(path)) return std::move(walk.match);
  walk.decoded = walk.raw;
  if (path.find('%') != std::string_view::npos) {
    walk.escaped.reserve(walk.raw.count);
    for (std::size_t i = 0; i < walk.raw.count; ++i) {
      FLEET_TRY(auto text, net::percent_decode(walk.raw.items[i]));
      if (!is_utf8(text)) return Error{Kind::bad_input, "bad_parameter", "the path is not UTF-8", "percent-encode texts as UTF-8"};
      walk.decoded.items[i] = walk.escaped.emplace_back(std::move(text));
    }
  }
  if (walk.visit(*root_, 0)) walk.read_values();
  return std::move(walk.match);
}

}  // namespace fleet::api
