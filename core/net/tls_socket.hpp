#pragma once

#include "core/net/socket.hpp"
#include "core/net/tls.hpp"

#include <span>
#include <string_view>

namespace fleet::net {

/// TLS of the server's side directly on a non-blocking socket, one step at a time: nothing here waits. Idle, it holds no buffers. Without a context it is
/// the socket alone.
class TlsSocket {
public:
  enum class State { done, want_read, want_write, ended, failed };
  struct Step {
    State state = State::failed;
    std::size_t bytes = 0;
  };

  /// Does not own `fd`, which must outlive this. @param context  null: plain
  TlsSocket(SSL_CTX* context, int fd);
  [[nodiscard]] Step accept();
  /// `ended` is the peer's orderly end; a connection cut without one is `failed`, save that a bare FIN is `ended` too.
  [[nodiscard]] Step read(std::span<char> out);
  [[nodiscard]] Step write(std::string_view bytes);
  /// Of a file to a socket without TLS; the bytes do not come through this process. `ended`: the file has none there.
  [[nodiscard]] Step send_file(int file, std::uint64_t offset, std::size_t size);
  /// Tells the peer that nothing more will come; does not wait for its word.
  void say_goodbye();
  /// Bytes were received that read() has not given yet.
  [[nodiscard]] bool has_pending() const { return !plain_ && SSL_has_pending(ssl_.get()) == 1; }
  [[nodiscard]] bool resumed() const { return !plain_ && SSL_session_reused(ssl_.get()) == 1; }
  [[nodiscard]] bool is_plain() const { return plain_; }
  [[nodiscard]] SSL* get() const { return ssl_.get(); }

private:
  Step judge(int code);
  static Step judge_plain(ssize_t n, State blocked);
  int fd_;
  bool plain_;
  SslPtr<SSL> ssl_;
};

}  // namespace fleet::net
