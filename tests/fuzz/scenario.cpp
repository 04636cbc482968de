// Scenarios as people write them, and small fleets in them. The first byte chooses: JSON, as the API takes it, or else YAML.
#include "core/base/bytes.hpp"
#include "core/wire/yaml.hpp"
#include "server/simulation/study.hpp"

#include <cstdlib>

using namespace fleet;

namespace {

constexpr int kDevices = 24;
constexpr std::int64_t kEffort = 20'000;

/// What was taken is run by a preset: a fault of the rules is a find, more work than is allowed is none. The same seed gives the same bytes.
void scenario(std::string_view json) {
  auto const taken = simulation::decode_scenario(json);
  if (!taken) return;
  simulation::Study study;
  study.policy.preset = "fast";
  study.scenario = *taken;
  study.devices = kDevices;
  study.runs = 1;
  study.effort_max = kEffort;
  auto const told = simulation::study_json(study);
  if (!told && told.error().kind == Kind::internal) std::abort();
  auto const again = simulation::study_json(study);
  if (told.has_value() != again.has_value() || (told && *told != *again)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const text = as_text({data + 1, size - 1});
  if (data[0] == 'j') scenario(text);
  else if (auto const json = wire::read_yaml(text, 64 * 1024)) scenario(json->json);
  return 0;
}
