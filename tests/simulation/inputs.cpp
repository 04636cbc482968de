#include "tests/simulation/inputs.hpp"

#include "core/base/fs.hpp"
#include "core/wire/yaml.hpp"
#include "server/rollout/policy/presets.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <atomic>
#include <thread>

namespace fleet::simulation {
namespace {

constexpr std::size_t kBytesMax = 256 * 1024;
/// Where a policy's text is wanted, however it looks.
constexpr auto kTexts = std::to_array<std::string_view>({"/strata/*", "/windows/*/zone", "/windows/*/from", "/windows/*/to", "/limits/per"});

Result<wire::YamlDocument> read_document(std::string const& file) {
  FLEET_TRY(auto const text, system_fs().read(file, kBytesMax));
  auto document = wire::read_yaml(text, kBytesMax, kTexts);
  if (!document) return wire::in_file(document.error(), file);
  return document;
}

}  // namespace

Result<rollout::Policy> read_policy(std::string const& text) {
  if (rollout::is_preset(text)) return rollout::decode_policy("\"" + text + "\"");
  auto const document = read_document(text);
  if (!document) {
    auto error = document.error();
    if (error.kind == Kind::not_found) error.hint = fmt::format("a policy is a file or one of {}", fmt::join(rollout::kPresetNames, ", "));
    return error;
  }
  auto policy = rollout::take_policy(system_fs(), document->json);
  if (!policy) return document->located(policy.error(), text);
  return policy;
}

Result<Scenario> read_scenario(std::string const& file) {
  if (file.empty()) return Scenario{};
  FLEET_TRY(auto const document, read_document(file));
  auto scenario = decode_scenario(document.json);
  if (!scenario) return document.located(scenario.error(), file);
  return scenario;
}

Result<std::vector<Outcome>> run_all(Study const& study, int jobs, Moments moments) {
  std::vector<Result<Outcome>> results(static_cast<std::size_t>(study.runs), Outcome{});
  std::atomic<int> next = 0;
  auto const work = [&] {
    for (int run = next.fetch_add(1); run < study.runs; run = next.fetch_add(1)) {
      auto& result = results[static_cast<std::size_t>(run)];
      result = run_one(study, run);
      if (run > 0 && moments == Moments::first && result) result->moments = {};
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i < std::min(jobs, study.runs); ++i) threads.emplace_back(work);
    work();
  }
  std::vector<Outcome> out;
  for (auto& result : results) {
    if (!result) return result.error();
    out.push_back(std::move(*result));
  }
  return out;
}

int default_jobs() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

void tell(Error const& error) {
  fmt::print(stderr, "{}\n", error.detail);
  for (auto const& [pointer, detail] : error.errors) fmt::print(stderr, "  {}: {}\n", pointer.empty() ? "/" : pointer, detail);
  if (!error.hint.empty()) fmt::print(stderr, "{}\n", error.hint);
}

}  // namespace fleet::simulation
