#include "tests/crash/steps.hpp"

#include <fmt/format.h>

namespace fleet::crash {

wire::Manifest manifest() {
  wire::Manifest out;
  out.golden = wire::Golden{{"bin/golden"}, Millis{5'000}, "", "expect", 0};
  out.activate = {"bin/activate"};
  wire::HealthCheck check;
  check.exec = {"bin/health"};
  check.every = Millis{1'000};
  out.health = {check};
  out.probation = wire::Probation{Millis{3'000}, 0, Millis{60'000}};
  return out;
}

Contents contents(std::string const& model, std::string const& name, Flaw const& flaw) {
  std::string weights;
  for (int i = 0; i < 200; ++i) weights += model + name + std::to_string(i * 7919);
  Contents out;
  out.files = {{"model.onnx", weights}, {"labels", "cat\ndog\n"},   {"data/norm", name},
               {"answer", flaw.answer}, {"expect", "1 2 3"},        {"bin/golden", kGolden},
               {"bin/activate", flaw.activate}, {"bin/health", flaw.health}};
  out.links = {{"data/weights", "../model.onnx"}};
  out.folders = {"cache"};
  return out;
}

Published version(std::string const& model, std::string const& name, std::int64_t counter, Flaw const& flaw) {
  return publish(model, name, counter, {contents(model, name, flaw)}, manifest());
}

std::function<bool(World const&)> is_told(std::string model, std::string state, std::string rollout) {
  return [=](World const& world) { return world.peer.was_told(model, state, rollout); };
}

Step enrols() {
  return {"enrolled", {}, [](World const& world) { return world.enrolled && world.peer.polls() > 0; }};
}

Step directs(std::string release, std::string rollout, std::string until, wire::Action action) {
  return {fmt::format("{} directed, {}", release, until),
          [=](World& world) { world.peer.direct({Peer::target(world.release("reader", release), rollout, action)}); },
          is_told("reader", std::move(until), rollout)};
}

void releases(World& world) {
  for (auto const* const name : {"1", "2", "6"}) world.add(version("reader", name, name[0] - '0'));
  world.add(version("reader", "3", 3, {"1 2 4"}));
  world.add(version("reader", "4", 4, {"1 2 3", kFails}));
  world.add(version("reader", "5", 5, {"1 2 3", kPasses, kFails}));
  world.add(version("counter", "1", 1));
  world.add(version("counter", "2", 2, {"1 2 3", kPasses, kFails}));
}

}  // namespace fleet::crash
