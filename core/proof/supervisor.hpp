#pragma once

#include "core/proof/user.hpp"

#include <sys/types.h>

#include <cstddef>

namespace fleet::proof {

/// One program as its supervisor starts it. Everything is made before fork(2): after it, in a process with threads, only async-signal-safe
/// calls are allowed.
struct Launch {
  char const* program = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  char const* directory = nullptr;
  ProgramUser const* user = nullptr;
  ExecLimits limits;
  bool count_processes = false;  ///< of the user, where no control group counts the program's own
  int output = -1;               ///< stdout and stderr of the program
  int answers = -1;              ///< its stdout, where that is apart
  int input = -1;                ///< its stdin; -1: nothing
  int image = -1;                ///< the open program: run though its user may not enter the folder that it is in; -1: by its path
  int told = -1;                 ///< pipe to the agent: SupervisorWord, once or twice
  int life = -1;                 ///< pipe from the agent: its end is the order to end the program, or the agent's own end
  int group_procs = -1;          ///< of the program's control group; -1: none
  int group_end = -1;            ///< a `1` written here ends, or at least stops, all that is in the group
};

/// What a supervisor tells, each in one write.
struct SupervisorWord {
  enum class What { ended, not_confined, no_folder, not_started } what = What::ended;
  int error = 0;           ///< errno of what failed
  int status = 0;          ///< ended: as waitpid(2) has it
  bool left_some = false;  ///< ended: something of it withstands SIGKILL
  long peak_kib = 0;       ///< ended: resident memory of its largest process at that one's peak (getrusage(2), ru_maxrss)
};

/// What the process between the agent and one program does: starts it, waits for it, then ends all that came of it, whatever it forked or
/// setsid (they are its children once their parents have gone: PR_SET_CHILD_SUBREAPER), and tells. It outlives the agent only to do that.
[[noreturn]] void supervise(Launch const& launch);

}  // namespace fleet::proof
