#include "core/net/lookup.hpp"

#include <fmt/format.h>

#include <netdb.h>
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

void ask(Question& question) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  question.error = ::getaddrinfo(question.host.c_str(), question.port.c_str(), &hints, &question.list.first);
}

}  // namespace

/// getaddrinfo(3), on a thread of its own, because it knows no deadline.
Result<std::vector<SocketAddress>> look_up(std::string const& host, std::uint16_t port, Patience const& patience) {
  FLEET_TRY(auto answered, Waker::create());
  auto const question = std::make_shared<Question>(host, std::to_string(port), std::move(answered));
  try {
    std::thread([question] {
      ask(*question);
      question->answered.wake();
    }).detach();
  } catch (std::system_error const& error) {
    return Error{Kind::unavailable, "no_thread", fmt::format("asking for the address of '{}': {}", host, error.what())};
  }
  if (auto const waited = wait_for(question->answered.fd(), POLLIN, patience); !waited) return name_late(host, waited.error());
  question->answered.consume();
  if (question->error != 0) return name_unknown(host, ::gai_strerror(question->error));
  std::vector<SocketAddress> out;
  for (auto const* info = question->list.first; info != nullptr; info = info->ai_next) {
    auto& address = out.emplace_back();
    std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    address.length = info->ai_addrlen;
  }
  return out;
}

}  // namespace fleet::net
