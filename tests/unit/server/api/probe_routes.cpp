#include "tests/unit/server/api/api_fixture.hpp"

#include <stdexcept>
#include <thread>

namespace fleet::test {
namespace {

using api::Call;
using api::Reply;

Reply text_reply(std::string body, int status = 200) {
  Reply reply;
  reply.status = status;
  reply.body = std::move(body);
  return reply;
}

Result<Reply> throwing(Services&, Call const&, db::Connection&) { throw std::runtime_error("bug"); }
Result<Reply> throwing_write(Services&, Call const&, store::Tx&) { throw std::runtime_error("bug"); }
Result<Reply> throwing_work(Services&, Call const&) { throw std::runtime_error("bug"); }

/// Writes a setting, and fails after it where asked.
Result<Reply> count_write(Services&, Call const& call, store::Tx& tx) {
  auto const n = ++Probe::runs;
  auto put = tx.prepare({"probe.put", "INSERT OR REPLACE INTO settings (name, value) VALUES ('probe', ?1)"});
  put.bind(1, n);
  FLEET_CHECK(put.run());
  if (call.request.body == "fail") return Error{Kind::unprocessable, "as_asked", "the body says so"};
  auto reply = text_reply(fmt::format(R"({{"run":{},"secret":"s"}})", n), 201);
  reply.replay_body = fmt::format(R"({{"run":{}}})", n);
  reply.headers.push_back({"X-Probe", "yes"});
  return reply;
}

Result<Reply> count_work(Services&, Call const&) { return text_reply(fmt::format(R"({{"run":{}}})", ++Probe::runs)); }

/// Blocks a worker until the test opens the gate.
Result<Reply> block(Services&, Call const&) {
  Probe::open.wait(false);
  return text_reply("{}");
}
Result<Reply> open_gate(Services&, Call const&, db::Connection&) {
  Probe::open_gate();
  return text_reply("{}");
}

Result<Reply> revisioned(Services&, Call const& call, db::Connection&) {
  auto reply = text_reply(fmt::format(R"({{"n":"{}"}})", call.query_value("n", "0")));
  reply.revision = 7;
  return reply;
}
Result<Reply> change(Services&, Call const& call, store::Tx&) {
  FLEET_CHECK(api::check_if_match(call, 7));
  return text_reply("{}");
}
Result<Reply> echo(Services&, Call const& call, db::Connection&) {
  return text_reply(fmt::format("{}|{}|{}", call.path_value("m"), call.path_value("rest"), call.actor.name));
}
Result<Reply> numbers(Services&, Call const& call, db::Connection&) {
  FLEET_TRY(auto const page, api::read_page(call));
  std::vector<std::string> items;
  int const from = page.after.empty() ? 0 : std::stoi(page.after);
  for (int i = from; i < 1'000 && i < from + page.limit; ++i) items.push_back(std::to_string(i));
  int const next = from + page.limit;
  return api::list_reply(call, items, next < 1'000 ? std::to_string(next) : "");
}

}  // namespace

std::vector<api::Route> const& probe_routes() {
  using enum net::Method;
  using P = api::Permission;
  using L = api::Listener;
  static std::vector<api::Route> const routes{
      {get, "/probe/throw", P::read, api::kOpen, &throwing},
      {put, "/probe/throw", P::operate, api::kOpen, &throwing_write},
      {del, "/probe/throw", P::operate, api::kOpen, &throwing_work},
      {post, "/probe/write", P::operate, api::kOpen, &count_write},
      {post, "/probe/work", P::operate, api::kOpen, &count_work},
      {post, "/probe/read", P::read, api::kOpen, &count_work},
      {get, "/probe/block", P::read, api::kOpen, &block},
      {get, "/probe/long", P::read, api::kOpen, &block, 0, L::api, api::Pool::simulations},
      {get, "/probe/open", P::read, api::kOpen, &open_gate},
      {get, "/probe/object", P::read, api::kOpen, &revisioned},
      {put, "/probe/object", P::operate, api::kOpen, &change},
      {post, "/probe/object", P::operate, api::kOpen, &change},
      {get, "/probe/numbers", P::read, api::kOpen, &numbers},
      {get, "/probe/models/{m}", P::read, {api::Bound::named, api::Bound::open, {{api::Place::path, "m", api::Thing::model}}}, &echo},
      {get, "/probe/files/{rest...}", P::everyone, api::kOpen, &echo},
      {get, "/probe/operate", P::operate, api::kOpen, &echo},
      {get, "/probe/publish", P::publish, api::kOpen, &echo},
      {get, "/probe/approve", P::approve, api::kOpen, &echo},
      {get, "/probe/administer", P::administer, api::kOpen, &echo},
      {get, "/probe/shared", P::read, api::kOpen, &echo, 0, L::both},
      {get, "/device/v1/probe", P::device, api::kOpen, &echo, 0, L::device},
  };
  return routes;
}

}  // namespace fleet::test
