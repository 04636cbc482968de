// Policies as people write them. The first byte chooses: JSON, as the API takes it, or else YAML.
#include "core/base/bytes.hpp"
#include "core/wire/yaml.hpp"
#include "server/rollout/policy/policy.hpp"

#include <cstdlib>

using namespace fleet;

namespace {

/// What was taken is written in its canonical form, which is taken again as the same policy and is its own.
void policy(std::string_view json) {
  auto const taken = rollout::decode_policy(json);
  if (!taken) return;
  auto const canonical = rollout::encode(*taken);
  auto const again = rollout::decode_policy(canonical);
  if (!again || *again != *taken || rollout::encode(*again) != canonical) std::abort();
  if (rollout::harm_budget(*taken) > rollout::alpha::kTotal * 1.000001) std::abort();
  if (taken->preset.empty() && taken->stage_count() == 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const text = as_text({data + 1, size - 1});
  if (data[0] == 'j') policy(text);
  else if (auto const json = wire::read_yaml(text, 64 * 1024)) policy(json->json);
  return 0;
}
