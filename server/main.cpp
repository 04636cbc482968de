#include "core/base/text.hpp"
#include "core/wire/release.hpp"
#include "server/admin/commands.hpp"
#include "server/node.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <exception>

namespace {

using fleet::Error;
using fleet::Result;
using fleet::RunOptions;
namespace admin = fleet::admin;

constexpr int kUsage = 2;
constexpr std::uint64_t kEgressLeast = 125'000;
constexpr auto const* kDatabase = "postgresql://... that holds the database, in place of DIR/fleet.db; DIR/server.yaml may say so, too";
constexpr auto const* kBlobs = "where the bytes of releases lie, in place of DIR/blobs: s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME], or /FOLDER that nodes share; DIR/server.yaml may say so, too";
constexpr auto const* kBlobsCredentials = "file with aws_access_key_id and aws_secret_access_key; without it the environment has them (AWS_ACCESS_KEY_ID, ...)";
constexpr auto const* kOpensKeys = "opens the private keys, where they are sealed, with the first line of this file";

admin::Machine machine() { return {fleet::system_clock(), fleet::system_random()}; }

int report(Error const& error) {
  auto text = fmt::format("fleet-server: {}: {}\n", error.code, error.detail);
  for (auto const& field : error.errors) text += fmt::format("  {}: {}\n", field.pointer, field.detail);
  if (!error.hint.empty()) text += fmt::format("  hint: {}\n", error.hint);
  fmt::print(stderr, "{}", fleet::safe_lines(text));
  return fleet::exit_code(error.kind);
}

void add_blobs(CLI::App* command, admin::BlobsAt& blobs) {
  command->add_option("--blobs", blobs.url, kBlobs);
  command->add_option("--blobs-credentials", blobs.credentials_file, kBlobsCredentials);
}

int finish(Result<void> const& done) { return done ? 0 : report(done.error()); }

int print_findings(Result<std::vector<std::string>> const& findings) {
  if (!findings) return report(findings.error());
  for (auto const& finding : *findings) fmt::print("{}\n", fleet::safe_text(finding));
  fmt::print(stderr, "{}\n", findings->empty() ? "sound: database, metadata, blobs, audit chain" : fmt::format("{} faults", findings->size()));
  return findings->empty() ? 0 : 1;
}

/// One option set a command; what was parsed lives as long as main.
struct Parsed {
  admin::InitOptions init;
  RunOptions run;
  std::string certificate_lifetime = "365d", content_max = "20GiB", blobs_cache = "20GiB", egress;
  admin::DataDir check, data;
  admin::MigrateOptions migrate;
  std::string new_passphrase_file;
  admin::BackupOptions backup, restore;
  admin::NodeExport node_export;
  admin::NodeJoin join;
  admin::NodeLeave leave;
};

Result<void> run_server(Parsed& parsed) {
  FLEET_TRY(parsed.run.certificate_lifetime, fleet::parse_duration(parsed.certificate_lifetime));
  if (parsed.run.certificate_lifetime < std::chrono::seconds{3})
    return Error{fleet::Kind::bad_input, "bad_lifetime", "--certificate-lifetime " + parsed.certificate_lifetime + ": at least 3s"};
  FLEET_TRY(parsed.run.content_bytes_max, fleet::wire::parse_size(parsed.content_max));
  FLEET_TRY(parsed.run.blobs_cache, fleet::wire::parse_size(parsed.blobs_cache));
  if (!parsed.egress.empty()) {
    FLEET_TRY(parsed.run.egress, fleet::wire::parse_rate(parsed.egress));
    if (parsed.run.egress < kEgressLeast)
      return Error{fleet::Kind::bad_input, "bad_rate", "--egress " + parsed.egress + ": at least 1Mbit/s"};
  }
  return fleet::run(parsed.run);
}

/// Commands on private keys, while no server runs.
void describe_keys(CLI::App& app, Parsed& parsed, int& exit_code) {
  struct Command {
    char const* name;
    char const* help;
    Result<void> (*action)(admin::Machine const&, admin::DataDir const&);
  };
  auto const add = [&](CLI::App* group, Command const& what) {
    auto* command = group->add_subcommand(what.name, what.help);
    command->add_option("--data", parsed.data.path, "data folder")->required();
    command->add_option("--database", parsed.data.database, kDatabase);
    command->add_option("--passphrase-file", parsed.data.passphrase_file, kOpensKeys);
    command->callback([&parsed, &exit_code, action = what.action] { exit_code = finish(action(machine(), parsed.data)); });
  };
  auto* ca = app.add_subcommand("ca", "the CA of devices and server, and its succession")->require_subcommand(1);
  add(ca, {"show", "which CAs are trusted, and which one issues", admin::show_ca});
  add(ca, {"rotate", "make a successor and announce it to devices; the server must not run", admin::rotate_ca});
  add(ca, {"retire", "let the successor issue and trust it alone; the server must not run", admin::retire_ca});

  auto* keys = app.add_subcommand("keys", "how the private keys lie on the disk; the server must not run")->require_subcommand(1);
  add(keys, {"seal", "encrypt every private key that lies there plain", admin::seal_keys});
  auto* change = keys->add_subcommand("passphrase", "another passphrase for sealed keys");
  change->add_option("--data", parsed.data.path, "data folder")->required();
  change->add_option("--database", parsed.data.database, kDatabase);
  change->add_option("--passphrase-file", parsed.data.passphrase_file, kOpensKeys)->required();
  change->add_option("--new-passphrase-file", parsed.new_passphrase_file, "the first line of this file opens them from now on")->required();
  change->callback([&] { exit_code = finish(admin::change_passphrase(machine(), parsed.data, parsed.new_passphrase_file)); });
}

void describe_nodes(CLI::App& app, Parsed& parsed, int& exit_code) {
  auto* node = app.add_subcommand("node", "several servers on one PostgreSQL")->require_subcommand(1);
  auto* keys = node->add_subcommand("export-keys", "what another server needs to sign for this fleet, in one sealed file; the server may run");
  keys->add_option("--data", parsed.node_export.data.path, "data folder")->required();
  keys->add_option("--database", parsed.node_export.data.database, kDatabase);
  keys->add_option("--keys-passphrase-file", parsed.node_export.data.passphrase_file, kOpensKeys);
  keys->add_option("--to", parsed.node_export.file, "file to make")->required();
  keys->add_option("--passphrase-file", parsed.node_export.passphrase_file, "seal it with the first line of this file")->required();
  keys->callback([&] { exit_code = finish(admin::export_node_keys(machine(), parsed.node_export)); });

  auto* join = node->add_subcommand("join", "make the data folder of one more server");
  join->add_option("--data", parsed.join.data_dir, "data folder, new or empty")->required();
  join->add_option("--database", parsed.join.database, "postgresql://... that the other servers use");
  add_blobs(join, parsed.join.blobs);
  join->add_option("--keys", parsed.join.keys_file, "file that `node export-keys` made")->required();
  join->add_option("--passphrase-file", parsed.join.passphrase_file, "opens it with the first line of this file")->required();
  join->add_option("--host", parsed.join.hosts, "DNS name or address for its certificate, beside those of the fleet; repeatable")->expected(1)->take_all();
  join->add_option("--keys-passphrase-file", parsed.join.keys_passphrase_file, "seal every private key with the first line of this file");
  join->add_flag("--again", parsed.join.again, "the folder is a node's, whose server does not run: it takes the keys and the CA of now");
  join->callback([&] { exit_code = finish(admin::join_node(machine(), parsed.join)); });

  auto* leave = node->add_subcommand("leave", "a server is one of this fleet's no more; it must not run");
  leave->add_option("--data", parsed.leave.data.path, "data folder")->required();
  leave->add_option("--database", parsed.leave.data.database, kDatabase);
  leave->add_option("--id", parsed.leave.id, "of another that is lost; without it this folder's own, whose private keys are removed");
  leave->callback([&] { exit_code = finish(admin::leave_node(machine(), parsed.leave)); });
}

void describe(CLI::App& app, Parsed& parsed, int& exit_code) {
  auto* init = app.add_subcommand("init", "make the data folder: keys, CA, database, first admin token");
  init->add_option("--data", parsed.init.data_dir, "data folder, new or empty")->required();
  init->add_option("--host", parsed.init.hosts, "DNS name or address for the certificate; repeatable, the first is how devices reach the server")
      ->required()
      ->expected(1)
      ->take_all();
  init->add_option("--name", parsed.init.name, "name of this server")->capture_default_str();
  init->add_option("--passphrase-file", parsed.init.passphrase_file, "seal every private key with the first line of this file");
  init->add_option("--database", parsed.init.database, "postgresql://... of an empty database to be used in place of DIR/fleet.db; kept in DIR/server.yaml");
  add_blobs(init, parsed.init.blobs);
  init->callback([&] { exit_code = finish(admin::init(machine(), parsed.init)); });

  auto* run = app.add_subcommand("run", "serve until SIGTERM or SIGINT");
  run->add_option("--data", parsed.run.data_dir, "data folder")->required();
  run->add_option("--database", parsed.run.database, kDatabase);
  add_blobs(run, parsed.run.blobs);
  run->add_option("--blobs-cache", parsed.blobs_cache, "of this disk, for copies of blobs that lie in a bucket, such as 20GiB")->capture_default_str();
  run->add_option("--api", parsed.run.api, "address of the API listener; port 0 picks a free one")->capture_default_str();
  run->add_option("--devices", parsed.run.devices, "address of the device listener")->capture_default_str();
  run->add_option("--public-api-url", parsed.run.public_api_url, "https://HOST[:PORT] by which people and CI reach the API listener");
  run->add_option("--public-devices-url", parsed.run.public_devices_url, "https://HOST[:PORT] by which devices reach the device listener; polls tell it them");
  run->add_option("--certificate-lifetime", parsed.certificate_lifetime, "of devices' certificates and of the server's own; all renew at two thirds of it")
      ->capture_default_str();
  run->add_option("--proxy-protocol-from", parsed.run.balancers,
                  "ADDRESS or ADDRESS/BITS of a balancer: its connections begin with a PROXY protocol v2 header, which tells the real address; repeatable")
      ->expected(1)
      ->take_all();
  run->add_option("--egress", parsed.egress, "what files may leave with, to everybody together, such as 200Mbit/s; devices beyond what it has room for are told when to come again");
  run->add_option("--content-max", parsed.content_max, "of the disk, for deltas and other ways that files travel, such as 20GiB; 0: none but those of protected models")->capture_default_str();
  run->add_option("--telemetry", parsed.run.telemetry,
                  "clickhouse://[USER@]HOST[:PORT]/DATABASE[?secure=true] that keeps what devices measure, in place of the database; DIR/server.yaml may say so, too");
  run->add_option("--telemetry-password-file", parsed.run.telemetry_password_file, "the first line of this file is its user's password; else $FLEET_TELEMETRY_PASSWORD");
  run->add_option("--telemetry-ca-file", parsed.run.telemetry_ca_file, "CA certificates that vouch for it, with secure=true, in place of the system's");
  run->add_option("--telemetry-waiting-max", parsed.run.telemetry_waiting_max, "rows that may wait for it in the database; what is beyond stays with the devices")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  run->add_option("--factories", parsed.run.factories_file, "YAML: which factories' certificates let devices in without a join token");
  run->add_option("--passphrase-file", parsed.run.passphrase_file, kOpensKeys);
  run->callback([&] { exit_code = finish(run_server(parsed)); });

}

/// Commands on what a data folder holds.
void describe_data(CLI::App& app, Parsed& parsed, int& exit_code) {
  auto* check = app.add_subcommand("check", "look for faults in database, metadata, blobs and audit chain; 1 with the list");
  check->add_option("--data", parsed.check.path, "data folder")->required();
  check->add_option("--database", parsed.check.database, kDatabase);
  check->add_option("--passphrase-file", parsed.check.passphrase_file, kOpensKeys);
  add_blobs(check, parsed.check.blobs);
  check->callback([&] { exit_code = print_findings(admin::check(machine(), parsed.check)); });

  auto* backup = app.add_subcommand("backup", "write everything a restore needs to one file; the server may run");
  backup->add_option("--data", parsed.backup.data_dir, "data folder")->required();
  backup->add_option("--database", parsed.backup.database, kDatabase);
  backup->add_option("--to", parsed.backup.file, "file to make; it holds private keys")->required();
  backup->add_option("--passphrase-file", parsed.backup.passphrase_file, "encrypt with the first line of this file");
  add_blobs(backup, parsed.backup.blobs);
  backup->callback([&] { exit_code = finish(admin::backup(machine(), parsed.backup)); });

  auto* restore = app.add_subcommand("restore", "make a data folder from a backup");
  restore->add_option("--from", parsed.restore.file, "file that `backup` made")->required();
  restore->add_option("--data", parsed.restore.data_dir, "data folder, new or empty")->required();
  restore->add_option("--passphrase-file", parsed.restore.passphrase_file, "for an encrypted backup");
  restore->add_option("--keys-passphrase-file", parsed.restore.keys_passphrase_file, kOpensKeys);
  restore->add_option("--database", parsed.restore.database, "postgresql://... of an empty database to be used in place of DIR/fleet.db; kept in DIR/server.yaml");
  add_blobs(restore, parsed.restore.blobs);
  restore->callback([&] { exit_code = finish(admin::restore(machine(), parsed.restore)); });

  auto* migrate = app.add_subcommand("migrate", "bring the database of a data folder into a PostgreSQL, or back, or its blobs into another store; the server must not run");
  migrate->add_option("--data", parsed.migrate.data_dir, "data folder")->required();
  auto* to = migrate->add_option("--to", parsed.migrate.to, "postgresql://... of an empty database");
  migrate->add_option("--from", parsed.migrate.from, "postgresql://... that it uses now")->excludes(to);
  migrate->add_option("--blobs", parsed.migrate.blobs.url, "where the blobs shall lie: s3://..., /FOLDER, or `local`: DIR/blobs")->excludes(to);
  migrate->add_option("--blobs-credentials", parsed.migrate.blobs.credentials_file, kBlobsCredentials);
  migrate->callback([&] { exit_code = finish(parsed.migrate.blobs.url.empty() ? admin::migrate(machine(), parsed.migrate) : admin::migrate_blobs(machine(), parsed.migrate)); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"The server of Fleet: registry, signing, rollouts, telemetry, artifacts.", "fleet-server"};
  app.set_version_flag("--version", "fleet-server " FLEET_VERSION);
  app.require_subcommand(1);
  Parsed parsed;
  int exit_code = 0;
  describe(app, parsed, exit_code);
  describe_data(app, parsed, exit_code);
  describe_keys(app, parsed, exit_code);
  describe_nodes(app, parsed, exit_code);
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  } catch (std::exception const& error) {
    return report({fleet::Kind::internal, "internal", error.what(), "this is a fault of the program: please report it"});
  }
  return exit_code;
}
