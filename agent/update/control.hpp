#pragma once

#include "core/base/result.hpp"

#include <functional>
#include <string>

namespace fleet::agent {

/// The daemon's control socket (0600): one line of JSON in, one out. `{"do":"status"}`, `{"do":"rollback","model":"m"}`, `{"do":"unhold","model":"m"}`;
/// the answer is the object asked for or `{"error":{"kind","code","detail","hint"}}`.
class ControlSocket {
public:
  using Answer = std::function<std::string(std::string_view line)>;
  static Result<ControlSocket> open(std::string const& path);
  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&&) = delete;
  ~ControlSocket();
  [[nodiscard]] int descriptor() const { return fd_; }
  /// Serves one waiting client; a slow one is cut off after a second.
  void serve(Answer const& answer);

private:
  ControlSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

/// The client's side. @errors unavailable (code `no_daemon`: nobody listens)
[[nodiscard]] Result<std::string> ask_daemon(std::string const& path, std::string const& line);

}  // namespace fleet::agent
