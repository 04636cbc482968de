#pragma once

#include "agent/context.hpp"
#include "agent/store/budget.hpp"
#include "agent/trust/remote.hpp"

#include <condition_variable>
#include <mutex>

namespace fleet::agent {

/// Sends what is spooled: critical items at once, the rest each telemetry interval. One thread calls `loop`.
class Reporter {
public:
  Reporter(Context& context, Remote& remote);
  void loop();
  void wake();

private:
  Result<void> send_all();
  void gather();
  Context& context_;
  Remote& remote_;
  Budget budget_;
  std::string boot_id_;
  int failures_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

}  // namespace fleet::agent
