#include "tests/crash/programs.hpp"

#include "agent/unpack/reader/archive.hpp"
#include "tests/crash/own_program.hpp"
#include "tests/crash/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fleet::crash {
namespace {

using Command = proof::Command;

constexpr std::uint64_t kImageBytesMax = 1024 * 1024;
constexpr int kLater = 75;

proof::Outcome ended(int code, std::string output = {}) {
  proof::Outcome out;
  out.exit_code = code;
  out.text = fmt::format("ended with {}", code);
  out.output = std::move(output);
  return out;
}

std::string text_of(Command const& command, std::string const& name) {
  auto const found = command.environment.find(name);
  return found == command.environment.end() ? std::string() : found->second;
}

proof::Outcome golden(World& world, Fs&, Command const& command) {
  auto const answer = world.disk.text(command.directory + "/answer");
  if (!answer) return ended(1);
  auto const output = text_of(command, "FLEET_OUTPUT");
  auto const user = world.disk.owner(output.substr(0, output.find_last_of('/')));
  world.disk.put(output, world.other_driver ? "0 0 0" : *answer);
  world.disk.give(output, user);
  return ended(0);
}

/// What is told goes to who asked, until he has enough.
Result<void> tell(void* to, std::string_view bytes) {
  if (static_cast<Command const*>(to)->answers(as_bytes(bytes))) return {};
  return Error{Kind::io, "refused", "nobody reads on"};
}

proof::Outcome unpack(World&, Fs& fs, Command const& command) {
  auto const archive = fs.read(command.input, kImageBytesMax);
  auto const format = archive_format_of(command.arguments.at(0));
  if (!archive || !format) return ended(1, archive ? "no such format" : archive.error().detail);
  agent::ArchiveLimits limits;
  limits.bytes = std::stoull(command.arguments.at(2));
  agent::EntryEncoder told(tell, const_cast<Command*>(&command));
  auto const read = agent::read_archive(as_bytes(*archive), *format, limits, told);
  return read ? ended(0) : ended(read.error().code == "bad_archive" ? 3 : 1, read.error().detail);
}

Result<void> write_image(Fs& fs, Command const& command) {
  FLEET_TRY(auto const image, fs.read(text_of(command, "FLEET_SLOT") + "/model.onnx", kImageBytesMax));
  return fs.replace(fmt::format("{}/{}", kFlash, text_of(command, "FLEET_RELEASE")), image);
}

Result<void> go_back(Fs& fs, Command const& command) {
  auto const current = fmt::format("{}/current", kFlash);
  if (auto const previous = text_of(command, "FLEET_PREVIOUS"); !previous.empty()) return fs.replace(current, previous);
  if (auto const removed = fs.remove(current); !removed && removed.error().kind != Kind::not_found) return removed;
  return fs.sync_dir(kFlash);
}

Result<void> give_back(Fs& fs, Command const& command) {
  FLEET_TRY(auto const names, fs.list(kFlash));
  auto const keep = text_of(command, "FLEET_KEEP");
  for (auto const& name : names)
    if (Digest::parse(name) && keep.find(name) == std::string::npos) FLEET_CHECK(fs.remove(fmt::format("{}/{}", kFlash, name)));
  return {};
}

Result<void> say_state(Fs& fs, Command const& command) {
  auto const current = fs.read(fmt::format("{}/current", kFlash), kImageBytesMax);
  if (!current && current.error().kind != Kind::not_found) return current.error();
  command.answers(as_bytes(fmt::format("current={}\n", current ? *current : "")));
  return {};
}

proof::Outcome flasher(World&, Fs& fs, Command const& command) {
  auto const& verb = command.arguments.at(0);
  auto const done = [&]() -> Result<void> {
    if (verb == "install") return write_image(fs, command);
    if (verb == "switch") return fs.replace(fmt::format("{}/current", kFlash), text_of(command, "FLEET_RELEASE"));
    if (verb == "commit") return fs.replace(fmt::format("{}/committed", kFlash), text_of(command, "FLEET_RELEASE"));
    if (verb == "rollback") return go_back(fs, command);
    if (verb == "collect") return give_back(fs, command);
    return verb == "state" ? say_state(fs, command) : Result<void>{};
  }();
  return done ? ended(0) : ended(kLater, done.error().detail);  // a disk that fails may answer later
}

struct Row {
  std::string_view text;
  proof::Outcome (*run)(World& world, Fs& fs, Command const& command);
};
constexpr auto kRows = std::to_array<Row>({
    {kPasses, [](World&, Fs&, Command const&) { return ended(0); }},
    {kFails, [](World&, Fs&, Command const&) { return ended(1); }},
    {kGolden, golden},
    {kUnpack, unpack},
    {kFlasher, flasher},
});

}  // namespace

void put_programs(World& world) {
  constexpr unsigned kProgram = 0755;
  world.disk.put(kPackaged, kOwnSound, kProgram);
  world.disk.put("/usr/bin/fleet-unpack", kUnpack, kProgram);
  world.disk.put(kFlasherPath, kFlasher, kProgram);
  world.disk.make_dirs(kFlash);
  world.disk.make_dirs("/proc/self");
  world.disk.put_link("/proc/self/exe", kPackaged);
}

Result<proof::Outcome> run(World& world, Fs& fs, Command const& command) {
  auto const text = world.disk.text(command.program);
  if (!text || !world.disk.is_executable(command.program)) {
    world.fault(fmt::format("{} is called and is {}", command.program, text ? "not executable" : "not there"));
    return ended(-1);
  }
  auto const row = std::find_if(kRows.begin(), kRows.end(), [&](Row const& one) { return one.text == *text; });
  if (row != kRows.end()) return row->run(world, fs, command);
  world.fault(fmt::format("{} holds other bytes than were published", command.program));
  return ended(-1);
}

}  // namespace fleet::crash
