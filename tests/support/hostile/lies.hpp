#pragma once

#include "tests/support/hostile/stolen.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace fleet::hostile {

/// What a lie is told about: the release that the thief wants to run, and another one to mix it with.
struct Aim {
  StolenRelease const* wanted = nullptr;
  StolenRelease const* other = nullptr;
};

/// What a hostile server does otherwise than an honest one. An empty member is honest.
struct Lie {
  std::string_view name;
  /// Before it is signed with the stolen directive key. `told` is the device's poll.
  std::function<void(wire::Directive&, wire::PollRequest const& told, Aim const&)> directive = {};
  /// Before it starts serving: files by path.
  std::function<void(std::map<std::string, std::string>&, Stolen const&, Aim const&)> files = {};
  std::string_view signer = "directive-root";    ///< of directives
  std::string_view endless = {};                 ///< paths with this in them are answered by zeros
  std::uint64_t zeros = std::uint64_t{1} << 36;  ///< so many: as good as endless to a device
};

[[nodiscard]] std::span<Lie const> lies();

}  // namespace fleet::hostile
