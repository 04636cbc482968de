#include "cli/render/table.hpp"

#include "cli/render/text.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace fleet::render {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLeastWidth = 8;

struct ToneOf {
  std::string_view state;
  Tone tone;
};
constexpr auto kTones = std::to_array<ToneOf>({
    {"active", Tone::good},
    {"approved", Tone::good},
    {"completed", Tone::good},
    {"healthy", Tone::good},
    {"committed", Tone::good},
    {"ok", Tone::good},
    {"promote", Tone::good},
    {"passed", Tone::good},
    {"online", Tone::good},
    {"running", Tone::busy},
    {"dispatched", Tone::busy},
    {"downloading", Tone::busy},
    {"testing", Tone::busy},
    {"probation", Tone::busy},
    {"dispatching", Tone::busy},
    {"baking", Tone::busy},
    {"pending", Tone::warn},
    {"draft", Tone::dim},
    {"awaiting_approval", Tone::warn},
    {"paused", Tone::warn},
    {"pause", Tone::warn},
    {"hold", Tone::plain},
    {"waiting", Tone::warn},
    {"silent", Tone::bad},
    {"rolling_back", Tone::bad},
    {"rolled_back", Tone::bad},
    {"aborted", Tone::bad},
    {"failed", Tone::bad},
    {"revoked", Tone::bad},
    {"rollback", Tone::bad},
    {"fail", Tone::bad},
    {"retired", Tone::dim},
    {"offline", Tone::dim},
    {"ineligible", Tone::dim},
    {"dropped", Tone::dim},
    {"reverting", Tone::bad},
    {"reverted", Tone::warn},
});

std::string_view code_of(Tone tone) {
  switch (tone) {
    case Tone::good: return "32";
    case Tone::busy: return "36";
    case Tone::warn: return "33";
    case Tone::bad: return "31";
    case Tone::dim: return "2";
    case Tone::plain: break;
  }
  return "";
}

/// Takes columns away from the widest that may give way until all fit.
void fit(std::vector<std::size_t>& widths, std::vector<Column> const& columns, std::size_t paper) {
  auto const total = [&] { return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1)); };
  while (total() > paper) {
    std::size_t widest = widths.size();
    for (std::size_t i = 0; i < widths.size(); ++i)
      if (!columns[i].whole && widths[i] > kLeastWidth && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    if (widest == widths.size()) return;
    auto const surplus = total() - paper;
    std::size_t next = kLeastWidth;  // down to the second widest at once, then evenly
    for (std::size_t i = 0; i < widths.size(); ++i)
      if (i != widest && !columns[i].whole && widths[i] < widths[widest]) next = std::max(next, widths[i]);
    widths[widest] -= std::min(surplus, std::max<std::size_t>(1, widths[widest] - next));
  }
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (true) {
    auto const end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

void trim_end(std::string& line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
}

std::string line_of(std::vector<Cell> const& cells, std::vector<Column> const& columns, std::vector<std::size_t> const& widths, bool color) {
  std::string line;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    auto const cell = i < cells.size() ? cells[i] : Cell{};
    auto const text = clip(cell.text, widths[i]);
    auto const space = std::string(widths[i] - display_width(text), ' ');
    auto const shown = painted(text, cell.tone, color);
    line += i == 0 ? "" : std::string(kGap, ' ');
    line += columns[i].right ? space + shown : shown + space;
  }
  trim_end(line);
  return line + '\n';
}

}  // namespace

Tone tone_of(std::string_view state) {
  for (auto const& row : kTones)
    if (row.state == state) return row.tone;
  return Tone::plain;
}

std::string painted(std::string_view text, Tone tone, bool color) {
  if (!color || tone == Tone::plain || text.empty()) return std::string(text);
  return "\x1b[" + std::string(code_of(tone)) + "m" + std::string(text) + "\x1b[0m";
}

std::string draw(Table const& table, Paper const& paper) {
  if (table.columns.empty()) return {};
  auto rows = table.rows;
  for (auto& row : rows)
    for (auto& cell : row) cell.text = safe_text(cell.text);
  std::vector<std::size_t> widths;
  std::vector<Cell> head;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    auto width = display_width(table.columns[i].title);
    for (auto const& row : rows)
      if (i < row.size()) width = std::max(width, display_width(row[i].text));
    widths.push_back(width);
    head.push_back({table.columns[i].title, Tone::dim});
  }
  if (paper.width) fit(widths, table.columns, *paper.width);
  auto out = line_of(head, table.columns, widths, paper.color);
  for (auto const& row : rows) out += line_of(row, table.columns, widths, paper.color);
  return out;
}

std::string draw_card(std::vector<std::pair<std::string, Cell>> const& fields, Paper const& paper) {
  std::size_t names = 0;
  for (auto const& [name, cell] : fields)
    if (!cell.text.empty()) names = std::max(names, display_width(name) + 1);
  std::string out;
  for (auto const& [name, cell] : fields) {
    if (cell.text.empty()) continue;
    auto lead = pad(name + ":", names + kGap);
    for (auto line : lines_of(safe_lines(cell.text))) {
      if (paper.width && *paper.width > names + kGap + kLeastWidth) line = clip(line, *paper.width - names - kGap);
      out += painted(lead, Tone::dim, paper.color) + painted(line, cell.tone, paper.color) + '\n';
      lead = std::string(names + kGap, ' ');
    }
  }
  return out;
}

}  // namespace fleet::render
