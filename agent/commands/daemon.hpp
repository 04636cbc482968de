#pragma once

#include "agent/context.hpp"
#include "agent/commands/support.hpp"
#include "agent/link/link.hpp"
#include "agent/report/reporter.hpp"

#include <string>

namespace fleet::agent {

/// Opens what lies under the root: identity, journal, spool. @param waits  as Context has it @errors not_found (not_enrolled), io
[[nodiscard]] Result<std::unique_ptr<Context>> open_context(Fs& fs, Clock& clock, Random& random, Layout const& layout, Config config,
                                                            Clock& waits, Outside const& outside = {});

/// The daemon without its sockets, threads and signals.
struct Daemon {
  std::unique_ptr<Context> context;
  std::unique_ptr<Remotes> remotes;
  std::shared_ptr<Remote> polls, reports;
  std::unique_ptr<Runner> runner;
  std::unique_ptr<Link> link;
  std::unique_ptr<Support> support;
  std::unique_ptr<Reporter> reporter;
};
/// Opens it from whatever its own writes can have left, a power cut at any instant included, and on a disk that takes no more.
/// @errors as open_context; unavailable (enrolment_pending), corrupt (no_credential), bad_input (servers)
[[nodiscard]] Result<Daemon> open_daemon(Fs& fs, Clock& clock, Random& random, Layout const& layout, Config const& config, Clock& waits,
                                         Outside const& outside = {});

/// Runs until SIGTERM or SIGINT. SIGHUP reads agent.yaml again: where it changed and has no mistake, everything is opened anew by it.
/// @param slot  OwnProgram::slot @returns true: another program is to be the agent now
/// @errors as open_daemon; conflict (locked), bad_input (agent.yaml)
Result<bool> run_daemon(Fs& fs, Clock& clock, Random& random, Layout const& layout, std::string const& slot = {});

/// The object `agent status` of the API, from the daemon's memory or the journal.
struct StatusView {
  std::string server;
  SysTime last_contact{};
  std::string last_error;
};
[[nodiscard]] std::string status_json(Context const& context, std::map<std::string, ModelState> const& models, StatusView const& view);
/// Why a model is where it is, for people: code and words.
struct Reason {
  std::string code, text;
};
[[nodiscard]] std::vector<Reason> reasons_of(ModelState const& state);

}  // namespace fleet::agent
