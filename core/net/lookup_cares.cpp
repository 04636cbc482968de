#include "core/net/lookup.hpp"

#include <ares.h>
#include <fmt/format.h>

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace fleet::net {
namespace {

/// How often c-ares looks whether a server should be asked again. Its own word on that, ares_timeout(3), speaks in `timeval`, which in Debian's
/// build for armhf has 32 bits and here has 64.
constexpr std::int64_t kTickMs = 500;

struct CloseChannel {
  void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, CloseChannel>;

struct Answer {
  bool here = false;
  int status = ARES_SUCCESS;
  std::vector<SocketAddress> addresses;
};

void take(void* into, int status, int, ares_addrinfo* list) {
  auto& answer = *static_cast<Answer*>(into);
  answer.here = true;
  answer.status = status;
  for (auto const* node = list == nullptr ? nullptr : list->nodes; node != nullptr; node = node->ai_next) {
    auto& address = answer.addresses.emplace_back();
    std::memcpy(&address.storage, node->ai_addr, node->ai_addrlen);
    address.length = node->ai_addrlen;
  }
  if (list != nullptr) ares_freeaddrinfo(list);
}

/// One wait for c-ares' sockets, and its turn afterwards.
Result<void> turn(ares_channeldata* channel, Patience const& patience) {
  auto const left = patience.until - patience.clock.mono();
  if (left <= Millis{0}) return Error{Kind::timeout, "timeout", "no answer before the deadline"};
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  auto const wanted = static_cast<unsigned>(ares_getsock(channel, sockets.data(), ARES_GETSOCK_MAXNUM));
  std::array<pollfd, ARES_GETSOCK_MAXNUM + 1> fds{{{patience.cancel.fd(), POLLIN, 0}}};
  nfds_t count = 1;
  for (unsigned i = 0; i < sockets.size(); ++i) {
    bool const reads = (wanted >> i & 1U) != 0, writes = (wanted >> (i + ARES_GETSOCK_MAXNUM) & 1U) != 0;
    if (reads || writes) fds[count++] = {sockets[i], static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
  }
  int const ready = ::poll(fds.data(), count, static_cast<int>(std::min<std::int64_t>(left.count(), kTickMs)));
  if (ready < 0 && errno != EINTR) return Error{Kind::unavailable, "poll_failed", fmt::format("poll: {}", system_words(errno))};
  if (ready > 0 && fds[0].revents != 0 && patience.cancel.consume()) return Error{Kind::unavailable, "cancelled", "the exchange was cancelled"};
  for (nfds_t i = 1; ready > 0 && i < count; ++i)
    if (fds[i].revents != 0)
      ares_process_fd(channel, (fds[i].revents & ~POLLOUT) != 0 ? fds[i].fd : ARES_SOCKET_BAD, (fds[i].revents & POLLOUT) != 0 ? fds[i].fd : ARES_SOCKET_BAD);
  ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  return {};
}

}  // namespace

/// c-ares: /etc/hosts and the servers of /etc/resolv.conf, read anew each time, because a device changes its networks.
Result<std::vector<SocketAddress>> look_up(std::string const& host, std::uint16_t port, Patience const& patience) {
  static int const library = ares_library_init(ARES_LIB_INIT_ALL);
  Answer answer;  // outlives the channel, which tells it of its end
  ares_channeldata* opened = nullptr;
  if (int const status = library != ARES_SUCCESS ? library : ares_init(&opened); status != ARES_SUCCESS) return name_unknown(host, ares_strerror(status));
  Channel const channel{opened};
  ares_addrinfo_hints hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NUMERICSERV;
  ares_getaddrinfo(channel.get(), host.c_str(), std::to_string(port).c_str(), &hints, take, &answer);
  while (!answer.here)
    if (auto const waited = turn(channel.get(), patience); !waited) return name_late(host, waited.error());
  if (answer.status != ARES_SUCCESS) return name_unknown(host, ares_strerror(answer.status));
  return std::move(answer.addresses);
}

}  // namespace fleet::net
