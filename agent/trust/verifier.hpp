#pragma once

#include "agent/store/trusted_clock.hpp"
#include "agent/trust/directive_root.hpp"
#include "agent/trust/folder_store.hpp"
#include "agent/trust/remote.hpp"
#include "core/bundle/bundle.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <memory>
#include <optional>
#include <string>

namespace fleet::agent {

/// What the device was last told, durable: the floor for sequences, and what to do after a restart without a server.
struct Told {
  std::int64_t sequence = 0;
  SysTime act_before{};
  std::vector<wire::DirectiveTarget> targets;
  std::optional<wire::CollectOrder> collect = {};
};
[[nodiscard]] Result<Told> load_told(Fs& fs, std::string const& path);
/// Works also on a full disk, once, where it was made ready for that: a way back may be what it orders.
Result<void> save_told(Fs& fs, std::string const& path, Told const& told);
/// Takes room for the next one. What it cannot have now it gets after the next directive, or at the next start.
void make_told_ready(Fs& fs, std::string const& path);

/// Opens an answer's directive: signed by the `targets` role of the directive root, for this device and this poll's nonce, not expired,
/// its sequence higher than the last, or equal with identical targets (docs/protocol.md, directive). An accepted one sets trusted time's floor.
/// @errors signature, expired, conflict (codes `replayed`, `sequence_leap`), forbidden (code `foreign_directive`), bad_input
class DirectiveVerifier {
public:
  DirectiveVerifier(Fs& fs, Remote& remote, TrustedClock& clock, std::string store_dir, std::string device);
  Result<wire::Directive> verify(std::string const& envelope, std::string const& nonce, Told const& last);
  /// The same of a directive that came by file: it answers no poll, its expiry is judged at trusted time, and one that was accepted before says nothing new
  /// of the time. @param roots  where successors of the directive root come from
  Result<wire::Directive> verify_bundled(std::string const& envelope, trust::Fetcher& roots, Told const& last);

private:
  Result<void> check_new(wire::Directive const& directive, Told const& last) const;
  Remote& remote_;
  TrustedClock& clock_;
  FolderStore store_;
  std::string device_;
};

/// A release that both chains agree on.
struct VerifiedRelease {
  wire::Release release;
  std::string document;  ///< its release.json
};

/// Where release metadata, and what it names, come from.
class ReleaseSource {
public:
  virtual ~ReleaseSource() = default;
  [[nodiscard]] virtual trust::Fetcher& metadata() = 0;
  /// Bytes of a release.json, unverified.
  virtual Result<std::string> document(std::string const& model, std::string const& version, std::string const& digest) = 0;
  /// When timestamp and snapshot had to be unexpired; nothing: now.
  [[nodiscard]] virtual std::optional<SysTime> fresh_at() const { return std::nullopt; }
  /// Who may be asked for more about a release; null: nobody.
  [[nodiscard]] virtual Remote* remote() { return nullptr; }
};
class RemoteReleases final : public ReleaseSource {
public:
  explicit RemoteReleases(Remote& remote) : remote_(remote), metadata_(remote, "/device/v1/tuf/") {}
  trust::Fetcher& metadata() override { return metadata_; }
  [[nodiscard]] Remote* remote() override { return &remote_; }
  Result<std::string> document(std::string const& model, std::string const& version, std::string const& digest) override;

private:
  Remote& remote_;
  RemoteFetcher metadata_;
};
class BundledReleases final : public ReleaseSource {
public:
  /// @param issued_at  of the directive that came with it: its timestamp and snapshot are judged then
  BundledReleases(std::shared_ptr<bundle::Bundle const> bundle, SysTime issued_at)
      : bundle_(std::move(bundle)), metadata_(*bundle_, bundle::kMetadata), issued_at_(issued_at) {}
  trust::Fetcher& metadata() override { return metadata_; }
  Result<std::string> document(std::string const& model, std::string const& version, std::string const& digest) override;
  std::optional<SysTime> fresh_at() const override { return issued_at_; }

private:
  std::shared_ptr<bundle::Bundle const> bundle_;
  bundle::BundleFetcher metadata_;
  SysTime issued_at_;
};

/// Refreshes the release metadata and fetches the directive's release.json: path, length and hashes as both say.
/// @errors signature, expired, conflict (code `rollback`), not_found, unavailable, timeout
Result<VerifiedRelease> fetch_release(Fs& fs, ReleaseSource& source, TrustedClock const& clock, std::string const& store_dir, wire::DirectiveTarget const& target);

/// Whether this device may adopt it: hardware, match rules, counter not below the floor.
/// @errors unprocessable (code `ineligible`), conflict (code `below_floor`)
Result<void> check_eligible(wire::Release const& release, Identity const& identity, std::int64_t floor, std::uint64_t memory_bytes);

/// Whether a match rule for runtimes holds by what the device reports. A rule of a newer server that this agent cannot read does not hold.
/// @errors unprocessable (code `ineligible`)
Result<void> check_runtime(std::string const& text, wire::Labels const& reported);

/// The owners' word against going back, also to a version that is kept here. @errors conflict (code `below_floor`)
Result<void> check_floor(wire::Release const& release, std::int64_t floor);

/// `models/<model>/<version>/release.json` -> version. @errors bad_input
[[nodiscard]] Result<std::string> version_of_path(std::string const& model, std::string const& path);

}  // namespace fleet::agent
