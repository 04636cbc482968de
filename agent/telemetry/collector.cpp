#include "agent/telemetry/collector.hpp"

#include "agent/telemetry/statsd.hpp"
#include "core/stats/sketch.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <mutex>

namespace fleet::agent {
namespace {

constexpr std::size_t kSeriesMax = 512;
constexpr std::size_t kMetricsOfItem = 200;  // a report's item may have 256
constexpr std::size_t kBucketsOfItem = 20'000;
constexpr std::size_t kBucketsOfMetric = 1'000;
constexpr std::size_t kWindowsMax = 64;
constexpr std::size_t kWindowSamples = 4096;
constexpr Millis kWindowMax = std::chrono::minutes{10};
constexpr std::size_t kModelsMax = 64;
constexpr std::size_t kMarksMax = 4096;
constexpr Millis kMarkEvery{100};

constexpr std::string_view kInferences = "inferences";

struct Fold {
  std::string kind;
  double count = 0;  ///< weighed by sample rates
  double sum = 0, min = 0, max = 0;
  stats::Sketch sketch;
};
struct Point {
  MonoTime at{};
  double value = 0, weight = 1;
};
/// The running count of inferences of a release, marked in time, so that any count since a time can be told however many came.
class Inferences {
public:
  void add(MonoTime at, double many) {
    total_ += many;
    if (!marks_.empty() && at < marks_.back().first + kMarkEvery) {
      marks_.back().second = total_;
      return;
    }
    marks_.emplace_back(at, total_);
    if (marks_.size() <= kMarksMax) return;
    std::deque<std::pair<MonoTime, double>> coarser;
    for (std::size_t i = 1; i < marks_.size(); i += 2) coarser.push_back(marks_[i]);
    marks_ = std::move(coarser);
  }
  [[nodiscard]] double since(MonoTime from) const {
    auto const first = std::lower_bound(marks_.begin(), marks_.end(), from, [](auto const& mark, MonoTime at) { return mark.first < at; });
    return total_ - (first == marks_.begin() ? 0 : std::prev(first)->second);
  }

private:
  double total_ = 0;
  std::deque<std::pair<MonoTime, double>> marks_;  ///< start of a span, total at its end
};
using Owner = std::pair<std::string, std::string>;  ///< model, release digest
using Key = std::pair<std::string, std::string>;    ///< release digest, metric

void fold(Fold& into, Sample const& sample) {
  if (into.count <= 0) into.min = into.max = sample.value;
  into.kind = sample.type;
  into.min = std::min(into.min, sample.value);
  into.max = std::max(into.max, sample.value);
  if (sample.type == "g") {  // the last one counts
    into.sum = sample.value;
    into.count = 1;
    return;
  }
  into.count += sample.weight;
  into.sum += sample.value * sample.weight;
  if (sample.type != "c") into.sketch.add(sample.value, std::max<std::int64_t>(1, std::llround(sample.weight)));
}

/// A report has room for so many: of a wider spread the lowest are counted together (Masson, Rim, Lee, 2019, section 3.3).
stats::Sketch::Buckets capped(stats::Sketch::Buckets buckets) {
  while (buckets.size() > kBucketsOfMetric) {
    auto const lowest = buckets.begin();
    std::next(lowest)->second += lowest->second;
    buckets.erase(lowest);
  }
  return buckets;
}

}  // namespace

struct Collector::State {
  explicit State(Clock& c) : clock(c), since(c.wall()) {}
  Clock& clock;
  mutable std::mutex mutex;
  SysTime since;
  std::map<Owner, std::map<std::string, Fold>> folds;
  std::size_t series = 0;
  std::map<Key, std::deque<Point>> windows;      ///< of releases that run or ran, newest point last
  std::map<std::string, Inferences> inferences;  ///< by release digest, of the same
  std::map<std::string, std::string> model_of;   ///< release digest -> model
  std::deque<std::string> known;                 ///< order of model_of

  void add(Sample const& sample) {
    auto model = sample.model;
    if (auto const found = model_of.find(sample.release); model.empty() && found != model_of.end()) model = found->second;
    Owner const owner{model, sample.release};
    auto const there = folds.find(owner);
    if (there == folds.end() || !there->second.contains(sample.name)) {
      if (series >= kSeriesMax) return;  // more names than any app should have
      ++series;
    }
    fold(folds[owner][sample.name], sample);
    if (model_of.contains(sample.release)) look(sample, clock.mono());
  }

  /// What health checks ask for: only releases that run or ran can be asked about.
  void look(Sample const& sample, MonoTime now) {
    if (sample.name == kInferences && sample.type == "c") inferences[sample.release].add(now, sample.value * sample.weight);
    Key const key{sample.release, sample.name};
    if (!windows.contains(key) && windows.size() >= kWindowsMax) return;
    auto& points = windows[key];
    points.push_back({now, sample.value, sample.weight});
    while (points.size() > kWindowSamples || points.front().at + kWindowMax < now) points.pop_front();
  }

  void forget(std::string const& digest) {
    model_of.erase(digest);
    inferences.erase(digest);
    std::erase_if(windows, [&](auto const& entry) { return entry.first.first == digest; });
  }
};

Collector::Collector(Clock& clock) : state_(std::make_unique<State>(clock)) {}
Collector::~Collector() = default;

void Collector::take(std::string_view datagram) {
  std::lock_guard const lock(state_->mutex);
  while (!datagram.empty()) {
    auto const end = datagram.find('\n');
    parse_line(datagram.substr(0, end), [this](Sample const& sample) { state_->add(sample); });
    datagram.remove_prefix(end == std::string_view::npos ? datagram.size() : end + 1);
  }
}

void Collector::running(std::string const& model, std::string const& digest) {
  std::lock_guard const lock(state_->mutex);
  if (!state_->model_of.contains(digest)) state_->known.push_back(digest);
  state_->model_of[digest] = model;
  if (state_->known.size() <= kModelsMax) return;
  state_->forget(state_->known.front());
  state_->known.pop_front();
}

std::vector<wire::MetricsItem> Collector::drain() {
  std::lock_guard const lock(state_->mutex);
  std::vector<wire::MetricsItem> out;
  auto const now = state_->clock.wall();
  for (auto const& [owner, metrics] : state_->folds) {
    std::size_t room = 0;
    for (auto const& [name, fold] : metrics) {
      auto buckets = capped(fold.sketch.buckets());
      if (room < buckets.size() + 1 || out.back().metrics.size() >= kMetricsOfItem) {
        out.push_back({state_->since, now, owner.first, owner.second, {}});
        room = kBucketsOfItem;
      }
      room -= buckets.size();
      out.back().metrics.push_back({name, fold.kind, std::llround(fold.count), fold.sum, fold.min, fold.max, std::move(buckets)});
    }
  }
  std::erase_if(state_->windows, [old = state_->clock.mono() - kWindowMax](auto const& entry) { return entry.second.back().at < old; });
  state_->folds.clear();
  state_->series = 0;
  state_->since = now;
  return out;
}

std::int64_t Collector::inferences(std::string_view digest, MonoTime since) const {
  std::lock_guard const lock(state_->mutex);
  auto const found = state_->inferences.find(std::string(digest));
  return found == state_->inferences.end() ? 0 : std::llround(found->second.since(since));
}

std::optional<double> Collector::stat(std::string_view digest, std::string_view metric, std::string_view stat, Millis window, std::int64_t samples) const {
  std::lock_guard const lock(state_->mutex);
  auto const found = state_->windows.find({std::string(digest), std::string(metric)});
  if (found == state_->windows.end()) return std::nullopt;
  auto const from = state_->clock.mono() - window;
  stats::Sketch sketch;
  double sum = 0, weight = 0, least = 0, most = 0;
  for (auto const& point : found->second) {
    if (point.at < from) continue;
    if (weight <= 0) least = most = point.value;
    least = std::min(least, point.value);
    most = std::max(most, point.value);
    sum += point.value * point.weight;
    weight += point.weight;
    sketch.add(point.value, std::max<std::int64_t>(1, std::llround(point.weight)));
  }
  // At most so many are kept: of a busier app the newest ones are judged.
  auto const enough = std::min(static_cast<double>(samples), static_cast<double>(kWindowSamples));
  if (weight <= 0 || weight < enough) return std::nullopt;
  if (stat == "min") return least;
  if (stat == "max") return most;
  if (stat == "sum") return sum;
  if (stat == "rate") return sum * 1000 / static_cast<double>(std::max<std::int64_t>(1, window.count()));
  if (stat == "p50") return sketch.quantile(0.5);
  if (stat == "p95") return sketch.quantile(0.95);
  if (stat == "p99") return sketch.quantile(0.99);
  return sum / weight;
}

}  // namespace fleet::agent
