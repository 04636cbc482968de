#include "server/admin/data_dir.hpp"

#include "core/base/dir_lock.hpp"
#include "core/crypto/certificates.hpp"
#include "server/admin/queries.hpp"
#include "server/events/audit.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::admin {
namespace {

constexpr std::uint64_t kPemBytesMax = 64 * 1024;
// A certificate is valid a little before its making: devices' clocks are behind as often as ahead.
constexpr std::chrono::hours kBackdated{1};

std::string join(std::vector<std::string> const& words) {
  std::string text;
  for (auto const& word : words) text += (text.empty() ? "" : "\n") + word;
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    auto const end = std::min(text.find('\n'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

}  // namespace

Result<void> claim_empty_dir(Fs& fs, std::string const& dir) {
  FLEET_CHECK(fs.make_dirs(dir, 0700));
  FLEET_CHECK(fs.narrow_dir(dir, 0700));  // one that was there may have been open to everybody
  FLEET_TRY(auto const names, fs.list(dir));
  // `lost+found` is what a fresh file system holds.
  auto const taken = std::find_if(names.begin(), names.end(), [](auto const& name) { return name != "lost+found"; });
  if (taken == names.end()) return {};
  return Error{Kind::conflict, "data_dir_not_empty", fmt::format("{} is not empty: it holds {}", dir, *taken),
               "name a new folder, or remove this one if nothing in it is needed"};
}

Result<crypto::CertificateAndKey> make_server_identity(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, crypto::CertificateAndKey const& ca,
                                                       std::vector<std::string> const& hosts, Validity const& validity) {
  auto names = hosts;
  for (auto const* name : {"localhost", "127.0.0.1"})
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  FLEET_TRY(auto identity, crypto::make_server_certificate(ca, names, validity.now - kBackdated, validity.now + validity.lifetime));
  // The key first: a certificate without its key would stop the next start.
  FLEET_CHECK(keys.write(layout.server_key(), identity.private_key));
  FLEET_CHECK(fs.replace(layout.server_certificate(), identity.certificate, 0644));
  return identity;
}

Result<crypto::CertificateAndKey> load_server_identity(Fs& fs, crypto::KeyFiles const& keys, Layout const& layout, crypto::CertificateAndKey const& ca,
                                                       std::vector<std::string> const& hosts, Validity const& validity) {
  crypto::CertificateAndKey identity;
  auto const certificate = fs.read(layout.server_certificate(), kPemBytesMax);
  if (!certificate && certificate.error().kind == Kind::not_found) return make_server_identity(fs, keys, layout, ca, hosts, validity);  // a node that never ran
  if (!certificate) return certificate.error();
  identity.certificate = *certificate;
  FLEET_TRY(identity.private_key, keys.read(layout.server_key()));
  FLEET_TRY(auto const info, crypto::inspect_certificate(identity.certificate));
  FLEET_TRY(bool const of_issuer, crypto::is_issued_by(identity.certificate, ca.certificate));
  FLEET_TRY(auto const key, crypto::public_key_digest(identity.private_key));
  // Written by two renames: a crash between them leaves a key without its certificate.
  bool const whole = of_issuer && key == info.key_sha256;
  // One that was made while the clock was ahead would lock everybody out until that time comes.
  bool const young =
      info.not_before <= validity.now && validity.now < info.not_after - validity.lifetime / 3 && info.not_after <= validity.now + validity.lifetime;
  return whole && young ? Result<crypto::CertificateAndKey>(std::move(identity)) : make_server_identity(fs, keys, layout, ca, hosts, validity);
}

Result<void> save_identity(store::Tx& tx, Identity const& identity) {
  FLEET_CHECK(tx.prepare(kSetSetting).bind_all("server_name", identity.name).run());
  return tx.prepare(kSetSetting).bind_all("hosts", join(identity.hosts)).run();
}

Result<Identity> load_identity(db::Connection& reader) {
  Identity identity;
  for (auto const* name : {"server_name", "hosts"}) {
    auto statement = reader.prepare(kGetSetting);
    FLEET_TRY(bool const found, statement.bind_all(name).step());
    if (!found) return Error{Kind::corrupt, "setting_missing", fmt::format("the setting {} is missing in the database", name), "restore a backup"};
    if (std::string_view(name) == "hosts") identity.hosts = split(statement.text_view(0));
    else identity.name = statement.text(0);
  }
  return identity;
}

Result<void> change_stopped(Machine const& machine, DataDir const& data, std::string const& actor, std::string const& action,
                            std::function<Result<void>(Layout const&, Identity const&, SysTime)> const& change) {
  FLEET_TRY(auto const layout, find_layout(system_fs(), data));
  auto const lock = DirLock::acquire(system_fs(), layout.dir);
  if (!lock) {
    auto in_use = lock.error();
    if (in_use.kind == Kind::conflict) in_use.hint = "end the server first (SIGTERM): devices wait for it, and find it again";
    return in_use;
  }
  FLEET_TRY(auto const store, store::Store::open(layout.place(), machine.clock));
  FLEET_TRY(auto const identity, load_identity(store->reader()));
  auto const now = machine.clock.wall();
  FLEET_CHECK(change(layout, identity, now));
  auto const job = [&](store::Tx& tx) { return events::record(tx, {.time = now, .actor = actor, .action = action, .subject = "server/" + identity.name}); };
  FLEET_CHECK(store->write_wait(store::Lane::verbs, job));
  store->close();
  return {};
}

}  // namespace fleet::admin
