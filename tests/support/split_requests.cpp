// Sends every row of the smuggling table to a server over TLS, cut in two at every byte, and good chunked requests byte by byte.
// usage: split-requests --port PORT   exit 0: each bad one met 400 and the end, each good one an answer that is not 400
#include "core/net/tls.hpp"
#include "tests/unit/core/net/smuggling.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace fleet::net;
using testing::kSmuggling;

constexpr auto kGood = std::to_array<std::string_view>({
    "POST /api/v1/uploads HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST /device/v1/poll HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
});

/// One connection each; sessions are resumed, or handshakes would take all the time.
class Splitter {
public:
  explicit Splitter(std::uint16_t port) : context_(SSL_CTX_new(TLS_client_method())), port_(port) {}

  /// What the server says to pieces that it gets one after another.
  std::string ask(std::vector<std::string_view> const& pieces) {
    int const fd = dial();
    SslPtr<SSL> const ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), fd);
    if (session_) SSL_set_session(ssl.get(), session_.get());
    std::string answer;
    if (SSL_connect(ssl.get()) == 1) {
      for (auto const& piece : pieces)
        if (SSL_write(ssl.get(), piece.data(), static_cast<int>(piece.size())) <= 0) break;  // it has judged already
      std::array<char, 4096> buffer{};
      for (int n = 0; (n = SSL_read(ssl.get(), buffer.data(), buffer.size())) > 0;) answer.append(buffer.data(), static_cast<std::size_t>(n));
      session_.reset(SSL_get1_session(ssl.get()));
    }
    ::close(fd);
    return answer;
  }

private:
  [[nodiscard]] int dial() const {
    int const fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    int const on = 1;
    timeval const limit{20, 0};
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::perror("split-requests");
    return fd;
  }
  SslPtr<SSL_CTX> context_;
  SslPtr<SSL_SESSION> session_;
  std::uint16_t port_;
};

std::vector<std::string_view> bytes_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < text.size(); ++at) out.push_back(text.substr(at, 1));
  return out;
}

bool report(bool good, std::string_view what, std::string_view answer) {
  if (!good) std::printf("%.*s: %.80s\n", static_cast<int>(what.size()), what.data(), std::string(answer.substr(0, answer.find('\r'))).c_str());
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  Splitter peer(static_cast<std::uint16_t>(std::atoi(argv[2])));
  std::size_t asked = 0, wrong = 0;
  auto const count = [&](bool good) {
    ++asked;
    wrong += good ? 0 : 1;
  };
  constexpr std::string_view kRefused = "HTTP/1.1 400 ";
  for (auto const& row : kSmuggling) {
    for (std::size_t cut = 1; cut < row.bytes.size(); ++cut) {
      auto const answer = peer.ask({row.bytes.substr(0, cut), row.bytes.substr(cut)});
      count(report(answer.starts_with(kRefused) && answer.find("Connection: close\r\n") != std::string::npos, row.what, answer));
    }
    auto const answer = peer.ask(bytes_of(row.bytes));
    count(report(answer.starts_with(kRefused), row.what, answer));
  }
  for (auto const& good : kGood) {
    auto const answer = peer.ask(bytes_of(good));
    count(report(answer.starts_with("HTTP/1.1 ") && !answer.starts_with(kRefused), good.substr(0, good.find('\r')), answer));
  }
  std::printf("%zu requests in pieces, %zu answered wrongly\n", asked, wrong);
  return wrong == 0 ? 0 : 1;
}
