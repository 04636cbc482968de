#include "server/blobs/turns.hpp"

#include <doctest/doctest.h>

#include <tuple>
#include <vector>

using namespace fleet;
using namespace fleet::blobs;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
MonoTime at(std::int64_t ms) { return MonoTime{Millis{ms}}; }
Turns::Held* held(std::variant<Turns::Held, Millis>& answer) { return std::get_if<Turns::Held>(&answer); }

}  // namespace

TEST_CASE("without a bound everybody has a turn") {
  Turns turns(0);
  for (int device = 1; device <= 10'000; ++device) {
    auto answer = turns.take(device, kMiB, false, at(0));
    CHECK(held(answer) != nullptr);
  }
  CHECK(turns.figures().at_it == 0);
}

TEST_CASE("as many have a turn as the bound has shares, eight at least") {
  for (auto const& [egress, usual, most] : {std::tuple{125'000'000, 476, 1'907}, {2'500'000, 9, 38}, {125'000, 8, 8}}) {
    CAPTURE(egress);
    Turns turns(static_cast<std::uint64_t>(egress));
    std::vector<Turns::Held> under_way;
    auto const fill = [&](bool spare) {
      for (;;) {
        auto answer = turns.take(static_cast<std::int64_t>(under_way.size()) + 1, kMiB, spare, at(0));
        if (held(answer) == nullptr) return static_cast<int>(under_way.size());
        under_way.push_back(*held(answer));
      }
    };
    CHECK(fill(false) == usual);
    CHECK_MESSAGE(fill(true) == most, "where they do not take all of it, others may, to an end");
  }
}

TEST_CASE("who comes beyond is told later, each by the time that the one before takes") {
  Turns turns(kMiB);  // a MiB takes a second
  std::vector<Turns::Held> under_way;
  for (int device = 1; device <= 8; ++device) {
    auto answer = turns.take(device, 100 * kMiB, false, at(0));
    REQUIRE(held(answer) != nullptr);
    under_way.push_back(*held(answer));
  }
  CHECK(std::get<Millis>(turns.take(9, 10 * kMiB, false, at(0))) == Millis{10'000});
  CHECK(std::get<Millis>(turns.take(10, 20 * kMiB, false, at(0))) == Millis{30'000});
  CHECK(std::get<Millis>(turns.take(11, kMiB, false, at(20'000))) == Millis{11'000});
  CHECK(std::get<Millis>(turns.take(11, kMiB, false, at(60'000))) == Millis{1'000});
  CHECK(turns.figures().told_later == 4);
  CHECK(turns.figures().at_it == 8);
}

TEST_CASE("a device keeps its turn from object to object, and others have it some time after its last") {
  Turns turns(kMiB);
  std::vector<Turns::Held> under_way;
  for (int device = 1; device <= 8; ++device) {
    auto answer = turns.take(device, kMiB, false, at(0));
    under_way.push_back(*held(answer));
  }
  under_way.clear();
  auto again = turns.take(3, kMiB, false, at(9'000));
  REQUIRE(held(again) != nullptr);
  auto second = turns.take(3, kMiB, false, at(9'000));
  REQUIRE_MESSAGE(held(second) != nullptr, "several at once are one turn");
  auto other = turns.take(9, kMiB, false, at(9'500));
  CHECK_MESSAGE(held(other) == nullptr, "the others may go on");
  other = turns.take(9, kMiB, false, at(12'000));
  CHECK(held(other) != nullptr);
  CHECK(turns.figures().at_it == 2);
}

TEST_CASE("nobody is told to wait for longer than an hour, and not all for the same moment") {
  Turns turns(kMiB);
  std::vector<Turns::Held> under_way;
  for (int device = 1; device <= 8; ++device) {
    auto answer = turns.take(device, kMiB, false, at(0));
    under_way.push_back(*held(answer));
  }
  std::vector<Millis> told;
  for (int device = 9; device < 109; ++device) told.push_back(std::get<Millis>(turns.take(device, 5'000 * kMiB, false, at(0))));
  for (auto const wait : told) {
    CHECK(wait >= Turns::kLongest / 2);
    CHECK(wait <= Turns::kLongest);
  }
  std::sort(told.begin(), told.end());
  CHECK(std::unique(told.begin(), told.end()) - told.begin() > 90);
}

TEST_CASE("a device with many connections has no more of the bound than eight of them take") {
  Turns turns(100 * kMiB);
  std::vector<Turns::Held> under_way;
  for (int i = 0; i < Turns::kObjects; ++i) {
    auto answer = turns.take(1, kMiB, true, at(0));
    REQUIRE(held(answer) != nullptr);
    under_way.push_back(*held(answer));
  }
  CHECK(std::get<Millis>(turns.take(1, kMiB, true, at(0))) == Turns::kFull);
  auto other = turns.take(2, kMiB, true, at(0));
  CHECK_MESSAGE(held(other) != nullptr, "nobody else waits for that");
  under_way.pop_back();
  auto again = turns.take(1, kMiB, true, at(1'000));
  CHECK(held(again) != nullptr);
  CHECK(turns.figures().told_later == 1);
}
