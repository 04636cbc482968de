// A TCP relay that behaves like a bad link: for tests and the demo, loopback only.
// usage: bad-network --to PORT [--port-file FILE] [--delay-ms N] [--bytes-per-s N] [--cut-after BYTES] [--cuts N]
//   delays each piece, limits the rate, and cuts the first N connections after so many bytes towards the client.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <thread>

namespace {

struct Link {
  std::uint16_t to = 0;
  long delay_ms = 0;
  long bytes_per_s = 0;
  long cut_after = 0;
  std::atomic<long> cuts{0};
};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool send_all(int fd, char const* data, std::size_t size) {
  while (size > 0) {
    auto const n = ::send(fd, data, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

void pause_for(long ms) { ::poll(nullptr, 0, static_cast<int>(ms)); }

/// Moves one piece; false ends the connection.
bool move_piece(Link const& link, int from, int to) {
  std::array<char, 4096> piece{};
  auto const n = ::recv(from, piece.data(), piece.size(), 0);
  if (n <= 0) return false;
  if (link.delay_ms > 0) pause_for(link.delay_ms);
  if (link.bytes_per_s > 0) pause_for(1000 * n / link.bytes_per_s);
  return send_all(to, piece.data(), static_cast<std::size_t>(n));
}

void relay(Link& link, int client) {
  int const server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto const address = loopback(link.to);
  bool open = ::connect(server, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
  bool const cut = link.cut_after > 0 && link.cuts.fetch_sub(1) > 0;
  long sent = 0;
  while (open) {
    std::array<pollfd, 2> fds{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0) break;
    if (fds[0].revents != 0) open = move_piece(link, client, server);
    if (open && fds[1].revents != 0) {
      open = move_piece(link, server, client);
      sent += 4096;
    }
    if (cut && sent >= link.cut_after) open = false;
  }
  linger const reset{1, 0};  // a cut is a reset, not a polite end
  if (cut) ::setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  ::close(client);
  ::close(server);
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  static Link link;
  auto const number = [&](char const* key) { return given.contains(key) ? std::atol(given[key].c_str()) : 0L; };
  link.to = static_cast<std::uint16_t>(number("--to"));
  link.delay_ms = number("--delay-ms");
  link.bytes_per_s = number("--bytes-per-s");
  link.cut_after = number("--cut-after");
  link.cuts = number("--cuts");
  if (link.to == 0) {
    std::cerr << "usage: bad-network --to PORT [--port-file FILE] [--delay-ms N] [--bytes-per-s N] [--cut-after BYTES] [--cuts N]\n";
    return 2;
  }
  int const listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener, 64) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("bad-network");
    return 1;
  }
  auto const port = std::to_string(ntohs(address.sin_port));
  if (given.contains("--port-file")) {
    std::ofstream(given["--port-file"] + ".new") << port << "\n";
    std::rename((given["--port-file"] + ".new").c_str(), given["--port-file"].c_str());
  } else {
    std::cout << port << std::endl;
  }
  for (;;) {
    int const client = ::accept(listener, nullptr, nullptr);
    if (client >= 0) std::thread(relay, std::ref(link), client).detach();
  }
}
