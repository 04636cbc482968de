#pragma once

#include "agent/context.hpp"

#include <string>

namespace fleet::agent {

/// What this device is at the moment, beside what its owner wrote down: `os` and `kernel`, unless the owner reports other ones, and what files and programs of
/// agent.yaml say (`report: {driver: {file: ...}, runtime: {exec: [...]}}`). What says nothing is left out, and logged.
[[nodiscard]] wire::Labels read_facts(Fs& fs, Clock& waits, Config const& config, std::atomic<bool> const& stop);

/// All of them: what agent.yaml says stands above what was told at the enrolment, and that above what every system tells.
[[nodiscard]] wire::Labels facts_of_device(Context const& context, wire::Labels const& enrolled);
/// Whether they, or its os, are others than when this agent looked first.
[[nodiscard]] bool is_another_system(Context const& context);

/// Facts that changed since the server was told, at the enrolment or by a report, are reported: once. @returns what changed, in words; empty: nothing
Result<std::string> report_facts(Context& context, wire::Labels const& enrolled);

/// By which it is seen that the device is no longer what a release was proved on: a digest of its facts and of all that /etc/os-release says.
[[nodiscard]] std::string digest_of_system(Fs& fs, wire::Labels const& facts);

}  // namespace fleet::agent
