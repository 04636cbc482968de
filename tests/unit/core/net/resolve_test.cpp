#include "core/net/resolve.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>

using namespace fleet;
using namespace fleet::net;

namespace {

struct Asking {
  Waker cancel = Waker::create().value();
  [[nodiscard]] Patience for_time(Millis time) { return {system_clock(), system_clock().mono() + time, cancel}; }
};

}  // namespace

TEST_CASE("addresses in text") {
  CHECK(to_string(numeric_address("10.1.2.3", 80).value()) == "10.1.2.3:80");
  CHECK(to_string(numeric_address("2001:db8::1", 65535).value()) == "[2001:db8::1]:65535");
  CHECK(to_string(numeric_address("::ffff:127.0.0.1", 1).value()) == "[::ffff:127.0.0.1]:1");
  CHECK(is_loopback(numeric_address("::ffff:127.0.0.1", 1).value()));
  CHECK(is_loopback(numeric_address("127.9.9.9", 1).value()));
  CHECK_FALSE(is_loopback(numeric_address("128.0.0.1", 1).value()));
  auto const linked = numeric_address("fe80::1%lo", 1).value();
  CHECK(reinterpret_cast<sockaddr_in6 const&>(linked.storage).sin6_scope_id != 0);
}

TEST_CASE("what is no address") {
  for (auto const* text : {"", "10.1.2", "10.1.2.3.4", "0x7f.1", "256.0.0.1", "1.2.3.4 ", "::1::", "[::1]", "example.com", "fe80::1%no-such-link", "10.0.0.1%lo"})
    CHECK(numeric_address(text, 1).error().code == "bad_address");
}

TEST_CASE("a name of this machine's own files is found, with the port") {
  Asking asking;
  auto const found = resolve("localhost", 8444, asking.for_time(seconds{10})).value();
  REQUIRE_FALSE(found.empty());
  for (auto const& address : found) {
    CHECK(is_loopback(address));
    CHECK(to_string(address).ends_with(":8444"));
  }
}

TEST_CASE("what can be no name, a deadline that is over, and a person who changes their mind") {
  Asking asking;
  CHECK(resolve("no name", 1, asking.for_time(seconds{20})).error().code == "name_unknown");
  CHECK(resolve("device.test.invalid", 1, asking.for_time(Millis{0})).error().kind == Kind::timeout);
  asking.cancel.wake();
  auto const cancelled = resolve("device.test.invalid", 1, asking.for_time(seconds{20}));
  CHECK((cancelled.error().code == "cancelled" || cancelled.error().code == "name_unknown"));  // where the machine's resolver was faster
}
