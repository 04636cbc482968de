#include "core/proof/cgroup.hpp"

#include "core/base/fs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>

namespace fleet::proof {
namespace {

constexpr std::size_t kTextMax = 1024 * 1024;
constexpr std::string_view kAgents = "/fleet-agent";  ///< where the agent itself goes
constexpr std::string_view kPrograms = "fleet-program-";

bool put(std::string const& path, std::string_view text) {
  Descriptor const file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string text_of(std::string const& path) {
  auto text = system_fs().read(path, kTextMax);
  return text ? *std::move(text) : std::string();
}

/// Where cgroup2 is mounted, and which group is at its top there (proc(5), mountinfo).
struct Mount {
  std::string folder, top;
};
std::optional<Mount> find_mount() {
  std::istringstream lines(text_of("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    auto const dash = line.find(" - ");
    if (dash == std::string::npos || !std::string_view(line).substr(dash + 3).starts_with("cgroup2 ")) continue;
    std::istringstream words(line);
    std::string id, parent, device;
    Mount out;
    words >> id >> parent >> device >> out.top >> out.folder;
    return out;
  }
  return std::nullopt;
}

bool was_given_to_us(std::string const& own) {
  for (char const* name : {"trusted.delegate", "user.delegate"}) {
    std::array<char, 8> value{};
    if (::getxattr(own.c_str(), name, value.data(), value.size()) == 1 && value[0] == '1') return true;
  }
  return false;
}

/// Of agents before this one: its own may be about to be joined.
void remove_left(std::string const& own, std::string const& ours) {
  auto const names = system_fs().list(own);
  for (auto const& name : names ? *names : std::vector<std::string>{})
    if (name.starts_with(kPrograms) && !name.starts_with(ours)) ::rmdir((own + "/" + name).c_str());
}

}  // namespace

std::string own_cgroup() {
  auto const mount = find_mount();
  std::istringstream lines(text_of("/proc/self/cgroup"));
  for (std::string line; mount && std::getline(lines, line);) {
    if (!line.starts_with("0::/")) continue;
    auto path = line.substr(3);
    if (mount->top != "/" && !path.starts_with(mount->top)) return {};
    if (mount->top != "/") path.erase(0, mount->top.size());
    if (path.ends_with(kAgents)) path.erase(path.size() - kAgents.size());
    return path == "/" ? mount->folder : mount->folder + path;
  }
  return {};
}

Result<void> delegate_controllers(std::string const& own) {
  auto const failed = [&](std::string_view why) {
    return Error{Kind::unavailable, "no_controllers", fmt::format("the control group {} does not count processes and memory of programs: {}", own, why),
                 "start the agent by systemd with Delegate=pids memory"};
  };
  if (own.empty()) return failed("there is no cgroup v2");
  if (!was_given_to_us(own)) return failed("it was not delegated to the agent");
  auto const agents = own + std::string(kAgents);
  if (::mkdir(agents.c_str(), 0755) != 0 && errno != EEXIST) return failed(std::strerror(errno));
  if (!put(agents + "/cgroup.procs", "0")) return failed(std::strerror(errno));
  return put(own + "/cgroup.subtree_control", "+pids +memory") ? Result<void>{} : failed(std::strerror(errno));
}

std::unique_ptr<ProgramGroup> ProgramGroup::make(std::string const& own, ExecLimits const& limits) {
  static std::atomic<unsigned> made{0};
  if (own.empty()) return nullptr;
  auto const ours = fmt::format("{}{}-", kPrograms, ::getpid());
  remove_left(own, ours);
  auto const dir = fmt::format("{}/{}{}", own, ours, made++);
  if (::mkdir(dir.c_str(), 0755) != 0) return nullptr;
  std::unique_ptr<ProgramGroup> out(new ProgramGroup(dir));
  out->procs_ = Descriptor(::open((dir + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  out->end_ = Descriptor(::open((dir + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
  if (!out->end_) out->end_ = Descriptor(::open((dir + "/cgroup.freeze").c_str(), O_WRONLY | O_CLOEXEC));
  out->counts_processes_ = put(dir + "/pids.max", std::to_string(limits.processes));
  if (limits.memory_bytes > 0 && put(dir + "/memory.max", std::to_string(limits.memory_bytes))) {
    put(dir + "/memory.swap.max", "0");
    put(dir + "/memory.oom.group", "1");
  }
  return out;
}

ProgramGroup::~ProgramGroup() { ::rmdir(dir_.c_str()); }

bool ProgramGroup::ran_out_of_memory() const {
  std::istringstream lines(text_of(dir_ + "/memory.events"));
  std::string word;
  for (std::uint64_t count = 0; lines >> word >> count;)
    if (word == "oom_kill") return count > 0;
  return false;
}

}  // namespace fleet::proof
