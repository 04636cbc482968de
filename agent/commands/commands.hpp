#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <string>

namespace fleet::agent {

/// What a command takes of the machine; main hands in the real ones.
struct Machine {
  Fs& fs;
  Clock& clock;
  Random& random;
};

/// The object of `status`: from the daemon, or from the journal where none runs.
Result<std::string> status_of(Machine const& machine, Layout const& layout);
/// `status`: from the daemon, or from the journal where none runs. @param json  the object as it is; otherwise for people
Result<std::string> show_status(Machine const& machine, Layout const& layout, bool json);
/// `explain [MODEL]`: why each model is where it is.
Result<std::string> explain(Machine const& machine, Layout const& layout, std::string const& model, bool json);
/// `rollback`, `unhold` and `consent`: by the daemon, or here where none runs. @errors bad_input (code `which_model`), and what the daemon says
Result<void> order(Machine const& machine, Layout const& layout, std::string const& what, std::string const& model);
/// `collect`: status, configuration, journal and directive as a tar of text files. Secrets are left out: agent.yaml is written as JSON without the values of
/// `environment` and without what stands before the @ of a URL; where it cannot be read, only what is wrong with it.
Result<void> collect(Machine const& machine, Layout const& layout, std::string const& file);
/// The same as bytes, at most `bytes_max` (64 KiB and more): of a text that does not fit its last lines. @param status  the object of `status`
Result<std::string> collected(Fs& fs, Layout const& layout, std::string const& status, std::size_t bytes_max);

}  // namespace fleet::agent
