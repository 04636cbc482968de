#include "cli/args/id_list.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

namespace fleet::cli {
namespace {

constexpr auto kColumns = std::to_array<std::string_view>({"id", "device"});
constexpr std::size_t kLineMax = 64 * 1024;
constexpr char const* kHint = "CSV whose header has a column id, or JSON lines such as fleetctl device list -o jsonl prints";

bool is_column(std::string_view name) { return std::find(kColumns.begin(), kColumns.end(), name) != kColumns.end(); }

class Lines {
public:
  explicit Lines(std::string_view text, std::string_view name) : rest_(text), name_(name) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }
  /// The next line without its end; false after the last.
  bool next(std::string_view& line) {
    if (rest_.empty()) return false;
    ++number_;
    auto const end = rest_.find('\n');
    line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return true;
  }
  [[nodiscard]] Error fault(std::string_view what) const { return {Kind::bad_input, "bad_list", fmt::format("{}:{}: {}", name_, number_, what), kHint}; }

private:
  std::string_view rest_, name_;
  std::size_t number_ = 0;
};

/// Whether the first line is one of JSON: spreadsheets write headers in quotes, too.
bool is_json(std::string_view line) {
  if (line.front() != '"') return line.front() == '{';
  auto const value = wire::parse_json(line, kLineMax);
  return value && value->is_string() && !is_column(std::string_view(value->get_string()));
}

/// The cells of a line of CSV (RFC 4180, without breaks inside a cell).
Result<std::vector<std::string>> cells_of(std::string_view line, Lines const& lines) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char const c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') out.back() += line[++i];
    else if (c == '"' && (quoted || out.back().empty())) quoted = !quoted;
    else if (c == ',' && !quoted) out.emplace_back();
    else out.back() += c;
  }
  if (quoted) return lines.fault("a cell in quotes has no end");
  return out;
}

Result<std::string> id_of(std::string_view line, Lines const& lines) {
  auto const value = wire::parse_json(line, kLineMax);
  if (!value) return lines.fault(value.error().detail);
  if (auto const* text = value->if_string()) return std::string(*text);
  auto const* const object = value->if_object();
  for (auto const column : kColumns) {
    auto const* const member = object == nullptr ? nullptr : object->if_contains(column);
    if (member != nullptr && member->is_string()) return std::string(member->get_string());
  }
  return lines.fault("expected an id, or an object with the member id");
}

}  // namespace

Result<std::vector<std::string>> read_ids(std::string_view text, std::string_view name) {
  Lines lines(text, name);
  std::vector<std::string> out;
  std::string_view line;
  std::size_t column = 0;
  bool header_seen = false, json_lines = false;
  while (lines.next(line)) {
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    if (!header_seen) json_lines = is_json(line);
    std::string id;
    if (json_lines) {
      FLEET_TRY(id, id_of(line, lines));
    } else {
      FLEET_TRY(auto cells, cells_of(line, lines));
      if (!header_seen) {
        auto const found = std::find_if(cells.begin(), cells.end(), is_column);
        if (found == cells.end()) return lines.fault(fmt::format("the header '{}' has no column id", line.substr(0, 100)));
        column = static_cast<std::size_t>(found - cells.begin());
        header_seen = true;
        continue;
      }
      if (column >= cells.size()) return lines.fault(fmt::format("has {} cells, the id is number {}", cells.size(), column + 1));
      id = std::move(cells[column]);
    }
    header_seen = true;
    if (auto const sound = check_id("id", id); !sound) return lines.fault(sound.error().detail);
    out.push_back(std::move(id));
  }
  if (!header_seen) return Error{Kind::bad_input, "bad_list", fmt::format("{}: is empty", name), kHint};
  return out;
}

}  // namespace fleet::cli
