#pragma once

#include "core/base/time.hpp"

#include <algorithm>
#include <mutex>

namespace fleet::agent {

/// How long this agent has been in contact with its server: the time between two answered polls with no failed one between them. What is given up
/// for want of progress is given up by this time; being away costs nothing. Thread-safe.
class Contact {
public:
  /// @returns true when contact was regained
  bool answered(MonoTime now) {
    std::lock_guard const lock(mutex_);
    bool const regained = !in_contact_;
    if (!regained) total_ += now - last_;
    in_contact_ = true;
    last_ = now;
    if (regained) ++times_;
    return regained;
  }
  void lost() {
    std::lock_guard const lock(mutex_);
    in_contact_ = false;
  }
  [[nodiscard]] Millis total() const {
    std::lock_guard const lock(mutex_);
    return total_;
  }
  /// How often contact was gained.
  [[nodiscard]] int times() const {
    std::lock_guard const lock(mutex_);
    return times_;
  }

private:
  mutable std::mutex mutex_;
  bool in_contact_ = false;
  MonoTime last_{};
  Millis total_{0};
  int times_ = 0;
};

}  // namespace fleet::agent
