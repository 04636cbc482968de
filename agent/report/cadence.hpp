#pragma once

#include "core/base/time.hpp"

namespace fleet::agent {

/// How long samples are folded before they are told: for one interval while something is judged on this device, and for an hour after it (and after a
/// start), because people look then; else for the longer one of an idle device, whose network they would be most of.
class Cadence {
public:
  static constexpr Millis kLookedAt = std::chrono::hours{1};
  Cadence(Millis interval, Millis idle, MonoTime start) : interval_(interval), idle_(idle), judged_(start), told_(start) {}
  void judges(MonoTime now) { judged_ = now; }
  void told(MonoTime now) { told_ = now; }
  [[nodiscard]] bool is_due(MonoTime now) const { return now >= told_ + (now < judged_ + kLookedAt ? interval_ : idle_); }

private:
  Millis interval_, idle_;
  MonoTime judged_, told_;
};

}  // namespace fleet::agent
