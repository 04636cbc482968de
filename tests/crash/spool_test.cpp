#include "agent/report/spool.hpp"
#include "core/base/fs.hpp"
#include "tests/crash/disk.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cerrno>
#include <set>

using namespace fleet;
using namespace fleet::agent;
using crash::Call;
using crash::Disk;

namespace {

constexpr char kDir[] = "/state/spool";

/// A spool on a disk that can fail to be read.
struct Bench {
  Disk disk;
  std::unique_ptr<Fs> fs = make_fs(disk);
  FakeClock clock{from_unix_ms(1'700'000'000'000)};
  std::unique_ptr<Spool> spool;

  Bench() {
    disk.make_dirs("/state");
    open();
  }
  void open() {
    spool.reset();
    spool = Spool::open(*fs, kDir, clock);
  }
  void tell(std::string text) const {
    wire::ReportItem item;
    item.note = wire::NoteItem{{}, "test", std::move(text)};
    static_cast<void>(spool->add(std::move(item)));
  }
  /// A third of a segment and more for each letter.
  void tell_much(std::string_view letters) const {
    for (auto const letter : letters)
      for (int i = 0; i < 25; ++i) tell(std::string(900, letter));
  }
  /// The letters of what would be sent, in order, each as often as another comes before it; each number once.
  std::string would_send() const {
    std::string out;
    std::set<std::int64_t> numbers;
    auto const report = spool->next(100 << 20);
    for (auto const& item : report.items[wire::Tier::diagnostic]) {
      if (out.empty() || out.back() != item.note->text.front()) out += item.note->text.front();
      CHECK(numbers.insert(item.sequence).second);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("what a disk did not tell at the start is told once it does, before what came meanwhile") {
  for (auto const failing : {Call::list, Call::stat, Call::open, Call::read}) {
    CAPTURE(std::string(to_string(failing)));
    Bench bench;
    bench.tell_much("abcd");  // more than a segment
    bench.disk.refuse = [failing](Call call, std::string const&) { return call == failing ? EIO : 0; };
    bench.open();
    bench.tell("x");
    CHECK(bench.would_send().find('x') == std::string::npos);
    CHECK(bench.spool->has_urgent());
    bench.disk.refuse = {};
    CHECK(bench.would_send() == "abcdx");
  }
}

TEST_CASE("what stands behind a segment that cannot be read waits for it") {
  Bench bench;
  bench.tell_much("abcdef");
  // The oldest is read again and again; all of them are called after their last number.
  bench.disk.refuse = [](Call call, std::string const& path) { return call == Call::read && path.find("/diagnostic.") != std::string::npos ? EIO : 0; };
  CHECK(bench.would_send().empty());
  bench.disk.refuse = {};
  CHECK(bench.would_send() == "abcdef");
}

TEST_CASE("an empty file that could not be removed when it was to is used again") {
  Bench bench;
  bench.disk.refuse = [](Call call, std::string const&) { return call == Call::datasync || call == Call::truncate || call == Call::unlink || call == Call::rename ? EIO : 0; };
  bench.tell("a");
  bench.disk.refuse = {};
  bench.tell("b");
  CHECK(bench.would_send() == "ab");
  bench.open();
  CHECK(bench.would_send() == "ab");
}
