#pragma once

#include "agent/update/runner.hpp"

#include <functional>

namespace fleet::agent {

/// The long poll: tells the server what runs, takes directives, verifies and keeps them before the runner acts. One thread calls `loop`.
class Link {
public:
  /// @param renewed  is handed a new certificate of this device, once it is kept
  Link(Context& context, Remote& remote, Runner& runner, std::function<void(std::string const& pem)> renewed);
  void loop();
  /// From any thread: the poll under way ends, the next starts at once.
  void hurry();
  [[nodiscard]] SysTime last_contact() const;
  [[nodiscard]] std::string last_error() const;

private:
  /// @returns how long to wait before the next poll
  Result<Millis> poll_once();
  Result<void> accept(std::string const& envelope, std::string const& nonce);
  Result<void> renew();
  Millis pause_after(Error const& error);
  [[nodiscard]] Millis jittered(Millis interval) const;
  void wait(Millis pause);

  Context& context_;
  Remote& remote_;
  Runner& runner_;
  std::function<void(std::string const& pem)> renewed_;
  DirectiveVerifier verifier_;
  std::string boot_id_;
  std::string prior_;
  int failures_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool hurried_ = false;
  SysTime last_contact_{};
  std::string last_error_;
};

/// Sends what is spooled: critical items at once, the rest each telemetry interval. One thread calls `loop`.
class Reporter {
public:
  Reporter(Context& context, Remote& remote);
  void loop();
  void wake();

private:
  Result<void> send_all();
  void gather();
  Context& context_;
  Remote& remote_;
  Budget budget_;
  std::string boot_id_;
  int failures_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

/// This boot, as the kernel names it.
[[nodiscard]] std::string read_boot_id(Fs& fs);

}  // namespace fleet::agent
