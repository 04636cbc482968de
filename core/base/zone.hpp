#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet {

/// A time zone of the IANA database: the transitions of its file, and after the last of them the rule of the file's footer (a "slim" file, as
/// zic makes them since 2020b, has little else). @source RFC 9636; where it leaves room, as abseil's cctz does
class Zone {
public:
  /// The machine's own copy of the database.
  /// @param name  as the database has it: `Europe/Berlin`, `UTC`, `Etc/GMT+2`
  /// @errors not_found (code `unknown_zone`), corrupt (code `bad_zone_file`)
  [[nodiscard]] static Result<Zone> load(Fs& fs, std::string const& name);
  /// @param file  the bytes of a TZif file without leap seconds. @errors corrupt (code `bad_zone_file`)
  [[nodiscard]] static Result<Zone> parse(std::string_view file, std::string_view name);
  /// Seconds east of UTC.
  [[nodiscard]] std::int32_t offset_at(SysTime at) const;

private:
  struct Transition {
    std::int64_t at_s;  ///< Unix time
    std::int32_t offset_s;
  };
  /// A day of each year and a time of it, in the local time before the change.
  struct Change {
    enum class Form { julian, day_of_year, weekday } form = Form::weekday;
    int month = 0, week = 0;
    int day = 0;
    std::int32_t time_s = 0;
  };
  /// The footer: `std offset [dst [offset],start,end]` (POSIX TZ, with hours from -167 to 167).
  struct Rule {
    std::int32_t standard_s = 0, summer_s = 0;
    bool has_summer = false;
    std::array<Change, 2> changes{};  ///< to summer time, and back
  };
  class RuleReader;

  [[nodiscard]] static std::int64_t begin_of(Change const& change, int year);
  [[nodiscard]] static std::int32_t offset_by(Rule const& rule, std::int64_t at_s);

  std::vector<Transition> transitions_;
  std::int32_t before_s_ = 0;  ///< before the first transition
  std::optional<Rule> rule_;   ///< after the last one
};

}  // namespace fleet
