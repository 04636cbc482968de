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

/// The messages between device and server (docs/protocol.md). Decoders take untrusted bytes, hold every limit, keep unknown fields out
/// and say where an input is wrong; encoders write compact JSON.
namespace fleet::wire {

inline constexpr std::size_t kEnrollBytesMax = 64 * 1024;
inline constexpr std::size_t kPollBytesMax = 16 * 1024;
inline constexpr std::size_t kDirectiveBytesMax = 256 * 1024;
inline constexpr std::size_t kReportBytesMax = 1024 * 1024;
inline constexpr std::size_t kReleaseBytesMax = 1024 * 1024;
inline constexpr std::size_t kSupportBytesMax = 512 * 1024;  ///< of a support bundle that travels in a report
inline constexpr std::string_view kDirectivePayloadType = "application/vnd.fleet.directive+json";

using Labels = std::map<std::string, std::string>;

struct EnrollRequest {
  std::string token;               ///< empty: a factory certificate, shown in the handshake, lets the device in
  std::string csr;  ///< PEM
  std::string id;   ///< may be empty: the server makes one
  std::string hardware;
  Labels reported;
  std::string wrap_key = {};  ///< PEM, P-256 or X25519: what data keys of protected releases are encrypted to; empty: the device takes none
};
struct EnrollResponse {
  std::string id;
  std::string certificate;     ///< PEM; empty while pending
  std::string ca;              ///< PEM
  std::string tuf_root;        ///< bytes of a root.json
  std::string directive_root;  ///< bytes of a root.json
  std::string state;           ///< active | pending
  std::string hardware;        ///< as the server has it: a token may bind it
};
[[nodiscard]] Result<EnrollRequest> decode_enroll_request(std::string_view json);
[[nodiscard]] std::string encode(EnrollRequest const& message);
[[nodiscard]] Result<EnrollResponse> decode_enroll_response(std::string_view json);
[[nodiscard]] std::string encode(EnrollResponse const& message);

/// The body of a renewal: a request for a new certificate.
[[nodiscard]] std::string encode_renewal(std::string_view csr_pem);

/// Which CAs servers of this fleet are known by, as `GET /device/v1/ca` announces them: the payload of an envelope.
inline constexpr std::string_view kCaPayloadType = "application/vnd.fleet.ca+json";
inline constexpr std::size_t kCaBytesMax = 256 * 1024;
struct CaAnnouncement {
  std::int64_t version = 0;  ///< rises with each change
  std::string certificates;  ///< PEM, all of them
};
/// Verify first (trust::open_envelope), then decode.
[[nodiscard]] Result<CaAnnouncement> decode_ca(std::string_view json);
[[nodiscard]] std::string encode(CaAnnouncement const& message);

/// What one model does on a device, as a poll tells it.
struct ModelStatus {
  std::string digest;   ///< of the running release's release.json, hex; empty: none
  std::string version;  ///< empty: none
  std::string state;    ///< the update machine's: idle, checking, downloading, staged, waiting, testing, switching, probation, committed, failed, rolling_back,
                        ///< rolled_back; proving, proved, ineligible (of what it was to prove)
  std::string rollout;  ///< the rollout it last acted for, or empty
  std::int64_t attempt = 0;
  std::string waiting;  ///< why it waits (window, zone, battery, charging, temperature, load, memory, disk, metered, budget, held, update_lock,
                        ///< consent; encryption: the server has yet to encrypt a protected release; no_data_key; disk_full, disk_read_only, disk_failed), or empty
  std::int64_t to_fetch = 0;  ///< while a download waits: bytes that it would take over the link, where that is known
  std::string variant = {};  ///< of what runs: a variant's name, where a condition of the device chose it; else empty
  std::string retest = {};   ///< why what runs failed when it was tested again, as a code; empty: it did not
  auto operator<=>(ModelStatus const&) const = default;
};
struct PollRequest {
  std::string nonce;  ///< 16 bytes, base64
  std::string prior;  ///< nonce of the last answered poll, or empty
  std::string boot_id;
  std::int64_t directive_sequence = 0;
  int wait_s = 0;  ///< 0..55
  int report_every_s = 0;
  int poll_every_s = 0;  ///< the device's own interval with its jitter: what `online` is judged by
  std::optional<std::int64_t> ca_version = {};  ///< of the announcement of CAs that the device follows; nothing: it follows none
  SysTime clock{};
  std::string agent;  ///< version of the agent
  std::map<std::string, ModelStatus> models;
};
struct PollResponse {
  std::string directive;  ///< DSSE envelope (JSON text), or empty for null
  int next_poll_s = 0;
  bool renew = false;
  std::int64_t ca_version = 0;  ///< of the announcement of CAs; 0: none
  std::vector<std::string> sources;
};
[[nodiscard]] Result<PollRequest> decode_poll_request(std::string_view json);
[[nodiscard]] std::string encode(PollRequest const& message);
[[nodiscard]] Result<PollResponse> decode_poll_response(std::string_view json);
[[nodiscard]] std::string encode(PollResponse const& message);

/// Conditions of the policy that the device itself judges.
struct Conditions {
  int battery_min_percent = 0;
  std::string metered = "allow";  ///< allow | avoid | never
  std::int64_t metered_max_bytes = 0;
  int attempts = 3;                              ///< tries in a row with an answer and without progress
  Millis give_up = std::chrono::days{7};         ///< of contact in which nothing moved
  Millis waiting_max = std::chrono::hours{72};   ///< for a window or condition; the server judges it
  // On the wire only where they are set. One whose reading a device does not have holds nothing back there.
  bool charging = false;                       ///< only while the device has power from outside
  std::optional<double> temperature_max = {};  ///< degrees Celsius
  std::optional<double> load_max = {};         ///< load average over a minute, divided by the processors
  std::int64_t memory_free_min = 0;            ///< bytes that are available to programs
  std::int64_t disk_free_min = 0;              ///< bytes, on the file system of the agent's root; a download leaves that much
  auto operator<=>(Conditions const&) const = default;
};
/// A maintenance window in a named IANA zone.
struct Window {
  std::string zone;
  std::vector<std::string> days;  ///< mon..sun
  std::string from, to;           ///< HH:MM; over midnight when to <= from
  std::string gates = "switch";   ///< switch | download | both
  auto operator<=>(Window const&) const = default;
};
enum class Action {
  install,  ///< run this release: fetch, test, switch, prove
  revert,   ///< return to this release, which the device ran before; from its kept slot where it can
  remove,   ///< stop running any release of this model: take `current` away
  prove,    ///< health checks and probation of this release, which the device runs already: nothing is switched, restarted or activated
  none,     ///< nothing is asked for of this model; the target only tells what was revoked
  unknown,  ///< from a newer server: kept out of decisions
};
struct DirectiveTarget {
  std::string model;
  std::string path;  ///< models/<model>/<version>/release.json; empty for remove
  std::uint64_t length = 0;
  std::map<std::string, std::string> hashes;  ///< sha256 -> hex
  std::string rollout;
  std::int64_t attempt = 0;
  Action action = Action::install;
  Conditions conditions;
  std::vector<Window> windows;  ///< `window` on the wire: an array, empty for none
  std::vector<std::string> revoked;  ///< digests (hex) of this model's releases that the device had and that were revoked: no place to go back to
  std::string set = {};              ///< the model of the set that it is a member of: the set's target, in the same directive, says when it moves
  std::vector<std::string> after = {};  ///< of a member: the models whose switches its own comes after
  std::string key = {};                 ///< of a protected release: its data key, for this device's wrap_key (crypto::wrap), in base64
  bool operator==(DirectiveTarget const&) const = default;
};
/// The server asks for the device's support bundle.
struct CollectOrder {
  std::string id;
  bool metered = false;  ///< also over a link that costs by the byte
  bool operator==(CollectOrder const&) const = default;
};
/// A device's whole desired state.
struct Directive {
  std::string device;
  std::int64_t sequence = 0;
  std::string nonce;  ///< base64, empty for null
  SysTime issued_at{};
  SysTime expires{};
  SysTime act_before{};
  std::vector<DirectiveTarget> targets;
  std::optional<CollectOrder> collect = {};
};
/// The payload of the envelope; verify first (trust::open_envelope), then decode.
[[nodiscard]] Result<Directive> decode_directive(std::string_view json);
[[nodiscard]] std::string encode(Directive const& message);
/// The targets alone, as stored and compared by the server: a new sequence only when these bytes change.
[[nodiscard]] std::string encode_targets(std::vector<DirectiveTarget> const& targets);
[[nodiscard]] Result<std::vector<DirectiveTarget>> decode_targets(std::string_view json);
/// The same of a directive's `collect`; nothing: an empty text.
[[nodiscard]] std::string encode_collect(std::optional<CollectOrder> const& order);
[[nodiscard]] Result<std::optional<CollectOrder>> decode_collect(std::string_view json);

/// What went wrong on a device, for people and for `explain`.
struct DeviceError {
  std::string code;  ///< golden_mismatch, golden_timeout, health_failed, digest_mismatch, disk_full, network, ...
  std::string text;
  std::string output;  ///< tail of the program's output, at most 4 KiB
  bool operator==(DeviceError const&) const = default;
};
/// A change of state of the update machine. Critical: never dropped before other kinds.
inline constexpr std::string_view kUnheld = "unheld";  ///< UpdateItem::error.code: a local hold was lifted; nothing failed
struct UpdateItem {
  SysTime at{};
  std::string model, version, digest, rollout;
  std::int64_t attempt = 0;
  std::string state;                            ///< as ModelStatus::state
  std::string running_version, running_digest;  ///< what `current` points at after it; empty for none
  DeviceError error;                            ///< code empty: none
};
/// Beyond this a sample is a mistake, and its sums would leave what JSON can say.
inline constexpr double kValueMax = 1e15;
/// Why a sample is no evidence of what it measures (docs/adr/0059).
enum class Flag : std::uint8_t {
  stuck,         ///< the value is the same for longer than its metric says that it varies
  out_of_range,  ///< beyond what its metric is declared to lie between
  missing,       ///< none came for longer than its metric says; counts intervals
  clock_skewed,  ///< of a clock that is off: the server says so, of what a device reports meanwhile
};
inline constexpr std::array<std::string_view, 4> kFlagNames{"stuck", "out_of_range", "missing", "clock_skewed"};
/// How many samples were flagged, by Flag.
struct Flagged {
  std::array<std::int64_t, kFlagNames.size()> of{};
  [[nodiscard]] constexpr std::int64_t& operator[](Flag flag) { return of[static_cast<std::size_t>(flag)]; }
  [[nodiscard]] std::int64_t all() const;
  /// What most of them were; the first where several are as many.
  [[nodiscard]] Flag most() const;
  bool operator==(Flagged const&) const = default;
};
/// Samples of one interval, folded per model, release and metric.
struct MetricsItem {
  SysTime since{}, until{};
  std::string model, digest;  ///< digest empty: untagged, no evidence for a release
  struct Metric {
    std::string name;
    std::string kind;  ///< c, g, s, ms, h, d
    std::int64_t count = 0;
    double sum = 0, min = 0, max = 0;     ///< each at most kValueMax; the sum no more than so many samples between min and max can have
    std::map<int, std::int64_t> buckets;  ///< DDSketch of relative accuracy 1 %: index -> count; empty for c, g and s
    Flagged flagged = {};                 ///< beside `count`: in none of what stands above
  };
  std::vector<Metric> metrics;
};
/// Facts the device reports of itself (`reported.*`).
struct FactsItem {
  SysTime at{};
  Labels reported;
};
/// What the device had to throw away, by tier.
struct DroppedItem {
  SysTime at{};
  std::string tier;
  std::int64_t items = 0;
};
/// What people should know of the device and is no result of an update: types of a metric that disagree, senders that were refused.
struct NoteItem {
  SysTime at{};
  std::string code, text;
};
/// What a device was asked to collect of itself, for people who look for a fault.
struct SupportItem {
  SysTime at{};
  std::string id;       ///< of the order
  std::string content;  ///< a tar, at most kSupportBytesMax
};
struct ReportItem {
  std::int64_t sequence = 0;  ///< of the item in its tier, per device, never restarts
  std::optional<UpdateItem> update;
  std::optional<MetricsItem> metrics;
  std::optional<FactsItem> facts;
  std::optional<DroppedItem> dropped;
  std::optional<NoteItem> note;
  std::optional<SupportItem> support = {};  ///< none of them: a kind from a newer agent, kept out
};

/// Items travel in tiers that count for themselves: no result waits behind a hundred megabytes of samples.
enum class Tier : std::uint8_t { critical, diagnostic, bulk };
inline constexpr std::array<Tier, 3> kTiers{Tier::critical, Tier::diagnostic, Tier::bulk};
[[nodiscard]] std::string_view tier_name(Tier tier);
/// One of each tier.
template <class T>
struct ByTier {
  std::array<T, kTiers.size()> of{};
  [[nodiscard]] constexpr T& operator[](Tier tier) { return of[static_cast<std::size_t>(tier)]; }
  [[nodiscard]] constexpr T const& operator[](Tier tier) const { return of[static_cast<std::size_t>(tier)]; }
  bool operator==(ByTier const&) const = default;
};
struct Report {
  std::string boot_id;
  SysTime clock{};                        ///< the device's, when it sent this; zero: it does not say
  ByTier<std::vector<ReportItem>> items;  ///< in each the sequences rise; no item at all says that the device is there
  /// How many there are.
  [[nodiscard]] std::size_t size() const;
};
/// At most this many items a report, over its tiers.
inline constexpr std::size_t kReportItemsMax = 10'000;
struct ReportAnswer {
  ByTier<std::int64_t> acked;     ///< up to it, everything is at the server for good
  ByTier<std::int64_t> received;  ///< up to it, it need not be sent again now; at least `acked`
  int resend_after_s = 0;         ///< when what was received and is not acknowledged should be sent again
  bool operator==(ReportAnswer const&) const = default;
};
/// Bodies of the days before tiers are refused with a hint.
[[nodiscard]] Result<Report> decode_report(std::string_view json);
[[nodiscard]] std::string encode(Report const& message);
[[nodiscard]] Result<ReportAnswer> decode_report_answer(std::string_view json);
[[nodiscard]] std::string encode(ReportAnswer const& message);
/// One item alone, as an agent spools it.
[[nodiscard]] std::string encode(ReportItem const& item);
[[nodiscard]] Result<ReportItem> decode_report_item(std::string_view json);

}  // namespace fleet::wire
