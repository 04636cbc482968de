#include "server/telemetry/clickhouse/settings.hpp"

#include "core/base/env.hpp"

namespace fleet::clickhouse {
namespace {

constexpr std::uint64_t kPasswordFileMax = 4096;
constexpr std::uint64_t kCaFileMax = 4 * 1024 * 1024;
constexpr auto const* kSystemCa = "/etc/ssl/certs/ca-certificates.crt";

Result<std::string> read_password(Fs& fs, std::string const& file) {
  if (file.empty()) return environment("FLEET_TELEMETRY_PASSWORD").value_or("");
  FLEET_TRY(auto const text, fs.read(file, kPasswordFileMax));
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

Result<std::unique_ptr<Sink>> open(Settings const& settings, Fs& fs, store::Store& store, Clock& clock, Random& random) {
  Access access;
  FLEET_TRY(access.address, parse_address(settings.url));
  FLEET_TRY(access.password, read_password(fs, settings.password_file));
  if (access.address.secure) {
    FLEET_TRY(access.ca_pem, fs.read(settings.ca_file.empty() ? kSystemCa : settings.ca_file, kCaFileMax));
  } else if (!settings.ca_file.empty()) {
    return Error{Kind::bad_input, "bad_telemetry", "--telemetry-ca-file is for https", "end the address in ?secure=true"};
  }
  return Sink::open(std::move(access), store, clock, random, settings.waiting_max);
}

}  // namespace fleet::clickhouse
