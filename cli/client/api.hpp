#pragma once

#include "cli/client/console.hpp"
#include "cli/client/retry.hpp"
#include "cli/client/settings.hpp"
#include "core/net/client.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace boost::json {
class value;
}

namespace fleet::cli {

/// A path of the API with its parameters, both encoded: `Route("/devices/{}:approve", {id}).with("state", state)`.
class Route {
public:
  /// @param pattern  below /api/v1; each `{}` takes the next of `parts`
  explicit Route(std::string_view pattern, std::initializer_list<std::string_view> parts = {});
  /// Adds a query parameter; an empty value is left out.
  Route& with(std::string_view name, std::string_view value);
  [[nodiscard]] std::string const& target() const { return target_; }

private:
  std::string target_;
  bool has_query_ = false;
};

/// What the server answered to a request that succeeded.
struct Answer {
  int status = 0;
  net::Headers headers;
  std::string body;
  [[nodiscard]] std::string_view header(std::string_view name) const { return net::find_header(headers, name); }
  /// The body as JSON. @errors internal (it is not: the fault is the server's)
  [[nodiscard]] Result<boost::json::value> json() const;
};

/// How an exchange is waited for, and repeated.
struct Waiting {
  Millis work{0};         ///< what the server needs for it at most, beyond what any answer takes
  bool harmless = false;  ///< doing it twice is doing it once, although its method does not say so
};
/// Tells people that something is waited for.
using Tell = std::function<void(std::string_view text)>;

/// The REST API of docs/api.md over one connection. Answers other than 2xx are errors made of their problem. What passes by itself is waited for and asked
/// again (retry.hpp); each POST has an Idempotency-Key, so that none is done twice.
class Api {
public:
  static constexpr Millis kTimeout{30'000};
  /// Reads the CA and the token. @errors bad_input (no server, no CA), not_found (a file), unauthenticated (an empty token file)
  static Result<Api> create(Settings const& settings, Surroundings const& around, Millis timeout, Tell tell);

  /// @param target  absolute path with its query
  /// A large body has more time than `timeout`: as long as a slow link needs for it.
  Result<Answer> send(net::Method method, std::string const& target, std::string body = {}, net::Headers headers = {}, Waiting waiting = {});
  Result<boost::json::value> get(Route const& route);
  /// The `size` bytes behind a target, piece by piece; a connection that breaks goes on where it was. @errors what `sink` says, and the API's
  Result<void> download(std::string const& target, std::uint64_t size, std::function<Result<void>(BytesView)> const& sink);
  /// How long one request is asked again, all together.
  void set_patience(Millis patience) { patience_ = patience; }
  /// POST of an object. @param idempotency_key  empty: one that is made here
  Result<Answer> post(Route const& route, boost::json::value const& body, std::string const& idempotency_key = "");
  /// PUT or PATCH of what has this ETag.
  Result<Answer> change(net::Method method, Route const& route, boost::json::value const& body, std::string const& etag);
  /// Every item of a list, page after page, at most `limit` (0: all). Gives the cursor of what was left, empty when all was given.
  Result<std::string> list(Route const& route, std::size_t limit, std::function<void(boost::json::value const&)> const& item);

  /// The problem object of the last answer that was one, as the server wrote it; empty for none.
  [[nodiscard]] std::string const& last_problem() const { return last_problem_; }
  [[nodiscard]] std::string const& server() const { return server_; }

private:
  Api(net::Client client, std::string server, std::string token, std::string token_file, Surroundings const& around, Millis timeout, Tell tell);
  Result<net::ClientResponse> exchange(net::ClientRequest const& request, Waiting const& waiting);
  Result<net::ClientResponse> receive(std::string const& target, std::uint64_t size, std::uint64_t& got, std::function<Result<void>(BytesView)> const& sink);
  bool take_newer_token();
  Error problem_of(net::ClientResponse const& answer);

  net::Client client_;
  std::string server_;
  std::string token_;
  std::string token_file_;  ///< where it came from; empty: elsewhere
  Fs* fs_;
  Console* console_;
  Clock* clock_;
  Random* random_;
  Millis timeout_;
  Millis patience_{120'000};
  Tell tell_;
  bool answered_ = false;  ///< the server answered in this run
  std::string last_problem_;
};

/// Reads a token file: one line of printable characters. @errors not_found, bad_input
[[nodiscard]] Result<std::string> read_token(Fs& fs, std::string const& path);

}  // namespace fleet::cli
