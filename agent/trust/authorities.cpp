#include "agent/trust/authorities.hpp"

#include "core/crypto/certificates.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/device.hpp"

namespace fleet::agent {
Authorities::Authorities(Fs& fs, Layout const& layout, TrustedClock const& clock)
    : fs_(fs), layout_(layout), clock_(clock), store_(fs, layout.directive_metadata()) {}

std::int64_t Authorities::version() {
  auto const kept = fs_.read(layout_.ca_announcement(), wire::kCaBytesMax);
  NoFetcher fetcher;
  auto const updater = trust::Updater::load(store_, fetcher, clock_.now());
  if (!kept || !updater) return 0;
  auto const payload = trust::open_envelope(as_bytes(*kept), wire::kCaPayloadType, updater->role_keys("targets"), wire::kCaBytesMax);
  if (!payload) return 0;
  auto const announced = wire::decode_ca(as_text(*payload));
  return announced ? announced->version : 0;
}

Result<std::optional<std::string>> Authorities::follow(Remote& remote) {
  FLEET_TRY(auto const answer, remote.get("/device/v1/ca", wire::kCaBytesMax));
  FLEET_TRY(auto const payload, open_by_directive_root(store_, remote, clock_.now(), answer.body, wire::kCaPayloadType));
  FLEET_TRY(auto announced, wire::decode_ca(as_text(payload)));
  if (announced.version <= version()) return std::optional<std::string>{};
  if (crypto::split_certificates(announced.certificates).empty())
    return Error{Kind::bad_input, "bad_certificate", "the announcement of CAs holds no certificate"};
  FLEET_CHECK(save_ca(fs_, layout_, announced.certificates));
  FLEET_CHECK(fs_.replace(layout_.ca_announcement(), answer.body));
  return std::optional(std::move(announced.certificates));
}

}  // namespace fleet::agent
