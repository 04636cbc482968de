#pragma once

#include "agent/store/boot_record.hpp"
#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "core/net/client.hpp"

#include <functional>
#include <string>
#include <vector>

namespace fleet::agent {

/// Which program is to be the agent (docs/adr/0047).
struct Choice {
  std::string slot;     ///< digest of its release; empty: this very program
  std::string program;  ///< path
  Millis watchdog{0};   ///< it is on trial, and ended after that unless it was proved; 0: it is not
  bool operator==(Choice const&) const = default;
};
/// Decides at a start, by the link `current` of the agent's own model and by what is on trial. A start of what is on trial is counted durably before this
/// returns; what began three times in a row and never ended in order, or cannot be counted or started, is gone back from: to what ran before, or to this program.
/// @param not_started  the slot that could not be started just now
[[nodiscard]] Choice choose_program(Fs& fs, Layout const& layout, std::string const& not_started = {});
/// exec(2): the process goes on as `program`, and is ended after `watchdog` (0: never). Returns only where it could not be.
using Exec = std::function<void(std::string const& program, std::vector<std::string> const& arguments, Millis watchdog)>;
/// A start by the service manager: does not return where another program is to be the agent, and can be. The folder is held meanwhile: an agent that runs
/// is not counted as one that fell. @param own  path of this program
/// @errors conflict (locked)
Result<void> become_chosen(Fs& fs, Layout const& layout, std::string const& own, Exec const& exec);
/// An ordinary end of what is on trial: its start counts no more.
void forgive_start(Fs& fs, Layout const& layout, std::string const& slot);

/// What `run` was started with. By hand or by the service manager: neither.
struct Started {
  std::string slot;  ///< by the program that chose it
  std::string by;    ///< path of that program: it is started again when another one is to run
};
/// `run`: becomes the chosen program, or runs the daemon as this one, until it ends in order. @param own  path of this program
Result<void> run_chosen(Fs& fs, Clock& clock, Random& random, Layout const& layout, Started const& started);

/// `self-test`: what a program shows before it may take a device over. It starts, reads identity, agent.yaml and journal as they lie there, and the server
/// answers it as this device. Writes nothing. @returns `{"agent":VERSION,"journal":FORMAT,"server":URL}`
/// @errors not_found (not_enrolled), bad_input (agent.yaml), corrupt (journal), io (no word on the program: the disk may answer later), and what the server says
Result<std::string> self_test(Fs& fs, Clock& clock, Layout const& layout, net::Connect const& connect = net::over_network());

/// What the program ends with then: the disk is not the program's fault.
[[nodiscard]] int self_test_exit(Error const& error);

}  // namespace fleet::agent
