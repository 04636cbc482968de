#include "server/rollout/engine/membership.hpp"

#include "core/crypto/hash.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

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
    double const quota = total == 0 ? 0 : static_cast<double>(wanted) * static_cast<double>(sizes[i]) / static_cast<double>(total);
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

std::optional<Site> site_of(std::string const& label, std::string_view hardware, wire::Labels const& labels) {
  if (label == "hardware") return Site{label, std::string(hardware)};
  auto const found = labels.find(label);
  return found == labels.end() ? std::nullopt : std::optional(Site{label, found->second});
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

namespace {

using Counts = std::vector<std::int64_t>;  // one a stratum

std::int64_t sum(Counts const& counts) { return std::accumulate(counts.begin(), counts.end(), std::int64_t{0}); }

Counts counts_of(Amount const& amount, Counts const& sizes) {
  if (!amount.percent) return split(*amount.devices, sizes);
  Counts out = sizes;
  std::transform(sizes.begin(), sizes.end(), out.begin(), [&](std::int64_t size) { return size == 0 ? 0 : count_of_percent(*amount.percent, size); });
  return out;
}

/// Totals between two exact steps: multiples of the windows of stages, then about a twentieth apart.
void add_totals(std::set<std::int64_t>& totals, std::vector<StageSpec> const& stages, std::vector<Counts> const& sizes, std::vector<Counts> const& caps, std::int64_t all) {
  constexpr std::int64_t kEach = 32, kMultiplesMax = 128;
  for (std::int64_t n = 1; n < std::min(all, kEach); ++n) totals.insert(n);
  for (double n = kEach; n < static_cast<double>(all); n *= 1.05) totals.insert(static_cast<std::int64_t>(n));
  std::int64_t before = 0;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    for (std::int64_t k = 1; stages[s].window > 0 && k <= kMultiplesMax && before + k * stages[s].window < std::min(all, sum(caps[s])); ++k)
      totals.insert(before + k * stages[s].window);
    before = sum(sizes[s]);
  }
}

/// `total` devices between two exact steps, in proportion to what lies between them.
Counts between(Counts const& low, Counts const& high, std::int64_t total) {
  Counts room;
  for (std::size_t i = 0; i < low.size(); ++i) room.push_back(high[i] - low[i]);
  auto out = split(total - sum(low), room);
  for (std::size_t i = 0; i < low.size(); ++i) out[i] += low[i];
  return out;
}

/// Exact steps in ascending order, none below another in any stratum.
std::vector<Counts> in_order(std::vector<Counts> exact) {
  std::stable_sort(exact.begin(), exact.end(), [](Counts const& a, Counts const& b) { return sum(a) < sum(b); });
  for (std::size_t i = 1; i < exact.size(); ++i)
    for (std::size_t s = 0; s < exact[i].size(); ++s) exact[i][s] = std::max(exact[i][s], exact[i - 1][s]);
  exact.erase(std::unique(exact.begin(), exact.end()), exact.end());
  return exact;
}

}  // namespace

int Ladder::step_of(std::int64_t devices) const {
  auto const found = std::lower_bound(counts.begin(), counts.end(), devices);
  return found == counts.end() ? last() : static_cast<int>(found - counts.begin());
}

std::int64_t Ladder::threshold(int step, std::string_view stratum) const {
  if (step <= 0) return 0;
  auto const known = thresholds.find(stratum);
  if (known != thresholds.end()) return known->second.at(static_cast<std::size_t>(step));
  if (step >= last()) return kEverybody;  // who is held back was asked for before
  return threshold_of_share(static_cast<double>(counts.at(static_cast<std::size_t>(step))) / std::max(1., static_cast<double>(reach() + held)));
}

Ladder make_ladder(std::vector<StageSpec> const& stages, double holdback, Places& places) {
  Ladder out;
  Counts reach;
  for (auto& [stratum, sorted] : places) {
    std::sort(sorted.begin(), sorted.end());
    auto const size = static_cast<std::int64_t>(sorted.size());
    auto const held = std::llround(holdback * static_cast<double>(size));
    reach.push_back(size - held);
    out.sizes[stratum] = size;
    out.held += held;
    if (held > 0) out.held_from[stratum] = sorted[static_cast<std::size_t>(size - held)];
  }
  std::vector<Counts> sizes, caps, exact{Counts(reach.size(), 0)};
  for (auto const& stage : stages) {
    sizes.push_back(counts_of(stage.size, reach));
    if (sizes.size() > 1 && sum(sizes.back()) < sum(sizes[sizes.size() - 2])) sizes.back() = sizes[sizes.size() - 2];
    auto cap = stage.cap == Amount{} ? sizes.back() : counts_of(stage.cap, reach);
    if (sum(cap) < sum(sizes.back())) cap = sizes.back();
    caps.push_back(std::move(cap));
    exact.push_back(sizes.back());
    exact.push_back(caps.back());
  }
  exact.push_back(reach);
  exact = in_order(std::move(exact));
  bool const nobody = sum(reach) == 0;
  if (nobody) exact.push_back(reach);  // the last step is everybody, also where nobody is there yet
  std::set<std::int64_t> totals;
  add_totals(totals, stages, sizes, caps, sum(reach));
  std::vector<Counts> steps;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    steps.push_back(exact[i]);
    if (i + 1 == exact.size()) break;
    for (auto total = totals.upper_bound(sum(exact[i])); total != totals.end() && *total < sum(exact[i + 1]); ++total)
      steps.push_back(between(exact[i], exact[i + 1], *total));
  }
  for (auto const& step : steps) out.counts.push_back(sum(step));
  for (std::size_t s = 0; s < stages.size(); ++s) {
    out.stage_size.push_back(nobody && stages[s].is_whole() ? out.last() : out.step_of(sum(sizes[s])));
    out.stage_cap.push_back(std::max(out.stage_size.back(), out.step_of(sum(caps[s]))));
  }
  std::size_t at = 0;
  for (auto const& [stratum, sorted] : places) {
    auto& thresholds = out.thresholds[stratum];
    bool const held = out.held_from.contains(stratum);
    for (auto const& step : steps) thresholds.push_back(threshold_for(sorted, step[at], &step == &steps.back() && !held));
    ++at;
  }
  return out;
}

std::int64_t threshold_of_share(double share) {
  if (share >= 1) return kEverybody;
  return static_cast<std::int64_t>(std::ldexp(std::max(share, 0.), 63));
}

}  // namespace fleet::rollout
