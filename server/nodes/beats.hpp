#pragma once

#include "server/nodes/roster.hpp"
#include "server/rollout/shell/service_clock.hpp"
#include "server/store/lease.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fleet::nodes {

/// A node's heart: once a second it says that it lives, keeps or takes the lease, and sets its time of service by who leads. Others that said nothing for
/// store::Lease::kPatience, by this node's own clock, count as gone.
class Beats {
public:
  /// @param self  of this node: what its row says
  Beats(store::Store& store, store::Lease& lease, rollout::ServiceClock& service, Clock& clock, Node self);
  ~Beats() { stop(); }
  /// The first beat, before anything is served. @errors not_found (`unknown_node`), those of the database
  Result<void> begin();
  void start();
  /// Gives the lease back.
  void stop();

  /// A node, and whether it lives.
  struct Seen {
    Node node;
    bool lives = false;
    bool leads = false;
  };
  /// As the last beat saw them. Any thread.
  [[nodiscard]] std::vector<Seen> nodes() const;
  [[nodiscard]] bool lives(std::string_view id) const;

private:
  void run();
  Result<void> beat();
  Result<void> look_at_others(std::string const& holder);

  store::Store& store_;
  store::Lease& lease_;
  rollout::ServiceClock& service_;
  Clock& clock_;
  Node self_;
  struct Heard {
    std::int64_t beat = -1;
    MonoTime at{};
  };
  std::map<std::string, Heard> heard_;
  std::string failing_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Seen> nodes_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fleet::nodes
