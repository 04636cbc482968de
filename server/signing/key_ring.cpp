#include "server/signing/key_ring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fleet::signing {
namespace {

constexpr std::string_view kNext = ".next", kKey = ".key";

Result<crypto::SigningKey> parse_key(std::string const& role, std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  auto const seed = from_hex(text);
  if (!seed) return Error{Kind::corrupt, "bad_key_file", fmt::format("the key file of role {} is damaged", role), "restore it from a backup"};
  return crypto::SigningKey::from_seed(*seed);
}

}  // namespace

Error key_offline(std::string const& role) {
  return {Kind::unavailable, "key_offline", fmt::format("the key of role {} is not kept on this server", role),
          fmt::format("sign where its keys are: fleetctl trust offline prepare {}", role)};
}

KeyRing::KeyRing(Fs& fs, Random& random, crypto::KeyFiles files, std::string keys_dir)
    : fs_(fs), random_(random), files_(std::move(files)), dir_(std::move(keys_dir)) {}

std::string KeyRing::path_of(std::string const& role) const { return fmt::format("{}/{}.key", dir_, role); }
std::string KeyRing::next_path_of(std::string const& role) const { return fmt::format("{}/{}{}", dir_, role, kNext); }

Result<crypto::SigningKey> KeyRing::load(std::string const& role) {
  if (withheld_.contains(role)) return key_offline(role);
  if (auto const found = loaded_.find(role); found != loaded_.end()) return found->second;
  auto const text = files_.read(path_of(role));
  if (!text && text.error().kind == Kind::not_found) return key_offline(role);
  if (!text) return text.error();
  FLEET_TRY(auto const key, parse_key(role, *text));
  loaded_.insert_or_assign(role, key);
  return key;
}

Result<crypto::SigningKey> KeyRing::store_new(std::string const& role, std::string const& path) {
  auto const key = crypto::SigningKey::generate(random_);
  FLEET_CHECK(fs_.make_dirs(dir_, 0700));
  FLEET_CHECK(files_.write(path, to_hex(key.seed()) + "\n"));
  loaded_.insert_or_assign(role, key);
  changed_.insert(role);
  return key;
}

Result<crypto::SigningKey> KeyRing::get(std::string const& role) {
  std::lock_guard const lock(mutex_);
  return load(role);
}

Result<crypto::SigningKey> KeyRing::get_or_create(std::string const& role) {
  std::lock_guard const lock(mutex_);
  auto key = load(role);
  return !key && key.error().code == "key_offline" ? store_new(role, path_of(role)) : key;
}

Result<crypto::SigningKey> KeyRing::replace(std::string const& role) {
  std::lock_guard const lock(mutex_);
  return store_new(role, path_of(role));
}

Result<crypto::SigningKey> KeyRing::begin_rotation(std::string const& role) {
  std::lock_guard const lock(mutex_);
  FLEET_TRY(auto const old, load(role));
  FLEET_CHECK(store_new(role, next_path_of(role)));
  return old;
}

Result<crypto::PublicKey> KeyRing::prepare_rotation(std::string const& role) {
  std::lock_guard const lock(mutex_);
  // Never the one that waits already: whoever took the server over may have seen it.
  auto const key = crypto::SigningKey::generate(random_);
  FLEET_CHECK(files_.write(next_path_of(role), to_hex(key.seed()) + "\n"));
  return key.public_key();
}

Result<void> KeyRing::use_prepared(std::string const& role) {
  std::lock_guard const lock(mutex_);
  FLEET_TRY(auto const text, files_.read(next_path_of(role)));
  FLEET_TRY(auto const key, parse_key(role, text));
  loaded_.insert_or_assign(role, key);
  changed_.insert(role);
  return {};
}

void KeyRing::undo_use(std::string const& role) {
  std::lock_guard const lock(mutex_);
  loaded_.erase(role);
  changed_.insert(role);
}

Result<void> KeyRing::end_rotation(std::string const& role) {
  std::lock_guard const lock(mutex_);
  FLEET_CHECK(fs_.rename(next_path_of(role), path_of(role)));
  loaded_.erase(role);
  return fs_.sync_dir(dir_);
}

void KeyRing::undo_rotation(std::string const& role) {
  std::lock_guard const lock(mutex_);
  loaded_.erase(role);
  changed_.insert(role);
  (void)fs_.remove(next_path_of(role));  // what stays is dropped at the next start
}

void KeyRing::withhold(std::string const& role) {
  std::lock_guard const lock(mutex_);
  withheld_.insert(role);
  changed_.insert(role);
}

void KeyRing::undo_withhold(std::string const& role) {
  std::lock_guard const lock(mutex_);
  withheld_.erase(role);
  changed_.insert(role);
}

Result<void> KeyRing::drop(std::string const& role) {
  std::lock_guard const lock(mutex_);
  loaded_.erase(role);
  if (auto const removed = fs_.remove(path_of(role)); !removed && removed.error().kind != Kind::not_found) return removed;
  FLEET_CHECK(fs_.sync_dir(dir_));
  withheld_.erase(role);
  return {};
}

std::set<std::string> KeyRing::changed() {
  std::lock_guard const lock(mutex_);
  sharing_ = changed_;
  return sharing_;
}

void KeyRing::shared() {
  std::lock_guard const lock(mutex_);
  for (auto const& role : std::exchange(sharing_, {})) changed_.erase(role);
}

Result<void> KeyRing::share_others(std::vector<std::string> const& roles) {
  std::lock_guard const lock(mutex_);
  FLEET_TRY(auto const names, fs_.list(dir_));
  for (auto const& name : names) {
    if (!name.ends_with(kKey)) continue;
    auto const role = name.substr(0, name.size() - kKey.size());
    if (std::find(roles.begin(), roles.end(), role) == roles.end()) changed_.insert(role);
  }
  return {};
}

Result<std::optional<Bytes>> KeyRing::seed_of(std::string const& role) {
  std::lock_guard const lock(mutex_);
  auto const key = load(role);
  if (!key && key.error().code == "key_offline") return std::optional<Bytes>{};
  if (!key) return key.error();
  auto const seed = key->seed();
  return std::optional(Bytes(seed.begin(), seed.end()));
}

Result<void> KeyRing::adopt(std::string const& role, std::optional<BytesView> seed) {
  std::lock_guard const lock(mutex_);
  changed_.erase(role);
  if (!seed) {
    loaded_.erase(role);
    auto const removed = fs_.remove(path_of(role));
    if (!removed && removed.error().kind == Kind::not_found) return {};
    if (!removed) return removed;
    return fs_.sync_dir(dir_);
  }
  FLEET_TRY(auto const key, crypto::SigningKey::from_seed(*seed));
  if (auto const mine = load(role); mine && mine->public_key() == key.public_key()) return {};
  FLEET_CHECK(fs_.make_dirs(dir_, 0700));
  FLEET_CHECK(files_.write(path_of(role), to_hex(key.seed()) + "\n"));
  loaded_.insert_or_assign(role, key);
  return {};
}

Result<std::vector<std::pair<std::string, crypto::PublicKey>>> KeyRing::open_rotations() {
  std::lock_guard const lock(mutex_);
  std::vector<std::pair<std::string, crypto::PublicKey>> out;
  FLEET_TRY(auto const names, fs_.list(dir_));
  for (auto const& name : names) {
    if (!name.ends_with(kNext)) continue;
    auto const role = name.substr(0, name.size() - kNext.size());
    FLEET_TRY(auto const text, files_.read(next_path_of(role)));
    FLEET_TRY(auto const key, parse_key(role, text));
    out.emplace_back(role, key.public_key());
  }
  return out;
}

}  // namespace fleet::signing
