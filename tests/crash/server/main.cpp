// usage: crash-server [--life NAME] [--seed N] [--mixed N] [--every N] [--cut K]: the server's store, uploads and blobs over a model of a disk, the power cut after every operation. Prints what was
// tried; exit 1 with what was wrong.
#include "core/base/log.hpp"
#include "tests/crash/server/server.hpp"
#include "tests/crash/server/sqlite_disk.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

namespace {

using namespace fleet;
using namespace fleet::crash;

constexpr int kFaultsShown = 6;
constexpr std::uint64_t kAgainOneIn = 8, kAgainWithin = 120;

std::string bytes_of(char letter, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; out.size() < size; ++i) out += letter + std::to_string(i * 7919);
  return out.substr(0, size);
}

/// A row of the table: what clients did before in peace, and what they do; after a cut they do all of it again, as whoever got no answer.
struct Life {
  std::string name;
  void (*before)(Server&);
  void (*steps)(Server&);
};
void nothing(Server&) {}
auto const kLives = std::to_array<Life>({
    {"first start", nullptr, nothing},
    {"upload", nothing, [](Server& server) { server.upload(bytes_of('a', 4'000), "token:ci"); }},
    {"two uploads of one", nothing,
     [](Server& server) {
       server.upload(bytes_of('a', 4'000), "token:ci");
       server.upload(bytes_of('a', 4'000), "token:other");
     }},
    {"batches", nothing,
     [](Server& server) {
       server.batch({bytes_of('a', 700), bytes_of('b', 40), bytes_of('c', 1'500)}, "token:ci");
       server.batch({bytes_of('b', 40), bytes_of('d', 900)}, "token:other");
     }},
    {"forgotten uploads", [](Server& server) { server.upload(bytes_of('a', 4'000), "token:ci"); },
     [](Server& server) {
       server.upload(bytes_of('e', 3'000), "token:ci");
       server.pass(std::chrono::hours{24 * 8});
       server.upload(bytes_of('f', 3'000), "token:ci");
     }},
    {"collected, brought again",
     [](Server& server) {
       server.upload(bytes_of('a', 2'000), "token:ci");
       server.batch({bytes_of('b', 40)}, "token:ci");
     },
     [](Server& server) {
       server.pass(std::chrono::hours{24 * 8});
       server.collect();
       server.pass(std::chrono::hours{24 * 2});
       server.batch({bytes_of('b', 40)}, "token:ci");
       server.collect();
       server.upload(bytes_of('a', 2'000), "token:ci");
     }},
    {"group commit", nothing, [](Server& server) { server.log_all(40); }},
});

struct Wanted {
  std::string life;
  std::uint64_t seed = 1, every = 1;
  int mixed = 4;
  std::optional<std::uint64_t> cut;
  std::string forget;  ///< `fsync /data`: that call to paths that end so does nothing: shows that it would be found
};
/// The disk after one operation, and how much had been acknowledged before the next.
struct Moment {
  Disk disk;
  std::size_t facts = 0;
  Call call = Call::open;
  std::string path;
};

/// A server on `disk` until `live` is done with it: in a thread of its own, as its connections are the thread's.
void serve(Disk& disk, std::vector<Fact>& facts, std::vector<std::string>& faults, std::function<void(SharedDisk&, Server&)> const& live) {
  SharedDisk shared(disk);
  set_sqlite_disk(shared);
  std::thread([&] {
    try {
      Server server(shared, facts);
      live(shared, server);
      faults.insert(faults.end(), server.faults().begin(), server.faults().end());
    } catch (std::exception const& fault) {
      faults.emplace_back(fault.what());
    }
  }).join();
}

class Cutter {
public:
  Cutter(Wanted const& wanted, std::size_t number) : wanted_(wanted), number_(number), life_(kLives[number]) {}

  void run() {
    auto const began = std::chrono::steady_clock::now();
    record();
    for (std::uint64_t cut = 0; faults_ == 0 && cut < moments_.size(); ++cut)
      if (wanted_.cut ? *wanted_.cut == cut : cut % wanted_.every == wanted_.seed % wanted_.every) try_all(cut);
    auto const took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    fmt::print("{:<24} {:>5} points {:>6} cuts   {:>4} faults {:>6.1f} s\n", life_.name, points, runs, faults_, took);
    std::fflush(stdout);
  }
  [[nodiscard]] std::uint64_t faults() const { return faults_; }
  std::uint64_t points = 0, runs = 0;

private:
  void record() {
    Disk disk;
    disk.make_dirs("/data");
    put_device_files(disk);
    std::vector<std::string> faults;
    if (life_.before != nullptr) serve(disk, facts_, faults, [&](SharedDisk&, Server& server) { life_.before(server); });
    settle(disk);
    moments_.push_back({disk, facts_.size(), Call::open, "the beginning"});
    disk.changed = [&](Call call, std::string const& path) {
      moments_.back().facts = facts_.size();
      moments_.push_back({disk, facts_.size(), call, path});
    };
    forget_in(disk);
    serve(disk, facts_, faults, [&](SharedDisk&, Server& server) { life_.steps(server); });
    disk.changed = {};
    moments_.back().facts = facts_.size();
    for (auto const& fault : faults) say(fault, "in peace");
  }
  void forget_in(Disk& disk) const {
    auto const space = wanted_.forget.find(' ');
    if (space == std::string::npos) return;
    disk.refuse = [call = wanted_.forget.substr(0, space), end = wanted_.forget.substr(space + 1)](Call made, std::string const& path) {
      return to_string(made) == call && path.ends_with(end) ? Disk::kForget : 0;
    };
  }
  /// What came before was long ago.
  static void settle(Disk& disk) {
    SeededRandom none(1);
    disk = disk.after_cut(Order::kept, none);
  }
  static void put_device_files(Disk& disk) {
    SeededRandom random(5);
    std::string bytes(4'096, '\0');
    random.fill({reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    disk.put("/dev/urandom", bytes);
  }

  void try_all(std::uint64_t cut) {
    ++points;
    std::uint64_t nth = 0;
    for (auto const order : kOrders)
      for (int again = 0; again < (order == Order::mixed ? wanted_.mixed : 1); ++again, ++nth) {
        SeededRandom random(((wanted_.seed * 1'000'003 + number_) * 1'000'003 + cut) * 1'000'003 + nth);
        auto const& moment = moments_[cut];
        auto const where = fmt::format("cut {} (after {} {}), order {}, seed {}", cut, to_string(moment.call), moment.path, to_string(order), wanted_.seed);
        auto second = recover(moment.disk.after_cut(order, random), {facts_.begin(), facts_.begin() + static_cast<std::ptrdiff_t>(moment.facts)}, where, random);
        if (second) static_cast<void>(recover(second->disk.after_cut(kOrders[random.next() % kOrders.size()], random), std::move(second_facts_), where + ", and again", random));
      }
  }

  /// @returns a moment on the way at which the power goes again, of some
  std::optional<Moment> recover(Disk disk, std::vector<Fact> facts, std::string const& where, Random& random) {
    ++runs;
    std::optional<Moment> again;
    auto left = random.next() % kAgainOneIn == 0 ? 1 + random.next() % kAgainWithin : 0;
    disk.changed = [&](Call call, std::string const& path) {
      if (left == 0 || --left > 0) return;
      again = Moment{disk, facts.size(), call, path};
      second_facts_ = facts;
    };
    std::vector<std::string> faults;
    serve(disk, facts, faults, [&](SharedDisk&, Server& server) {
      for (auto const& fault : server.check()) server.fault("right after the cut: " + fault);
      for (auto const& fault : server.check_told(facts)) server.fault(fault);
      life_.steps(server);
      for (auto const& fault : server.check_end()) server.fault("at the end: " + fault);
    });
    for (auto const& fault : faults) say(fault, where);
    return again;
  }

  void say(std::string const& fault, std::string const& where) {
    if (++faults_ <= kFaultsShown) fmt::print("  {}: {}\n    {}\n", life_.name, where, fault);
  }

  Wanted const& wanted_;
  std::size_t number_;
  Life const& life_;
  std::vector<Fact> facts_, second_facts_;
  std::vector<Moment> moments_;
  std::uint64_t faults_ = 0;
};

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app("crash-server: cuts the power after every operation of the server's store and files");
  Wanted wanted;
  app.add_option("--life", wanted.life, "this one alone");
  app.add_option("--seed", wanted.seed, "of the orders");
  app.add_option("--mixed", wanted.mixed, "so many mixed orders at each cut");
  app.add_option("--every", wanted.every, "only each n-th operation");
  app.add_option("--cut", wanted.cut, "only after this operation, counted from 0");
  app.add_option("--forget", wanted.forget, "a sync that does nothing, such as 'fsync /data/uploads', by the end of its path: shows that it would be found");
  CLI11_PARSE(app, argc, argv);
  log::set_level(static_cast<log::Level>(4));
  std::uint64_t points = 0, runs = 0, faults = 0;
  for (std::size_t i = 0; i < kLives.size(); ++i) {
    if (!wanted.life.empty() && kLives[i].name != wanted.life) continue;
    Cutter cutter(wanted, i);
    cutter.run();
    points += cutter.points;
    runs += cutter.runs;
    faults += cutter.faults();
  }
  fmt::print("{} operations, {} cuts tried, {} faults; seed {}\n", points, runs, faults, wanted.seed);
  return faults == 0 && runs > 0 ? 0 : 1;
} catch (std::exception const& fault) {
  fmt::print(stderr, "crash-server: {}\n", fault.what());
  return 1;
}
