#include "server/rollout/engine/sets.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fleet;
using namespace fleet::rollout;

namespace {

ViewPtr view_of(std::int64_t n, std::string const& model, State state, std::int64_t moment, std::vector<SetMember> members = {}) {
  auto view = std::make_shared<RolloutView>();
  view->rollout.n = n;
  view->rollout.id = "r_" + std::to_string(n);
  view->rollout.model = model;
  view->rollout.version = std::to_string(n);
  view->rollout.state = state;
  view->rollout.moment = moment;
  view->members = std::move(members);
  return view;
}

std::vector<SetMember> const kMembers{{"post", "2", {}, 10, {"reader"}}, {"reader", "2", {}, 11, {}}};

Desired word(ViewPtr const& view, wire::Action action = wire::Action::install, bool joins = false) {
  Desired out;
  out.model = out.target.model = view->rollout.model;
  out.version = view->rollout.version;
  out.rollout_n = view->rollout.n;
  out.target.rollout = view->rollout.id;
  out.target.attempt = 1;
  out.target.action = action;
  out.joins = joins;
  out.members = view->members;
  return out;
}

struct Joined {
  Snapshot snapshot;
  std::vector<Desired> desired;

  Joined(std::vector<ViewPtr> const& views, std::vector<Desired> words) : desired(std::move(words)) {
    for (auto const& view : views) put_view(snapshot, view);
    sort_views(snapshot);
    join_sets(snapshot, desired);
  }
  Desired const& of(std::string const& model) const {
    return *std::find_if(desired.begin(), desired.end(), [&](Desired const& one) { return one.model == model; });
  }
  /// `2 of gate`, `3`, `-`.
  std::string said(std::string const& model) const {
    auto const& one = of(model);
    if (one.target.model.empty()) return "-";
    return one.version + (one.target.set.empty() ? "" : " of " + one.target.set);
  }
};

}  // namespace

TEST_CASE("a set's word is its members' word, in place of what ended rollouts say of them") {
  auto const set = view_of(2, "gate", State::running, 2, kMembers);
  auto const old = view_of(1, "reader", State::completed, 1);
  Joined const joined({set, old}, {word(set), word(old)});
  CHECK(joined.said("gate") == "2");
  CHECK(joined.said("reader") == "2 of gate");
  CHECK(joined.said("post") == "2 of gate");
  auto const& post = joined.of("post");
  CHECK(post.target.after == std::vector<std::string>{"reader"});
  CHECK(post.target.path == "models/post/2/release.json");
  CHECK(post.target.length == 10);
  CHECK(post.target.rollout == "r_2");
  CHECK(post.rollout_n == 0);  // no row of its own
  CHECK_FALSE(post.joins);
  CHECK(joined.of("reader").because.back().code == "set");
}

TEST_CASE("a live rollout of a member that came first makes the set wait; one that came later waits for the set") {
  auto const first = view_of(1, "reader", State::running, 1), last = view_of(3, "reader", State::running, 3), set = view_of(2, "gate", State::running, 2, kMembers);
  Joined const waits({set, first}, {word(set, wire::Action::install, true), word(first)});
  CHECK(waits.said("gate") == "-");
  CHECK(waits.of("gate").because.back().code == "blocked");
  CHECK_FALSE(waits.of("gate").joins);
  CHECK(waits.said("reader") == "1");
  Joined const goes({set, last}, {word(set), word(last, wire::Action::install, true)});
  CHECK(goes.said("reader") == "2 of gate");
  CHECK_FALSE(goes.of("reader").joins);
}

TEST_CASE("a completed set that loses a member to a later rollout is broken up, and its other members stay each for itself") {
  auto const set = view_of(2, "gate", State::completed, 2, kMembers), later = view_of(3, "reader", State::completed, 3);
  Joined const had_it({set, later}, {word(set), word(later)});
  CHECK(had_it.said("gate") == "-");
  CHECK(had_it.of("gate").because.back().code == "broken_up");
  CHECK(had_it.said("reader") == "3");
  CHECK(had_it.said("post") == "2");
  Joined const never_had_it({set, later}, {word(set, wire::Action::install, true), word(later)});
  CHECK(never_had_it.said("gate") == "-");
  CHECK(std::none_of(never_had_it.desired.begin(), never_had_it.desired.end(), [](Desired const& one) { return one.model == "post" && !one.target.model.empty(); }));
}

TEST_CASE("a set that is taken back comes before whatever else is said of its members, and names them all") {
  auto const set = view_of(2, "gate", State::rolling_back, 2, kMembers), old = view_of(1, "reader", State::completed, 1), live = view_of(3, "post", State::running, 3);
  Joined const joined({set, old, live}, {word(set, wire::Action::remove), word(old), word(live)});
  for (auto const* const model : {"post", "reader"}) {
    CHECK(joined.of(model).target.action == wire::Action::remove);
    CHECK(joined.of(model).target.set == "gate");
    CHECK(joined.of(model).target.path.empty());
  }
}

TEST_CASE("of two sets that share a member the later completed one stands") {
  auto const one = view_of(1, "gate", State::completed, 1, kMembers), two = view_of(2, "door", State::completed, 2, {{"reader", "3", {}, 1, {}}});
  Joined const joined({one, two}, {word(one), word(two)});
  CHECK(joined.said("reader") == "3 of door");
  CHECK(joined.said("gate") == "-");
  CHECK(joined.said("post") == "2");
}

TEST_CASE("a set is reckoned as one release: hardware that all have, files of all, tests in turn, probations together") {
  wire::Release a{"a", "1", 1, {{{"cam", "hub"}, {{"x", 10, {}, false}}}}, {}}, b{"b", "1", 1, {{{"cam"}, {{"x", 5, {}, false}}}}, {}};
  a.manifest.golden = wire::Golden{{"t"}, Millis{1000}, {}, "e", 0};
  b.manifest.golden = wire::Golden{{"t"}, Millis{2000}, {}, "e", 0};
  a.manifest.probation = wire::Probation{Millis{300}, 0, Millis{900}};
  b.manifest.probation = wire::Probation{Millis{200}, 0, Millis{1000}};
  auto const one = as_one({"gate", "1", 1, {}, {}, {}}, {a, b});
  REQUIRE(one.variants.size() == 1);
  CHECK(one.variants[0].hardware == std::vector<std::string>{"cam"});
  CHECK(one.variants[0].files.size() == 2);
  CHECK(one.manifest.golden->timeout == Millis{3000});
  CHECK(one.manifest.probation->time == Millis{300});
  CHECK(one.manifest.probation->max == Millis{1000});
}
