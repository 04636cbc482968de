#pragma once

#include "core/base/time.hpp"
#include "core/net/client.hpp"

#include <optional>

namespace fleet::cli {

/// When a request is sent again, for every command. Two kinds of answers pass by themselves: the server (or a gateway) is busy and says so, before it did
/// anything (429, 503, 409 with Retry-After); or nobody knows what came of the request (no answer, 502, 503 or 504 of a gateway), which is asked again where
/// doing it twice is doing it once. Everything else is final.
class Retry {
public:
  struct Rules {
    Millis patience{120'000};    ///< from the first answer of these, all together
    bool harmless = false;       ///< doing it twice is doing it once
    bool answered = false;       ///< the server answered in this run: when it cannot be reached now, it is coming back
  };
  Retry(Clock& clock, Rules rules) : clock_(&clock), rules_(rules) {}

  /// The pause before the same request is sent again; nothing: this is final.
  std::optional<Millis> pause_after(Result<net::ClientResponse> const& answer);

private:
  Clock* clock_;
  Rules rules_;
  std::optional<MonoTime> since_;
  Millis next_{500};
};

}  // namespace fleet::cli
