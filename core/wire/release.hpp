#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::wire {

/// One file of a variant. `name` is a safe relative path; its bytes are the blob `sha256`.
struct ReleaseFile {
  std::string name;
  std::uint64_t size = 0;
  Digest sha256;
  bool executable = false;
};
/// A symbolic link of a variant: its target is relative to the folder that it is in, and lies in the variant (links.hpp).
struct ReleaseLink {
  std::string name, target;
};
struct Variant {
  std::vector<std::string> hardware;
  std::vector<ReleaseFile> files;
  std::vector<std::string> folders = {};  ///< those that hold no file
  std::vector<ReleaseLink> links = {};
  std::string name = {};  ///< of one that runs by a condition of the device (Manifest::variants); empty: its hardware's own
};
/// When a device runs a variant by its own condition, in place of its hardware's own. What is set must all hold; a reading that the device does not have does not.
struct VariantWhen {
  int battery_below = 0;                    ///< percent; 0: not asked
  std::optional<bool> charging = {};
  std::optional<double> temperature_above = {};  ///< degrees Celsius
  bool is_unknown = false;                  ///< a newer server asks for more: it never holds here
  bool operator==(VariantWhen const&) const = default;
};
struct Golden {
  std::vector<std::string> command;
  Millis timeout{30'000};
  std::string inputs, expect;  ///< files of the release
  double tolerance = 0;        ///< largest absolute difference of a number
  std::map<std::string, double> tolerances = {};  ///< of one column in its place: by its name in the first line of `expect`, or by its number, from 1
  // Budgets of the test's program, on the device; 0: none.
  double latency_max_ms = 0;           ///< of one inference: as core/proof/budget.hpp measures it
  std::uint64_t memory_max_bytes = 0;  ///< resident at its peak
  Millis again{0};                     ///< the test is run again on what runs so long after it was run last; 0: never
};
/// Both versions side by side on what the device recorded, after the golden test and before the switch.
struct Shadow {
  std::vector<std::string> command;
  Millis timeout{std::chrono::minutes{5}};  ///< of each of the two runs
  std::int64_t n = 0;                       ///< inferences
  double disagree_max = 0;                  ///< largest share of them that may differ, 0 to 1
};
/// Exactly one of exec, http, statsd.
struct HealthCheck {
  std::vector<std::string> exec;
  std::string http;  ///< loopback only
  struct StatsD {
    std::string metric;
    std::optional<double> min, max;
    std::string stat = "mean";  ///< mean | min | max | sum | rate | p50 | p95 | p99
    Millis window{60'000};
    std::int64_t samples = 1;
  };
  std::optional<StatsD> statsd;
  Millis every{5'000};
  Millis timeout{10'000};
};
struct Probation {
  Millis time{0};
  std::int64_t inferences = 0;
  Millis max{0};  ///< 0: 4 x time, at least a minute
};
struct Match {
  std::string runtime;  ///< as runtime_rule.hpp reads it, against what the device reports; empty: any
  std::uint64_t memory_min_bytes = 0;
};
/// The longest that a golden test or one check may take, and a probation.
inline constexpr Millis kProgramTimeMax = std::chrono::hours{1};
inline constexpr Millis kProbationMax = std::chrono::days{30};
/// How often a golden test may be asked for again, and the longest between two.
inline constexpr Millis kAgainMin = std::chrono::hours{1}, kAgainMax = std::chrono::days{366};
inline constexpr std::int64_t kShadowInferencesMax = 1'000'000;

/// What a metric's values are. A sample that is otherwise is flagged, and counts for nothing else (docs/adr/0059).
struct MetricSchema {
  std::string unit;  ///< `1`, `ms`; empty: not said
  struct Range {
    double lo = 0, hi = 1;  ///< finite, lo < hi: no value lies beyond them
    bool operator==(Range const&) const = default;
  };
  std::optional<Range> range;
  Millis varies{0};    ///< the longest that the same value is sent again and again; 0: for ever
  Millis every{0};     ///< the longest without a sample; 0: not said
  bool local = false;  ///< it is for the device's health checks alone, and does not leave it
  bool operator==(MetricSchema const&) const = default;
};

/// How a release becomes what runs: its files as they are; what its archives hold; what a program of the device's owner makes of its files; the agent's own program.
inline constexpr std::string_view kFilesHandler = "files", kArchiveHandler = "archive", kExecHandler = "exec", kAgentHandler = "agent";
inline constexpr std::array<std::string_view, 4> kHandlers{kFilesHandler, kArchiveHandler, kExecHandler, kAgentHandler};
/// The model of the agent's own program, and the file in it that is started: of the handler agent, and of no other.
inline constexpr std::string_view kAgentModel = "fleet-agent", kAgentProgram = "fleet-agent";
/// Of the handler exec: by its name under `programs` of agent.yaml.
struct Installer {
  std::string program;
  Millis timeout = std::chrono::minutes{30};  ///< of each call that installs, switches, commits or goes back
};

struct Manifest {
  std::optional<Golden> golden;
  std::optional<Shadow> shadow;  ///< numbers are compared by the golden test's tolerances
  std::vector<HealthCheck> health;
  std::optional<Probation> probation;
  Match match;
  std::vector<std::string> activate;
  Millis activate_timeout{10'000};
  std::int64_t security_floor = 0;
  std::string handler = std::string(kFilesHandler);  ///< how it becomes what runs; a name that is none of kHandlers is a newer server's
  std::optional<Installer> installer = {};           ///< of exec, and of no other
  std::map<std::string, VariantWhen> variants;  ///< by the names of variants
  std::map<std::string, MetricSchema, std::less<>> schema;  ///< metrics that the model sends, by their names
};
/// Whether a release's files travel encrypted (docs/adr/0050), and where a device may have them in the clear.
enum class Protection {
  none,    ///< they travel as they are
  disk,    ///< encrypted on their way; on the device's disk as they are
  memory,  ///< encrypted on the disk, too: as they are in memory alone
};
/// Of a hardware's variants: each is listed with its routes (routes.hpp).
inline constexpr std::size_t kProtectedFilesMax = 2'000;
/// The names of the last two in release.json and in the API; empty: none. @errors bad_input
[[nodiscard]] std::string_view protection_name(Protection protection);
[[nodiscard]] Result<Protection> parse_protection(std::string_view text);

/// One release of a set: which of which model, and which members' switches its own comes after.
struct Member {
  std::string model, version;
  Digest digest;  ///< of its release.json
  std::vector<std::string> after = {};
  bool operator==(Member const&) const = default;
};
inline constexpr std::size_t kMembersMax = 32;

/// `release.json`: what the owners sign. The digest of a release is the SHA-256 of these bytes.
struct Release {
  std::string model, version;
  std::int64_t release_counter = 0;
  std::vector<Variant> variants;
  Manifest manifest;
  Protection protection = Protection::none;  ///< `protected`; never of a set: its members have their own
  std::vector<Member> members = {};  ///< of a set, in place of variants and manifest; as they were listed

  [[nodiscard]] bool is_set() const { return !members.empty(); }
};
/// Decodes and checks names, paths (safe, no duplicates), links, sizes, times, the floor, limits (10,000 files, 64 variants, 32 members), and that members have
/// an order. @errors bad_input
[[nodiscard]] Result<Release> decode_release(std::string_view json);
[[nodiscard]] std::string encode(Release const& release);
/// A floor above the release's own counter would end its model on every device that commits it. @errors unprocessable (code `floor_above_counter`)
[[nodiscard]] Result<void> check_floor_of(Release const& release);
/// What a protected release can be: of so many files a hardware, and in memory alone only where its files are what runs.
/// @errors unprocessable (code `cannot_protect`)
[[nodiscard]] Result<void> check_protection_of(Release const& release);
/// The body of a publication: release.json, and what goes with it (evidence, lineage).
inline constexpr std::size_t kPublicationBytesMax = 4 * 1024 * 1024;
/// The release that a publication asks for: `version`, `variants` and `manifest`, or `members`, of its body, which are as in release.json; the counter, which is the
/// server's to give, is 1, a member's digest may be left to it, too, and the floor is judged when it is given. Everything else that can be told without the files is checked, by fleetctl before it sends anything and by the server again.
/// @errors bad_input (`release_too_large`: its release.json would be over kReleaseBytesMax)
[[nodiscard]] Result<Release> decode_wanted_release(std::string_view model, std::string_view body);
/// A manifest as people write it, already JSON (fleetctl converts YAML). Unknown keys are refused by name with their pointer.
[[nodiscard]] Result<Manifest> decode_manifest(std::string_view json);
/// Members in the order in which they are switched: who comes after nobody first, else as they are listed. Shorter than `members` where they have none.
[[nodiscard]] std::vector<Member> switch_order(std::vector<Member> const& members);
/// The variant that a hardware runs unless a condition of the device says otherwise, or nothing.
[[nodiscard]] Variant const* find_variant(Release const& release, std::string_view hardware);
/// All of a hardware's, that one first, the others as they were listed.
[[nodiscard]] std::vector<Variant const*> variants_for(Release const& release, std::string_view hardware);
[[nodiscard]] bool is_variant_name(std::string_view name);

/// `64MiB`, `20KiB`, `1GB`, `1024` -> bytes. @errors bad_input
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
/// `1Mbit/s`, `200kbit/s`, `64KiB/s` -> bytes a second, at least 1. @errors bad_input
[[nodiscard]] Result<std::uint64_t> parse_rate(std::string_view text);

}  // namespace fleet::wire
