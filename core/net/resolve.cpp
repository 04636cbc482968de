#include "core/net/resolve.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>

#include <cstring>
#include <memory>
#include <system_error>
#include <thread>

namespace fleet::net {
namespace {

struct AddressList {
  addrinfo* first = nullptr;
  AddressList() = default;
  AddressList(AddressList const&) = delete;
  AddressList& operator=(AddressList const&) = delete;
  ~AddressList() {
    if (first != nullptr) ::freeaddrinfo(first);
  }
};

/// What the asking thread and the waiting one share; the last of them frees it.
struct Question {
  Question(std::string h, std::string p, Waker w) : host(std::move(h)), port(std::move(p)), answered(std::move(w)) {}
  std::string host;
  std::string port;
  Waker answered;
  AddressList list;
  int error = 0;
};

int look_up(std::string const& host, std::string const& port, int flags, AddressList& out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  return ::getaddrinfo(host.c_str(), port.c_str(), &hints, &out.first);
}

SocketAddress copy_of(addrinfo const& info) {
  SocketAddress address;
  std::memcpy(&address.storage, info.ai_addr, info.ai_addrlen);
  address.length = info.ai_addrlen;
  return address;
}

}  // namespace

std::string to_string(SocketAddress const& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.storage.ss_family == AF_INET6) {
    auto const& v6 = reinterpret_cast<sockaddr_in6 const&>(address.storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  auto const& v4 = reinterpret_cast<sockaddr_in const&>(address.storage);
  ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(v4.sin_port));
}

bool is_loopback(SocketAddress const& address) {
  if (address.storage.ss_family == AF_INET6) {
    auto const& ip = reinterpret_cast<sockaddr_in6 const&>(address.storage).sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&ip)) return IN6_IS_ADDR_LOOPBACK(&ip) != 0;
    return ip.s6_addr[12] == 127;
  }
  return (ntohl(reinterpret_cast<sockaddr_in const&>(address.storage).sin_addr.s_addr) >> 24) == 127;
}

Result<SocketAddress> numeric_address(std::string const& host, std::uint16_t port) {
  AddressList list;
  if (int const error = look_up(host, std::to_string(port), AI_NUMERICHOST, list); error != 0)
    return Error{Kind::bad_input, "bad_address", fmt::format("'{}' is no IP address: {}", host, ::gai_strerror(error))};
  return copy_of(*list.first);
}

Result<std::vector<SocketAddress>> resolve(std::string const& host, std::uint16_t port, Patience const& patience) {
  if (auto const numeric = numeric_address(host, port)) return std::vector{*numeric};
  FLEET_TRY(auto answered, Waker::create());
  auto const question = std::make_shared<Question>(host, std::to_string(port), std::move(answered));
  try {
    std::thread([question] {
      question->error = look_up(question->host, question->port, 0, question->list);
      question->answered.wake();
    }).detach();
  } catch (std::system_error const& error) {
    return Error{Kind::unavailable, "no_thread", fmt::format("asking for the address of '{}': {}", host, error.what())};
  }
  if (auto const waited = wait_for(question->answered.fd(), POLLIN, patience); !waited) {
    auto error = waited.error();
    if (error.kind == Kind::timeout) error.detail = fmt::format("asking for the address of '{}': no answer before the deadline", host);
    return error;
  }
  question->answered.consume();
  if (question->error != 0)
    return Error{Kind::unavailable, "name_unknown", fmt::format("host '{}': {}", host, ::gai_strerror(question->error)),
                 "check the name and this machine's resolver"};
  std::vector<SocketAddress> out;
  for (auto const* info = question->list.first; info != nullptr; info = info->ai_next) out.push_back(copy_of(*info));
  return out;
}

}  // namespace fleet::net
