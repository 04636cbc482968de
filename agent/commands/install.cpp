#include "agent/commands/install.hpp"

#include "agent/commands/control.hpp"
#include "agent/commands/told_error.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::size_t kAnswerMax = 1024 * 1024;
constexpr Millis kLook{200}, kLookMost{2'000};
constexpr int kFailed = 5, kWaitsForPerson = 9;
constexpr std::size_t kReceiptLinesMax = 100;

std::string text_at(json::value const& value, std::string_view key) {
  auto const* const object = value.if_object();
  auto const* const found = object == nullptr ? nullptr : object->if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

/// One command to the daemon.
class Asking {
public:
  Asking(Machine const& machine, Layout const& layout) : machine_(machine), path_(layout.control_socket()) {}

  Result<json::value> ask(json::object const& order, Descriptor const* file = nullptr) const {
    FLEET_TRY(auto const answer, ask_daemon(path_, json::serialize(order), machine_.clock, kAskPatience, file));
    FLEET_TRY(auto value, wire::parse_json(answer, kAnswerMax));
    FLEET_CHECK(told_error(value, "error"));
    if (!value.is_object()) return Error{Kind::internal, "bad_answer", "the agent's answer is none"};
    return value;
  }
  /// A daemon that is busy, or begins anew, is asked again.
  [[nodiscard]] static bool may_pass(Error const& error) { return error.code == "daemon_busy"; }

private:
  Machine const& machine_;
  std::string path_;
};

/// What the daemon says of an install; the daemon that took it knows it until it ends.
struct Progress {
  std::string state;
  json::array targets;
};
Result<Progress> look(Asking const& asking, std::int64_t n) {
  FLEET_TRY(auto const answer, asking.ask({{"do", "installing"}}));
  auto const& object = answer.get_object();
  auto const* const number = object.if_contains("install");
  if (number == nullptr || !number->is_int64() || number->get_int64() != n)
    return Error{Kind::unavailable, "install_forgotten", "the agent began anew, or took another bundle meanwhile", "install it once more: what is there already stays"};
  FLEET_CHECK(told_error(answer, "refusal"));
  Progress out{text_at(answer, "state"), {}};
  if (auto const* const targets = object.if_contains("targets"); targets != nullptr && targets->is_array()) out.targets = targets->get_array();
  bool const brings = std::any_of(out.targets.begin(), out.targets.end(), [](json::value const& one) {
    auto const state = text_at(one, "state");
    return text_at(one, "outcome") == "working" && (state == "checking" || state == "downloading");
  });
  if (auto const lost = text_at(answer, "lost"); brings && !lost.empty())
    return Error{Kind::unavailable, "bundle_lost", lost, "put the stick in again, and install once more: what is there already stays"};
  return out;
}

std::string words_of(json::value const& target) {
  auto out = fmt::format("{}@{}: {}", text_at(target, "model"), text_at(target, "version"), text_at(target, "state"));
  if (auto const waiting = text_at(target, "waiting"); !waiting.empty()) out += fmt::format(", waits: {}", waiting);
  auto const* const error = target.get_object().if_contains("error");
  if (error != nullptr) out += fmt::format(", {}: {}", text_at(*error, "code"), text_at(*error, "text"));
  return out;
}

/// Tells what changed, and whether it is over: the exit code.
class Watch {
public:
  explicit Watch(InstallSurroundings const& around) : around_(around) {}

  std::optional<int> tell(Progress const& progress) {
    int code = 0;
    bool working = progress.state != "accepted";
    for (auto const& target : progress.targets) {
      auto words = words_of(target);
      auto& last = told_[text_at(target, "model")];
      if (last != words) around_.say(words);
      last = std::move(words);
      auto const outcome = text_at(target, "outcome");
      if (outcome == "failed") code = kFailed;
      else if (outcome != "done" && text_at(target, "waiting") == "consent") code = std::max(code, kWaitsForPerson);
      else if (outcome != "done") working = true;
    }
    if (working && code != kFailed) return std::nullopt;
    return code;
  }

private:
  InstallSurroundings const& around_;
  std::map<std::string, std::string> told_;
};

/// Until it is over, or, where nobody waits, until it was looked at.
Result<int> follow(Machine const& machine, Asking const& asking, std::int64_t n, InstallOptions const& options, InstallSurroundings const& around) {
  Watch watch(around);
  auto const until = machine.clock.mono() + options.timeout;
  for (auto between = kLook;; between = std::min(between * 3 / 2, kLookMost)) {
    auto const progress = look(asking, n);
    if (!progress && !Asking::may_pass(progress.error())) return progress.error();
    if (progress && !options.wait && progress->state == "accepted") return 0;
    if (progress)
      if (auto const code = watch.tell(*progress)) return *code;
    if (machine.clock.mono() >= until)
      return Error{Kind::timeout, "still_installing", fmt::format("not committed within {}", fleet::to_string(options.timeout)), "the agent goes on; fleet-agent explain says why"};
    around.pause(between);
  }
}

Result<void> write_receipt(Machine const& machine, Asking const& asking, std::string const& path) {
  std::string content;
  json::object after;
  for (std::size_t lines = 0; lines < kReceiptLinesMax; ++lines) {
    FLEET_TRY(auto const answer, asking.ask({{"do", "receipt"}, {"after", after}}));
    content += text_at(answer, "line") + "\n";
    auto const* const more = answer.get_object().if_contains("more");
    auto const* const next = answer.get_object().if_contains("after");
    if (more == nullptr || !more->is_bool() || !more->get_bool() || next == nullptr || !next->is_object()) break;
    after = next->get_object();
  }
  return machine.fs.replace(path, content);
}

}  // namespace

Result<int> install(Machine const& machine, Layout const& layout, InstallOptions const& options, InstallSurroundings const& around) {
  FLEET_TRY(auto const file, open_to_read(options.bundle));
  Asking const asking(machine, layout);
  FLEET_TRY(auto const taken, asking.ask({{"do", "install"}}, &file));
  auto const* const number = taken.get_object().if_contains("install");
  if (number == nullptr || !number->is_int64()) return Error{Kind::internal, "bad_answer", "the agent's answer names no install"};
  auto const code = follow(machine, asking, number->get_int64(), options, around);
  // What failed is told, too; a bundle that was refused changed nothing.
  if (!options.receipt.empty() && (code || code.error().kind == Kind::timeout)) FLEET_CHECK(write_receipt(machine, asking, options.receipt));
  return code;
}

}  // namespace fleet::agent
