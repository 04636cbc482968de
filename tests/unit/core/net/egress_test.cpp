#include "core/net/egress.hpp"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace fleet;
using namespace fleet::net;

namespace {

MonoTime at(std::int64_t ms) { return MonoTime{Millis{ms}}; }

/// Asks for more as soon as it has sent what it was given.
struct Reader {
  explicit Reader(Egress& from, std::vector<Reader*>* in_order = nullptr) : egress(from), given(in_order) {}
  void ask() {
    while (!waits) {
      auto const now = egress.ask(1 << 30, [this](std::uint64_t bytes) {
        got += bytes;
        waits = false;
        if (given != nullptr) given->push_back(this);
      });
      got += now;
      waits = now == 0;
    }
  }
  Egress& egress;
  std::vector<Reader*>* given;  ///< who was given something, in order
  std::uint64_t got = 0;
  bool waits = false;
};

}  // namespace

TEST_CASE("without a bound nobody need ask") {
  CHECK_FALSE(Egress(0).is_bound());
  CHECK(Egress(1).is_bound());
}

TEST_CASE("what leaves is the bound's, whatever is asked for") {
  Egress egress(1'000'000);
  Reader reader(egress);
  egress.refill(at(0));
  reader.ask();
  CHECK_MESSAGE(reader.got == 0, "nothing was saved before the start");
  for (int i = 1; i <= 100; ++i) {
    egress.refill(at(i * 100));
    reader.ask();
  }
  CHECK(reader.got >= 9'900'000);
  CHECK(reader.got <= 10'000'000 + egress.quantum());
}

TEST_CASE("an hour without readers is no burst of an hour, and a late tick loses nothing") {
  Egress egress(1'000'000);
  egress.refill(at(0));
  egress.refill(at(3'600'000));
  Reader reader(egress);
  reader.ask();
  CHECK(reader.got <= 250'000 + egress.quantum());
  auto const before = reader.got;
  egress.refill(at(3'600'240));
  reader.ask();
  CHECK(reader.got - before >= 240'000 - egress.quantum());
  egress.refill(at(3'600'000));
  CHECK_MESSAGE(egress.waiting() == 1, "time that goes back gives nothing");
}

TEST_CASE("all who wait get the same, and who asks for little holds up nobody") {
  Egress egress(10'000'000);
  std::vector<Reader*> given;
  std::vector<Reader> readers(7, Reader(egress, &given));
  egress.refill(at(0));
  for (auto& reader : readers) reader.ask();
  for (int i = 1; i <= 200; ++i) {
    egress.refill(at(i * 100));
    for (auto* const reader : std::exchange(given, {})) reader->ask();
  }
  std::uint64_t least = UINT64_MAX, most = 0, all = 0;
  for (auto const& reader : readers) {
    least = std::min(least, reader.got);
    most = std::max(most, reader.got);
    all += reader.got;
  }
  CHECK(most - least <= 2 * egress.quantum());
  CHECK(all <= 200'000'000 + egress.quantum());
}

TEST_CASE("what was given and not sent is given to the next") {
  Egress egress(1'000'000);
  egress.refill(at(0));
  egress.refill(at(100));
  std::uint64_t given = 0;
  for (std::uint64_t now = 1; now > 0; given += now) now = egress.ask(1 << 30, [&](std::uint64_t bytes) { given += bytes; });
  auto const before = given;
  egress.give_back(before);
  egress.refill(at(100));
  CHECK(given > before);
}
