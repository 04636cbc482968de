#pragma once

#include <string_view>

namespace fleet::rollout {

/// A policy with every key there is, each with another value than its default. What has no place beside stages is in kWholeTest.
inline constexpr std::string_view kWholePolicy = R"({
  "stages": [{"devices": 10, "window": 4, "every": "2h", "grow": 1.5, "cap": 40, "bake": "1s", "min_devices": 4, "deadline": "24h"},
             {"percent": "50%", "window": 100, "cap": "90%"}, {"percent": 100, "bake": "6h"}],
  "gates": {"failures": {"max_odds_ratio": [5, 3, 2.5], "harm_alpha": 0.003, "alternatives": [2, 4, 50]},
            "silent": {"after_reports": 4, "devices_max": "7%", "harm_alpha": 0.002},
            "absolute": [{"metric": "agent.install_failure", "devices_max": "20%", "alpha": 0.002},
                         {"metric": "accuracy", "min": 0.90, "max": 1, "block": "10m", "blocks": 6, "samples": 50, "devices_max": "2.5%"}],
            "metrics": [{"name": "latency_ms", "quantile": 0.95, "worse": "higher", "margin": "5%"}, {"name": "confidence", "worse": "lower"}],
            "drift": {"metrics": ["confidence", "light"], "action": "rollback"},
            "certify": {"devices_max": ["60%", "20%", "12%"], "evidence": 6}},
  "control": {"per_canary": 5},
  "on_harm": "pause", "on_deadline": "rollback",
  "device": {"battery_min": "30%", "metered": "avoid", "metered_max": "20MiB", "charging": true, "temperature_max": 70.5, "load_max": 0.8,
             "memory_free_min": "64MiB", "disk_free_min": "200MiB", "attempts": 4, "give_up": "12h", "waiting_max": "2d"},
  "limits": {"in_flight": 500, "egress": "200Mbit/s", "per": "site", "at_once": 2}, "strata": ["hardware", "region"],
  "retry": {"attempts": 4, "backoff": "30m", "backoff_max": "6h"},
  "windows": [{"zone": "Europe/Berlin", "days": ["mon", "fri"], "from": "01:00", "to": "05:00", "gates": "both"}],
  "freeze": [{"from": "2026-12-20T00:00:00Z", "to": "2027-01-03T00:00:00.250Z"}], "start_at": "2026-11-20T09:30:00Z",
  "approvals": {"required": 1, "before_stage": 2}, "holdback": "5%", "priority": -3, "emergency": true})";

inline constexpr std::string_view kWholeTest = R"({"ab": {"against": "reader@1.4.0", "share": "20%", "window": 7, "every": "2h", "grow": 3, "bake": "12h", "deadline": "14d"}, "gates": {"failures": {"harm_alpha": 0.001}}})";

}  // namespace fleet::rollout
