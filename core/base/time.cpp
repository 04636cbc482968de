#include "core/base/time.hpp"

#include "core/base/built.inc"

#include <fmt/format.h>
#include <time.h>

#include <array>
#include <charconv>

namespace fleet {
namespace {

Millis read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return Millis{static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000};
}

class SystemClock final : public Clock {
public:
  SysTime wall() const override { return SysTime{read_clock(CLOCK_REALTIME)}; }
  MonoTime mono() const override { return MonoTime{read_clock(CLOCK_BOOTTIME)}; }
};

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
// Longest first for printing; `ms` stands before `m` and `s` so that the reader takes the longer name.
constexpr auto kUnits = std::to_array<Unit>({{"d", 86'400'000}, {"h", 3'600'000}, {"ms", 1}, {"m", 60'000}, {"s", 1'000}});

Error bad_time(std::string_view text) {
  return {Kind::bad_input, "bad_time", fmt::format("'{}' is not a time", text.substr(0, 40)), "write RFC 3339 in UTC: 2026-11-20T09:30:00Z"};
}

bool digits(std::string_view text, std::size_t at, std::size_t count, int& out) {
  if (at + count > text.size()) return false;
  out = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

std::string to_rfc3339(SysTime at, bool with_millis) {
  auto const day = std::chrono::floor<std::chrono::days>(at);
  std::chrono::year_month_day const date{day};
  std::chrono::hh_mm_ss const clock{at - day};
  auto text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                          static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (with_millis && clock.subseconds().count() != 0) text += fmt::format(".{:03}", clock.subseconds().count());
  return text + "Z";
}

Result<SysTime> parse_rfc3339(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  bool const shape = text.size() >= 20 && digits(text, 0, 4, year) && text[4] == '-' && digits(text, 5, 2, month) && text[7] == '-' &&
                     digits(text, 8, 2, day) && text[10] == 'T' && digits(text, 11, 2, hour) && text[13] == ':' && digits(text, 14, 2, minute) &&
                     text[16] == ':' && digits(text, 17, 2, second);
  if (!shape) return bad_time(text);
  std::chrono::year_month_day const date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return bad_time(text);
  std::size_t at = 19;
  int millis = 0;
  if (text[at] == '.') {
    std::size_t const from = ++at;
    for (int scale = 100; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) millis += scale * (text[at] - '0');
    if (at == from || at - from > 9) return bad_time(text);
  }
  auto const rest = text.substr(at);
  if (rest != "Z" && rest != "+00:00") return bad_time(text);
  return SysTime{std::chrono::sys_days{date}} + std::chrono::hours{hour} + std::chrono::minutes{minute} + std::chrono::seconds{second} + Millis{millis};
}

Result<Millis> parse_duration(std::string_view text) {
  Error const bad{Kind::bad_input, "bad_duration", fmt::format("'{}' is not a duration", text.substr(0, 40)),
                  "write a number and a unit: 250ms, 30s, 5m, 6h, 90d, 1h30m"};
  if (text == "0") return Millis{0};
  if (text.empty() || text.size() > 40) return bad;
  constexpr std::int64_t kMax = std::int64_t{36'500} * 86'400'000;
  std::int64_t sum = 0;
  while (!text.empty()) {
    std::int64_t count = 0;
    auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (fault != std::errc{} || count < 0) return bad;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    Unit const* unit = nullptr;
    for (auto const& u : kUnits)
      if (unit == nullptr && text.starts_with(u.name)) unit = &u;
    if (unit == nullptr || count > (kMax - sum) / unit->ms) return bad;
    sum += count * unit->ms;
    text.remove_prefix(unit->name.size());
  }
  return Millis{sum};
}

std::string to_string(Millis duration) {
  constexpr auto kOrder = std::to_array<Unit>({{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}});
  auto left = duration.count();
  if (left == 0) return "0s";
  std::string text = left < 0 ? "-" : "";
  if (left < 0) left = -left;
  for (auto const& unit : kOrder) {
    if (left < unit.ms) continue;
    text += fmt::format("{}{}", left / unit.ms, unit.name);
    left %= unit.ms;
  }
  return text;
}

SysTime compiled_at() { return SysTime{std::chrono::seconds{kBuiltAtUnixSeconds}}; }

}  // namespace fleet
