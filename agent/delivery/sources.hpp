#pragma once

#include "core/base/time.hpp"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace fleet::agent {

/// Where objects may be fetched: what the device's owner set, then what the server announces, then the server that is spoken to (empty). A source that
/// failed or lied is left out for a while, for every file and every model, and then tried again; the server always is. Thread-safe.
class Sources {
public:
  explicit Sources(std::vector<std::string> of_owner = {}) : of_owner_(std::move(of_owner)) {}
  /// As the last poll said.
  void announce(std::vector<std::string> announced);
  /// Those worth asking now, in order, the server last.
  [[nodiscard]] std::vector<std::string> in_order(MonoTime now) const;
  [[nodiscard]] bool is_resting(std::string const& source, MonoTime now) const;
  void worked(std::string const& source);
  /// It did not answer: out for half a minute, twice as long each time, an hour at most.
  void failed(std::string const& source, MonoTime now);
  /// Its bytes were wrong: out for an hour.
  void lied(std::string const& source, MonoTime now);

private:
  struct Rest {
    MonoTime until{};
    Millis length{0};
  };
  mutable std::mutex mutex_;
  std::vector<std::string> of_owner_, announced_;
  std::map<std::string, Rest> resting_;
};

}  // namespace fleet::agent
