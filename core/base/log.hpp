#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace fleet::log {

enum class Level { debug, info, warn, error };

/// One `key=value` of a line; a value with spaces or quotes is quoted.
struct Field {
  std::string_view key;
  std::string value;
  template <class T>
  Field(std::string_view k, T const& v) : key(k), value(fmt::format("{}", v)) {}
};

/// Lines below `level` are dropped. Default: info.
void set_level(Level level);
/// Writes `2026-11-20T09:30:00.123Z info event key=value ...` to standard error, one write(2) a line. Logged once, at the edge.
void line(Level level, std::string_view event, std::initializer_list<Field> fields);
inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) { line(Level::debug, event, fields); }
inline void info(std::string_view event, std::initializer_list<Field> fields = {}) { line(Level::info, event, fields); }
inline void warn(std::string_view event, std::initializer_list<Field> fields = {}) { line(Level::warn, event, fields); }
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) { line(Level::error, event, fields); }

}  // namespace fleet::log
