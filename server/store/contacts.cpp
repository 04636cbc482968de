#include "server/store/contacts.hpp"

#include "server/store/queries.hpp"

namespace fleet::store {

void Contacts::note(std::int64_t device_n, Contact contact) {
  std::lock_guard const lock(mutex_);
  noted_[device_n] = contact;
}

std::optional<SysTime> Contacts::find(std::int64_t device_n) const {
  std::lock_guard const lock(mutex_);
  if (auto const found = noted_.find(device_n); found != noted_.end()) return found->second.at;
  if (auto const found = flushing_.find(device_n); found != flushing_.end()) return found->second.at;
  return std::nullopt;
}

void Contacts::begin_flush() {
  std::lock_guard const lock(mutex_);
  for (auto const& [device, contact] : noted_) flushing_[device] = contact;
  noted_.clear();
}

Result<void> Contacts::flush(db::Connection& connection, std::string_view node, std::size_t max) {
  written_ = 0;
  auto upsert = connection.prepare(kPutContact);
  for (auto contact = flushing_.begin(); contact != flushing_.end() && written_ < max; ++contact, ++written_) {
    upsert.bind_all(contact->first, to_unix_ms(contact->second.at), contact->second.poll_every_s, contact->second.report_every_s, node,
                    contact->second.service.count());
    FLEET_CHECK(upsert.run());
  }
  return {};
}

void Contacts::flushed() {
  std::lock_guard const lock(mutex_);
  flushing_.erase(flushing_.begin(), std::next(flushing_.begin(), static_cast<std::ptrdiff_t>(std::exchange(written_, 0))));
}

void Contacts::put_off() {
  std::lock_guard const lock(mutex_);
  for (auto const& [device, contact] : flushing_) noted_.emplace(device, contact);  // what was heard since is newer
  flushing_.clear();
}

}  // namespace fleet::store
