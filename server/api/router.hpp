#pragma once

#include "server/api/route.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::api {

using PathValues = std::map<std::string, std::string, std::less<>>;

/// What a request's method and path lead to.
struct Match {
  Route const* route = nullptr;  ///< null: no such path, or not with this method
  PathValues values;
  std::vector<net::Method> allowed;  ///< of a path that exists, where `route` is null
};

/// Finds the route of a path in one walk over its segments. Literal segments win over `{id}:verb`, that over `{id}`, that over `{rest...}`.
/// An id may hold colons: `{id}` is tried where no verb with the request's method fits.
class Router {
public:
  /// `routes` must outlive the router. Two routes of one method and pattern are a bug: throws std::logic_error.
  explicit Router(std::vector<Route const*> const& routes);
  ~Router();

  /// @param path  still percent-encoded, with its leading slash
  /// @errors bad_input (escapes)
  [[nodiscard]] Result<Match> find(net::Method method, std::string_view path) const;

private:
  struct Node;
  struct Walk;
  std::unique_ptr<Node> root_;
};

}  // namespace fleet::api
