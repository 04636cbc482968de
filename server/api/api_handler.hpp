#pragma once

#include "server/api/change_quota.hpp"
#include "server/api/handler.hpp"
#include "server/api/idempotency.hpp"
#include "server/api/router.hpp"
#include "server/api/workers.hpp"

#include <array>
#include <atomic>
#include <mutex>
#include <set>

namespace fleet::api {

/// The program's side of one listener. Finds the route, asks who calls and whether they may, and runs the handler where its kind belongs:
/// reads on the io thread, writes on the writer (answered after the commit), work on the threads of the route's pool.
class ApiHandler final : public net::Handler {
public:
  /// @param tables  constant tables of routes; those of the other listener are left out
  ApiHandler(Services& services, Listener listener, std::vector<std::vector<Route> const*> const& tables);

  std::uint64_t body_limit(net::Method method, std::string_view path) override;
  void handle(net::Request&& request, net::Responder responder) override;

private:
  struct Pending;
  /// What can be said before the handler's thread has the request: query, identity, permission. Its scope is judged there.
  Result<void> admit(Route const& route, Call& call) const;
  Result<Actor> identify(Route const& route, Call const& call) const;
  void recognise(Call const& call) const;
  Result<void> take_quota(Route const& route, Call const& call);
  void run_raw(Route const& route, RawHandler handler, Call&& call, net::Responder&& responder);
  void run_read(Route const& route, ReadHandler handler, Call const& call, net::Responder& responder);
  void run_write(Route const& route, WriteHandler handler, Call&& call, net::Responder&& responder);
  void run_work(Route const& route, WorkHandler handler, Call&& call, net::Responder&& responder);
  Result<net::Response> do_write(Pending& pending, Route const& route, WriteHandler handler, store::Tx& tx);
  Result<net::Response> do_work(Pending& pending, Route const& route, WorkHandler handler);
  std::string next_request_id();

  Services& services_;
  Listener listener_;
  Router router_;
  std::string id_prefix_;
  std::atomic<std::uint64_t> served_{0};
  std::mutex mutex_;
  std::set<std::string> working_;  ///< idempotent uses that a worker is at
  ChangeQuota changes_;
  std::array<std::unique_ptr<Workers>, kPools> pools_;
};

}  // namespace fleet::api
