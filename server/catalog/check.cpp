#include "server/catalog/check.hpp"

#include "core/crypto/hash.hpp"
#include "core/wire/release.hpp"
#include "server/catalog/blobs.hpp"
#include "server/catalog/queries.hpp"

#include <boost/json/parse.hpp>
#include <fmt/format.h>

namespace fleet::catalog {
namespace {

using Findings = std::vector<std::string>;

Result<void> check_blobs(db::Connection& reader, Fs& fs, std::string const& data_dir, Findings& findings) {
  auto rows = reader.prepare(kAllBlobs);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    auto const expected = rows.digest(0);
    auto const found = crypto::sha256_file(fs, blob_path(data_dir, expected));
    if (!found) findings.push_back(fmt::format("blob {}: {}", expected.hex(), found.error().detail));
    else if (found->sha256 != expected || found->size != static_cast<std::uint64_t>(rows.int64(1)))
      findings.push_back(fmt::format("blob {}: its bytes have digest {} ({} bytes, expected {})", expected.hex(), found->sha256.hex(), found->size, rows.int64(1)));
  }
}

Result<void> check_documents(db::Connection& reader, Findings& findings) {
  auto rows = reader.prepare(kAllDocuments);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    auto const name = rows.text(0) + "@" + rows.text(1);
    if (crypto::sha256(rows.text_view(3)) != rows.digest(2)) findings.push_back(fmt::format("release {}: its release.json does not have its digest", name));
    if (auto const release = wire::decode_release(rows.text_view(3)); !release) findings.push_back(fmt::format("release {}: {}", name, release.error().detail));
  }
}

Result<void> check_metadata(db::Connection& reader, Findings& findings) {
  auto rows = reader.prepare(kAllMetadata);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    boost::system::error_code fault;
    auto const document = boost::json::parse(as_text(rows.blob(3)), fault);
    auto const* const version = fault ? nullptr : document.find_pointer("/signed/version", fault);
    if (version == nullptr || !version->is_int64() || version->get_int64() != rows.int64(2))
      findings.push_back(fmt::format("metadata {}/{}.{}.json: is not what its row says", rows.text(0), rows.int64(2), rows.text(1)));
  }
}

}  // namespace

Result<std::vector<std::string>> check_catalog(db::Connection& reader, Fs& fs, std::string const& data_dir) {
  Findings findings;
  FLEET_CHECK(check_blobs(reader, fs, data_dir, findings));
  FLEET_CHECK(check_documents(reader, findings));
  FLEET_CHECK(check_metadata(reader, findings));
  return findings;
}

}  // namespace fleet::catalog
