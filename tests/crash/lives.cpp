#include "tests/crash/steps.hpp"

#include <fmt/format.h>

namespace fleet::crash {
namespace {

using wire::Action;
using Targets = std::vector<wire::DirectiveTarget>;

Step removes() {
  return {"removed",
          [](World& world) {
            auto target = Peer::target(world.release("reader", "1"), "ro-9", Action::remove);
            target.path.clear();
            target.hashes.clear();
            world.peer.direct({target});
            world.may_run_none.insert("reader");
          },
          is_told("reader", "rolled_back", "ro-9")};
}

/// The owner goes back, at the device.
Step owner_rolls_back(std::string rollout) {
  return {"the owner goes back", {}, is_told("reader", "rolled_back", std::move(rollout)),
          [](World&, agent::Daemon& daemon) { static_cast<void>(daemon.runner->roll_back("reader")); }};
}
Step owner_unholds(std::string rollout) {
  return {"the owner lets it be taken again",
          [=](World& world) { world.peer.direct({Peer::target(world.release("reader", "2"), rollout, Action::install)}); },
          is_told("reader", "committed", rollout), [](World&, agent::Daemon& daemon) { static_cast<void>(daemon.runner->unhold("reader")); }};
}

/// Something newer is wanted before the one before it is proved.
Step overtakes() {
  return {"overtaken in its probation", [](World& world) { world.peer.direct({Peer::target(world.release("reader", "2"), "ro-2")}); },
          is_told("reader", "probation", "ro-2")};
}

Targets set_targets(World const& world, std::string const& version, std::string const& rollout) {
  auto const& set = world.release("pipeline", version);
  Targets out;
  for (auto const& member : set.release.members) {
    out.push_back(Peer::target(world.release(member.model, member.version), rollout));
    out.back().set = "pipeline";
    out.back().after = member.after;
  }
  out.push_back(Peer::target(set, rollout));
  return out;
}
Step directs_set(std::string version, std::string rollout, std::string until) {
  return {fmt::format("set {} directed, {}", version, until), [=](World& world) { world.peer.direct(set_targets(world, version, rollout)); },
          is_told("pipeline", std::move(until), rollout)};
}

/// Away from its server the device goes on telling, into all three tiers, past the length of a segment.
Step spools() {
  constexpr std::size_t kItems = 90;
  return {"told while nobody listens", [](World& world) { world.peer.away = true; },
          [](World const& world) { return world.accepted.size() >= kItems; },
          [](World& world, agent::Daemon& daemon) {
            for (int i = 0; i < 62; ++i) {
              wire::ReportItem note, samples;
              note.note = wire::NoteItem{world.clock.wall(), "test", fmt::format("boot {} note {} {}", world.boots, i, std::string(1000, 'x'))};
              static_cast<void>(daemon.context->spool->add(std::move(note)));
              wire::MetricsItem metrics{world.clock.wall(), world.clock.wall(), "reader", "", {}};
              for (int k = 0; k < 16; ++k) metrics.metrics.push_back({fmt::format("metric.{}.{}", i, k), "g", 1, 1, 1, 1, {}});
              samples.metrics = std::move(metrics);
              static_cast<void>(daemon.context->spool->add(std::move(samples)));
            }
            for (int i = 0; i < 28; ++i) {
              wire::ReportItem update;
              update.update = wire::UpdateItem{world.clock.wall(), "other", "1", std::string(64, 'a'), "ro-0", i + 1, "failed", {}, {},
                                               {"golden_failed", fmt::format("boot {} try {}", world.boots, i), std::string(2500, 'y')}};
              static_cast<void>(daemon.context->spool->add(std::move(update)));
            }
          }};
}
Step listens_again() {
  return {"heard", [](World& world) { world.peer.away = false; }, [](World const& world) { return is_all_heard(world); }};
}

Step renews() {
  return {"renewed", [](World& world) { world.peer.renews = true; }, [](World const& world) { return world.peer.renewed() > 0 && world.peer.polls_since_renewal() > 2; }};
}
Step announces() {
  return {"the successor announced", [](World& world) { world.peer.announce_successor(); }, [](World const& world) { return world.peer.ca_followed() == 1; }};
}
Step changes_ca() {
  return {"the successor in use", [](World& world) { world.peer.change_ca(); }, [](World const& world) { return world.peer.polls_of_successor() > 1; }};
}
/// Both while the device is away.
Step changes_ca_unheard() {
  return {"a succession slept through",
          [](World& world) {
            world.peer.announce_successor();
            world.peer.change_ca();
          },
          [](World const& world) { return world.peer.ca_followed() == 1 && world.peer.polls_of_successor() > 1; }};
}
Step breaks() {
  return {"over a link that breaks",
          [](World& world) {
            world.peer.breaks = 4;
            world.peer.direct({Peer::target(world.release("reader", "2"), "ro-2")});
          },
          is_told("reader", "committed", "ro-2")};
}
Step directs_two() {
  return {"two models at once",
          [](World& world) { world.peer.direct({Peer::target(world.release("reader", "2"), "ro-2"), Peer::target(world.release("counter", "1"), "ro-3")}); },
          [](World const& world) { return world.peer.was_told("reader", "committed", "ro-2") && world.peer.was_told("counter", "committed", "ro-3"); }};
}
/// The owner's file is changed while the device is off: facts that its server does not know.
Step changes_facts() {
  return {"new facts", [](World& world) { world.disk.put(std::string(kRoot) + "/agent.yaml", kConfig + "report: {firmware: \"7\"}\n"); },
          [](World const& world) { return world.boots > 0 && world.peer.has_facts("firmware"); }, [](World& world, agent::Daemon&) { world.restart = true; }};
}

void sets(World& world) {
  releases(world);
  world.add(publish_set("pipeline", "1", 1, {&world.release("reader", "1"), &world.release("counter", "1")}));
  world.add(publish_set("pipeline", "2", 2, {&world.release("reader", "2"), &world.release("counter", "1")}));
  world.add(publish_set("pipeline", "3", 3, {&world.release("reader", "2"), &world.release("counter", "2")}));
}

}  // namespace

/// A life is a row: what the server has, what was lived before in peace, what is cut, what runs at the end, and what was told last.
std::vector<Life> const& lives() {
  auto const first = directs("1", "ro-1", "committed"), second = directs("2", "ro-2", "committed");
  static std::vector<Life> const all = with_lives_of_own_program(with_lives_of_delivery({
      {"enrolment", kConfig, releases, {}, {enrols()}},
      {"first install", kConfig, releases, {enrols()}, {first}, {{"reader", "1"}}, {{"reader", {"committed 1"}}}},
      {"update", kConfig, releases, {first}, {second}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}},
      {"third release", kConfig, releases, {first, second}, {directs("6", "ro-3", "committed")}, {{"reader", "6"}}, {{"reader", {"committed 6"}}}},
      {"link that breaks", kConfig, releases, {first}, {breaks()}, {{"reader", "2"}}, {{"reader", {"committed 2"}}}},
      {"failed golden test", kConfig, releases, {first}, {directs("3", "ro-3", "failed")}, {{"reader", "1"}}, {{"reader", {"failed 3"}}}},
      {"failed activation", kConfig, releases, {first}, {directs("4", "ro-4", "rolled_back")}, {{"reader", "1"}}, {{"reader", {"rolled_back 4"}}}},
      {"failed probation", kConfig, releases, {first}, {directs("5", "ro-5", "rolled_back")}, {{"reader", "1"}}, {{"reader", {"rolled_back 5"}}}},
      {"overtaken", kConfig, releases, {first}, {overtakes(), directs("6", "ro-3", "committed")}, {{"reader", "6"}}, {{"reader", {"committed 6"}}}},
      {"overtaken by a bad one", kConfig, releases, {first}, {overtakes(), directs("3", "ro-3", "failed"), {"proved after all", {}, is_told("reader", "committed", "ro-2")}},
       {{"reader", "2"}}, {{"reader", {"failed 3", "committed 2"}}}},
      {"ordered rollback", kConfig, releases, {first, second}, {directs("1", "ro-2", "rolled_back", Action::revert)}, {{"reader", "1"}}, {{"reader", {"rolled_back 2"}}}},
      {"owner's rollback", kConfig, releases, {first, second}, {owner_rolls_back("ro-2"), owner_unholds("ro-7")}, {{"reader", "2"}}, {{"reader", {"rolled_back 2", "committed 2"}}}},
      {"removal", kConfig, releases, {first}, {removes()}, {{"reader", ""}}},
      {"proof of what runs", kConfig, releases, {first}, {directs("1", "ro-8", "proved", Action::prove)}, {{"reader", "1"}}, {{"reader", {"proved 1"}}}},
      {"two models", kConfig, releases, {first}, {directs_two()}, {{"reader", "2"}, {"counter", "1"}}},
      {"first set", kConfig, sets, {enrols()}, {directs_set("1", "ro-1", "committed")}, {{"reader", "1"}, {"counter", "1"}, {"pipeline", "1"}}},
      {"set update", kConfig, sets, {directs_set("1", "ro-1", "committed")}, {directs_set("2", "ro-2", "committed")}, {{"reader", "2"}, {"counter", "1"}, {"pipeline", "2"}}},
      {"failed set", kConfig, sets, {directs_set("1", "ro-1", "committed")}, {directs_set("3", "ro-3", "rolled_back")}, {{"reader", "1"}, {"counter", "1"}, {"pipeline", "1"}}},
      {"spool", kConfig, releases, {first}, {spools(), listens_again()}, {{"reader", "1"}}},
      {"renewal", kConfig, releases, {first}, {renews()}, {{"reader", "1"}}},
      {"CA succession", kConfig, releases, {first}, {announces(), changes_ca()}, {{"reader", "1"}}},
      {"succession slept through", kConfig, releases, {first}, {changes_ca_unheard(), second}, {{"reader", "2"}}},
      {"new facts", kConfig, releases, {first}, {changes_facts()}, {{"reader", "1"}}},
  }));
  return all;
}

}  // namespace fleet::crash
