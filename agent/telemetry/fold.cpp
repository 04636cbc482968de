#include "agent/telemetry/fold.hpp"

#include <algorithm>
#include <cmath>

namespace fleet::agent {
namespace {

constexpr double kCountMax = 1e9;  // a report may have no more
constexpr std::size_t kBucketsMax = 1'000;
constexpr int kSlices = 64;
constexpr Millis kSliceMin{10};
constexpr std::size_t kMarksMax = 4096;
constexpr Millis kMarkEvery{100};

}  // namespace

bool Fold::add(Sample const& sample, double& gauge) {
  auto value = sample.value;
  bool const is_gauge = sample.type == "g", is_set = sample.type == "s";
  if (is_gauge && sample.is_change) value += gauge;
  if (is_set) {
    if (members.size() < kMembersMax) members.insert(sample.member);
    value = static_cast<double>(members.size());
  }
  auto const weight = is_gauge || is_set ? 1 : sample.weight;
  if (!(std::abs(value) <= wire::kValueMax) || count + weight > kCountMax) return false;
  min = count <= 0 ? value : std::min(min, value);
  max = count <= 0 ? value : std::max(max, value);
  if (is_gauge || is_set) {  // the last one counts
    gauge = sum = value;
    count = 1;
    return true;
  }
  count += weight;
  sum += value * weight;
  if (sample.type != "c") {
    sketch.add(value, std::max<std::int64_t>(1, std::llround(weight)));
    sketch.collapse(kBucketsMax);
  }
  return true;
}

void Fold::merge(Fold const& other) {
  if (other.count <= 0) return;
  min = count <= 0 ? other.min : std::min(min, other.min);
  max = count <= 0 ? other.max : std::max(max, other.max);
  count += other.count;
  sum += other.sum;
  sketch.merge(other.sketch);
}

wire::MetricsItem::Metric Fold::told(std::string const& name, std::string const& kind) const {
  return {name, kind, std::llround(count), sum, min, max, sketch.buckets()};
}

Window::Window(Millis length) : length_(length), slice_(std::max(kSliceMin, length / kSlices)) {}

void Window::add(Sample const& sample, double gauge, MonoTime now) {
  is_counter_ = sample.type == "c";
  if (slices_.empty() || now >= slices_.back().from + slice_) slices_.push_back({now, {}});
  while (slices_.front().from + length_ < now) slices_.pop_front();
  auto one = sample;
  if (sample.type == "g" || sample.type == "s") {  // each value it had is a sample
    one.type = "h";
    one.value = gauge;
    one.weight = 1;
  }
  static_cast<void>(slices_.back().fold.add(one, gauge));
}

std::optional<double> Window::stat(std::string_view stat, std::int64_t samples, MonoTime now) const {
  Fold all;
  for (auto const& slice : slices_)
    if (slice.from + length_ >= now) all.merge(slice.fold);
  auto const found = is_counter_ ? all.sum : all.count;
  if (all.count <= 0 || found < static_cast<double>(samples)) return std::nullopt;
  if (stat == "min") return all.min;
  if (stat == "max") return all.max;
  if (stat == "sum") return all.sum;
  if (stat == "rate") return all.sum * 1000 / static_cast<double>(std::max<std::int64_t>(1, length_.count()));
  if (stat == "p50") return all.sketch.quantile(0.5);
  if (stat == "p95") return all.sketch.quantile(0.95);
  if (stat == "p99") return all.sketch.quantile(0.99);
  return all.sum / all.count;
}

void Inferences::add(MonoTime at, double many) {
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

std::int64_t Inferences::since(MonoTime from) const {
  auto const first = std::lower_bound(marks_.begin(), marks_.end(), from, [](auto const& mark, MonoTime at) { return mark.first < at; });
  auto const many = total_ - (first == marks_.begin() ? 0 : std::prev(first)->second);
  return std::llround(std::clamp(many, 0.0, wire::kValueMax));
}

}  // namespace fleet::agent
