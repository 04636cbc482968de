#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace fleet::agent {

/// Whose update moves which model: its own, or its set's, never both at once (docs/adr/0029). Thread-safe.
class Claims {
public:
  /// All of them or none; what `owner` has it keeps.
  bool take(std::string const& owner, std::vector<std::string> const& models) {
    std::lock_guard const lock(mutex_);
    auto const is_others = [&](std::string const& model) {
      auto const found = owners_.find(model);
      return found != owners_.end() && found->second != owner;
    };
    if (std::any_of(models.begin(), models.end(), is_others)) {
      refused_.insert(owner);
      return false;
    }
    for (auto const& model : models) owners_[model] = owner;
    return true;
  }
  /// Gives back all that `owner` has, or all but itself. @returns who asked in vain meanwhile: they look again
  std::set<std::string> give(std::string const& owner, bool also_itself) {
    std::lock_guard const lock(mutex_);
    auto const gone = std::erase_if(owners_, [&](auto const& one) { return one.second == owner && (also_itself || one.first != owner); });
    if (gone == 0) return {};
    return std::exchange(refused_, {});
  }
  [[nodiscard]] bool is_others(std::string const& owner, std::string const& model) const {
    std::lock_guard const lock(mutex_);
    auto const found = owners_.find(model);
    return found != owners_.end() && found->second != owner;
  }

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> owners_;  ///< by model
  std::set<std::string> refused_;
};

}  // namespace fleet::agent
