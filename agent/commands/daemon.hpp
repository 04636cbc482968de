#pragma once

#include "agent/context.hpp"

#include <string>

namespace fleet::agent {

/// Opens everything under the root: lock, config, identity, journal, spool.
/// @errors not_found (not_enrolled), conflict (locked), bad_input (agent.yaml), io
[[nodiscard]] Result<std::unique_ptr<Context>> open_context(Fs& fs, Clock& clock, Random& random, Layout const& layout);

/// Runs until SIGTERM or SIGINT.
Result<void> run_daemon(Fs& fs, Clock& clock, Random& random, Layout const& layout);

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
