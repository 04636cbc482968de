#pragma once

#include "server/delivery/dispatch.hpp"
#include "server/fronts/agent/nonce_trace.hpp"
#include "server/fronts/agent/parking.hpp"
#include "server/services.hpp"

#include <map>
#include <string_view>

namespace fleet::fronts {

struct PollSettings {
  int interval_s = 900;             ///< `poll_interval_s` in `settings`: what a device is told that finds no room to park; otherwise its owner's interval holds
  std::size_t max_parked = 10'000;  ///< `max_parked`
};
[[nodiscard]] Result<PollSettings> load_poll_settings(db::Connection& reader);

/// A poll as the route hands it over.
struct Asked {
  std::int64_t device_n = 0;
  std::string_view body;
  std::string request_id;
  std::unique_ptr<net::Attachment>* slot = nullptr;  ///< of the connection: where its Memory lives; null: remember nothing
};

/// Answers polls (docs/protocol.md, poll). The fast path compares integers and what the device tells with what is recorded, and sends a
/// prebuilt answer or parks; everything else reads the database on the io thread, and writes only where something changed.
class Polls {
public:
  /// How an error becomes an answer.
  using Problem = net::Response (*)(Error const&, std::string_view request_id);

  /// @param services  with net, rollouts and keys set; must outlive this
  Polls(Services& services, PollSettings settings, Problem problem);
  /// On an io thread.
  void handle(Asked const& asked, net::Responder answer);
  /// Any thread, once `services.draining` is set: answers all that are parked.
  void drain();
  [[nodiscard]] Parking const& parking() const { return parking_; }

private:
  using PollPtr = std::unique_ptr<Poll>;
  void proceed(PollPtr poll);
  void examine(PollPtr poll);
  void commit(PollPtr poll, std::uint64_t policy_epoch, std::uint32_t device_epoch);
  void deliver(PollPtr poll);
  void refuse(Poll& poll, Error const& error);
  void send_directive(Poll& poll);
  /// Why a poll is answered.
  enum class Why { ready, waited, no_room };
  void send_idle(Poll& poll, Why why);
  void woken(PollPtr poll, Parking::Wake why);
  void watch(std::size_t thread);
  void accuse(std::int64_t device_n, SysTime now);
  void accuse_now(std::int64_t device_n, SysTime now);
  [[nodiscard]] bool is_fresh(Poll const& poll, SysTime now) const;
  [[nodiscard]] bool wants_renewal(delivery::DeviceRecord const& record, SysTime now) const;
  [[nodiscard]] SysTime until_renewal(delivery::DeviceRecord const& record, SysTime valid_until, SysTime now) const;
  /// 0: the device's own interval
  [[nodiscard]] int next_poll_s(Poll const& poll, Why why) const;
  [[nodiscard]] net::Response idle(int next_poll_s, bool renew) const;

  Services& services_;
  PollSettings settings_;
  Problem problem_;
  Parking parking_;
  NonceTrace nonces_;
  std::atomic<std::size_t> released_{0};  // how many were parked when draining began
  std::vector<char> watched_;             // by io thread, touched there: its sweep is armed
  std::map<std::pair<bool, int>, net::SharedBody> idle_;  // prebuilt, by renew and next_poll_s
};

}  // namespace fleet::fronts
