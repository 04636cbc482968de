#pragma once

#include "server/registry/enrol.hpp"
#include "server/registry/row.hpp"

#include <string>
#include <string_view>

/// What enrolment and renewal share inside this folder: the rows they write, and the answer they give.
namespace fleet::registry {

/// As the token of a pending key: brought by a renewal, and no operator's business.
inline constexpr std::string_view kRenewal = "renewal";

/// A certificate request, its key proved.
struct Asked {
  wire::EnrollRequest const& request;
  Digest key;
  std::string fresh_id;  ///< for a device that names none
  SysTime not_after;
  Bytes wrap_key = {};  ///< as crypto::read_recipient gives it; empty: none
};

Result<void> set_not_after(store::Tx& tx, std::int64_t n, SysTime until);
/// @param origin  what let the device in, for the audit log; may be empty
Result<void> record_key(store::Tx& tx, std::string action, std::string_view id, Digest const& key, events::Deed const& deed, std::string_view origin = {});
Result<void> put_pending(store::Tx& tx, std::string const& id, std::string const& hardware, wire::Labels const& labels, std::string_view token_id,
                         Asked const& asked, events::Deed const& deed);
/// What the device is told; its certificate only where it is active.
Result<wire::EnrollResponse> answer_device(Services& services, std::string const& id, std::string const& csr, bool active, events::Deed const& deed, SysTime until);

}  // namespace fleet::registry
