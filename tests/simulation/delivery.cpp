// A fleet fetches a release at one moment, on a virtual clock, through what the server bounds itself with (net::Egress, blobs::Turns). Bytes are counted, not
// sent. usage: delivery-sim   prints a line a case; 1 where one took more than 1.2 x the time that its bytes need, or held more than it may
#include "core/base/random.hpp"
#include "core/net/egress.hpp"
#include "server/blobs/turns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <queue>
#include <string>
#include <vector>

using namespace fleet;

namespace {

constexpr Millis kTick{100};  // as net::Worker has it
constexpr double kLimit = 1.2;

struct Case {
  std::string what;
  int devices = 10'000;
  std::uint64_t bytes = 50'000'000;
  int files = 1;                  ///< the bytes come as so many
  double cut = 0;                 ///< of requests: the link breaks somewhere, and the device comes back
  Millis told_within{60'000};     ///< from the first to the last
  double slow = .1;               ///< of the devices: 2 Mbit/s; the others have 16 or 100
  std::uint64_t slow_rate = 250'000;
  std::uint64_t egress = 125'000'000;
};

struct Device {
  std::uint64_t rate = 0, left = 0, of_file = 0, until_cut = 0, given = 0;
  int failures = 0;
  blobs::Turns::Held held = {};
  MonoTime done{};
};

struct Event {
  MonoTime at;
  int device = 0;
  bool sent = false;  ///< what it was given; else it asks for an object
  bool operator>(Event const& other) const { return at > other.at; }
};

struct Outcome {
  Millis took{0};
  std::uint64_t asked = 0, told_later = 0;
  std::size_t at_once = 0, waiting = 0;
};

class Fleet {
public:
  Fleet(Case const& given, std::uint64_t seed) : case_(given), random_(seed), egress_(given.egress), turns_(given.egress), devices_(static_cast<std::size_t>(given.devices)) {}

  Outcome run() {
    for (int i = 0; i < case_.devices; ++i) {
      auto& one = devices_[static_cast<std::size_t>(i)];
      auto const kind = random_.uniform();
      one.rate = kind < case_.slow ? case_.slow_rate : kind < .55 ? 2'000'000 : 12'500'000;
      one.left = case_.bytes;
      events_.push({MonoTime{Millis{static_cast<std::int64_t>(random_.uniform() * static_cast<double>(case_.told_within.count()))}}, i});
    }
    for (MonoTime tick{}; done_ < case_.devices; tick += kTick) {
      now_ = tick;
      egress_.refill(now_);
      out_.waiting = std::max(out_.waiting, egress_.waiting());
      while (!events_.empty() && events_.top().at < tick + kTick) {
        auto const event = events_.top();
        events_.pop();
        now_ = std::max(now_, event.at);
        event.sent ? sent(event.device) : ask(event.device);
      }
    }
    out_.told_later = turns_.figures().told_later;
    return out_;
  }

private:
  Device& at(int i) { return devices_[static_cast<std::size_t>(i)]; }

  /// As the agent does: it is told when, or backs off by itself, ten minutes at most.
  void ask(int i) {
    auto& one = at(i);
    ++out_.asked;
    one.of_file = std::min<std::uint64_t>(one.left, case_.bytes / static_cast<std::uint64_t>(case_.files));
    auto turn = turns_.take(i + 1, one.of_file, egress_.waiting() == 0, now_);
    if (auto const* const after = std::get_if<Millis>(&turn)) return events_.push({now_ + std::max<Millis>(std::chrono::ceil<std::chrono::seconds>(*after), back_off(one)), i});
    one.held = std::get<blobs::Turns::Held>(std::move(turn));
    one.failures = 0;
    one.until_cut = random_.uniform() < case_.cut ? static_cast<std::uint64_t>(random_.uniform() * static_cast<double>(one.of_file)) : one.of_file;
    out_.at_once = std::max(out_.at_once, turns_.figures().at_it);
    draw(i);
  }

  Millis back_off(Device& one) {
    one.failures = std::min(one.failures + 1, 20);
    return Millis{static_cast<std::int64_t>(std::min(600'000., 1000. * static_cast<double>(1ULL << one.failures)) * (.5 + random_.uniform()))};
  }

  void draw(int i) {
    auto const now = egress_.ask(std::min(at(i).of_file, at(i).until_cut + 1), [this, i](std::uint64_t bytes) { given(i, bytes); });
    if (now > 0) given(i, now);
  }

  void given(int i, std::uint64_t bytes) {
    auto& one = at(i);
    one.given = bytes;
    events_.push({now_ + Millis{static_cast<std::int64_t>(1 + bytes * 1000 / one.rate)}, i, true});
  }

  void sent(int i) {
    auto& one = at(i);
    auto const took = std::min({one.given, one.of_file, one.until_cut});
    egress_.give_back(one.given - took);
    one.left -= took;
    one.of_file -= took;
    one.until_cut -= took;
    if (one.until_cut > 0) return draw(i);
    one.held.reset();
    if (one.left == 0) {
      ++done_;
      out_.took = now_ - MonoTime{};
      return;
    }
    events_.push({now_ + (one.of_file == 0 ? Millis{20} : back_off(one)), i});
  }

  Case const& case_;
  SeededRandom random_;
  net::Egress egress_;
  blobs::Turns turns_;
  std::vector<Device> devices_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  MonoTime now_{};
  int done_ = 0;
  Outcome out_;
};

}  // namespace

int main() {
  auto const cases = std::to_array<Case>({
      {.what = "all told within a minute"},
      {.what = "at the same instant", .told_within = Millis{1}},
      {.what = "over an hour", .told_within = Millis{3'600'000}},
      {.what = "a link in five breaks", .cut = .2},
      {.what = "50 files", .files = 50},
      {.what = "all by 2 Mbit/s", .slow = 1},
      {.what = "all by 600 kbit/s", .slow = 1, .slow_rate = 75'000},
      {.what = "20 Mbit/s, 500 devices", .devices = 500, .egress = 2'500'000},
      {.what = "100,000 devices, 5 MB", .devices = 100'000, .bytes = 5'000'000},
  });
  int worst = 0;
  fmt::print("{:<34} {:>9} {:>9} {:>6} {:>8} {:>9} {:>8}\n", "CASE", "IDEAL s", "TOOK s", "RATIO", "AT ONCE", "REQUESTS", "LATER");
  for (auto const& one : cases) {
    auto const got = Fleet(one, 1).run();
    auto const ideal = static_cast<double>(one.bytes) * one.devices / static_cast<double>(one.egress);
    auto const took = static_cast<double>(got.took.count()) / 1000;
    auto const most = blobs::Turns(one.egress).most();
    bool const good = took <= kLimit * ideal && got.at_once <= most && got.waiting <= most;
    fmt::print("{:<34} {:>9.0f} {:>9.0f} {:>6.3f} {:>8} {:>9} {:>8}{}\n", one.what, ideal, took, took / ideal, got.at_once, got.asked, got.told_later, good ? "" : "  TOO MUCH");
    if (!good) worst = 1;
  }
  return worst;
}
