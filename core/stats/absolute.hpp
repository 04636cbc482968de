#pragma once

#include <cstdint>
#include <optional>

/// E-values on shares of devices. An e-value above 1/alpha refutes its hypothesis with error at most alpha, however often it is looked at
/// (Ville's inequality), so a judge may look after each report.
namespace fleet::stats {

/// Devices that were judged, and how many of them were bad. `bad <= devices`.
struct Tally {
  std::int64_t bad = 0;
  std::int64_t devices = 0;
  bool operator==(Tally const&) const = default;
};

/// Evidence kept in logs: log(E). 0 for no devices.
struct LogEvidence {
  double log_e = 0;
  /// E itself; saturates at the largest double.
  [[nodiscard]] double e_value() const;
  /// E >= bound.
  [[nodiscard]] bool reaches(double bound) const;
};

/// Evidence against "at most the share `p0` is bad": prior Beta(1/2, 1/2) truncated to p > p0,
///   E = B(.5+k, .5+n-k) Ic_p0(.5+k, .5+n-k) / [B(.5,.5) Ic_p0(.5,.5) p0^k (1-p0)^(n-k)].
/// The complement is computed directly: 1 - I loses all digits where nearly all mass lies below p0, and where even that underflows, its ratio to the
/// denominator is taken as one continued fraction, so that a million healthy devices weigh what they should, about -log of their number.
/// @param p0  in (0, 1)
[[nodiscard]] LogEvidence harm(Tally tally, double p0);

/// Evidence for "fewer than the share `pm` are bad" (against p >= pm): the mean over q in {0, .1, .3, .5} pm of (q/pm)^k ((1-q)/(1-pm))^(n-k).
/// @param pm  in (0, 1)
[[nodiscard]] LogEvidence certify(Tally tally, double pm);

/// The promotion bound of `certify`.
inline constexpr double kCertifyBound = 20;

/// Fewest bad of `devices` at which `harm` reaches 1/alpha; nothing when even all bad do not.
[[nodiscard]] std::optional<std::int64_t> trips_at(std::int64_t devices, double p0, double alpha);
/// No fleet is larger; no search goes further.
inline constexpr std::int64_t kDevicesMax = 100'000'000;
/// Fewest devices, all bad, at which `harm` reaches 1/alpha; nothing when more than kDevicesMax would be needed.
[[nodiscard]] std::optional<std::int64_t> harm_needs(double p0, double alpha);
/// Fewest devices, none bad, with which `certify` of `pm` reaches `bound`; nothing when more than kDevicesMax would be needed.
[[nodiscard]] std::optional<std::int64_t> certify_needs(double pm, double bound = kCertifyBound);
/// Smallest share that `devices` without a bad one certify at `bound`, to a thousandth; 1 when they certify nothing.
[[nodiscard]] double certifiable(std::int64_t devices, double bound = kCertifyBound);

}  // namespace fleet::stats
