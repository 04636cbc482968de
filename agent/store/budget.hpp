#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"

#include <cstdint>
#include <string>

namespace fleet::agent {

/// Bytes that the device's owner allows in a day (UTC), counted across restarts. One thread uses one.
class Budget {
public:
  /// Without a limit.
  Budget() = default;
  /// @param per_day  0: without a limit
  Budget(Fs& fs, std::string path, std::uint64_t per_day);
  [[nodiscard]] bool is_spent(SysTime now) const;
  /// What was used is kept now and then: a crash forgets less than 64 KiB of it.
  void use(std::uint64_t bytes, SysTime now);

private:
  void keep();
  Fs* fs_ = nullptr;
  std::string path_;
  std::uint64_t per_day_ = 0;
  std::int64_t day_ = 0;
  std::uint64_t used_ = 0;
  std::uint64_t kept_ = 0;
};

}  // namespace fleet::agent
