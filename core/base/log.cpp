#include "core/base/log.hpp"

#include "core/base/text.hpp"
#include "core/base/time.hpp"

#include <unistd.h>

#include <array>
#include <atomic>

namespace fleet::log {
namespace {

std::atomic<Level> least{Level::info};
constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warn", "error"};

void append_value(std::string& out, std::string_view raw) {
  auto const value = safe_lines(raw);
  bool const plain = !value.empty() && value.find_first_of(" \"\\=\n\r\t") == std::string_view::npos;
  if (plain) {
    out += value;
    return;
  }
  out += '"';
  for (char const c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  out += '"';
}

}  // namespace

void set_level(Level level) { least = level; }

void line(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (level < least.load(std::memory_order_relaxed)) return;
  std::string out = to_rfc3339(system_clock().wall(), true);
  if (out.find('.') == std::string::npos) out.insert(out.size() - 1, ".000");  // lines sort as their times do
  out += ' ';
  out += kNames[static_cast<std::size_t>(level)];
  out += ' ';
  out += event;
  for (auto const& field : fields) {
    out += ' ';
    out += field.key;
    out += '=';
    append_value(out, field.value);
  }
  out += '\n';
  // One call a line keeps lines of several threads whole; a log that cannot be written has nowhere to say so.
  [[maybe_unused]] auto const written = ::write(STDERR_FILENO, out.data(), out.size());
}

}  // namespace fleet::log
