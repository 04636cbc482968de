#include "server/api/workers.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace fleet::api;

namespace {

/// Jobs that hold their thread until they are let go.
struct Gate {
  std::promise<void> open;
  std::shared_future<void> opened = open.get_future().share();
  std::atomic<int> entered{0};

  std::function<void()> job() {
    return [this] {
      ++entered;
      opened.wait();
    };
  }
  void await(int count) {
    while (entered < count) std::this_thread::yield();
  }
};

using Posted = Workers::Posted;

}  // namespace

TEST_CASE("one party never holds every thread, whatever it asks for") {
  Gate gate;
  std::promise<void> other;
  {
    Workers workers({.threads = 3, .waiting = 100, .waiting_a_party = 50});
    for (int i = 0; i < 20; ++i) REQUIRE(workers.post("greedy", gate.job()) == Posted::taken);
    gate.await(2);
    REQUIRE(workers.post("other", [&] { other.set_value(); }) == Posted::taken);
    CHECK(other.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    CHECK(gate.entered == 2);
    gate.open.set_value();
  }
  CHECK(gate.entered >= 2);
}

TEST_CASE("parties take turns on a thread") {
  Gate gate;
  std::vector<std::string> order;  // on the one thread
  {
    Workers workers({.threads = 1, .waiting = 100, .waiting_a_party = 50});
    REQUIRE(workers.post("a", gate.job()) == Posted::taken);
    gate.await(1);
    std::promise<void> done;
    auto const note = [&](std::string_view party) {
      order.emplace_back(party);
      if (order.size() == 5) done.set_value();
    };
    for (int i = 0; i < 3; ++i) REQUIRE(workers.post("a", [&] { note("a"); }) == Posted::taken);
    for (std::string_view const party : {"b", "c"}) REQUIRE(workers.post(std::string(party), [&note, party] { note(party); }) == Posted::taken);
    CHECK(workers.waiting() == 5);
    gate.open.set_value();
    done.get_future().wait();
  }
  REQUIRE(order.size() == 5);
  CHECK(std::vector(order.begin(), order.begin() + 3) == std::vector<std::string>{"b", "c", "a"});
}

TEST_CASE("what does not fit is refused, a party's own share first") {
  Gate gate;
  Workers workers({.threads = 1, .waiting = 4, .waiting_a_party = 2});
  REQUIRE(workers.post("a", gate.job()) == Posted::taken);
  gate.await(1);
  CHECK(workers.post("a", [] {}) == Posted::taken);
  CHECK(workers.post("a", [] {}) == Posted::taken);
  CHECK(workers.post("a", [] {}) == Posted::full_for_party);
  CHECK(workers.post("b", [] {}) == Posted::taken);
  CHECK(workers.post("c", [] {}) == Posted::taken);
  CHECK(workers.post("d", [] {}) == Posted::full);
  gate.open.set_value();
}
