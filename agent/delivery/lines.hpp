#pragma once

#include "agent/trust/remote.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <vector>

namespace fleet::agent {

/// How many more files are fetched at once than models are at work; of all models together.
inline constexpr int kHelpersMax = 2;
using Helpers = std::counting_semaphore<kHelpersMax>;

/// The connections of one update, kept from file to file: its own thread's first, then one for each that helps it. Each is used by one thread.
class Lines {
public:
  using Make = std::function<Result<std::shared_ptr<Remote>>()>;
  /// @param helpers  whom it may ask for help; null: nobody
  explicit Lines(Make make, Helpers* helpers = nullptr) : make_(std::move(make)), helpers_(helpers) {}
  /// Made at first use. @errors as Remotes::make
  Result<Remote*> at(std::size_t i);
  /// From any thread: ends what goes on, and all that would be begun. Good for nothing afterwards.
  void cancel();
  /// The longest that any of them was last asked to wait.
  [[nodiscard]] Millis retry_after() const;
  [[nodiscard]] Helpers* helpers() const { return helpers_; }

private:
  Make make_;
  Helpers* helpers_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Remote>> made_;
  bool cancelled_ = false;
};

}  // namespace fleet::agent
