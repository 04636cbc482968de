#include "core/base/zone.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet {
namespace {

constexpr std::string_view kDatabase = "/usr/share/zoneinfo/";
constexpr std::uint64_t kFileMax = 1024 * 1024;
constexpr std::size_t kHeader = 44;
constexpr std::size_t kTransitionsMax = 10'000;
constexpr std::int32_t kHour = 3600;
constexpr std::int64_t kDay = 86'400;
constexpr std::int32_t kOffsetMax = 26 * kHour;
constexpr std::string_view kNameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_/";

Error damaged(std::string_view name) { return {Kind::corrupt, "bad_zone_file", fmt::format("the file of time zone '{}' is damaged", name)}; }

/// Names begin with a capital letter; what else lies in the folder (`localtime`, `posixrules`, `right/`, `tzdata.zi`) is none of them.
bool is_name(std::string_view name) {
  return is_safe_relative_path(name) && name.front() >= 'A' && name.front() <= 'Z' && name.find_first_not_of(kNameLetters) == std::string_view::npos &&
         name != "Factory";
}

/// Big-endian, two's complement.
std::int64_t number_at(std::string_view data, std::size_t at, std::size_t bytes) {
  std::uint64_t value = (static_cast<unsigned char>(data[at]) & 0x80U) != 0 ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < bytes; ++i) value = (value << 8) | static_cast<unsigned char>(data[at + i]);
  return static_cast<std::int64_t>(value);
}

/// One of the two blocks of a file: the first has times of four bytes, the second of eight.
struct Block {
  std::size_t utc, standard, leaps, transitions, types, chars;
  std::size_t body, time_bytes;

  static std::optional<Block> at(std::string_view data, std::size_t begin, std::size_t time_bytes) {
    if (data.size() < begin + kHeader || data.substr(begin, 4) != "TZif") return std::nullopt;
    auto const n = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<std::uint32_t>(number_at(data, begin + 20 + 4 * i, 4))); };
    Block out{n(0), n(1), n(2), n(3), n(4), n(5), begin + kHeader, time_bytes};
    if (data.size() < out.end()) return std::nullopt;
    return out;
  }
  [[nodiscard]] std::size_t end() const {
    return body + transitions * (time_bytes + 1) + types * 6 + chars + leaps * (time_bytes + 4) + standard + utc;
  }
  [[nodiscard]] std::int64_t time(std::string_view data, std::size_t i) const { return number_at(data, body + i * time_bytes, time_bytes); }
  [[nodiscard]] std::size_t type(std::string_view data, std::size_t i) const {
    return static_cast<unsigned char>(data[body + transitions * time_bytes + i]);
  }
  [[nodiscard]] std::int64_t offset(std::string_view data, std::size_t type) const {
    return number_at(data, body + transitions * (time_bytes + 1) + type * 6, 4);
  }
};

}  // namespace

/// Reads a footer, one part after the other; each part says whether it was there.
class Zone::RuleReader {
public:
  explicit RuleReader(std::string_view text) : left_(text) {}

  std::optional<Rule> read() {
    Rule rule;
    if (!name() || !offset(rule.standard_s)) return std::nullopt;
    if (left_.empty()) return rule;
    rule.has_summer = true;
    rule.summer_s = rule.standard_s + kHour;
    if (!name()) return std::nullopt;
    if (!left_.empty() && left_.front() != ',' && !offset(rule.summer_s)) return std::nullopt;
    for (auto& change : rule.changes)
      if (!take(',') || !read_change(change)) return std::nullopt;
    return left_.empty() ? std::optional(rule) : std::nullopt;
  }

private:
  bool take(char c) {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  /// `CET`, or `<+05>`.
  bool name() {
    bool const quoted = take('<');
    std::size_t size = 0;
    auto const letter = [&](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')); };
    while (size < left_.size() && letter(left_[size])) ++size;
    left_.remove_prefix(size);
    return size >= 3 && (!quoted || take('>'));
  }
  bool number(int most, int& out) {
    std::size_t size = 0;
    out = 0;
    while (size < left_.size() && size < 4 && left_[size] >= '0' && left_[size] <= '9') out = out * 10 + (left_[size++] - '0');
    left_.remove_prefix(size);
    return size > 0 && out <= most;
  }
  /// `[+-]h[h[h]][:mm[:ss]]`, in seconds.
  bool time(int hours_most, std::int32_t& out) {
    bool const negative = take('-');
    if (!negative) take('+');
    int hour = 0, minute = 0, second = 0;
    if (!number(hours_most, hour)) return false;
    if (take(':') && (!number(59, minute) || (take(':') && !number(59, second)))) return false;
    out = (hour * 60 + minute) * 60 + second;
    if (negative) out = -out;
    return true;
  }
  /// POSIX counts west of UTC as positive; we count east.
  bool offset(std::int32_t& out) {
    if (!time(24, out)) return false;
    out = -out;
    return true;
  }
  bool read_change(Change& out) {
    if (take('M')) {
      out.form = Change::Form::weekday;
      bool const fine = number(12, out.month) && take('.') && number(5, out.week) && take('.') && number(6, out.day);
      if (!fine || out.month == 0 || out.week == 0) return false;
    } else if (take('J')) {
      out.form = Change::Form::julian;
      if (!number(365, out.day) || out.day == 0) return false;
    } else {
      out.form = Change::Form::day_of_year;
      if (!number(365, out.day)) return false;
    }
    out.time_s = 2 * kHour;
    return !take('/') || time(167, out.time_s);
  }

  std::string_view left_;
};

Result<Zone> Zone::load(Fs& fs, std::string const& name) {
  Error const unknown{Kind::not_found, "unknown_zone", fmt::format("'{}' is no time zone that this machine knows", name.substr(0, 64)),
                      "write it as the IANA database does: Europe/Berlin, America/New_York, UTC"};
  if (!is_name(name)) return unknown;
  auto const file = fs.read(std::string(kDatabase) + name, kFileMax);
  if (!file && !fs.info(std::string(kDatabase) + "UTC")) {
    auto error = unknown;
    error.hint = fmt::format("this machine has no time zones at all in {}: install tzdata", kDatabase);
    return error;
  }
  if (!file) return unknown;
  return parse(*file, name);
}

Result<Zone> Zone::parse(std::string_view file, std::string_view name) {
  auto block = Block::at(file, 0, 4);
  if (!block) return damaged(name);
  bool const has_second = file[4] >= '2';
  if (has_second) block = Block::at(file, block->end(), 8);
  if (!block || block->types == 0 || block->transitions > kTransitionsMax || block->leaps != 0) return damaged(name);
  auto const offset_of = [&](std::size_t type) -> std::optional<std::int32_t> {
    if (type >= block->types) return std::nullopt;
    auto const offset = block->offset(file, type);
    return offset >= -kOffsetMax && offset <= kOffsetMax ? std::optional(static_cast<std::int32_t>(offset)) : std::nullopt;
  };
  Zone out;
  auto const first = offset_of(0);
  if (!first) return damaged(name);
  out.before_s_ = *first;
  for (std::size_t i = 0; i < block->transitions; ++i) {
    auto const offset = offset_of(block->type(file, i));
    auto const at = block->time(file, i);
    if (!offset || (i > 0 && at <= out.transitions_.back().at_s)) return damaged(name);
    out.transitions_.push_back({at, *offset});
  }
  if (!has_second) return out;
  auto footer = file.substr(block->end());
  if (footer.size() < 2 || footer.front() != '\n') return damaged(name);
  footer.remove_prefix(1);
  auto const end = footer.find('\n');
  if (end == std::string_view::npos) return damaged(name);
  if (end == 0) return out;  // no rule: the last offset holds
  out.rule_ = RuleReader(footer.substr(0, end)).read();
  if (!out.rule_) return damaged(name);
  return out;
}

std::int32_t Zone::offset_at(SysTime at) const {
  auto const at_s = std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count();
  auto const next = std::upper_bound(transitions_.begin(), transitions_.end(), at_s, [](std::int64_t time, Transition const& one) { return time < one.at_s; });
  if (next == transitions_.end() && rule_) return offset_by(*rule_, at_s);
  return next == transitions_.begin() ? before_s_ : std::prev(next)->offset_s;
}

/// In seconds since 1970 of local time.
std::int64_t Zone::begin_of(Change const& change, int year) {
  namespace chrono = std::chrono;
  chrono::year const in{year};
  auto day = chrono::sys_days{in / chrono::January / 1};
  if (change.form == Change::Form::weekday) {
    chrono::month const month{static_cast<unsigned>(change.month)};
    chrono::weekday const weekday{static_cast<unsigned>(change.day)};
    day = change.week == 5 ? chrono::sys_days{in / month / weekday[chrono::last]} : chrono::sys_days{in / month / weekday[static_cast<unsigned>(change.week)]};
  } else {
    bool const passes_29_february = change.form == Change::Form::julian && in.is_leap() && change.day >= 60;
    day += chrono::days{change.form == Change::Form::julian ? change.day - 1 + (passes_29_february ? 1 : 0) : change.day};
  }
  return static_cast<std::int64_t>(day.time_since_epoch().count()) * kDay + change.time_s;
}

/// The last change before `at_s` says which; a change may lie in another year than the one it belongs to.
std::int32_t Zone::offset_by(Rule const& rule, std::int64_t at_s) {
  if (!rule.has_summer) return rule.standard_s;
  using std::chrono::sys_seconds;
  std::chrono::year_month_day const date{std::chrono::floor<std::chrono::days>(sys_seconds{std::chrono::seconds{at_s}})};
  std::int64_t best = 0;
  std::optional<std::int32_t> offset;
  for (int year = static_cast<int>(date.year()) - 1; year <= static_cast<int>(date.year()) + 1; ++year) {
    std::array const changes{std::pair{begin_of(rule.changes[0], year) - rule.standard_s, rule.summer_s},
                             std::pair{begin_of(rule.changes[1], year) - rule.summer_s, rule.standard_s}};
    for (auto const& [begin, then] : changes) {
      if (begin > at_s || (offset && begin < best)) continue;
      best = begin;
      offset = then;
    }
  }
  return offset.value_or(rule.standard_s);
}

}  // namespace fleet
