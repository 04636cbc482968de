#include "tests/crash/steps.hpp"

#include "core/bundle/tar.hpp"

#include <fmt/format.h>

#include <utility>

/// Releases that come by a recipe, in an archive, in a bundle, or are installed by a program of the owner; and what the device does by itself with one that runs.
namespace fleet::crash {
namespace {

using wire::Action;

// ---- by a recipe (docs/adr/0036)

constexpr int kBlocks = 16;
constexpr std::size_t kBlockBytes = 2048;

/// Every third block differs from version to version, and the last one is no whole one.
std::string weights_of(std::string const& name) {
  std::string out;
  for (int i = 0; i < kBlocks; ++i) {
    auto const seed = fmt::format("{} {} ", i % 3 == 0 ? name : "all", i);
    for (std::size_t at = 0; at < kBlockBytes; ++at) out += seed[at % seed.size()];
  }
  return out + name;
}
void recipes(World& world) {
  for (auto const* const name : {"1", "2"}) {
    auto what = contents("reader", name);
    what.files["model.onnx"] = weights_of(name);
    world.add(publish("reader", name, name[0] - '0', {std::move(what)}, manifest()));
  }
  world.peer.add_route(world.release("reader", "2"), world.release("reader", "1"), "model.onnx");
}
/// Blocks come one in two seconds: the bitmap of what is there is kept on the way.
Step comes_by_recipe(int breaks = 0) {
  return {"2 by its recipe",
          [=](World& world) {
            world.peer.piece_takes = Millis{700};
            world.peer.breaks = breaks;
            world.peer.direct({Peer::target(world.release("reader", "2"), "ro-2")});
          },
          is_told("reader", "committed", "ro-2")};
}
/// A disk that fails may cost the whole file; a power cut may not, but its rest, where that is less than what its recipe still needs.
std::string none_whole(World const& world) {
  auto const whole = weights_of("2");
  auto const asked = world.peer.asked_for(whole);
  return asked < whole.size() / 2 || world.peer.may_ask_anew ? "" : fmt::format("{} of its {} bytes were fetched as they are", asked, whole.size());
}

// ---- in an archive (docs/adr/0038)

Published packed(std::string const& name, Flaw const& flaw = {}) {
  auto inside = contents("reader", name, flaw);
  inside.links.clear();
  inside.folders.clear();
  std::string tar;
  for (auto const& [file, content] : inside.files) tar += bundle::tar_file(file, content, file.starts_with("bin/") ? 0755 : 0644).value();
  tar += std::string(bundle::kTarEndBytes, '\0');
  Published what;
  what.files = {{"pack.tar", tar}, {"beside", "beside " + name}};
  inside.files["beside"] = "beside " + name;
  what.unpacked = std::move(inside);
  auto how = manifest();
  how.handler = wire::kArchiveHandler;
  return publish("reader", name, name[0] - '0', std::move(what), std::move(how));
}
void archives(World& world) {
  world.add(packed("1"));
  world.add(packed("2"));
  world.add(packed("3", {"1 2 4"}));
}

// ---- by a program of the owner

Published flashed(std::string const& name, Flaw const& flaw = {}) {
  auto how = manifest();
  how.handler = wire::kExecHandler;
  how.installer = wire::Installer{"flasher"};
  return publish("reader", name, name[0] - '0', {contents("reader", name, flaw)}, std::move(how));
}
void images(World& world) {
  world.add(flashed("1"));
  world.add(flashed("2"));
  world.add(flashed("3", {"1 2 4"}));
  world.add(flashed("5", {"1 2 3", kPasses, kFails}));
}
/// The boot loader takes the image before, and the device starts with it.
void start_with_old_image(World& world, agent::Daemon&) {
  world.disk.put(fmt::format("{}/current", kFlash), world.release("reader", "1").digest);
  world.restart = true;
}
Step falls_back() { return {"the boot loader goes back", {}, is_told("reader", "rolled_back", "ro-2"), start_with_old_image}; }

// ---- by a bundle (docs/adr/0039)

constexpr char kStick[] = "/stick/update.fleet";

bool runs(World const& world, std::string const& version) { return running(world.disk, "reader").digest == world.release("reader", version).digest; }

/// Nobody answers while it is installed; its owner hands it in again where the power went.
Step comes_by_stick(std::string release) {
  return {"handed in",
          [=](World& world) {
            world.disk.put(kStick, world.peer.bundle({Peer::target(world.release("reader", release), "ro-2")}, world.clock.wall()));
            world.peer.away = true;
          },
          [=](World const& world) { return runs(world, release); },
          [](World&, agent::Daemon& daemon) {
            auto file = daemon.context->fs.open(kStick, Fs::Mode::read);
            if (file) static_cast<void>(daemon.link->offer(*std::move(file)));
          }};
}
Step is_told_of_it(std::string until) {
  return {"heard afterwards", [](World& world) { world.peer.away = false; }, is_told("reader", std::move(until), "ro-2")};
}

// ---- what runs, later on

constexpr char kBattery[] = "/sys/battery";

void variants(World& world) {
  Published what{contents("reader", "1")};
  auto small = contents("reader", "1 small");
  what.variants["saver"] = std::move(small);
  auto how = manifest();
  how.variants["saver"].battery_below = 20;
  world.add(publish("reader", "1", 1, std::move(what), std::move(how)));
  world.disk.put(kBattery, "80\n");
}
Step has_battery(std::string percent, std::string variant, std::string noted) {
  return {percent + " percent", [=](World& world) { world.disk.put(kBattery, percent + "\n"); },
          [=](World const& world) { return running(world.disk, "reader").variant == variant && world.peer.was_noted("variant", noted); }};
}
void tested_again(World& world) {
  auto how = manifest();
  how.golden->again = wire::kAgainMin;
  world.add(publish("reader", "1", 1, {contents("reader", "1")}, std::move(how)));
}
Step driver_changes(bool other, std::string noted) {
  return {noted, [=](World& world) { world.other_driver = other; }, [=](World const& world) { return world.peer.was_noted("golden_changed", noted); }};
}

}  // namespace

std::vector<Life> with_lives_of_delivery(std::vector<Life> out) {
  auto const first = directs("1", "ro-1", "committed"), second = directs("2", "ro-2", "committed");
  auto const archive = kConfig + "handlers: [files, archive]\n";
  auto const exec = "poll: {interval: 15m}\nexec: {run_as: nobody, programs: {flasher: " + std::string(kFlasherPath) + "}}\nhandlers: [files, exec]\n";
  auto const battery = kConfig + "conditions: {battery: " + std::string(kBattery) + "}\n";
  std::vector<Life> const these{
      {"recipe", kConfig, recipes, {first}, {comes_by_recipe()}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}, none_whole},
      {"recipe, link that breaks", kConfig, recipes, {first}, {comes_by_recipe(4)}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}, none_whole},
      {"archive", archive, archives, {enrols()}, {first}, {{"reader", "1"}}, {{"reader", {"committed 1"}}}},
      {"archive, update", archive, archives, {first}, {second}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}},
      {"archive, failed golden", archive, archives, {first}, {directs("3", "ro-3", "failed")}, {{"reader", "1"}}, {{"reader", {"failed 3"}}}},
      {"installer", exec, images, {enrols()}, {first}, {{"reader", "1"}}, {{"reader", {"committed 1"}}}},
      {"installer, update", exec, images, {first}, {second}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}},
      {"installer, failed golden", exec, images, {first}, {directs("3", "ro-3", "failed")}, {{"reader", "1"}}, {{"reader", {"failed 3"}}}},
      {"installer, goes back", exec, images, {first}, {directs("5", "ro-5", "rolled_back")}, {{"reader", "1"}}, {{"reader", {"rolled_back 5"}}}},
      {"installer, ordered back", exec, images, {first, second}, {directs("1", "ro-2", "rolled_back", Action::revert)}, {{"reader", "1"}}, {{"reader", {"rolled_back 2"}}}},
      {"installer, boot loader", exec, images, {first, second}, {falls_back()}, {{"reader", "1"}}, {{"reader", {"rolled_back 2"}}}},
      {"bundle", kConfig, releases, {first}, {comes_by_stick("2"), is_told_of_it("committed")}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}},
      {"variants", battery, variants, {first}, {has_battery("10", "saver", "reader@1 runs as variant 'saver' now"), has_battery("90", "", "reader@1 runs as its hardware's own variant now")}, {{"reader", "1"}}},
      {"tested again", kConfig, tested_again, {first}, {driver_changes(true, "reader@1 runs, and fails"), driver_changes(false, "reader@1 runs, and passes")}, {{"reader", "1"}}},
  };
  out.insert(out.end(), these.begin(), these.end());
  return out;
}

}  // namespace fleet::crash
