#include "agent/report/spool.hpp"

#include "agent/store/kept_dirs.hpp"
#include "agent/store/record_file.hpp"
#include "core/base/log.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace fleet::agent {
namespace {

// Numbers are reserved in blocks, so that none is used twice although bulk items are not synced one by one.
constexpr std::int64_t kReserve = 1000;
constexpr std::size_t kItemsOfReport = 5'000;
/// A server is ahead of a device whose disk was set back by what that had; one far ahead would leave no numbers.
constexpr std::int64_t kLeapMax = std::int64_t{1} << 32;
constexpr std::uint64_t kLastBytesMax = 4 * 1024 * 1024;

constexpr wire::ByTier<TierRules> kRules{{{
    {"critical", Spool::kCriticalBytes, true, false},
    {"diagnostic", Spool::kDiagnosticBytes, true, true},
    {"bulk", Spool::kBulkBytes, false, true},
}}};

wire::Tier tier_of(wire::ReportItem const& item) {
  if (item.update) return wire::Tier::critical;
  return item.metrics || item.support ? wire::Tier::bulk : wire::Tier::diagnostic;
}

/// On its way to a result: what a device that was away for very long may forget.
bool is_progress(wire::ReportItem const& item) {
  constexpr std::array<std::string_view, 5> kProgress{"downloading", "waiting", "testing", "probation", "proving"};
  return item.update && std::find(kProgress.begin(), kProgress.end(), item.update->state) != kProgress.end();
}

}  // namespace

std::unique_ptr<Spool> Spool::open(Fs& fs, std::string const& dir, Clock& clock) { return std::unique_ptr<Spool>(new Spool(fs, dir, clock)); }

Spool::Spool(Fs& fs, std::string const& dir, Clock& clock) : fs_(fs), clock_(clock), dir_(dir) {
  if (auto const made = find_or_make_dirs(fs, dir.substr(0, dir.find_last_of('/')), dir, 0700); !made) log::warn("spool.no_folder", {{"error", made.error().detail}});
  for (auto const tier : wire::kTiers) tiers_[tier] = std::make_unique<SpoolTier>(fs, dir, kRules[tier]);
  load_counters();
  load_last_updates();
}

void Spool::load_counters() {
  auto const text = fs_.read(dir_ + "/counters", 4096);
  if (!text && text.error().kind != Kind::not_found) log::warn("spool.counters_unread", {{"error", text.error().detail}});
  std::istringstream lines(text ? *text : std::string());
  std::string name;
  for (Counters read; lines >> name >> read.reserved >> read.acked >> read.dropped;)
    for (auto const tier : wire::kTiers)
      if (wire::tier_name(tier) == name) counters_[tier] = read;
  for (auto const tier : wire::kTiers) {
    auto& own = counters_[tier];
    own.next = std::max(own.reserved, tiers_[tier]->last()) + 1;
    // What cannot be read now may have given any number: the clock is above them, as where numbers cannot be reserved.
    bool const unknown = (!text && text.error().kind != Kind::not_found) || !tiers_[tier]->is_known();
    if (unknown) own.next = std::max(own.next, to_unix_ms(clock_.wall()) / 1000);
    own.reserved = own.next - 1;
    own.received = own.acked;
    tiers_[tier]->drop_through(own.acked);
  }
}

Result<void> Spool::save_counters() {
  std::string text;
  for (auto const tier : wire::kTiers) {
    auto const& own = counters_[tier];
    text += fmt::format("{} {} {} {}\n", wire::tier_name(tier), own.reserved, own.acked, own.dropped);
  }
  return fs_.replace(dir_ + "/counters", text, 0600);
}

void Spool::load_last_updates() {
  auto const note = [&](wire::ReportItem item) {
    if (!item.update) return;
    auto& last = last_updates_[item.update->model];
    if (item.sequence >= last.sequence) last = std::move(item);
  };
  auto const text = fs_.read(dir_ + "/told", kLastBytesMax);
  std::istringstream lines(text ? *text : std::string());
  for (std::string line; std::getline(lines, line);)
    if (auto const proved = RecordFile::text_of(line))
      if (auto item = wire::decode_report_item(*proved)) note(*std::move(item));
  for (std::int64_t at = 0;;) {
    SpoolTier::Room room{64 * 1024, kItemsOfReport};
    auto items = tiers_[wire::Tier::critical]->after(at, room);
    if (items.empty()) return;
    at = items.back().sequence;
    for (auto& item : items) note(std::move(item));
    last_updates_kept_ = false;  // with the segment the word would go
  }
}

Result<void> Spool::keep_last_updates() {
  if (last_updates_kept_) return {};
  std::string text;
  for (auto const& [model, item] : last_updates_) text += RecordFile::line_of(wire::encode(item));
  FLEET_CHECK(fs_.replace(dir_ + "/told", text, 0600));
  last_updates_kept_ = true;
  return {};
}

void Spool::on_urgent(std::function<void()> wake) {
  std::lock_guard const lock(mutex_);
  wake_ = std::move(wake);
}

Result<void> Spool::add(wire::ReportItem item) {
  auto const tier = tier_of(item);
  std::function<void()> wake;
  auto const added = [&]() -> Result<void> {
    std::lock_guard const lock(mutex_);
    if (tier != wire::Tier::bulk) wake = wake_;
    if (is_progress(item) && tiers_[tier]->bytes() >= kRules[tier].bytes_max) {
      ++counters_[tier].dropped;
      return {};
    }
    return put(tier, std::move(item));
  }();
  if (wake) wake();
  return added;
}

Result<void> Spool::put(wire::Tier tier, wire::ReportItem item) {
  auto& own = counters_[tier];
  bool const exhausted = own.next > own.reserved;
  if (exhausted) own.reserved = own.next + kReserve;
  if (auto const reserved = exhausted ? save_counters() : Result<void>{}; !reserved) {
    // On a disk that takes nothing, the next start begins above this one's numbers by the clock.
    own.next = std::max(own.next, to_unix_ms(clock_.wall()) / 1000);
    own.reserved = own.next + kReserve;
  }
  item.sequence = own.next++;
  auto const kept = tiers_[tier]->append(item);
  if (item.update) {
    last_updates_[item.update->model] = std::move(item);
    last_updates_kept_ = false;
  }
  auto const gone = tiers_[tier]->evict();
  own.dropped += gone;
  if (auto const saved = gone > 0 ? save_counters() : Result<void>{}; !saved) log::warn("spool.counters_not_kept", {{"error", saved.error().detail}});
  return kept;
}

/// One item for all that went since the last one, made when there is nothing older of its kind to send.
void Spool::tell_dropped() {
  if (told_dropped_ > counters_[wire::Tier::diagnostic].acked) return;
  for (auto const tier : wire::kTiers) {
    auto& dropped = counters_[tier].dropped;
    if (dropped == 0) continue;
    wire::ReportItem told;
    told.dropped = wire::DroppedItem{clock_.wall(), std::string(wire::tier_name(tier)), dropped};
    told_dropped_ = counters_[wire::Tier::diagnostic].next;
    if (auto const kept = put(wire::Tier::diagnostic, std::move(told)); !kept) log::warn("spool.not_kept", {{"error", kept.error().detail}});
    dropped = 0;
    if (auto const saved = save_counters(); !saved) log::warn("spool.counters_not_kept", {{"error", saved.error().detail}});
  }
}

wire::Report Spool::next(std::size_t bytes_max) {
  std::lock_guard const lock(mutex_);
  tell_dropped();
  wire::Report out;
  SpoolTier::Room room{bytes_max, kItemsOfReport};
  for (auto const tier : wire::kTiers) out.items[tier] = tiers_[tier]->after(counters_[tier].received, room);
  return out;
}

wire::Report Spool::unacked(wire::ByTier<std::int64_t> const& after, std::size_t bytes_max) {
  std::lock_guard const lock(mutex_);
  tell_dropped();
  wire::Report out;
  SpoolTier::Room room{bytes_max, kItemsOfReport};
  for (auto const tier : {wire::Tier::critical, wire::Tier::diagnostic}) out.items[tier] = tiers_[tier]->after(std::max(after[tier], counters_[tier].acked), room);
  return out;
}

Result<void> Spool::settle(wire::ReportAnswer const& answer) {
  std::lock_guard const lock(mutex_);
  for (auto const tier : wire::kTiers)
    if (auto const most = counters_[tier].next + kLeapMax; std::max(answer.acked[tier], answer.received[tier]) > most)
      return Error{Kind::bad_input, "acked_leap", fmt::format("the server has {} of tier {}, {} is the most that can be", answer.received[tier], wire::tier_name(tier), most)};
  for (auto const tier : wire::kTiers) FLEET_CHECK(settle(tier, answer.acked[tier], answer.received[tier]));
  return {};
}

Result<void> Spool::settle(wire::Tier tier, std::int64_t acked, std::int64_t received) {
  auto& own = counters_[tier];
  auto const before = own.acked;
  std::vector<wire::ReportItem> again;
  if (tier == wire::Tier::critical) FLEET_CHECK(keep_last_updates());
  if (acked >= own.next) {
    // It is ahead of every number that was given here: the counters were lost, and what lies here looked like repeats.
    SpoolTier::Room all{kCriticalBytes, kItemsOfReport};
    again = tiers_[tier]->after(before, all);
  } else if (acked < before && tier == wire::Tier::critical) {
    // A server restored from a backup: it hears again how each model ended here.
    for (auto const& [model, item] : last_updates_)
      if (item.sequence <= before) again.push_back(item);
  }
  own.next = std::max({own.next, acked + 1, received + 1});
  own.acked = acked;
  own.received = std::max(acked, received);
  if (acked > before) tiers_[tier]->drop_through(acked);
  for (auto& item : again) FLEET_CHECK(put(tier, std::move(item)));
  return {};
}

void Spool::forget(wire::Report const& refused) {
  std::lock_guard const lock(mutex_);
  for (auto const tier : wire::kTiers) {
    if (refused.items[tier].empty()) continue;
    auto& own = counters_[tier];
    own.received = std::max(own.received, refused.items[tier].back().sequence);
    if (own.acked < own.received) own.acked = own.received;
    tiers_[tier]->drop_through(own.acked);
  }
}

void Spool::resend() {
  std::lock_guard const lock(mutex_);
  for (auto const tier : wire::kTiers) counters_[tier].received = counters_[tier].acked;
}

bool Spool::is_unsettled() const {
  std::lock_guard const lock(mutex_);
  return std::any_of(wire::kTiers.begin(), wire::kTiers.end(), [&](auto tier) { return counters_[tier].received > counters_[tier].acked; });
}

bool Spool::waits(wire::Tier tier) const { return counters_[tier].dropped > 0 || tiers_[tier]->last() > counters_[tier].received || !tiers_[tier]->is_known(); }

bool Spool::has_items() const {
  std::lock_guard const lock(mutex_);
  return std::any_of(wire::kTiers.begin(), wire::kTiers.end(), [&](auto tier) { return waits(tier); });
}

bool Spool::has_results() const {
  std::lock_guard const lock(mutex_);
  return waits(wire::Tier::critical);
}

bool Spool::has_urgent() const {
  std::lock_guard const lock(mutex_);
  return waits(wire::Tier::critical) || waits(wire::Tier::diagnostic);
}

std::uint64_t Spool::bytes() const {
  std::lock_guard const lock(mutex_);
  std::uint64_t sum = 0;
  for (auto const tier : wire::kTiers) sum += tiers_[tier]->bytes();
  return sum;
}

void Spool::spill() {
  std::lock_guard const lock(mutex_);
  for (auto const tier : wire::kTiers)
    if (auto const kept = tiers_[tier]->spill(); !kept) log::warn("spool.not_kept", {{"tier", wire::tier_name(tier)}, {"error", kept.error().detail}});
}

std::optional<wire::UpdateItem> Spool::last_update(std::string const& model) const {
  std::lock_guard const lock(mutex_);
  auto const found = last_updates_.find(model);
  return found == last_updates_.end() ? std::nullopt : found->second.update;
}

}  // namespace fleet::agent
