#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace fleet::proof {

/// What one program may use, with all that it starts. Memory is counted by a control group alone: an accelerator's driver reserves address
/// space without end.
struct ExecLimits {
  std::uint64_t processes = 1'024;           ///< and threads
  std::uint64_t memory_bytes = 0;            ///< 0: no cap
  std::uint64_t open_files = 1'024;          ///< of each process
  std::uint64_t file_bytes = 256ULL << 20U;  ///< of each file it writes
};

/// How programs of releases, and the owner's own, are run: `exec:` of agent.yaml, or the flags of `fleetctl release try`.
struct Exec {
  std::string run_as;                              ///< user; required when the caller is root
  std::map<std::string, std::string> programs;     ///< what releases may call by name
  std::map<std::string, std::string> environment;  ///< beside PATH and LANG, which may be set here, too
  ExecLimits limits;
};

}  // namespace fleet::proof
