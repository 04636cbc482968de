#include "agent/telemetry/collector.hpp"

#include "agent/telemetry/fold.hpp"
#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace fleet::agent {
namespace {

constexpr std::size_t kSeriesMax = 512;
constexpr std::size_t kMetricsOfItem = 200;  // a report's item may have 256
constexpr std::size_t kBucketsOfItem = 20'000;
constexpr std::size_t kModelsMax = 64;
constexpr std::size_t kNotesMax = 16;
constexpr Millis kForgetAfter = std::chrono::hours{1};

constexpr std::size_t kDigestLength = 64;  // in hexadecimal
constexpr std::string_view kInferences = "inferences";
constexpr std::string_view kOther = "other";

/// What may be added up together: timers, histograms and distributions are all of samples.
std::string_view meaning(std::string_view type) { return type == "ms" || type == "h" ? "d" : type; }

struct Owner {
  std::string model, release;
  auto operator<=>(Owner const&) const = default;
};
struct Series {
  std::string type;  ///< of its first sample; empty: none came
  MonoTime touched{};
  double gauge = 0;  ///< of a gauge: its value, across intervals
  bool told = false;  ///< that its types disagree
  Fold fold;          ///< of this interval; count 0: nothing came
  Quality quality;
};

}  // namespace

struct Collector::State {
  State(Clock& c, OwnerRules of_owner) : clock(c), rules(std::move(of_owner)), since(c.wall()), began(c.mono()) {}
  Clock& clock;
  OwnerRules rules;
  mutable std::mutex mutex;
  SysTime since;
  MonoTime began;
  std::map<Owner, std::map<std::string, Series>> owners;
  std::size_t series = 0;
  double other = 0;  ///< samples that have no series
  std::vector<wire::NoteItem> notes;
  std::map<std::string, std::map<Watched, Window>> windows;  ///< by release digest
  std::map<std::string, Inferences> inferences;              ///< by release digest, of those that run or ran
  std::map<std::string, std::string> model_of;               ///< release digest -> model
  std::deque<std::string> known;                             ///< order of model_of
  struct Runs {
    std::string model, digest;
    MonoTime from;
    MetricRules rules;  ///< as its release declares them
  };
  std::vector<Runs> runs;  ///< one a model

  void add(Sample const& sample) {
    auto const now = clock.mono();
    auto* const own = series_of(sample, now);
    if (own == nullptr) {
      ++other;
      return;
    }
    if (!take(*own, sample, now)) return;
    if (!model_of.contains(sample.release)) return;
    if (sample.name == kInferences && sample.type == "c") inferences[sample.release].add(now, sample.value * sample.weight);
    if (auto const watched = windows.find(sample.release); watched != windows.end())
      for (auto& [what, window] : watched->second)
        if (what.metric == sample.name) window.add(sample, own->gauge, now);
  }

  /// False: it is flagged, or is none that can be told.
  bool take(Series& own, Sample const& sample, MonoTime now) {
    using enum Quality::Verdict;
    bool const is_gauge = sample.type == "g", is_value = is_gauge || meaning(sample.type) == "d";
    auto const value = sample.is_change ? own.gauge + sample.value : sample.value;
    auto const verdict = is_value ? own.quality.judge(value, is_gauge ? 1 : sample.weight, now) : good;
    give_back(own);
    if (verdict == good) {
      bool const fits = own.fold.add(sample, own.gauge);
      if (!fits) ++other;
      return fits;
    }
    if (is_gauge) own.gauge = value;
    return verdict == held;
  }

  /// What was held and is good counts now.
  static void give_back(Series& own) {
    auto const held = own.quality.release();
    if (!held) return;
    Sample sample;
    sample.type = own.type;
    sample.value = held->value;
    sample.weight = held->weight;
    auto gauge = own.gauge;
    static_cast<void>(own.fold.add(sample, gauge));
  }

  /// Null: there is no room, or it was of another type.
  Series* series_of(Sample const& sample, MonoTime now) {
    auto model = sample.model;
    if (auto const found = model_of.find(sample.release); model.empty() && found != model_of.end()) model = found->second;
    Owner const owner{std::move(model), sample.release};
    auto const of_owner = owners.find(owner);
    bool const is_new = of_owner == owners.end() || !of_owner->second.contains(sample.name);
    if (is_new && series >= kSeriesMax && !is_watched(sample) && !drop_idle()) return nullptr;
    if (is_new) ++series;
    auto& own = owners[owner][sample.name];
    if (is_new) own.quality.set_rule(rule_of(owner.release, sample.name));
    if (own.type.empty()) own.type = sample.type;
    own.touched = now;
    if (meaning(own.type) == meaning(sample.type)) return &own;
    if (!std::exchange(own.told, true)) tell_types(sample, own.type);
    return nullptr;
  }

  MetricRule rule_of(std::string const& digest, std::string_view name) const {
    for (auto const& one : runs)
      if (auto const found = one.digest == digest ? one.rules.find(name) : one.rules.end(); found != one.rules.end()) return rules.over(name, &found->second);
    return rules.over(name, nullptr);
  }

  /// Counts a metric as missing that should have come since.
  /// @param from  it could come
  void miss(Owner const& of, std::string const& name, Millis every, MonoTime from, MonoTime now) {
    if (every <= Millis{0}) return;
    auto const of_owner = owners.find(of);
    auto const found = of_owner == owners.end() ? std::map<std::string, Series>::iterator{} : of_owner->second.find(name);
    bool const heard = of_owner != owners.end() && found != of_owner->second.end();
    if (now - (heard ? std::max(found->second.touched, from) : from) < every) return;
    if (!heard && series >= kSeriesMax) return;
    if (!heard) ++series;
    auto& own = heard ? found->second : owners[of][name];
    if (!heard) own.quality.set_rule(rule_of(of.release, name));
    ++own.quality.flagged[wire::Flag::missing];
  }

  /// Of what runs, and of what the owner asks for whatever release sends it, or none.
  void miss_all(MonoTime now) {
    for (auto const& one : runs)
      for (auto const& [name, declared] : one.rules) miss({one.model, one.digest}, name, rules.over(name, &declared).every, one.from, now);
    for (auto const& [name, sensor] : rules.sensors) {
      if (std::any_of(runs.begin(), runs.end(), [&](Runs const& one) { return one.rules.contains(name); })) continue;
      auto of = owners.begin();
      while (of != owners.end() && !of->second.contains(name)) ++of;
      miss(of == owners.end() ? Owner{} : of->first, name, sensor.every, began, now);
    }
  }

  /// What a proof asks for has its place.
  bool is_watched(Sample const& sample) const {
    if (sample.name == kInferences && model_of.contains(sample.release)) return true;
    auto const watched = windows.find(sample.release);
    return watched != windows.end() &&
           std::any_of(watched->second.begin(), watched->second.end(), [&](auto const& entry) { return entry.first.metric == sample.name; });
  }

  void tell_types(Sample const& sample, std::string const& first) {
    if (notes.size() >= kNotesMax) return;
    auto text = fmt::format("metric {} is sent as {} and as {}: it is taken as {}", sample.name, first, sample.type, first);
    log::warn("statsd.types_differ", {{"metric", sample.name}, {"taken", first}, {"refused", sample.type}});
    notes.push_back({clock.wall(), "metric_types_differ", std::move(text)});
  }

  /// The series that was silent for longest makes room; none does that was heard in this interval.
  bool drop_idle() {
    auto found = owners.end();
    std::map<std::string, Series>::iterator oldest;
    for (auto owner = owners.begin(); owner != owners.end(); ++owner)
      for (auto one = owner->second.begin(); one != owner->second.end(); ++one)
        if (one->second.fold.count <= 0 && (found == owners.end() || one->second.touched < oldest->second.touched)) {
          found = owner;
          oldest = one;
        }
    if (found == owners.end()) return false;
    found->second.erase(oldest);
    if (found->second.empty()) owners.erase(found);
    --series;
    return true;
  }

  void begin_interval(SysTime now) {
    for (auto owner = owners.begin(); owner != owners.end();) {
      for (auto& [name, one] : owner->second) {
        one.fold = {};
        one.quality.flagged = {};
      }
      series -= std::erase_if(owner->second, [old = clock.mono() - kForgetAfter](auto const& entry) { return entry.second.touched < old; });
      owner = owner->second.empty() ? owners.erase(owner) : std::next(owner);
    }
    other = 0;
    since = now;
  }

  void forget(std::string const& digest) {
    model_of.erase(digest);
    inferences.erase(digest);
    windows.erase(digest);
  }
};

Collector::Collector(Clock& clock, OwnerRules owner) : state_(std::make_unique<State>(clock, std::move(owner))) {}
Collector::~Collector() = default;

void Collector::take(std::string_view datagram, Source source) {
  std::lock_guard const lock(state_->mutex);
  while (!datagram.empty()) {
    auto const end = datagram.find('\n');
    parse_line(datagram.substr(0, end), [&](Sample sample) {
      if (source == Source::anybody) sample.release.clear();
      if (sample.release.size() > kDigestLength && sample.release[kDigestLength] == '-') sample.release.resize(kDigestLength);  // a variant's folder
      state_->add(sample);
    });
    datagram.remove_prefix(end == std::string_view::npos ? datagram.size() : end + 1);
  }
}

void Collector::tell(std::string const& model, std::string const& digest, std::string const& metric, double value) {
  std::lock_guard const lock(state_->mutex);
  Sample sample;
  sample.name = metric;
  sample.type = "g";
  sample.value = value;
  sample.model = model;
  sample.release = digest;
  state_->add(sample);
}

bool Collector::running(std::string const& model, std::string const& digest) {
  std::lock_guard const lock(state_->mutex);
  auto& runs = state_->runs;
  if (digest.empty()) {
    std::erase_if(runs, [&](auto const& one) { return one.model == model; });
    return false;
  }
  bool const is_same = std::any_of(runs.begin(), runs.end(), [&](auto const& one) { return one.model == model && one.digest == digest; });
  if (!is_same) {
    std::erase_if(runs, [&](auto const& one) { return one.model == model; });
    if (runs.size() >= kModelsMax) runs.erase(runs.begin());
    runs.push_back({model, digest, state_->clock.mono(), {}});
  }
  if (!state_->model_of.contains(digest)) state_->known.push_back(digest);
  state_->model_of[digest] = model;
  if (state_->known.size() <= kModelsMax) return !is_same;
  state_->forget(state_->known.front());
  state_->known.pop_front();
  return !is_same;
}

void Collector::declare(std::string const& digest, MetricRules rules) {
  std::lock_guard const lock(state_->mutex);
  auto const of = std::find_if(state_->runs.begin(), state_->runs.end(), [&](auto const& one) { return one.digest == digest; });
  if (of == state_->runs.end()) return;
  of->rules = std::move(rules);
  for (auto& [owner, metrics] : state_->owners)
    if (owner.release == digest)
      for (auto& [name, one] : metrics) one.quality.set_rule(state_->rule_of(digest, name));
}

std::vector<wire::MetricsItem> Collector::drain() {
  std::lock_guard const lock(state_->mutex);
  std::vector<wire::MetricsItem> out;
  auto const now = state_->clock.wall();
  auto const mono = state_->clock.mono();
  state_->miss_all(mono);
  for (auto& [owner, metrics] : state_->owners) {
    std::size_t room = 0;
    for (auto& [name, one] : metrics) {
      one.quality.rest(one.touched, mono);
      State::give_back(one);
      bool const came = one.fold.count > 0 || one.quality.flagged.all() > 0;
      if (!came || one.quality.rule().local) continue;
      auto const buckets = one.fold.sketch.buckets().size();
      if (room < buckets + 1 || out.back().metrics.size() >= kMetricsOfItem) {
        out.push_back({state_->since, now, owner.model, owner.release, {}});
        room = kBucketsOfItem;
      }
      room -= buckets;
      out.back().metrics.push_back(one.fold.told(name, one.type));
      out.back().metrics.back().flagged = one.quality.flagged;
    }
  }
  if (state_->other > 0) out.push_back({state_->since, now, {}, {}, {{std::string(kOther), "c", static_cast<std::int64_t>(state_->other), state_->other, 1, 1, {}}}});
  state_->begin_interval(now);
  return out;
}

bool Collector::has_samples() const {
  std::lock_guard const lock(state_->mutex);
  for (auto const& [owner, metrics] : state_->owners)
    for (auto const& [name, one] : metrics)
      if (one.fold.count > 0) return true;
  return false;
}

std::vector<wire::NoteItem> Collector::notes() {
  std::lock_guard const lock(state_->mutex);
  return std::exchange(state_->notes, {});
}

void Collector::watch(std::string const& digest, std::vector<Watched> const& watched) {
  std::lock_guard const lock(state_->mutex);
  auto& windows = state_->windows[digest];
  std::erase_if(windows, [&](auto const& entry) { return std::find(watched.begin(), watched.end(), entry.first) == watched.end(); });
  for (auto const& one : watched) windows.try_emplace(one, one.window);
  if (windows.empty()) state_->windows.erase(digest);
}

std::optional<double> Collector::stat(std::string const& digest, Watched const& watched, std::string_view stat, std::int64_t samples) const {
  std::lock_guard const lock(state_->mutex);
  auto const of_release = state_->windows.find(digest);
  if (of_release == state_->windows.end()) return std::nullopt;
  auto const found = of_release->second.find(watched);
  return found == of_release->second.end() ? std::nullopt : found->second.stat(stat, samples, state_->clock.mono());
}

std::int64_t Collector::inferences(std::string_view digest, MonoTime since) const {
  std::lock_guard const lock(state_->mutex);
  auto const found = state_->inferences.find(std::string(digest));
  return found == state_->inferences.end() ? 0 : found->second.since(since);
}

}  // namespace fleet::agent
