#include "server/telemetry/clickhouse/schema.hpp"

#include "core/base/log.hpp"
#include "server/telemetry/clickhouse/statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fleet::clickhouse {
namespace {

constexpr std::size_t kDigitsOfMonth = 6;

Result<std::size_t> version_of(Server& server) {
  FLEET_TRY(auto const text, server.ask(kSchemaVersion));
  std::size_t version = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error == std::errc{} && std::string_view(end, text.data() + text.size()) == "\n") return version;
  return Error{Kind::corrupt, "bad_answer", "ClickHouse tells no number as the version of our tables", "is what answers a ClickHouse?"};
}

bool is_month(std::string_view text) {
  return text.size() == kDigitsOfMonth && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<void> migrate(Server& server) {
  FLEET_CHECK(server.ask(kMakeSchema));
  FLEET_TRY(auto const version, version_of(server));
  auto const steps = migrations();
  if (version > steps.size())
    return Error{Kind::conflict, "telemetry_newer", fmt::format("ClickHouse's tables are of version {}, this program knows {}", version, steps.size()),
                 "run the newer fleet-server"};
  for (auto next = version; next < steps.size(); ++next) {
    FLEET_CHECK(server.ask(steps[next]));
    FLEET_CHECK(server.ask(note_version(next + 1)));
    log::info("telemetry.migrated", {{"version", next + 1}});
  }
  if (auto const synced = server.ask(kSync); !synced)
    log::warn("telemetry.not_synced", {{"detail", synced.error().detail}, {"hint", "a power cut of ClickHouse's machine may take what it took last"}});
  return {};
}

Result<void> forget_old(Server& server, SysTime now) {
  FLEET_TRY(auto const text, server.ask(old_months(now - telemetry::kRetention)));
  for (std::string_view rest = text; !rest.empty();) {
    auto const end = std::min(rest.find('\n'), rest.size());
    auto const month = rest.substr(0, end);
    if (is_month(month)) {
      FLEET_CHECK(server.ask(drop_month(month)));
      log::info("telemetry.forgotten", {{"month", std::string(month)}});
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

}  // namespace fleet::clickhouse
