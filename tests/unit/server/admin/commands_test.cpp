#include "server/admin/commands.hpp"
#include "server/admin/archive.hpp"
#include "server/admin/authorities.hpp"
#include "server/admin/data_dir.hpp"
#include "server/admin/address.hpp"

#include "server/blobs/store/paths.hpp"
#include "server/node.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace fleet;
using namespace fleet::admin;
namespace fs = std::filesystem;

namespace {

Machine const kMachine{system_clock(), system_random()};

crypto::KeyFiles plain_keys() { return {system_fs(), system_random()}; }

/// A folder of its own for a test, with a data folder, files and a second data folder in it.
class Place {
public:
  Place() : root(fs::temp_directory_path() / ("fleet-commands-" + std::to_string(system_random().next()))) { fs::create_directories(root); }
  ~Place() {
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
  fs::path root;
  [[nodiscard]] std::string at(std::string const& name) const { return (root / name).string(); }
  void init() const { ok(admin::init(kMachine, {.data_dir = at("data"), .hosts = {"fleet.test", "10.0.0.1"}, .name = "test"})); }
  static void ok(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().code + ": " + done.error().detail)); }
  void sql(std::string const& data, std::string const& text) const {
    auto opened = store::Store::open(at(data), system_clock());
    REQUIRE(opened.has_value());
    auto const job = [&](store::Tx& tx) { return tx.connection().script(text); };
    ok((*opened)->write_wait(store::Lane::verbs, job));
    (*opened)->close();
  }
  [[nodiscard]] std::string read(std::string const& data, std::string const& text) const {
    auto connection = sqlite::open(at(data) + "/fleet.db", sqlite::Mode::read_only);
    REQUIRE(connection.has_value());
    auto row = connection->prepare(db::Query{text, text});
    REQUIRE(*row.step());
    return row.text(0);
  }
  /// A blob as a publisher would have left it.
  [[nodiscard]] std::string add_blob(std::string const& content) const {
    auto const digest = crypto::sha256(content);
    auto const path = blobs::blob_path(at("data"), digest);
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
    sql("data", "INSERT INTO blobs (sha256, size, created_at) VALUES (x'" + digest.hex() + "', " + std::to_string(content.size()) + ", 0)");
    return path;
  }
  [[nodiscard]] std::vector<std::string> check(std::string const& data) const {
    auto const findings = admin::check(kMachine, {at(data)});
    REQUIRE_MESSAGE(findings.has_value(), (findings ? "" : findings.error().detail));
    return *findings;
  }
};

void flip_last_bit(std::string const& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-1, std::ios::end);
  auto const last = static_cast<char>(file.get() ^ 1);
  file.seekp(-1, std::ios::end);
  file.put(last);
}

std::string content_of(std::string const& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

fs::perms mode(std::string const& path) { return fs::status(path).permissions(); }

}  // namespace

TEST_CASE("init makes a folder that is sound, private, and made once") {
  Place place;
  place.init();
  CHECK(mode(place.at("data")) == fs::perms::owner_all);
  for (auto const* secret : {"data/admin.token", "data/ca.key", "data/server.key"})
    CHECK(mode(place.at(secret)) == (fs::perms::owner_read | fs::perms::owner_write));
  auto const token = content_of(place.at("data/admin.token"));
  CHECK(token.starts_with("flt_"));
  CHECK(place.read("data", "SELECT lower(hex(hash)) FROM tokens WHERE role = 'admin'") == crypto::sha256(token.substr(0, token.size() - 1)).hex());
  CHECK(place.check("data").empty());

  auto const again = admin::init(kMachine, {.data_dir = place.at("data"), .hosts = {"fleet.test"}});
  REQUIRE_FALSE(again.has_value());
  CHECK(again.error().code == "data_dir_not_empty");
  CHECK_FALSE(again.error().hint.empty());
  CHECK(content_of(place.at("data/admin.token")) == token);
}

TEST_CASE("the server's certificate is made again when two thirds of it have passed") {
  Place place;
  place.init();
  Layout const layout{place.at("data")};
  auto const ca = read_ca(system_fs(), plain_keys(), layout);
  REQUIRE(ca.has_value());
  auto const now = system_clock().wall();
  auto const first = load_server_identity(system_fs(), plain_keys(), layout, *ca, {"fleet.test"}, {now + std::chrono::hours{24 * 240}});
  auto const second = load_server_identity(system_fs(), plain_keys(), layout, *ca, {"fleet.test"}, {now + std::chrono::hours{24 * 250}});
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(first->certificate != second->certificate);
  CHECK(content_of(layout.server_certificate()) == second->certificate);
}

TEST_CASE("a certificate that was made while the clock was ahead is made again") {
  Place place;
  place.init();
  Layout const layout{place.at("data")};
  auto const ca = read_ca(system_fs(), plain_keys(), layout);
  REQUIRE(ca.has_value());
  auto const now = system_clock().wall();
  auto const ahead = load_server_identity(system_fs(), plain_keys(), layout, *ca, {"fleet.test"}, {now + std::chrono::hours{24 * 1000}});
  auto const right = load_server_identity(system_fs(), plain_keys(), layout, *ca, {"fleet.test"}, {now});
  REQUIRE(ahead.has_value());
  REQUIRE(right.has_value());
  CHECK(crypto::inspect_certificate(right->certificate)->not_before <= now);
}

TEST_CASE("run, check and backup refuse a folder that init never made") {
  Place place;
  CHECK(run({.data_dir = place.at("none")}).error().code == "no_data_dir");
  CHECK(admin::check(kMachine, {place.at("none")}).error().code == "no_data_dir");
  CHECK(admin::backup(kMachine, {.data_dir = place.at("none"), .file = place.at("b"), .passphrase_file = ""}).error().code == "no_data_dir");
}

TEST_CASE("check finds a flipped bit of a blob, a missing blob, and a row cut out of the audit log") {
  Place place;
  place.init();
  auto const path = place.add_blob("the weights of a model");
  CHECK(place.check("data").empty());
  SUBCASE("flipped") {
    flip_last_bit(path);
    auto const findings = place.check("data");
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].find(fs::path(path).filename().string()) != std::string::npos);
  }
  SUBCASE("missing") {
    fs::remove(path);
    CHECK(place.check("data").size() == 1);
  }
  SUBCASE("cut") {
    place.sql("data", "INSERT INTO audit SELECT seq + 1, time, actor, action, subject, before, after, reason, request_id, hash, hash FROM audit WHERE seq = 1");
    CHECK_FALSE(place.check("data").empty());
    place.sql("data", "DELETE FROM audit WHERE seq = 1");
    CHECK_FALSE(place.check("data").empty());
  }
}

TEST_CASE("a backup restores to a sound server whose sequences are above all the lost one used") {
  Place place;
  place.init();
  auto const blob = place.add_blob(std::string(200'000, 'w'));
  place.sql("data",
            "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, directive_sequence, created_at) VALUES "
            "(1, 'cam-1', 'cam-a', 'active', x'01', 0, 5, 0), (2, 'cam-2', 'cam-a', 'active', x'02', 0, 9000000000, 0)");
  std::string passphrase_file;
  SUBCASE("plain") {}
  SUBCASE("encrypted") {
    passphrase_file = place.at("pass");
    std::ofstream(passphrase_file) << "correct horse battery\n";
  }
  BackupOptions const options{.data_dir = place.at("data"), .file = place.at("backup"), .passphrase_file = passphrase_file};
  Place::ok(admin::backup(kMachine, options));
  CHECK(mode(options.file) == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK((content_of(options.file).find("PRIVATE KEY") == std::string::npos) == !passphrase_file.empty());
  CHECK(admin::backup(kMachine, options).error().code == "backup_exists");

  Place::ok(admin::restore(kMachine, {.data_dir = place.at("again"), .file = options.file, .passphrase_file = passphrase_file}));
  CHECK(place.check("again").empty());
  CHECK(content_of(place.at("again/ca.pem")) == content_of(place.at("data/ca.pem")));
  CHECK(content_of(blobs::blob_path(place.at("again"), crypto::sha256(std::string(200'000, 'w')))).size() == 200'000);
  CHECK(std::stoll(place.read("again", "SELECT directive_sequence FROM devices WHERE n = 1")) > 1'700'000'000);
  CHECK(place.read("again", "SELECT directive_sequence FROM devices WHERE n = 2") == "9000000001");
  CHECK(std::stoll(place.read("again", "SELECT max(version) FROM metadata WHERE repository = 'release' AND role = 'timestamp'")) > 1'700'000'000);
  CHECK(place.read("again", "SELECT max(version) FROM metadata WHERE repository = 'release' AND role = 'root'") == "2");

  std::ofstream(place.at("other")) << "correct horse battery\n";
  if (passphrase_file.empty())
    CHECK(admin::restore(kMachine, {.data_dir = place.at("third"), .file = options.file, .passphrase_file = place.at("other")}).error().code == "backup_not_sealed");

  auto const onto = admin::restore(kMachine, {.data_dir = place.at("data"), .file = options.file, .passphrase_file = passphrase_file});
  REQUIRE_FALSE(onto.has_value());
  CHECK(onto.error().code == "data_dir_not_empty");
}

TEST_CASE("a backup holds while the running server replaces its certificate") {
  Place place;
  place.init();
  // Copying it takes long enough for a replacement to fall into every backup.
  auto const blob = place.add_blob(std::string(8'000'000, 'w'));
  auto const certificate = place.at("data/server.pem");
  std::atomic<bool> done{false};
  std::jthread const renewing([&] {
    for (std::size_t i = 0; !done.load(); ++i) Place::ok(system_fs().replace(certificate, "certificate " + std::to_string(i), 0644));
  });
  for (int i = 0; i < 5; ++i) {
    auto const file = place.at("backup-" + std::to_string(i)), again = place.at("again-" + std::to_string(i));
    auto const made = admin::backup(kMachine, {.data_dir = place.at("data"), .file = file, .passphrase_file = ""});
    CHECK_MESSAGE(made.has_value(), (made ? "" : made.error().detail));
    if (made) CHECK(admin::restore(kMachine, {.data_dir = again, .file = file, .passphrase_file = ""}).has_value());
  }
  done = true;
}

TEST_CASE("a damaged, cut or foreign backup, or a wrong passphrase, restores nothing that could be run") {
  Place place;
  place.init();
  auto const blob = place.add_blob(std::string(100'000, 'w'));
  auto const pass = place.at("pass"), wrong = place.at("wrong");
  std::ofstream(pass) << "correct horse battery\n";
  std::ofstream(wrong) << "incorrect horse battery\n";
  bool sealed = false;
  SUBCASE("plain") {}
  SUBCASE("encrypted") { sealed = true; }
  std::string const with = sealed ? pass : "";
  Place::ok(admin::backup(kMachine, {.data_dir = place.at("data"), .file = place.at("backup"), .passphrase_file = with}));
  auto const content = content_of(place.at("backup"));

  struct Case {
    char const* name;
    std::string content;
  };
  auto flipped = content;
  flipped[content.size() / 2] ^= 1;
  for (auto const& [name, damaged] : {Case{"flipped", flipped}, Case{"cut", content.substr(0, content.size() - 1)}, Case{"longer", content + "x"},
                                      Case{"half", content.substr(0, content.size() / 2)}, Case{"empty", ""}, Case{"foreign", "#!/bin/sh\n"}}) {
    CAPTURE(name);
    std::ofstream(place.at(name), std::ios::binary) << damaged;
    auto const data = std::string("from-") + name;
    auto const restored = admin::restore(kMachine, {.data_dir = place.at(data), .file = place.at(name), .passphrase_file = with});
    CHECK_FALSE(restored.has_value());
    CHECK_FALSE(run({.data_dir = place.at(data)}).has_value());
  }
  if (sealed) {
    CHECK(admin::restore(kMachine, {.data_dir = place.at("w"), .file = place.at("backup"), .passphrase_file = wrong}).error().kind == Kind::unauthenticated);
    CHECK(admin::restore(kMachine, {.data_dir = place.at("w"), .file = place.at("backup"), .passphrase_file = ""}).error().code == "passphrase_missing");
  }
}

TEST_CASE("what server.yaml says of telemetry stays when the database moves") {
  Place place;
  place.init();
  auto layout = find_layout(system_fs(), {place.at("data")});
  REQUIRE(layout.has_value());
  CHECK(layout->telemetry_url.empty());
  auto const written = [&] {
    std::ifstream file(layout->settings());
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  std::ofstream(layout->settings()) << "telemetry: clickhouse://fleet@localhost:8123/fleet\n";
  layout = find_layout(system_fs(), {place.at("data")});
  REQUIRE(layout.has_value());
  CHECK(layout->telemetry_url == "clickhouse://fleet@localhost:8123/fleet");
  layout->database_url = "postgresql://localhost/fleet";
  Place::ok(write_settings(system_fs(), *layout));
  CHECK(written() == "database: \"postgresql://localhost/fleet\"\ntelemetry: \"clickhouse://fleet@localhost:8123/fleet\"\n");
  layout->database_url.clear();
  Place::ok(write_settings(system_fs(), *layout));
  CHECK(written() == "telemetry: \"clickhouse://fleet@localhost:8123/fleet\"\n");
  std::ofstream(layout->settings()) << "telemetry: 7\nelse: 1\n";
  auto const wrong = find_layout(system_fs(), {place.at("data")});
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().kind == Kind::bad_input);

  std::ofstream(layout->settings()) << "telemetry: clickhouse://fleet@localhost:8123/fleet\n";
  auto const two = run({.data_dir = place.at("data"), .telemetry = "clickhouse://elsewhere/fleet"});
  REQUIRE_FALSE(two.has_value());
  CHECK(two.error().code == "two_telemetries");
}

TEST_CASE("addresses to listen on") {
  struct Case {
    char const* text;
    char const* host;
    int port;
  };
  for (auto const& [text, host, port] :
       {Case{"127.0.0.1:8443", "127.0.0.1", 8443}, Case{"[::1]:0", "::1", 0}, Case{":8444", "0.0.0.0", 8444}, Case{"fleet.test:1", "fleet.test", 1}}) {
    CAPTURE(text);
    auto const address = Address::parse(text);
    REQUIRE(address.has_value());
    CHECK(address->host == host);
    CHECK(address->port == port);
  }
  for (auto const* text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "::1:80"}) {
    CAPTURE(text);
    CHECK_FALSE(Address::parse(text).has_value());
  }
}
