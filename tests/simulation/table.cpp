#include "core/base/fs.hpp"
#include "core/wire/json.hpp"
#include "tests/simulation/cells.hpp"
#include "tests/simulation/inputs.hpp"
#include "tests/simulation/rivals.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

/// `sim-table`: the cells of docs/statistics.md, resumable: what was simulated lies in FOLDER/cells.jsonl by what it was of, and is not simulated again.
using namespace fleet;
using namespace fleet::simulation;
namespace json = boost::json;

namespace {

struct Options {
  std::string folder = "build/sim-table", only;
  std::vector<int> sizes{12, 100, 1'000, 10'000, 100'000};
  std::vector<std::string> presets;
  std::uint64_t seed = 1;
  int jobs = default_jobs(), runs = 0;
  bool brief = false, print = false, no_rivals = false;
};

/// What one cell came to.
struct Row {
  std::string preset, cell;
  int devices = 0, runs = 0;
  double completed = 0, rolled_back = 0, paused = 0, undecided = 0;  ///< shares
  double canaries = 0, harmed = 0, hours = 0;                        ///< medians; canaries of those that were rolled back
  std::int64_t left_behind = 0;
  std::optional<Rivals> rivals = {};  ///< nothing: they were not asked
};

int runs_of(Options const& options, int devices) {
  if (options.runs > 0) return options.runs;
  return devices > 10'000 ? 30 : devices > 1'000 ? 300 : 1'000;
}

std::vector<std::string> presets_of(Options const& options, int devices) {
  if (!options.presets.empty()) return options.presets;
  return {"cautious", devices < 60 ? "small-fleet" : "standard", "fast"};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Get>
double median_of(std::vector<Outcome> const& outcomes, Get const& get, bool of_rolled_back = false) {
  std::vector<double> values;
  for (auto const& outcome : outcomes)
    if (!of_rolled_back || ending(outcome) == "rolled_back") values.push_back(static_cast<double>(get(outcome)));
  return median(std::move(values));
}

Row sum_up(std::string_view preset, CellSpec const& cell, Study const& study, std::vector<Outcome> const& outcomes) {
  Row out{std::string(preset), std::string(cell.name), study.devices, study.runs};
  auto const share = [&](std::string_view word) {
    return static_cast<double>(std::count_if(outcomes.begin(), outcomes.end(), [&](Outcome const& one) { return ending(one) == word; })) / static_cast<double>(study.runs);
  };
  out.completed = share("completed");
  out.rolled_back = share("rolled_back");
  out.paused = share("paused");
  out.undecided = share("undecided");
  out.canaries = median_of(outcomes, [](Outcome const& one) { return one.canaries; }, true);
  out.harmed = median_of(outcomes, [](Outcome const& one) { return one.harmed; });
  out.hours = median_of(outcomes, [](Outcome const& one) { return static_cast<double>(one.took.count()) / 3.6e6; });
  for (auto const& one : outcomes) out.left_behind += one.left_behind;
  return out;
}

json::object row_json(Row const& row, std::string_view key) {
  json::object out{{"key", key},
          {"preset", row.preset},
          {"cell", row.cell},
          {"devices", row.devices},
          {"runs", row.runs},
          {"completed", row.completed},
          {"rolled_back", row.rolled_back},
          {"paused", row.paused},
          {"undecided", row.undecided},
          {"canaries", row.canaries},
          {"harmed", row.harmed},
          {"hours", row.hours},
          {"left_behind", row.left_behind}};
  if (row.rivals) {
    out["fixed"] = row.rivals->fixed;
    out["chi_squared"] = row.rivals->chi_squared;
  }
  return out;
}

Row row_of(json::object const& from) {
  auto const number = [&](std::string_view key) { return from.contains(key) ? from.at(key).to_number<double>() : 0; };
  Row out{std::string(from.at("preset").as_string()), std::string(from.at("cell").as_string()), static_cast<int>(number("devices")), static_cast<int>(number("runs"))};
  out.completed = number("completed");
  out.rolled_back = number("rolled_back");
  out.paused = number("paused");
  out.undecided = number("undecided");
  out.canaries = number("canaries");
  out.harmed = number("harmed");
  out.hours = number("hours");
  out.left_behind = static_cast<std::int64_t>(number("left_behind"));
  if (from.contains("fixed")) out.rivals = {number("fixed"), number("chi_squared")};
  return out;
}

/// What was simulated before, by its key.
class Done {
public:
  explicit Done(std::string folder) : file_(folder + "/cells.jsonl") {
    static_cast<void>(system_fs().make_dirs(folder));
    auto const text = system_fs().read(file_, 64 * 1024 * 1024);
    if (!text) return;
    text_ = *text;
    for (std::size_t at = 0; at < text_.size();) {
      auto const end = std::min(text_.find('\n', at), text_.size());
      auto const line = wire::parse_json(std::string_view(text_).substr(at, end - at), 64 * 1024);
      if (line && line->is_object() && line->get_object().contains("key")) rows_.emplace(line->get_object().at("key").as_string(), row_of(line->get_object()));
      at = end + 1;
    }
  }
  [[nodiscard]] Row const* find(std::string const& key) const {
    auto const found = rows_.find(key);
    return found == rows_.end() ? nullptr : &found->second;
  }
  /// The same cell with whatever runs, the most there are.
  [[nodiscard]] Row const* find_any(int devices, std::string_view hash) const {
    Row const* best = nullptr;
    for (auto const& [key, row] : rows_)
      if (row.devices == devices && key.ends_with(hash) && (best == nullptr || row.runs > best->runs)) best = &row;
    return best;
  }
  [[nodiscard]] Result<void> keep(Row row, std::string const& key) {
    text_ += json::serialize(row_json(row, key)) + "\n";
    rows_.insert_or_assign(key, std::move(row));
    return system_fs().replace(file_, text_);
  }

private:
  std::string file_, text_;
  std::map<std::string, Row> rows_;
};

/// The policy as it is for this fleet, so that tuning a preset makes its cells anew.
Study study_of(Options const& options, std::string_view preset, CellSpec const& cell, int devices) {
  Study out;
  out.policy.preset = preset;
  out.scenario = decode_scenario(cell.scenario).value();
  out.devices = devices;
  out.runs = runs_of(options, devices);
  out.seed = options.seed;
  out.policy = VirtualFleet(out.scenario, out.policy, devices, out.seed).policy();
  out.policy.preset.clear();
  if (cell.adapt != nullptr) cell.adapt(out.policy);
  return out;
}

std::string key_of(Study const& study, CellSpec const& cell, std::string_view preset) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (char const c : fmt::format("{}|{}|{}", preset, cell.scenario, rollout::encode(study.policy))) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{}-{}-{}-{:016x}", study.devices, study.runs, study.seed, hash);
}

Result<Row> simulate(Options const& options, Study const& study, std::string_view preset, CellSpec const& cell) {
  FLEET_TRY(auto const outcomes, run_all(study, options.jobs));
  auto row = sum_up(preset, cell, study, outcomes);
  bool const shown = preset == "standard" || preset == "small-fleet";
  if (shown && !options.no_rivals && cell.adapt == nullptr) {
    FLEET_TRY(row.rivals, judge_by_rivals(study, options.jobs));
  }
  return row;
}

/// What few runs cannot tell from what is asked for: three standard errors of a share of one half at most.
double slack(Row const& row, double share) {
  constexpr int kMany = 300;
  if (row.runs >= kMany) return 0;
  double const runs = row.runs;
  return 3 * std::sqrt(share * (1 - share) / runs) + 2 / runs;
}

/// What a row misses, in words; empty: it reaches all that is asked for.
std::string misses(Row const& row, CellSpec const& cell) {
  auto target = cell.target(row.devices);
  target.completed_least -= slack(row, target.completed_least);
  target.completed_most += slack(row, target.completed_most);
  target.rolled_back_least -= slack(row, target.rolled_back_least);
  target.rolled_back_most += slack(row, target.rolled_back_most);
  std::vector<std::string> out;
  auto const percent = [](double share) { return fmt::format("{:.4g} %", 100 * share); };
  if (row.completed < target.completed_least) out.push_back(fmt::format("completed {}, at least {} wanted", percent(row.completed), percent(target.completed_least)));
  if (row.completed > target.completed_most) out.push_back(fmt::format("completed {}, at most {} wanted", percent(row.completed), percent(target.completed_most)));
  if (row.rolled_back < target.rolled_back_least) out.push_back(fmt::format("rolled back {}, at least {} wanted", percent(row.rolled_back), percent(target.rolled_back_least)));
  if (row.rolled_back > target.rolled_back_most) out.push_back(fmt::format("rolled back {}, at most {} wanted", percent(row.rolled_back), percent(target.rolled_back_most)));
  if (row.undecided > 0) out.push_back(fmt::format("undecided {}", percent(row.undecided)));
  bool const has_median = row.runs >= 30;
  if (has_median && row.canaries > target.canaries_most) out.push_back(fmt::format("{:g} canaries, at most {:g} wanted", row.canaries, target.canaries_most));
  if (has_median && row.harmed > target.harmed_most) out.push_back(fmt::format("{:g} harmed, at most {:g} wanted", row.harmed, target.harmed_most));
  if (row.left_behind > 0) out.push_back(fmt::format("{} devices left behind", row.left_behind));
  return fmt::format("{}", fmt::join(out, "; "));
}

std::string entry(Row const& row, CellSpec const& cell) {
  auto const percent = [](double share) { return fmt::format("{:.1f}", 100 * share); };
  auto out = cell.sound ? fmt::format("{} C, {} R", percent(row.completed), percent(row.rolled_back))
                        : fmt::format("{} R, {} C", percent(row.rolled_back), percent(row.completed));
  if (!cell.sound && row.rolled_back > 0) out += fmt::format(" ({:g}; {:g})", row.canaries, row.harmed);
  if (!misses(row, cell).empty()) out = "**" + out + "**";
  return out;
}

using Rows = std::map<std::tuple<std::string, std::string, int>, Row>;  ///< by preset, cell, size

Row const* find(Rows const& rows, std::string const& preset, std::string_view cell, int size) {
  auto found = rows.find({preset, std::string(cell), size});
  if (found == rows.end() && preset == "standard") found = rows.find({"small-fleet", std::string(cell), size});  // which is its name for tiny fleets
  return found == rows.end() ? nullptr : &found->second;
}

/// How many runs the cells of a size have.
std::string runs_text(Rows const& rows, int size, std::string const& preset) {
  int least = 0, most = 0;
  for (auto const& [key, row] : rows) {
    if (row.devices != size || (row.preset != preset && !(preset == "standard" && row.preset == "small-fleet"))) continue;
    least = least == 0 ? row.runs : std::min(least, row.runs);
    most = std::max(most, row.runs);
  }
  return most == 0 ? "-" : least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most);
}

void print_table(Options const& options, Rows const& rows, std::string const& preset, std::string_view title, auto const& text) {
  fmt::print("\n| {} |", title);
  for (int const size : options.sizes) fmt::print(" {} |", size);
  fmt::print("\n|---|{}\n", fmt::join(std::vector<std::string>(options.sizes.size(), "---|"), ""));
  fmt::print("| runs |");
  for (int const size : options.sizes) fmt::print(" {} |", runs_text(rows, size, preset));
  fmt::print("\n");
  for (auto const& cell : cells()) {
    std::string line;
    bool any = false;
    for (int const size : options.sizes) {
      auto const told = text(rows, cell, size);
      any |= !told.empty();
      line += fmt::format(" {} |", told.empty() ? "-" : told);
    }
    if (any) fmt::print("| {} |{}\n", cell.name, line);
  }
}

void print_all(Options const& options, Rows const& rows) {
  for (std::string const preset : {"standard", "cautious", "fast"})
    print_table(options, rows, preset, fmt::format("`{}`", preset), [&](Rows const& all, CellSpec const& cell, int size) {
      auto const* const row = find(all, preset, cell.name, size);
      return row == nullptr ? std::string() : entry(*row, cell);
    });
  print_table(options, rows, "standard", "rolled back by 2 %, by chi-squared", [&](Rows const& all, CellSpec const& cell, int size) {
    auto const* const row = find(all, "standard", cell.name, size);
    return row == nullptr || !row->rivals ? std::string() : fmt::format("{:.1f}, {:.1f}", 100 * row->rivals->fixed, 100 * row->rivals->chi_squared);
  });
}

Result<int> run(Options const& options) {
  Done done(options.folder);
  Rows rows;
  int missed = 0;
  for (int const size : options.sizes)
    for (auto const& preset : presets_of(options, size))
      for (auto const& cell : cells()) {
        if (!options.only.empty() && cell.name.find(options.only) == std::string_view::npos) continue;
        auto const study = study_of(options, preset, cell, size);
        auto const key = key_of(study, cell, preset);
        if (options.print) {
          if (auto const* const row = done.find_any(size, std::string_view(key).substr(key.rfind('-')))) rows.insert_or_assign({preset, std::string(cell.name), size}, *row);
          continue;
        }
        if (done.find(key) == nullptr) {
          FLEET_TRY(auto row, simulate(options, study, preset, cell));
          FLEET_CHECK(done.keep(std::move(row), key));
        }
        auto const& row = *done.find(key);
        auto const fault = misses(row, cell);
        missed += !fault.empty();
        fmt::print("{:>6} {:<11} {:<38} C {:5.1f} R {:5.1f} P {:4.1f} U {:g}  {:>4g} canaries {:>3g} harmed {:>6.1f} h  {}{}{}\n", size, preset, cell.name,
                     100 * row.completed, 100 * row.rolled_back, 100 * row.paused, 100 * row.undecided, row.canaries, row.harmed, row.hours,
                     row.rivals ? fmt::format("fixed {:5.1f} chi {:5.1f}", 100 * row.rivals->fixed, 100 * row.rivals->chi_squared) : std::string(), fault.empty() ? "" : "  MISSES ", fault);
        static_cast<void>(std::fflush(stdout));
        rows.insert_or_assign({preset, std::string(cell.name), size}, row);
      }
  print_all(options, rows);
  return missed;
}

/// Every cell with few runs: far from the table's precision, near enough to see a rule that broke.
Result<int> run_briefly(Options options) {
  constexpr std::array kBrief{std::pair{12, 40}, std::pair{100, 16}, std::pair{1'000, 8}, std::pair{10'000, 1}};
  options.no_rivals = true;
  int missed = 0;
  for (auto const& [size, runs] : kBrief) {
    options.runs = runs;
    for (auto const& cell : cells()) {
      std::string const preset = size < 60 ? "small-fleet" : "standard";
      FLEET_TRY(auto const row, simulate(options, study_of(options, preset, cell, size), preset, cell));
      auto const fault = misses(row, cell);
      if (fault.empty()) continue;
      ++missed;
      fmt::print("{} devices, {}, seeds {} to {}: {}\n", size, cell.name, options.seed, options.seed + static_cast<std::uint64_t>(runs) - 1, fault);
    }
  }
  fmt::print("{} cells are not as they must be\n", missed);
  return missed;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Simulates the cells of docs/statistics.md that were not yet, and prints the tables");
  app.add_option("--folder", options.folder, "where results lie")->capture_default_str();
  app.add_option("--sizes", options.sizes, "devices")->delimiter(',')->check(CLI::Range(1, 1'000'000));
  app.add_option("--presets", options.presets, "else those that fit")->delimiter(',');
  app.add_option("--cell", options.only, "only cells whose name has this in it");
  app.add_option("--runs", options.runs, "a cell; else 1000, 300 above 1,000 devices, 30 above 10,000");
  app.add_option("--seed", options.seed, "of a cell's first run")->capture_default_str();
  app.add_option("--jobs", options.jobs, "threads")->check(CLI::Range(1, 1'024));
  app.add_flag("--brief", options.brief, "few runs of every cell, nothing kept, no tables: fails where a cell is far from what is asked for");
  app.add_flag("--print", options.print, "only what lies there");
  app.add_flag("--no-rivals", options.no_rivals, "without the fixed threshold and the chi-squared test");
  CLI11_PARSE(app, argc, argv);
  auto const missed = options.brief ? run_briefly(options) : run(options);
  if (missed) return *missed == 0 ? 0 : 1;
  tell(missed.error());
  return 2;
}
