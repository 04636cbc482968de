#pragma once

#include "agent/store/credentials.hpp"
#include "agent/trust/authorities.hpp"
#include "agent/update/runner.hpp"

#include <functional>

namespace fleet::agent {

/// How the bundle that was handed in last fares.
struct Installing {
  enum class State { waits, accepted, refused };
  std::int64_t n = 0;  ///< which one since the start; 0: none yet
  State state = State::waits;
  std::optional<Error> error = {};                ///< why it was refused
  std::int64_t sequence = 0;                      ///< of its directive
  std::vector<wire::DirectiveTarget> targets = {};  ///< that it brings releases for
};

/// The long poll: tells the server what runs, takes directives, verifies and keeps them before the runner acts. One thread calls `loop`.
class Link {
public:
  /// @param all  every remote of this device, `remote` among them: they follow a renewed credential and a new CA
  /// @param directed  called when a directive was accepted
  Link(Context& context, Remote& remote, Runner& runner, Remotes& all, std::function<void()> directed = [] {});
  void loop();
  /// One poll and what follows from it: what `loop` does again and again. @returns how long to wait before the next
  Millis turn();
  /// From any thread: the poll under way ends, the next starts at once.
  void hurry();
  /// From any thread: a bundle to be looked at, by the thread that polls, before its next poll. @returns its number
  /// @errors unavailable (`bundle_waits`: the one before has not been looked at yet)
  Result<std::int64_t> offer(std::unique_ptr<File> bundle);
  [[nodiscard]] Installing installing() const;
  /// What `loop` does before each poll: takes the orders of the bundle that waits.
  void take_offered();
  // From any thread: how the last poll went, and with which server.
  [[nodiscard]] std::string server() const;
  [[nodiscard]] SysTime last_contact() const;
  [[nodiscard]] std::string last_error() const;

private:
  /// @returns how long to wait before the next poll
  Result<Millis> poll_once();
  Result<void> accept(std::string const& envelope, std::string const& nonce);
  Result<void> accept_bundle(std::unique_ptr<File> file, Installing& out);
  Result<void> obey(wire::Directive directive);
  [[nodiscard]] std::string disk_trouble();
  /// A certificate for the next key (or for the same one, where a TPM holds it).
  Result<bool> renew();
  /// What a failed poll may be mended by: true when the next one is worth trying at once.
  bool mend(Error const& error);
  void use(std::size_t credential);
  /// The CAs as announced, where they changed.
  Result<bool> follow_ca(Remote& remote);
  Millis pause_after(Error const& error);
  [[nodiscard]] Millis jittered(Millis interval) const;
  void wait(Millis pause);

  Context& context_;
  Remote& remote_;
  Runner& runner_;
  Remotes& all_;
  std::function<void()> directed_;
  DirectiveVerifier verifier_;
  Authorities authorities_;
  Credentials kept_;
  std::vector<Credential> credentials_;  ///< to try, best first
  std::size_t used_ = 0;                 ///< which of them
  bool proves_renewed_ = false;          ///< nobody has seen credentials_[0] yet
  bool was_answered_ = false;            ///< a poll of this process
  std::int64_t ca_version_ = 0;
  std::string boot_id_;
  std::string prior_;
  std::vector<std::string> unkept_;  ///< models of a directive that the disk would not take
  int failures_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool hurried_ = false;
  std::unique_ptr<File> offered_;
  Installing installing_;
  std::string server_;  ///< the remote is this thread's alone; this is what the others see of it
  SysTime last_contact_{};
  std::string last_error_;
};

}  // namespace fleet::agent
