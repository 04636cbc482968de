#include "agent/delivery/lines.hpp"

#include <algorithm>

namespace fleet::agent {

Result<Remote*> Lines::at(std::size_t i) {
  std::lock_guard const lock(mutex_);
  while (made_.size() <= i) {
    FLEET_TRY(auto made, make_());
    if (cancelled_) made->cancel();
    made_.push_back(std::move(made));
  }
  return made_[i].get();
}

void Lines::cancel() {
  std::lock_guard const lock(mutex_);
  cancelled_ = true;
  for (auto const& one : made_) one->cancel();
}

Millis Lines::retry_after() const {
  std::lock_guard const lock(mutex_);
  Millis out{0};
  for (auto const& one : made_) out = std::max(out, one->retry_after());
  return out;
}

}  // namespace fleet::agent
