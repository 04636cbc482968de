#include "server/admin/authorities.hpp"

#include "core/crypto/certificates.hpp"
#include "core/crypto/hash.hpp"
#include "server/admin/queries.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::admin {
namespace {

constexpr std::uint64_t kPemBytesMax = 64 * 1024;
constexpr std::chrono::hours kBackdated{1};
constexpr std::string_view kVersion = "ca_version", kDigest = "ca_digest", kBefore = "ca_digests_before";
constexpr std::size_t kBeforeMax = std::size_t{16} * 65;  ///< a digest a line

struct Bundle {
  std::vector<std::string> certificates;
  std::string key, next_key;  ///< next_key empty: no succession
  std::size_t issuer = 0;
  std::optional<std::size_t> successor;
};

Result<std::optional<std::size_t>> holder_of(std::vector<std::string> const& certificates, std::string const& key) {
  FLEET_TRY(auto const wanted, crypto::public_key_digest(key));
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    FLEET_TRY(auto const info, crypto::inspect_certificate(certificates[i]));
    if (info.key_sha256 == wanted) return std::optional(i);
  }
  return std::optional<std::size_t>{};
}

Result<Bundle> load_bundle(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout) {
  Bundle out;
  FLEET_TRY(auto const pem, fs.read(layout.ca_certificate(), kPemBytesMax));
  out.certificates = crypto::split_certificates(pem);
  FLEET_TRY(out.key, keys.read(layout.ca_key()));
  FLEET_TRY(auto const issuer, holder_of(out.certificates, out.key));
  if (!issuer)
    return Error{Kind::corrupt, "no_issuer", fmt::format("no certificate in {} fits the key {}", layout.ca_certificate(), layout.ca_key()),
                 "restore both from a backup"};
  out.issuer = *issuer;
  auto next = keys.read(layout.next_ca_key());
  if (!next && next.error().kind == Kind::not_found) return out;
  if (!next) return next.error();
  out.next_key = std::move(*next);
  FLEET_TRY(out.successor, holder_of(out.certificates, out.next_key));
  if (out.successor == out.issuer) out.successor.reset();  // a retirement that was cut: its key issues already
  return out;
}

std::string joined(std::vector<std::string> const& certificates) {
  std::string out;
  for (auto const& one : certificates) out += one;
  return out;
}

Result<std::int64_t> stored_version(store::Tx& tx) {
  auto row = tx.prepare(kGetSetting);
  FLEET_TRY(bool const found, row.bind_all(kVersion).step());
  return found ? row.int64(0) : 0;
}

/// Empty: it is not there.
Result<std::string> stored_text(store::Tx& tx, std::string_view name) {
  auto row = tx.prepare(kGetSetting);
  FLEET_TRY(bool const found, row.bind_all(name).step());
  return found ? row.text(0) : std::string();
}

}  // namespace

Result<crypto::CertificateAndKey> read_ca(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout) {
  FLEET_TRY(auto bundle, load_bundle(fs, keys, layout));
  auto const issuer = bundle.certificates.begin() + static_cast<std::ptrdiff_t>(bundle.issuer);
  std::rotate(bundle.certificates.begin(), issuer, issuer + 1);
  return crypto::CertificateAndKey{joined(bundle.certificates), std::move(bundle.key)};
}

Result<std::vector<Authority>> list_authorities(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout) {
  FLEET_TRY(auto const bundle, load_bundle(fs, keys, layout));
  std::vector<Authority> out;
  for (std::size_t i = 0; i < bundle.certificates.size(); ++i) {
    FLEET_TRY(auto info, crypto::inspect_certificate(bundle.certificates[i]));
    out.push_back({std::move(info), i == bundle.issuer ? "issues" : bundle.successor == i ? "announced" : "trusted"});
  }
  return out;
}

Result<void> add_successor(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, std::string const& name, SysTime now) {
  FLEET_TRY(auto bundle, load_bundle(fs, keys, layout));
  if (bundle.successor)
    return Error{Kind::conflict, "succession_under_way", fmt::format("{} holds a successor already", layout.ca_certificate()),
                 "end that succession first: fleet-server ca retire --data DIR"};
  FLEET_TRY(auto const made, crypto::make_ca(fmt::format("fleet CA of {}, {}", name, to_rfc3339(now).substr(0, 10)), now - kBackdated, now + kCaLifetime));
  // The key first: a certificate that devices trust and nobody has the key of could never issue.
  FLEET_CHECK(keys.write(layout.next_ca_key(), made.private_key));
  bundle.certificates.push_back(made.certificate);
  return fs.replace(layout.ca_certificate(), joined(bundle.certificates), 0644);
}

Result<void> retire_issuer(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout) {
  FLEET_TRY(auto const bundle, load_bundle(fs, keys, layout));
  bool const cut = !bundle.next_key.empty() && bundle.next_key == bundle.key;
  if (!bundle.successor && !cut)
    return Error{Kind::conflict, "no_successor", fmt::format("{} holds no successor", layout.ca_certificate()),
                 "make one, and give devices time to hear of it: fleet-server ca rotate --data DIR"};
  FLEET_CHECK(keys.write(layout.ca_key(), bundle.next_key));
  FLEET_CHECK(fs.replace(layout.ca_certificate(), bundle.certificates[bundle.successor.value_or(bundle.issuer)], 0644));
  return fs.remove(layout.next_ca_key());
}

Result<std::int64_t> announce_ca(store::Tx& tx, std::string const& bundle, bool several) {
  auto const digest = crypto::sha256(bundle).hex();
  FLEET_TRY(auto const version, stored_version(tx));
  FLEET_TRY(auto const known, stored_text(tx, kDigest));
  if (known == digest) return version;
  FLEET_TRY(auto before, stored_text(tx, kBefore));
  if (several && before.find(digest) != std::string::npos)
    return Error{Kind::conflict, "old_ca", "this folder's CAs are those of before a succession that other servers announced", "take the ones of now: fleet-server node export-keys there, node join --again here"};
  before = known + "\n" + before;
  before.resize(std::min(before.size(), kBeforeMax));
  FLEET_CHECK(tx.prepare(kSetSetting).bind_all(kBefore, before).run());
  FLEET_CHECK(tx.prepare(kSetSetting).bind_all(kVersion, version + 1).run());
  FLEET_CHECK(tx.prepare(kSetSetting).bind_all(kDigest, digest).run());
  return version + 1;
}

Result<void> raise_announcement(store::Tx& tx, SysTime now) {
  FLEET_TRY(auto const version, stored_version(tx));
  return tx.prepare(kSetSetting).bind_all(kVersion, std::max(version + 1, to_unix_ms(now) / 1000)).run();
}

}  // namespace fleet::admin
