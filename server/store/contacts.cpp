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

Result<void> Contacts::flush(db::Connection& connection) {
  {
    std::lock_guard const lock(mutex_);
    for (auto const& [device, contact] : noted_) flushing_[device] = contact;
    noted_.clear();
  }
  auto upsert = connection.prepare(kPutContact);
  for (auto const& [device, contact] : flushing_) {  // only the writer's thread changes it, so reading needs no lock
    upsert.bind_all(device, to_unix_ms(contact.at), contact.poll_every_s, contact.report_every_s);
    FLEET_CHECK(upsert.run());
  }
  return {};
}

void Contacts::flushed() {
  std::lock_guard const lock(mutex_);
  flushing_.clear();
}

bool Contacts::empty() const {
  std::lock_guard const lock(mutex_);
  return noted_.empty() && flushing_.empty();
}

}  // namespace fleet::store
