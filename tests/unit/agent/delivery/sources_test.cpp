#include "agent/delivery/sources.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;
using std::chrono::minutes;

namespace {

using List = std::vector<std::string>;
constexpr MonoTime kStart{Millis{1'000'000}};

}  // namespace

TEST_CASE("what the owner set comes first, what the server announces after it, the server that is spoken to last, each once") {
  Sources sources({"https://relay"});
  CHECK(sources.in_order(kStart) == List{"https://relay", ""});
  sources.announce({"https://cache", "https://relay", "https://server"});
  CHECK(sources.in_order(kStart) == List{"https://relay", "https://cache", "https://server", ""});
}

TEST_CASE("a source that failed is left out for a while, longer each time, and tried again; one that works is trusted anew") {
  Sources sources;
  sources.announce({"https://cache"});
  auto now = kStart;
  Millis before{0};
  for (int i = 0; i < 12; ++i) {
    sources.failed("https://cache", now);
    auto rest = Millis{0};
    while (sources.in_order(now + rest).size() == 1) rest += std::chrono::seconds{10};
    CHECK(rest >= before);
    CHECK(rest <= minutes{61});
    before = rest;
    now += rest;
  }
  CHECK(before >= minutes{59});
  sources.worked("https://cache");
  sources.failed("https://cache", now);
  CHECK(sources.in_order(now + minutes{1}) == List{"https://cache", ""});
}

TEST_CASE("a liar rests for an hour, also over polls that announce it again; the server that is spoken to never rests") {
  Sources sources;
  sources.announce({"https://mirror"});
  sources.lied("https://mirror", kStart);
  sources.lied("", kStart);
  sources.failed("", kStart);
  sources.announce({"https://mirror"});
  CHECK(sources.in_order(kStart + minutes{59}) == List{""});
  CHECK(sources.in_order(kStart + minutes{61}) == List{"https://mirror", ""});
}
