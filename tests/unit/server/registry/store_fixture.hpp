#pragma once

#include "core/base/random.hpp"
#include "core/crypto/x509.hpp"
#include "server/services.hpp"
#include "server/store/store.hpp"
#include "tests/unit/server/registry/result_printer.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>

namespace fleet::test {

/// A folder that goes with the test.
class TempDir {
public:
  TempDir() : path_(std::filesystem::temp_directory_path() / make_ulid("fleet-test-", 0, system_random())) { std::filesystem::create_directories(path_); }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(TempDir const&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

private:
  std::filesystem::path path_;
};

inline SysTime const kStart = *parse_rfc3339("2026-11-20T10:00:00Z");

/// A store on a temporary folder with a CA and first metadata, as `init` leaves them.
struct StoreFixture {
  TempDir dir;
  FakeClock clock{kStart};
  std::unique_ptr<store::Store> store = open_store(dir.path());
  Services services{.data_dir = dir.path(),
                    .clock = clock,
                    .fs = system_fs(),
                    .random = system_random(),
                    .store = *store,
                    .ca = make_test_ca(),
                    .server_name = "test",
                    .devices_url = "https://127.0.0.1:8444"};

  StoreFixture() {
    sql({"test.root",
         "INSERT INTO metadata (repository, role, version, bytes, expires_at) VALUES ('release', 'root', 1, CAST('old' AS BLOB), 0), "
         "('release', 'root', 2, CAST('tuf-root' AS BLOB), 0), ('directive', 'root', 1, CAST('directive-root' AS BLOB), 0)"});
  }
  ~StoreFixture() { store->close(); }
  StoreFixture(StoreFixture const&) = delete;

  static std::unique_ptr<store::Store> open_store(std::string const& path) {
    auto opened = store::Store::open(path, system_clock());
    REQUIRE_MESSAGE(opened, opened.error().detail);
    return std::move(*opened);
  }
  static crypto::CertificateAndKey make_test_ca() {
    static crypto::CertificateAndKey const ca = *crypto::make_ca("test", kStart - std::chrono::hours(1), kStart + std::chrono::hours(24 * 3650));
    return ca;
  }
  /// Runs one statement with its values as a write.
  template <class... T>
  void sql(db::Query const& query, T const&... values) {
    auto const done = store->write_wait(store::Lane::verbs, [&](store::Tx& tx) {
      auto statement = tx.prepare(query);
      statement.bind_all(values...);
      return statement.run();
    });
    REQUIRE_MESSAGE(done, done.error().detail);
  }
  /// The first column of the first row.
  template <class... T>
  std::string text(db::Query const& query, T const&... values) {
    auto row = store->reader().prepare(query);
    row.bind_all(values...);
    auto const found = row.step();
    REQUIRE(found);
    return *found ? row.text(0) : std::string();
  }
};

}  // namespace fleet::test
