#include "tests/simulation/cells.hpp"

#include <array>

namespace fleet::simulation {
namespace {

Target healthy(int) { return {.completed_least = .97, .rolled_back_most = .02}; }
Target nothing(int) { return {}; }
Target little(int) { return {.rolled_back_most = .03}; }

Target to_3(int devices) {
  if (devices >= 10'000) return {.rolled_back_least = .95, .canaries_most = 750};
  return devices >= 1'000 ? Target{.rolled_back_least = .5} : Target{};
}
Target to_5(int devices) {
  if (devices >= 10'000) return {.rolled_back_least = .99, .canaries_most = 280, .harmed_most = 15};
  return devices >= 1'000 ? Target{.rolled_back_least = .97} : Target{};
}
Target to_10(int devices) { return devices >= 100 ? Target{.rolled_back_least = .5} : Target{}; }
Target to_20(int devices) { return devices >= 100 ? Target{.rolled_back_least = .95} : Target{}; }
Target to_95(int devices) { return devices >= 100 ? Target{.rolled_back_least = .99} : Target{.completed_most = .01, .harmed_most = 4}; }
Target bricks(int devices) {
  if (devices >= 10'000) return {.rolled_back_least = .99, .canaries_most = 300};
  return devices >= 1'000 ? Target{.rolled_back_least = .97} : Target{};
}
Target bricks_offline(int devices) { return devices >= 1'000 ? Target{.rolled_back_least = .8} : Target{}; }
Target shift(int devices) { return devices >= 1'000 ? Target{.rolled_back_least = .99, .canaries_most = 100} : Target{}; }
Target half_shift(int devices) { return devices >= 1'000 ? Target{.rolled_back_least = .9, .canaries_most = 300} : Target{}; }

void guard_accuracy(rollout::Policy& policy) {
  rollout::AbsoluteGate gate;
  gate.metric = "accuracy";
  gate.min = .9;
  policy.absolute.push_back(gate);
}
void compare_latency(rollout::Policy& policy) {
  rollout::MetricGate gate;
  gate.name = "latency_ms";
  policy.metrics.push_back(gate);
}

constexpr auto kCells = std::to_array<CellSpec>({
    {"base 0 %", R"({"base":0})", true, healthy},
    {"base 1 %", R"({"base":0.01})", true, healthy},
    {"base 2 %", R"({"base":0.02})", true, healthy},
    {"base 5 %", R"({"base":0.05})", true, healthy},
    {"a third offline", R"({"base":0.01,"offline":0.33})", true, healthy},
    {"a third offline, base 5 %", R"({"base":0.05,"offline":0.33})", true, healthy},
    {"a quarter of the sites out for 1 h", R"({"base":0.01,"site_shock":{"share":0.25,"hours":1}})", true, healthy},
    {"half of the sites out for 1 h", R"({"base":0.01,"site_shock":{"share":0.5,"hours":1}})", true, healthy},
    {"half of the sites out for 6 h", R"({"base":0.01,"site_shock":{"share":0.5,"hours":6}})", true, healthy},
    {"base drifts 1 to 2 %", R"({"base":0.01,"drift_to":0.02})", true, healthy},
    {"base drifts 1 to 4 %", R"({"base":0.01,"drift_to":0.04})", true, healthy},
    {"server out for 65 s", R"({"base":0.01,"server_outage":"65s"})", true, healthy},
    {"server out for 20 min", R"({"base":0.01,"server_outage":"20m"})", true, healthy},
    {"clock steps 1 h ahead", R"({"base":0.01,"clock_step":"1h"})", true, healthy},
    {"clock steps 1 h back", R"({"base":0.01,"clock_step":"-1h"})", true, healthy},
    {"a third sleeps at night", R"({"base":0.01,"day_night":0.3})", true, healthy},
    {"devices differ, long polls", R"({"base":0.02,"noise_spread":1,"long_poll":true})", true, healthy},
    {"accuracy .95 +- .02, bound .90", R"({"base":0.01,"metric":{"name":"accuracy","mean":0.95,"between":0.02,"samples_per_hour":200}})", true, healthy, guard_accuracy},
    {"accuracy .93, bound .90", R"({"base":0.01,"metric":{"name":"accuracy","mean":0.93,"samples_per_hour":200}})", true, healthy, guard_accuracy},
    {"latency compared, no shift", R"({"base":0.01,"kind":"metric","metric":{"name":"latency_ms","mean":100,"between":10,"within":20,"samples_per_hour":60}})", true, healthy,
     compare_latency},
    {"fails 1 to 1.3 %", R"({"base":0.01,"harm":0.013})", false, little},
    {"fails 1 to 3 %", R"({"base":0.01,"harm":0.03})", false, to_3},
    {"fails 1 to 5 %", R"({"base":0.01,"harm":0.05})", false, to_5},
    {"fails 1 to 10 %", R"({"base":0.01,"harm":0.1})", false, to_10},
    {"fails 1 to 20 %", R"({"base":0.01,"harm":0.2})", false, to_20},
    {"fails 1 to 95 %", R"({"base":0.01,"harm":0.95})", false, to_95},
    {"3 % brick", R"({"base":0.01,"kind":"silent","harm":0.03})", false, bricks},
    {"3 % brick, a third offline", R"({"base":0.01,"kind":"silent","harm":0.03,"offline":0.33})", false, bricks_offline},
    {"latency shifts by 1 deviation",
     R"({"base":0.01,"kind":"metric","harm":1,"metric":{"name":"latency_ms","mean":100,"between":10,"shift":10,"within":20,"samples_per_hour":60}})", false, shift, compare_latency},
    {"latency shifts by 1/2 deviation",
     R"({"base":0.01,"kind":"metric","harm":1,"metric":{"name":"latency_ms","mean":100,"between":10,"shift":5,"within":20,"samples_per_hour":60}})", false, half_shift,
     compare_latency},
    {"accuracy .95 falls to .80, bound .90",
     R"({"base":0.01,"kind":"metric","harm":1,"metric":{"name":"accuracy","mean":0.95,"between":0.02,"shift":-0.15,"samples_per_hour":200}})", false, nothing, guard_accuracy},
});

}  // namespace

std::span<CellSpec const> cells() { return kCells; }

}  // namespace fleet::simulation
