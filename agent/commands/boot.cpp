#include "agent/commands/boot.hpp"

#include "agent/commands/daemon.hpp"
#include "agent/slots/slots.hpp"
#include "core/base/dir_lock.hpp"
#include "core/base/log.hpp"

#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace fleet::agent {
namespace {

constexpr int kStartsMax = 3;
constexpr int kChoicesMax = 3;  ///< what is on trial, what ran before, this program
std::string const kModel(wire::kAgentModel);

/// A disk that failed once may answer: who does not learn which program is to run starts another one.
template <class Ask>
auto ask_again(Ask const& ask) {
  auto first = ask();
  if (first || first.error().kind != Kind::io) return first;
  return ask();
}
Result<std::string> current_of(Fs& fs, Layout const& layout) {
  return ask_again([&] { return Slots(fs, layout).current(kModel); });
}
Result<std::optional<BootRecord>> trial_of(Fs& fs, Layout const& layout) {
  return ask_again([&] { return load_boot(fs, layout); });
}

/// On a disk that takes it or not: what ran before is what runs.
std::string go_back(Fs& fs, Layout const& layout, BootRecord const& record) {
  log::error("agent.went_back", {{"from", record.trial}, {"to", record.back.empty() ? "the package's program" : record.back}, {"starts", record.starts}});
  Slots slots(fs, layout);
  auto const moved = record.back.empty() ? slots.remove_current(kModel) : slots.switch_to(kModel, record.back);
  if (!moved) log::error("agent.link_stays", {{"error", moved.error().detail}});
  return record.back;
}

void become(std::string const& program, std::vector<std::string> words, Millis watchdog) {
  words.insert(words.begin(), program);
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // An alarm outlives exec(2): whoever hangs is ended without anybody beside it.
  ::alarm(static_cast<unsigned>(std::chrono::ceil<seconds>(watchdog).count()));
  ::execv(program.c_str(), arguments.data());
  int const why = errno;
  ::alarm(0);
  log::error("agent.not_started", {{"program", program}, {"error", std::generic_category().message(why)}});
}

}  // namespace

Choice choose_program(Fs& fs, Layout const& layout, std::string const& not_started) {
  Slots const slots(fs, layout);
  auto const link = current_of(fs, layout);
  auto slot = link ? *link : std::string();
  auto const program_of = [&](std::string const& one) { return slots.slot(kModel, one) + "/" + std::string(wire::kAgentProgram); };
  auto const read = trial_of(fs, layout);
  if (!read) {  // a trial would go uncounted, and by nobody's watch
    log::error("agent.trial_unread", {{"error", read.error().detail}});
    return {};
  }
  auto record = *read;
  if (!slot.empty() && record && record->trial == slot) {
    if (record->starts < kStartsMax && slot != not_started) {
      record->starts += 1;
      auto const counted = save_boot(fs, layout, *record);
      if (counted) return {slot, program_of(slot), record->watchdog};
      log::error("agent.start_not_counted", {{"error", counted.error().detail}});
    }
    slot = go_back(fs, layout, *record);
  }
  // What was proved once and cannot be started stands still: this program takes its place.
  return slot.empty() || slot == not_started ? Choice{} : Choice{slot, program_of(slot), Millis{0}};
}

Result<void> become_chosen(Fs& fs, Layout const& layout, std::string const& own, Exec const& exec) {
  if (!current_of(fs, layout)) return {};
  auto const lock = ask_again([&] { return DirLock::acquire(fs, layout.root); });
  if (!lock) return lock.error().code == "locked" ? Result<void>(lock.error()) : Result<void>{};
  std::string not_started;
  for (int i = 0; i < kChoicesMax; ++i) {
    auto const chosen = choose_program(fs, layout, not_started);
    if (chosen.slot.empty()) return {};
    exec(chosen.program, {"run", "--root", layout.root, "--slot", chosen.slot, "--by", own}, chosen.watchdog);
    not_started = chosen.slot;
  }
  return {};
}

void forgive_start(Fs& fs, Layout const& layout, std::string const& slot) {
  auto const read = trial_of(fs, layout);
  auto record = read ? *read : std::nullopt;
  if (slot.empty() || !record || record->trial != slot || record->starts == 0) return;
  record->starts = 0;
  if (auto const saved = save_boot(fs, layout, *record); !saved) log::warn("agent.start_not_forgiven", {{"error", saved.error().detail}});
}

Result<void> run_chosen(Fs& fs, Clock& clock, Random& random, Layout const& layout, Started const& started) {
  // A root without /proc has an agent that does not become another one.
  auto const executable = fs.read_link("/proc/self/exe");
  auto const own = executable ? *executable : std::string();
  if (started.slot.empty() && !own.empty()) FLEET_CHECK(become_chosen(fs, layout, own, become));
  FLEET_TRY(bool const restart, run_daemon(fs, clock, random, layout, started.slot));
  forgive_start(fs, layout, started.slot);
  auto const& next = started.by.empty() ? own : started.by;
  if (restart && !next.empty()) become(next, {"run", "--root", layout.root}, Millis{0});
  return restart ? Result<void>(Error{Kind::unavailable, "not_restarted", "the program that is to be the agent now was not started", "start this service again"}) : Result<void>{};
}

}  // namespace fleet::agent
