#include "tests/simulation/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace fleet::simulation {
namespace {

constexpr double kWidth = 900, kLeft = 70, kRight = 160, kTop = 40, kPanel = 220, kGap = 50;
/// Evidence for health sinks without end; below this it is drawn on the floor.
constexpr double kFloor = -6;
constexpr auto kColours = std::to_array<std::string_view>({"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f"});

struct Point {
  double hours, value;
};
struct Line {
  std::string name;
  std::vector<Point> points;
};
struct Panel {
  double top;
  std::string title;
  double low, high;
  std::vector<Line> lines;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (char const c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '&') out += "&amp;";
    else if (c == '>') out += "&gt;";
    else out += c;
  }
  return out;
}

/// The next of 1, 2, 5 times a power of ten.
double round_up(double value) {
  if (value <= 0) return 1;
  double const power = std::pow(10, std::floor(std::log10(value)));
  for (double const step : {1., 2., 5.})
    if (value <= step * power * (1 + 1e-9)) return step * power;
  return 10 * power;
}

std::string draw_panel(Panel const& panel, double hours) {
  double const width = kWidth - kLeft - kRight;
  auto const x = [&](double at) { return kLeft + width * at / hours; };
  auto const y = [&](double value) { return panel.top + kPanel * (panel.high - std::clamp(value, panel.low, panel.high)) / (panel.high - panel.low); };
  auto out = fmt::format("<text x='{:.1f}' y='{:.1f}' font-weight='bold'>{}</text>\n<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='none' stroke='#999'/>\n",
                         kLeft, panel.top - 8, escaped(panel.title), kLeft, panel.top, width, kPanel);
  double const step = round_up((panel.high - panel.low) / 6);
  for (double tick = std::ceil(panel.low / step) * step; tick <= panel.high + 1e-9; tick += step)
    out += fmt::format("<line x1='{:.1f}' x2='{:.1f}' y1='{:.1f}' y2='{:.1f}' stroke='#e5e5e5'/><text x='{:.1f}' y='{:.1f}' text-anchor='end'>{:g}</text>\n", kLeft,
                       kLeft + width, y(tick), y(tick), kLeft - 6, y(tick) + 4, std::abs(tick) < 1e-9 ? 0 : tick);
  double const every = round_up(hours / 8);
  for (double tick = 0; tick <= hours + 1e-9; tick += every)
    out += fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle'>{:g} h</text>\n", x(tick), panel.top + kPanel + 16, tick);
  if (panel.low < 0)
    out += fmt::format("<line x1='{:.1f}' x2='{:.1f}' y1='{:.1f}' y2='{:.1f}' stroke='#000' stroke-dasharray='4 3'/>\n", kLeft, kLeft + width, y(0), y(0));
  for (std::size_t i = 0; i < panel.lines.size(); ++i) {
    auto const colour = kColours[i % kColours.size()];
    std::string path;
    for (auto const& point : panel.lines[i].points)
      path += path.empty() ? fmt::format("M{:.1f} {:.1f}", x(point.hours), y(point.value)) : fmt::format("H{:.1f}V{:.1f}", x(point.hours), y(point.value));
    out += fmt::format("<path d='{}' fill='none' stroke='{}' stroke-width='1.5'/>\n<text x='{:.1f}' y='{:.1f}' fill='{}'>{}</text>\n", path, colour,
                       kWidth - kRight + 10, panel.top + 14 + 18 * static_cast<double>(i), colour, escaped(panel.lines[i].name));
  }
  return out;
}

}  // namespace

std::string draw_plot(Outcome const& outcome, std::string_view title) {
  Line switched{"switched", {{0, 0}}}, bad{"failed or silent", {{0, 0}}};
  std::map<std::string, std::vector<Point>> evidence;
  double most = 1, highest = 1, hours = 1e-3;
  for (auto const& moment : outcome.moments) {
    double const at = static_cast<double>(moment.after.count()) / 3.6e6;
    hours = std::max(hours, at);
    switched.points.push_back({at, static_cast<double>(moment.exposed)});
    bad.points.push_back({at, static_cast<double>(moment.failed + moment.silent)});
    most = std::max(most, static_cast<double>(moment.exposed));
    for (auto const& [gate, weight] : moment.evidence) {
      evidence[gate].push_back({at, weight});
      highest = std::max(highest, weight);
    }
  }
  Panel devices{kTop + 20, "devices", 0, round_up(most), {std::move(switched), std::move(bad)}};
  Panel gates{devices.top + kPanel + kGap, "evidence of harm: log10(e-value / threshold), harm is shown at 0", kFloor, std::ceil(highest), {}};
  for (auto& [gate, points] : evidence) gates.lines.push_back({gate, std::move(points)});
  return fmt::format("<svg xmlns='http://www.w3.org/2000/svg' width='{:.0f}' height='{:.0f}' font-family='sans-serif' font-size='12'>\n"
                     "<rect width='100%' height='100%' fill='#fff'/>\n<text x='{:.0f}' y='22' font-size='14'>{}</text>\n{}{}</svg>\n",
                     kWidth, gates.top + kPanel + 30, kLeft, escaped(title), draw_panel(devices, hours), draw_panel(gates, hours));
}

}  // namespace fleet::simulation
