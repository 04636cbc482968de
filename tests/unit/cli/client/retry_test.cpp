#include "cli/client/retry.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::cli;

namespace {

Result<net::ClientResponse> answer(int status, net::Headers headers = {}) { return net::ClientResponse{status, std::move(headers), {}}; }
Result<net::ClientResponse> failed(Kind kind, std::string code) { return Error{kind, std::move(code), "why"}; }
net::Headers const kBusy{{"Retry-After", "1"}};
net::Headers const kProblem{{"Content-Type", "application/problem+json"}};

}  // namespace

TEST_CASE("busy answers that name a time pass for every request; an unknown outcome only where doing it twice is doing it once") {
  struct Row {
    Result<net::ClientResponse> answer;
    bool always, harmless;  ///< asked again: any request, one that is harmless to repeat
  };
  Row const rows[] = {
      {answer(503, kBusy), true, true},
      {answer(429, kBusy), true, true},
      {answer(503, kProblem), false, false},  // the server's last word: its disk is full, say
      {answer(503), false, true},             // a gateway's
      {answer(502), false, true},
      {answer(504), false, true},
      {answer(409, kBusy), true, true},  // the first sending is still worked on
      {answer(500, kBusy), false, false},
      {answer(409), false, false},
      {answer(200), false, false},
      {failed(Kind::unavailable, "connection_lost"), false, true},
      {failed(Kind::signature, "bad_certificate"), false, false},
  };
  FakeClock clock(SysTime{});
  for (auto const& row : rows) {
    CAPTURE((row.answer ? row.answer->status : 0));
    CHECK(Retry(clock, {}).pause_after(row.answer).has_value() == row.always);
    CHECK(Retry(clock, {.harmless = true}).pause_after(row.answer).has_value() == row.harmless);
  }
}

TEST_CASE("a server that cannot be reached is waited for when it answered before") {
  FakeClock clock(SysTime{});
  auto const refused = failed(Kind::unavailable, "connect_failed");
  CHECK_FALSE(Retry(clock, {.harmless = true}).pause_after(refused).has_value());
  CHECK(Retry(clock, {.harmless = true, .answered = true}).pause_after(refused).has_value());
  CHECK_FALSE(Retry(clock, {.answered = true}).pause_after(refused).has_value());
}

TEST_CASE("pauses are as the server says, else longer and longer; patience ends them") {
  FakeClock clock(SysTime{});
  Retry busy(clock, {.patience = seconds{10}});
  CHECK(busy.pause_after(answer(503, {{"Retry-After", "7"}})) == Millis{7'000});
  clock.advance(seconds{7});
  CHECK(busy.pause_after(answer(503, {{"Retry-After", "3"}})) == Millis{3'000});
  CHECK_FALSE(busy.pause_after(answer(503, {{"Retry-After", "4"}})).has_value());
  Retry away(clock, {.patience = seconds{60}, .harmless = true});
  Millis waited{0};
  int tries = 0;
  while (auto const pause = away.pause_after(answer(502))) {
    CHECK(*pause <= seconds{10});
    waited += *pause;
    clock.advance(*pause);
    ++tries;
  }
  CHECK(waited <= seconds{60});
  CHECK(tries > 6);
}
