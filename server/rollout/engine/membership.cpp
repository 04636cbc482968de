#include "server/rollout/engine/membership.hpp"

#include "core/crypto/hash.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fleet::rollout {
namespace {

std::int64_t count_of_percent(double percent, std::int64_t devices) {
  // Exact in the cases people write: 10 % of 30 is 3, although 0.1 * 30 is a little more in binary.
  auto const share = std::ceil(percent * static_cast<double>(devices) / 100 - 1e-9);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(share), 1, devices);
}

/// `wanted` devices over strata of these sizes, in proportion; largest remainders first, the first stratum on a tie.
std::vector<std::int64_t> split(std::int64_t wanted, std::vector<std::int64_t> const& sizes) {
  auto const total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  wanted = std::min(wanted, total);
  std::vector<std::int64_t> counts;
  std::vector<std::pair<double, std::size_t>> remainders;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    double const quota = static_cast<double>(wanted) * static_cast<double>(sizes[i]) / static_cast<double>(total);
    counts.push_back(std::min(sizes[i], static_cast<std::int64_t>(quota)));
    remainders.emplace_back(static_cast<double>(counts.back()) - quota, i);
  }
  std::sort(remainders.begin(), remainders.end());
  auto left = wanted - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  for (auto const& [remainder, i] : remainders)
    if (left > 0 && counts[i] < sizes[i]) {
      ++counts[i];
      --left;
    }
  return counts;
}

std::int64_t threshold_for(std::vector<std::int64_t> const& sorted, std::int64_t devices, bool everybody) {
  if (everybody) return kEverybody;
  auto const count = static_cast<std::size_t>(devices);
  return count < sorted.size() ? sorted[count] : sorted.empty() ? 0 : sorted.back() + 1;
}

}  // namespace

std::int64_t place(std::string_view salt, std::string_view device_id) {
  std::string text(salt);
  text.push_back('\0');
  text.append(device_id);
  auto const digest = crypto::sha256(text);
  std::uint64_t first = 0;
  for (std::size_t i = 0; i < 8; ++i) first = (first << 8) | digest.bytes[i];
  return static_cast<std::int64_t>(first >> 1);
}

std::string stratum_of(std::vector<std::string> const& names, std::string_view hardware, wire::Labels const& labels) {
  std::string out;
  for (auto const& name : names) {
    if (&name != &names.front()) out += '/';
    auto const label = labels.find(name);
    out += name == "hardware" ? hardware : label == labels.end() ? std::string_view("-") : std::string_view(label->second);
  }
  return out.empty() ? "all" : out;
}

std::vector<StageStratum> plan_stages(std::vector<StageSpec> const& stages, double holdback, Places& places) {
  std::vector<std::int64_t> sizes;
  std::vector<StageStratum> out;
  for (auto& [stratum, sorted] : places) {
    std::sort(sorted.begin(), sorted.end());
    auto const size = static_cast<std::int64_t>(sorted.size());
    auto const held = std::llround(holdback * static_cast<double>(size));
    sizes.push_back(size - held);
    out.push_back({kWhole, stratum, kEverybody, size});
    if (held > 0) out.push_back({kHeldBack, stratum, sorted[static_cast<std::size_t>(size - held)], held});
  }
  std::vector<std::int64_t> before(sizes.size(), 0);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    auto const& stage = stages[s];
    auto counts = sizes;
    if (stage.percent) std::transform(sizes.begin(), sizes.end(), counts.begin(), [&](std::int64_t size) { return count_of_percent(*stage.percent, size); });
    else counts = split(*stage.devices, sizes);
    std::size_t i = 0;
    for (auto const& [stratum, sorted] : places) {
      counts[i] = std::max(counts[i], before[i]);
      bool const everybody = stage.percent == 100.;
      out.push_back({static_cast<int>(s) + 1, stratum, threshold_for(sorted, counts[i], everybody), counts[i]});
      ++i;
    }
    before = counts;
  }
  return out;
}

std::int64_t threshold_of_share(double share) {
  if (share >= 1) return kEverybody;
  return static_cast<std::int64_t>(std::ldexp(std::max(share, 0.), 63));
}

}  // namespace fleet::rollout
