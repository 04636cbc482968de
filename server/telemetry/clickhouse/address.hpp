#pragma once

#include "core/base/result.hpp"

#include <string>
#include <string_view>

namespace fleet::clickhouse {

/// `clickhouse://[user@]host[:port]/database[?secure=true]`, taken apart.
struct Address {
  std::string url;   ///< https://host:port/, or http
  std::string user;  ///< empty: ClickHouse's own, `default`
  std::string database;
  bool secure = false;
};
/// The port is 8123, or 8443 with `secure=true`. A password does not belong into it: others read a command's words.
/// @errors bad_input (code `bad_telemetry`)
[[nodiscard]] Result<Address> parse_address(std::string_view text);

}  // namespace fleet::clickhouse
