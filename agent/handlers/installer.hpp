#pragma once

#include "agent/proof/proof.hpp"
#include "core/wire/release.hpp"

#include <map>
#include <string>
#include <vector>

namespace fleet::agent {

/// What a program of the owner is asked to do with a release of the handler exec: its first word (docs/devices.md, Installers). Each may be asked again, after a power cut too.
enum class Verb {
  check,     ///< whether this device can take it, before anything is fetched
  install,   ///< beside what runs, from the files in $FLEET_SLOT; durable when it answers
  switch_to, ///< from now on, or from the next start on, it is what runs
  commit,    ///< it is proved: it stays
  rollback,  ///< from it to $FLEET_PREVIOUS, or to none
  collect,   ///< gives back what is none of $FLEET_KEEP
  state,     ///< tells what runs: `current=DIGEST`
};
[[nodiscard]] std::string_view to_string(Verb verb);

/// For which release a program is asked.
struct Installation {
  proof::Candidate candidate;
  wire::Installer installer;
  std::vector<std::string> files = {};  ///< names, in the slot
  std::string hardware = {};
  std::string previous = {};            ///< digest of what ran before; of a rollback, of what shall run again; empty: none
  std::vector<std::string> keep = {};   ///< digests, of `collect`
};

/// Asks. What a program does not know (it ends with 2) is done already, save install, switch and rollback.
/// @errors unprocessable: it ended otherwise than with 0 (`ineligible` of check, else `VERB_failed`), with its output in `hint`; unavailable (`installer_busy`: it ended with 75 and
///   wants to be asked again); of every other kind this device's own, as run() has them (`unknown_program` where agent.yaml does not name it)
Result<void> ask_installer(Bench const& bench, Installation const& installation, Verb verb);

/// What it answers by `key=value` lines: of `state`. @errors as ask_installer
Result<std::map<std::string, std::string>> installer_answers(Bench const& bench, Installation const& installation, Verb verb);
/// Lines of `key=value`; others are passed over. Keys and values without spaces around them.
[[nodiscard]] std::map<std::string, std::string> read_answers(std::string_view text);

}  // namespace fleet::agent
