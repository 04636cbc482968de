#include "core/net/address_range.hpp"
#include "core/net/proxy_header.hpp"
#include "tests/unit/core/net/fixture.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::net;
using namespace fleet::net::testing;

namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};

std::string header(char version_and_command, char transport, std::string const& rest) {
  std::string out{kSignature};
  out += version_and_command;
  out += transport;
  out += static_cast<char>(rest.size() >> 8);
  out += static_cast<char>(rest.size() & 0xff);
  return out + rest;
}

std::string const kV4{"\xc0\x00\x02\x07\x7f\x00\x00\x01\x30\x39\x20\xfb", 12};  // 192.0.2.7:12345 -> 127.0.0.1:8443

}  // namespace

TEST_CASE("ranges of addresses") {
  struct Case {
    std::string range, address;
    bool inside;
  };
  for (auto const& [range, address, inside] : {Case{"10.0.0.0/8", "10.200.3.4", true},
                                               {"10.0.0.0/8", "11.0.0.0", false},
                                               {"10.0.0.0/9", "10.128.0.0", false},
                                               {"127.0.0.1", "127.0.0.1", true},
                                               {"127.0.0.1", "127.0.0.2", false},
                                               {"10.0.0.0/8", "::ffff:10.1.1.1", true},
                                               {"2001:db8::/33", "2001:db8:7fff::1", true},
                                               {"2001:db8::/33", "2001:db8:8000::1", false},
                                               {"0.0.0.0/0", "8.8.8.8", true},
                                               {"0.0.0.0/0", "2001:db8::1", false}}) {
    CAPTURE(range);
    CAPTURE(address);
    CHECK(AddressRange::parse(range).value().contains(numeric_address(address, 1).value()) == inside);
  }
  for (auto const* bad : {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "host/8", "::/129"}) CHECK(!AddressRange::parse(bad).has_value());
}

TEST_CASE("an IPv6 customer is one, whatever the second half of his addresses; an IPv4 one is, however written") {
  auto const key = [](char const* address) { return key_of(numeric_address(address, 7).value()); };
  CHECK(key("2001:db8::1") == key("2001:db8::ffff:1"));
  CHECK(key("2001:db8::1") != key("2001:db8:0:1::1"));
  CHECK(key("10.0.0.1") == key("::ffff:10.0.0.1"));
  CHECK(key("10.0.0.1") != key("10.0.0.2"));
}

TEST_CASE("a PROXY header of version 2 tells the client's address") {
  CHECK(to_string(*parse_proxy_header(header('\x21', '\x11', kV4)).value().client) == "192.0.2.7:12345");
  CHECK(to_string(*parse_proxy_header(header('\x21', '\x11', kV4 + "\x04\x00\x01x")).value().client) == "192.0.2.7:12345");
  std::string const v6 = std::string{"\x20\x01\x0d\xb8", 4} + std::string(11, '\0') + "\x01" + std::string(16, '\0') + std::string{"\x00\x50\x20\xfb", 4};
  CHECK(to_string(*parse_proxy_header(header('\x21', '\x21', v6)).value().client) == "[2001:db8::1]:80");
  CHECK(!parse_proxy_header(header('\x20', '\0', "")).value().client);         // LOCAL: the balancer looks whether we live
  CHECK(!parse_proxy_header(header('\x21', '\0', "")).value().client);         // not told
  CHECK(!parse_proxy_header(header('\x21', '\x31', std::string(216, 'u'))).value().client);
  for (auto const& bad : {header('\x11', '\x11', kV4), header('\x22', '\x11', kV4), header('\x21', '\x11', kV4.substr(1)), header('\x21', '\x21', kV4),
                          header('\x21', '\x11', std::string(3'000, 'x')), std::string("PROXY TCP4 192.0.2.7 127.0.0.1 1 2\r\n"),
                          header('\x21', '\x11', kV4) + "x"})
    CHECK(!parse_proxy_header(bad).has_value());
}

TEST_CASE("whom a listed balancer speaks for is told by its header, however it is cut; nobody else may send one") {
  TestServer server{{}, [&](ListenerConfig& listener) { listener.balancers.push_back(AddressRange::parse("127.0.0.0/8").value()); }};
  server.handler->scripts["/whence"] = [](Request&& asked, Responder responder) {
    responder({200, {}, asked.peer->address + (asked.peer->loopback ? " loopback" : ""), true});
  };
  auto const told = header('\x21', '\x11', kV4);
  for (std::size_t const cut : {std::size_t{0}, std::size_t{1}, std::size_t{15}, std::size_t{16}, told.size() - 1}) {
    RawPeer peer{server, nullptr, {told.substr(0, cut), told.substr(cut)}};
    peer.send("GET /whence HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(peer.receive().ends_with("192.0.2.7:12345"));
  }
  RawPeer health{server, nullptr, {header('\x20', '\0', "")}};
  health.send("GET /whence HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(health.receive().ends_with(" loopback"));
  CHECK(!make_client().send(get(server.url("/whence"))).has_value());  // no header

  TestServer plain;
  auto never = Waker::create().value();
  auto const fd = connect_to("127.0.0.1", plain.server->port(0), {system_clock(), system_clock().mono() + Millis{5'000}, never}).value();
  REQUIRE(::send(fd.get(), told.data(), told.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(told.size()));
  CHECK(eventually([&] { return plain.server->counters().handshake_failures == 1; }));
}
