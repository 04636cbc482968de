#pragma once

#include "core/net/client.hpp"
#include "server/telemetry/clickhouse/address.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace fleet::clickhouse {

/// Where it is, and who we are there.
struct Access {
  Address address;
  std::string password;
  std::string ca_pem;  ///< of whoever vouches for it, with https
};

/// One ClickHouse, asked by HTTP, a statement at a time. Not for several threads, save `cancel`.
class Server {
public:
  /// Nothing is asked yet. @errors bad_input (certificates)
  static Result<Server> open(Access access, Clock& clock);
  /// The answer as a text. @errors unavailable (code `telemetry_away`: it does not answer, or not with 200)
  Result<std::string> ask(std::string_view statement);
  /// The answer in pieces, once it is known to be whole. @errors as `ask`, and those of `take`
  Result<void> ask(std::string_view statement, std::function<Result<void>(BytesView)> const& take);
  /// @param rows  that follow the statement; after an error nobody knows whether they are there
  Result<void> insert(std::string_view statement, std::string rows);
  void cancel() { client_.cancel(); }

private:
  Server(std::string url, std::string authorization, net::Client client)
      : url_(std::move(url)), authorization_(std::move(authorization)), client_(std::move(client)) {}
  Result<net::ClientResponse> send(std::string const& query, std::string body, net::BodySink const& sink);

  std::string url_, authorization_;
  net::Client client_;
};

}  // namespace fleet::clickhouse
