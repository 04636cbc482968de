#include "agent/commands/control.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

namespace fleet::agent {
namespace {

/// A folder with a control socket that answers as the test says, for as many clients as it is told.
struct Served {
  std::string dir = [] {
    std::string made = (std::filesystem::temp_directory_path() / "fleet-control.XXXXXX").string();
    return std::string(::mkdtemp(made.data()));
  }();
  std::string path = dir + "/agent.sock";
  ~Served() { std::filesystem::remove_all(dir); }

  std::thread serve(ControlSocket& socket, ControlSocket::Answer answer) {
    return std::thread([&socket, answer = std::move(answer)] {
      pollfd waiting{socket.descriptor(), POLLIN, 0};
      if (::poll(&waiting, 1, 5000) == 1) socket.serve(answer, system_clock());
    });
  }
};

int connect_to(std::string const& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0);
  return fd;
}

TEST_CASE("a line is answered with a line") {
  Served served;
  auto socket = ControlSocket::open(served.path);
  REQUIRE(socket.has_value());
  std::string heard;
  auto serving = served.serve(*socket, [&](std::string_view line, Descriptor const&) {
    heard = line;
    return std::string(R"({"ok":true})");
  });
  auto const answer = ask_daemon(served.path, R"({"do":"status"})", system_clock());
  serving.join();
  REQUIRE(answer.has_value());
  CHECK(*answer == R"({"ok":true})");
  CHECK(heard == R"({"do":"status"})");
}

TEST_CASE("the socket is its owner's alone, takes the place of a stale one, and goes with the daemon") {
  Served served;
  {
    auto const stale = ControlSocket::open(served.path);
    auto const socket = ControlSocket::open(served.path);
    REQUIRE(socket.has_value());
    struct stat info {};
    REQUIRE(::stat(served.path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
  CHECK_FALSE(std::filesystem::exists(served.path));
}

TEST_CASE("where nobody listens, or the path fits no socket, it says so") {
  Served served;
  auto const nobody = ask_daemon(served.path, "{}", system_clock());
  REQUIRE_FALSE(nobody.has_value());
  CHECK(nobody.error().code == "no_daemon");
  CHECK(nobody.error().kind == Kind::unavailable);
  auto const long_path = served.dir + "/" + std::string(200, 'x');
  CHECK(ask_daemon(long_path, "{}", system_clock()).error().code == "path_too_long");
  CHECK(ControlSocket::open(long_path).error().code == "path_too_long");
}

TEST_CASE("a client that says nothing, half a line, or nothing but bytes holds nobody up") {
  Served served;
  auto socket = ControlSocket::open(served.path);
  REQUIRE(socket.has_value());
  for (std::string const& sent : {std::string(), std::string(R"({"do":)")}) {
    CAPTURE(sent);
    bool answered = false;
    int const client = connect_to(served.path);
    if (!sent.empty()) CHECK(::send(client, sent.data(), sent.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(sent.size()));
    ::shutdown(client, SHUT_WR);
    auto serving = served.serve(*socket, [&](std::string_view, Descriptor const&) {
      answered = true;
      return std::string("{}");
    });
    serving.join();
    ::close(client);
    CHECK_FALSE(answered);
  }
  auto serving = served.serve(*socket, [](std::string_view, Descriptor const&) { return std::string("{}"); });
  CHECK(ask_daemon(served.path, "{}", system_clock()).value() == "{}");
  serving.join();
}

TEST_CASE("a client that doles out its bytes is cut off with all others") {
  Served served;
  auto socket = ControlSocket::open(served.path);
  REQUIRE(socket.has_value());
  int const client = connect_to(served.path);
  auto serving = served.serve(*socket, [](std::string_view, Descriptor const&) { return std::string("{}"); });
  bool cut_off = false;
  for (int i = 0; i < 100 && !cut_off; ++i) {
    cut_off = ::send(client, " ", 1, MSG_NOSIGNAL) < 0;
    ::poll(nullptr, 0, 50);
  }
  CHECK(cut_off);
  ::close(client);
  serving.join();
}

TEST_CASE("a client that does not take its answer holds nobody up") {
  Served served;
  auto socket = ControlSocket::open(served.path);
  REQUIRE(socket.has_value());
  int const client = connect_to(served.path);
  REQUIRE(::send(client, "{}\n", 3, MSG_NOSIGNAL) == 3);
  std::atomic<bool> served_it{false};
  std::thread serving([&] {
    socket->serve([](std::string_view, Descriptor const&) { return std::string(8 << 20, 'x'); }, system_clock());
    served_it = true;
  });
  auto const until = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!served_it && std::chrono::steady_clock::now() < until) ::poll(nullptr, 0, 20);
  CHECK(served_it);
  ::close(client);
  serving.join();
}

TEST_CASE("a daemon that has no time is not taken for one that does not run") {
  Served served;
  auto const socket = ControlSocket::open(served.path);
  REQUIRE(socket.has_value());
  auto const unanswered = ask_daemon(served.path, "{}", system_clock(), Millis{50});
  REQUIRE_FALSE(unanswered.has_value());
  CHECK(unanswered.error().code == "daemon_busy");
  // More than may wait for it at once.
  std::vector<int> others;
  bool full = false;
  while (!full && others.size() < 1000) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, served.path.c_str(), served.path.size() + 1);
    others.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    full = ::connect(others.back(), reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0;
  }
  CHECK(full);
  auto const turned_away = ask_daemon(served.path, "{}", system_clock(), Millis{50});
  REQUIRE_FALSE(turned_away.has_value());
  CHECK(turned_away.error().code == "daemon_busy");
  for (int const fd : others) ::close(fd);
}

}  // namespace
}  // namespace fleet::agent
