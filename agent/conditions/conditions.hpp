#pragma once

#include "agent/conditions/sensors.hpp"
#include "core/wire/device.hpp"

#include <mutex>
#include <string>

namespace fleet::agent {

/// What a download would still take.
struct Need {
  std::uint64_t fetch = 0;  ///< bytes over the link
  std::uint64_t write = 0;  ///< bytes on the disk
};

/// The device's own conditions, as its owner says how to read them: windows, battery, link and what else the policy bounds. Thread-safe.
class Conditions {
public:
  explicit Conditions(Context const& context) : context_(context) {}

  /// Why a download may not start or go on now: `window`, `zone` (of a window: not known here), `battery`, `charging`, `temperature`, `load`,
  /// `memory`, `disk`, `metered`; empty: it may.
  /// @param stop  ends the owner's program
  [[nodiscard]] std::string download_blocked(wire::DirectiveTarget const& target, Need const& need, std::atomic<bool> const& stop);
  /// Why a switch, or a proof, may not start now: the same without `metered`.
  [[nodiscard]] std::string switch_blocked(wire::DirectiveTarget const& target) const;

  /// The link costs by the byte, by the owner's word or program; until that has said anything it does.
  [[nodiscard]] bool is_metered(std::atomic<bool> const& stop);

  /// Programs cannot have that many bytes now. A device that cannot tell has them.
  [[nodiscard]] bool lacks_memory(std::uint64_t bytes) const;

private:
  [[nodiscard]] std::string closed_window(wire::DirectiveTarget const& target, std::string_view gate) const;
  [[nodiscard]] std::string state_blocks(wire::Conditions const& rule, std::uint64_t bytes) const;
  Context const& context_;
  std::mutex mutex_;
  bool metered_ = true;  ///< as the owner's program said last; until it has said anything nothing is spent
  MonoTime ask_at_{};    ///< when it is asked again
};

}  // namespace fleet::agent
