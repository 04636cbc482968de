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
constexpr std::size_t kWindowSamples = 4096;
constexpr Millis kWindowMax = std::chrono::minutes{10};
constexpr std::size_t kModelsMax = 64;

struct Fold {
  std::string kind;
  double count = 0;               ///< weighed by sample rates
  double sum = 0, min = 0, max = 0;
  stats::Sketch sketch;
};
struct Point {
  MonoTime at{};
  double value = 0, weight = 1;
};
struct Series {
  std::deque<Point> points;       ///< newest last
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

}  // namespace

struct Collector::State {
  explicit State(Clock& c) : clock(c), since(c.wall()) {}
  Clock& clock;
  mutable std::mutex mutex;
  SysTime since;
  std::map<Owner, std::map<std::string, Fold>> folds;
  std::size_t series = 0;
  std::map<Key, Series> windows;
  std::map<std::string, std::string> model_of;  ///< release digest -> model
  std::deque<std::string> known;                ///< order of model_of

  void add(Sample const& sample) {
    auto model = sample.model;
    if (auto const found = model_of.find(sample.release); model.empty() && found != model_of.end()) model = found->second;
    auto& metrics = folds[{model, sample.release}];
    auto const there = metrics.find(sample.name);
    if (there == metrics.end() && series >= kSeriesMax) return;  // more names than any app should have
    if (there == metrics.end()) ++series;
    fold(metrics[sample.name], sample);
    Key const key{sample.release, sample.name};
    if (!windows.contains(key) && windows.size() >= kSeriesMax) return;
    auto& points = windows[key].points;
    auto const now = clock.mono();
    points.push_back({now, sample.value, sample.weight});
    while (points.size() > kWindowSamples || (!points.empty() && points.front().at + kWindowMax < now)) points.pop_front();
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
  state_->model_of.erase(state_->known.front());
  state_->known.pop_front();
}

std::vector<wire::MetricsItem> Collector::drain() {
  std::lock_guard const lock(state_->mutex);
  std::vector<wire::MetricsItem> out;
  auto const now = state_->clock.wall();
  for (auto const& [owner, metrics] : state_->folds) {
    wire::MetricsItem item{state_->since, now, owner.first, owner.second, {}};
    for (auto const& [name, fold] : metrics)
      item.metrics.push_back({name, fold.kind, std::llround(fold.count), fold.sum, fold.min, fold.max, fold.sketch.buckets()});
    out.push_back(std::move(item));
  }
  state_->folds.clear();
  state_->series = 0;
  state_->since = now;
  return out;
}

std::int64_t Collector::inferences(std::string_view digest, MonoTime since) const {
  std::lock_guard const lock(state_->mutex);
  auto const found = state_->windows.find({std::string(digest), "inferences"});
  if (found == state_->windows.end()) return 0;
  double sum = 0;
  for (auto const& point : found->second.points)
    if (point.at >= since) sum += point.value * point.weight;
  return std::llround(sum);
}

std::optional<double> Collector::stat(std::string_view digest, std::string_view metric, std::string_view stat, Millis window, std::int64_t samples) const {
  std::lock_guard const lock(state_->mutex);
  auto const found = state_->windows.find({std::string(digest), std::string(metric)});
  if (found == state_->windows.end()) return std::nullopt;
  auto const from = state_->clock.mono() - window;
  stats::Sketch sketch;
  double sum = 0, weight = 0, least = 0, most = 0;
  for (auto const& point : found->second.points) {
    if (point.at < from) continue;
    if (weight <= 0) least = most = point.value;
    least = std::min(least, point.value);
    most = std::max(most, point.value);
    sum += point.value * point.weight;
    weight += point.weight;
    sketch.add(point.value, std::max<std::int64_t>(1, std::llround(point.weight)));
  }
  if (weight <= 0 || weight < static_cast<double>(samples)) return std::nullopt;
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
