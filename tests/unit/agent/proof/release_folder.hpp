#pragma once

#include "agent/proof/proof.hpp"
#include "tests/unit/core/proof/release_folder.hpp"

namespace fleet::agent {

/// A slot with scripts, and what an agent proves it with.
class ReleaseFolder : public proof::ReleaseFolder {
public:
  ReleaseFolder() { config.exec = exec; }
  [[nodiscard]] Bench bench() { return {system_fs(), clock, system_clock(), config, collector, interrupt}; }

  FakeClock clock{from_unix_ms(1'700'000'000'000)};
  Config config;
  Collector collector{clock};
  Interrupt interrupt;
};

}  // namespace fleet::agent
