#include "agent/commands/boot.hpp"
#include "agent/commands/config_check.hpp"
#include "agent/proof/own_reason.hpp"
#include "agent/store/boot_id.hpp"
#include "agent/store/credentials.hpp"
#include "agent/store/journal.hpp"
#include "agent/trust/remote.hpp"
#include "core/wire/device.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kJournalBytesMax = 4 * 1024 * 1024;
constexpr Millis kTimeout{30'000};

/// As it lies there, by reading alone: the agent that runs writes to it. Its end may be half a line.
Result<void> check_journal(Fs& fs, std::string const& path) {
  auto const text = fs.read(path, kJournalBytesMax);
  if (!text) return text.error().kind == Kind::not_found ? Result<void>{} : Result<void>(text.error());
  std::string_view rest = *text;
  for (int line = 1; rest.find('\n') != std::string_view::npos; ++line) {
    auto const end = rest.find('\n');
    auto const record = RecordFile::text_of(rest.substr(0, end));
    auto const state = record ? decode_model_state(*record) : Result<ModelState>(Error{Kind::corrupt, "bad_line", "its checksum does not fit"});
    if (!state) return Error{Kind::corrupt, "journal_unread", fmt::format("{}, line {}: {}", path, line, state.error().detail)};
    rest.remove_prefix(end + 1);
  }
  return {};
}

}  // namespace

Result<std::string> self_test(Fs& fs, Clock& clock, Layout const& layout, net::Connect const& connect) {
  FLEET_TRY(auto const config, ready_config(fs, layout));
  FLEET_TRY(auto identity, load_identity(fs, layout));
  FLEET_TRY(auto const credentials, Credentials(fs, layout).load(identity));
  identity.private_key = credentials.front().private_key;
  identity.certificate = credentials.front().certificate;
  FLEET_CHECK(check_journal(fs, layout.journal()));
  auto servers = config.servers;
  servers.insert(servers.end(), identity.servers.begin(), identity.servers.end());
  auto const trusted = TrustedClock::load(fs, clock, layout.floor());
  FLEET_TRY(auto const remote, Remote::create(identity, servers, trusted, clock, config.proxy.value_or(net::ProxyRules()),
                                              [&fs, layout, config] { return load_source_cas(fs, layout, config); }, connect));
  wire::Report nothing;
  nothing.boot_id = read_boot_id(fs);
  FLEET_TRY(auto const answer, remote->post("/device/v1/reports", wire::encode(nothing), kTimeout, 4096));
  FLEET_CHECK(wire::decode_report_answer(answer.body));
  return boost::json::serialize(boost::json::object{{"agent", FLEET_VERSION}, {"journal", kJournalFormat}, {"server", remote->server()}}) + "\n";
}

int self_test_exit(Error const& error) { return error.kind == Kind::io ? kAgainLater : exit_code(error.kind); }

}  // namespace fleet::agent
