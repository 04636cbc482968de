#include "cli/client/retry.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::cli {
namespace {

constexpr Millis kPauseMax{10'000};
constexpr auto kBusy = std::to_array<int>({409, 429, 503});  ///< 409: the first sending of this very request is still being worked on

std::optional<Millis> retry_after(net::ClientResponse const& answer) {
  auto const text = answer.header("Retry-After");
  std::int64_t count = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (fault != std::errc{} || end != text.data() + text.size() || count < 0 || count > 86'400) return std::nullopt;
  return seconds{count};
}

/// What nobody knows the outcome of. A problem of the server itself is its last word.
bool lost(net::ClientResponse const& answer) {
  bool const gateway = answer.status == 502 || answer.status == 503 || answer.status == 504;
  return gateway && !answer.header("Content-Type").starts_with("application/problem+json");
}

bool lost(Error const& error, bool answered) {
  if (error.code == "connection_lost") return true;
  return answered && (error.kind == Kind::unavailable || error.kind == Kind::timeout);
}

}  // namespace

std::optional<Millis> Retry::pause_after(Result<net::ClientResponse> const& answer) {
  bool const busy = answer && std::find(kBusy.begin(), kBusy.end(), answer->status) != kBusy.end();
  auto pause = busy ? retry_after(*answer) : std::nullopt;
  if (!pause) {
    bool const unknown = answer ? lost(*answer) : lost(answer.error(), rules_.answered);
    if (!unknown || !rules_.harmless) return std::nullopt;
    pause = next_;
    next_ = std::min(kPauseMax, next_ * 2);
  }
  auto const now = clock_->mono();
  if (!since_) since_ = now;
  if (now - *since_ + *pause > rules_.patience) return std::nullopt;
  return pause;
}

}  // namespace fleet::cli
