#include "agent/update/runner.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

std::vector<std::string> before_others(Config const& config) {
  auto out = config.sources;
  out.insert(out.end(), config.servers.begin(), config.servers.end());
  return out;
}

}  // namespace

Runner::Runner(Context& context, Remotes& remotes, Told told)
    : context_(context),
      wishes_(std::move(told), context.journal.models(), [this](std::string const& model) { wake(model); }),
      shop_{context,
            remotes,
            wishes_,
            contact_,
            Throttle(context.clock, context.config.bandwidth_bytes_per_s,
                     Budget(context.fs, context.layout.download_budget(), context.config.download_bytes_per_day)),
            Conditions(context),
            Sources(before_others(context.config)),
            UpdateLock(context)} {
  for (auto const& [model, state] : context.journal.models()) wake(model);
  for (auto const& target : wishes_.told().targets) wake(target.model);
}

Runner::~Runner() { stop(); }

void Runner::settle_at_start() {
  // A folder without a record is the work of a journal that is damaged or gone.
  auto const models = context_.slots.models();
  for (auto const& model : models ? *models : std::vector<std::string>{}) wake(model);
  for (auto const& [model, lane] : lanes_) lane->update.claim_at_start();
  for (auto const& [model, lane] : lanes_) lane->update.fill_memory();
  for (auto const& [model, lane] : lanes_) lane->update.settle();
}

void Runner::unanswered() {
  contact_.lost();
  wake_due();
}

/// No clock of its own: an idle device is woken by its polls alone.
void Runner::wake_due() {
  {
    std::lock_guard const lock(mutex_);
    for (auto const& [model, lane] : lanes_) lane->woken = lane->woken || lane->update.is_due(context_.clock.mono());
  }
  changed_.notify_all();
}

void Runner::answered(std::vector<std::string> sources) {
  shop_.sources.announce(std::move(sources));
  wake_due();
  if (!contact_.answered(context_.clock.mono())) return;
  // Whoever waits because nobody answered goes on at once.
  {
    std::lock_guard const lock(mutex_);
    for (auto const& [model, lane] : lanes_) lane->woken = true;
  }
  changed_.notify_all();
}

void Runner::wake(std::string const& model) {
  {
    std::lock_guard const lock(mutex_);
    auto& lane = lanes_[model];
    if (!lane) lane = std::make_unique<Lane>(shop_, model);
    lane->woken = true;
  }
  changed_.notify_all();
}

void Runner::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wishes_.stop();
  changed_.notify_all();
}

void Runner::round() {
  for (auto const& [model, lane] : lanes_) lane->update.go();
}

std::optional<MonoTime> Runner::next_round() const {
  std::optional<MonoTime> out;
  for (auto const& [model, lane] : lanes_)
    if (auto const next = lane->update.next_look(); next && (!out || *next < *out)) out = next;
  return out;
}

void Runner::go(std::string const& model) {
  if (auto const lane = lanes_.find(model); lane != lanes_.end()) lane->second->update.go();
}

void Runner::hear(std::string const& model) {
  if (auto const lane = lanes_.find(model); lane != lanes_.end()) lane->second->update.hear();
}

Result<void> Runner::consent(std::string const& model) {
  auto const& asked = context_.config.update_lock.consent;
  auto const is_asked = [&](std::string const& name) { return std::find(asked.begin(), asked.end(), name) != asked.end(); };
  auto const told = wishes_.told();
  auto const as_member = std::find_if(told.targets.begin(), told.targets.end(), [&](auto const& one) { return one.model == model; });
  auto const set = as_member == told.targets.end() || as_member->set.empty() ? model : as_member->set;
  auto const members = members_of(told, set);  // whose consent counts for the set
  bool const any = is_asked(model) || is_asked(set) || std::any_of(members.begin(), members.end(), [&](auto const& one) { return is_asked(one.model); });
  if (wishes_.models().contains(model) && !any)
    return Error{Kind::conflict, "consent_not_asked", fmt::format("updates of model {} wait for nobody's consent", model), "agent.yaml names those that do: update_lock, consent"};
  return wishes_.order(model, Order::consent);
}

void Runner::loop() {
  settle_at_start();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || is_waiting_for_thread(); });
    give_threads();
  }
  // Joined without the lock, which they need to end.
  std::vector<std::unique_ptr<Thread>> ending;
  for (auto const& [model, lane] : lanes_)
    if (lane->thread) ending.push_back(std::move(lane->thread));
  lock.unlock();
  ending.clear();
  rest();
}

void Runner::rest() {
  for (auto const& [model, lane] : lanes_) lane->update.stop();
}

bool Runner::is_working() const {
  auto const models = wishes_.models();
  return std::any_of(models.begin(), models.end(), [](auto const& entry) { return !at_rest(entry.second.state); });
}

bool Runner::is_waiting_for_thread() const {
  auto const has_thread = [](auto const& one) { return one.second->thread != nullptr; };
  bool const full = std::count_if(lanes_.begin(), lanes_.end(), has_thread) >= static_cast<std::ptrdiff_t>(kThreadsMax);
  return std::any_of(lanes_.begin(), lanes_.end(), [&](auto const& one) { return one.second->done || (one.second->woken && !has_thread(one) && !full); });
}

void Runner::give_threads() {
  std::size_t threads = 0;
  for (auto const& [model, lane] : lanes_) {
    if (lane->done) lane->thread.reset();
    lane->done = false;
    if (lane->thread) ++threads;
  }
  for (auto const& [model, entry] : lanes_) {
    auto* const lane = entry.get();  // clang 14 lets no lambda capture a structured binding
    if (!lane->woken || lane->thread || threads >= kThreadsMax) continue;
    lane->thread = std::make_unique<Thread>([this, lane] { run(*lane); });
    ++threads;
  }
}

/// A model's thread: until it has nothing to wait for.
void Runner::run(Lane& lane) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lane.woken = false;
    lock.unlock();
    lane.update.go();
    lock.lock();
    auto const next = lane.update.next_look();
    if (!next && !lane.woken) break;
    auto const pause = next ? std::max(Millis{0}, *next - context_.clock.mono()) : Millis{0};
    changed_.wait_for(lock, pause, [&] { return lane.woken || stopping_; });
  }
  lane.done = true;
  changed_.notify_all();
}

}  // namespace fleet::agent
