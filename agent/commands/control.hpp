#pragma once

#include "core/base/descriptor.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <functional>
#include <string>

namespace fleet::agent {

/// The daemon's control socket (0600): one line of JSON in, one out. `{"do":"status"}`, `{"do":"rollback","model":"m"}`, `{"do":"unhold","model":"m"}`,
/// `{"do":"consent","model":"m"}`, `{"do":"install"}` with a bundle's open file beside it (SCM_RIGHTS, unix(7)), `{"do":"installing"}`,
/// `{"do":"receipt","after":{"critical":n,"diagnostic":n}}`;
/// the answer is the object asked for or `{"error":{"kind","code","detail","hint"}}`.
class ControlSocket {
public:
  /// @param file  that came with the line; none in most cases
  using Answer = std::function<std::string(std::string_view line, Descriptor file)>;
  static Result<ControlSocket> open(std::string const& path);
  ControlSocket(ControlSocket&& other) noexcept;
  ControlSocket& operator=(ControlSocket&&) = delete;
  ~ControlSocket();
  [[nodiscard]] int descriptor() const { return fd_; }
  /// Serves one waiting client; a second after it came it is cut off, however it spends it.
  void serve(Answer const& answer, Clock& clock);

private:
  ControlSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

/// How long a client waits: the daemon serves one after the other, and each may take a second.
inline constexpr Millis kAskPatience{10'000};

/// The client's side. @param file  handed over with the line; null: none @errors unavailable (code `no_daemon`: nobody listens; `daemon_busy`: it runs, and gave no answer in time), io
[[nodiscard]] Result<std::string> ask_daemon(std::string const& path, std::string const& line, Clock& clock, Millis patience = kAskPatience,
                                             Descriptor const* file = nullptr);

}  // namespace fleet::agent
