#pragma once

#include "agent/context.hpp"
#include "core/base/fs.hpp"

#include <memory>
#include <mutex>

namespace fleet::agent {

/// The file by which programs of the device's owner keep switches back (`update_lock` in agent.yaml): one that holds it is not interrupted, and none
/// begins in the instant of a switch. Thread-safe.
class UpdateLock {
public:
  explicit UpdateLock(Context const& context) : context_(context) {}
  using Hold = std::shared_ptr<Lock>;
  /// The owner named a file.
  [[nodiscard]] bool is_named() const { return !context_.config.update_lock.file.empty(); }
  /// Ours as long as it is kept, for several models at once. Null: another process has it, or nobody can tell.
  [[nodiscard]] Hold take();

private:
  Context const& context_;
  std::mutex mutex_;
  std::weak_ptr<Lock> held_;
};

}  // namespace fleet::agent
