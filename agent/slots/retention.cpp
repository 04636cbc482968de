#include "agent/slots/retention.hpp"

#include <algorithm>
#include <array>

namespace fleet::agent {
namespace {

constexpr std::size_t kFormerMax = 16;
/// Nothing is under way: the target is what runs, or was refused, withdrawn, taken back or never here.
constexpr std::array kAtRest{State::idle, State::committed, State::failed, State::rolled_back, State::proved, State::ineligible};

}  // namespace

std::set<std::string> needed_versions(ModelState const& state) {
  std::set<std::string> out{state.running.digest, state.previous.digest, state.older.digest};
  if (std::find(kAtRest.begin(), kAtRest.end(), state.state) == kAtRest.end()) out.insert(state.target.digest);
  out.erase("");
  return out;
}

std::set<std::string> kept_versions(ModelState const& state, Keep const& keep, std::function<std::uint64_t(std::string const&)> const& size_of) {
  auto out = needed_versions(state);
  auto const measured = [&](std::string const& digest) { return keep.max_bytes > 0 ? size_of(digest) : 0; };
  std::uint64_t bytes = 0;
  for (auto const& digest : out) bytes += measured(digest);
  for (auto const& digest : state.former) {
    if (out.size() >= static_cast<std::size_t>(keep.versions)) break;
    bytes += measured(digest);
    if (bytes > keep.max_bytes && keep.max_bytes > 0) break;
    out.insert(digest);
  }
  return out;
}

void retire_older(ModelState& state) {
  auto const named = [&](std::string const& digest) { return digest == state.running.digest || digest == state.previous.digest; };
  if (!state.older.none()) {
    std::erase(state.former, state.older.digest);
    state.former.insert(state.former.begin(), state.older.digest);
  }
  state.older = {};
  std::erase_if(state.former, named);
  if (state.former.size() > kFormerMax) state.former.resize(kFormerMax);
}

}  // namespace fleet::agent
