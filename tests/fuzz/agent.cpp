// What a device reads: agent.yaml, StatsD lines of its apps, its own journal after a bad disk. The first byte chooses.
#include "agent/store/config.hpp"
#include "agent/store/model_state.hpp"
#include "agent/telemetry/statsd.hpp"
#include "core/base/bytes.hpp"

#include <cmath>
#include <cstdlib>

using namespace fleet;

namespace {

void statsd(std::string_view line) {
  agent::parse_line(line, [](agent::Sample const& sample) {
    if (!std::isfinite(sample.value) || !(sample.weight > 0)) std::abort();
  });
}

void journal(std::string_view text) {
  auto const state = agent::decode_model_state(text);
  if (state && !agent::decode_model_state(agent::encode(*state))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const text = as_text({data + 1, size - 1});
  if (data[0] == 'y') static_cast<void>(agent::parse_config(text));
  else if (data[0] == 'j') journal(text);
  else statsd(text);
  return 0;
}
