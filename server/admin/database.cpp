#include "server/admin/database.hpp"

#include "core/wire/json.hpp"
#include "core/wire/yaml.hpp"
#include "server/blobs/store/open.hpp"
#include "server/signing/repository.hpp"
#include "server/store/place.hpp"
#include "server/store/transfer/transfer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace fleet::admin {
namespace {

constexpr std::uint64_t kSettingsMax = 64 * 1024;
constexpr std::size_t kUrlMax = 2048;
constexpr auto kTexts = std::to_array<std::string_view>({"/database", "/blobs", "/telemetry"});

/// What DIR/server.yaml names; empty: nothing.
struct Named {
  std::string database, blobs, telemetry;
};
Result<Named> read_settings(Fs& fs, std::string const& file) {
  auto const yaml = fs.read(file, kSettingsMax);
  if (!yaml) return yaml.error().kind == Kind::not_found ? Result<Named>(Named{}) : yaml.error();
  auto const document = wire::read_yaml(*yaml, kSettingsMax, kTexts);
  if (!document) return wire::in_file(document.error(), file);
  FLEET_TRY(auto const value, wire::parse_json(document->json, kSettingsMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Named out{reader.text("database", kUrlMax, {}), reader.text("blobs", kUrlMax, {}), reader.text("telemetry", kUrlMax, {})};
  if (auto const fits = out.database.empty() ? Result<void>() : check_url(out.database); !fits) reader.fault("database", "is no postgresql://...");
  if (auto const fits = out.blobs.empty() ? Result<void>() : blobs::check_url(out.blobs); !fits) reader.fault("blobs", fits.error().detail);
  reader.refuse_unknown();
  if (auto const none = wire::no_faults(faults, "server.yaml"); !none) return document->located(none.error(), file);
  return out;
}

Error two_databases(std::string detail, std::string hint) { return {Kind::conflict, "two_databases", std::move(detail), std::move(hint)}; }

}  // namespace

Result<void> check_url(std::string const& url) {
  FLEET_CHECK(store::check_url(url));
  // What a URL writes as %22 and the like (RFC 3986, 2), and server.yaml would read otherwise.
  bool const fits = url.size() <= kUrlMax && std::all_of(url.begin(), url.end(), [](char one) { return one > ' ' && one < '\x7f' && one != '"' && one != '\\'; });
  return fits ? Result<void>() : Error{Kind::bad_input, "bad_database", "the database's URL holds what a URL does not, or is longer than 2,048 characters", "write it as %20 and the like"};
}

Result<Layout> find_layout(Fs& fs, DataDir const& data) {
  Layout layout{data.path};
  if (!fs.info(layout.ca_certificate()))
    return Error{Kind::not_found, "no_data_dir", fmt::format("{} is no data folder of a fleet-server", layout.dir),
                 fmt::format("make one: fleet-server init --data {} --host NAME", layout.dir)};
  if (!data.database.empty()) FLEET_CHECK(check_url(data.database));
  if (!data.blobs.url.empty()) FLEET_CHECK(blobs::check_url(data.blobs.url));
  FLEET_TRY(auto const named, read_settings(fs, layout.settings()));
  layout.database_url = named.database;
  layout.telemetry_url = named.telemetry;
  if (!data.blobs.url.empty() && !named.blobs.empty() && data.blobs.url != named.blobs)
    return Error{Kind::conflict, "two_blobs", fmt::format("--blobs is another store than the one that {} names", layout.settings()), "leave one of them out; fleet-server migrate --blobs brings blobs to another"};
  layout.blobs_url = named.blobs.empty() ? data.blobs.url : named.blobs;
  if (!data.database.empty() && !layout.database_url.empty() && data.database != layout.database_url)
    return two_databases(fmt::format("--database is another than the one that {} names", layout.settings()), "leave one of them out");
  if (layout.database_url.empty()) layout.database_url = data.database;
  auto const file = store::sqlite_file(layout.dir);
  bool const has_file = fs.info(file).has_value();
  if (has_file && !layout.database_url.empty())
    return two_databases(fmt::format("the folder's database is {}, and a PostgreSQL is named", file),
                         fmt::format("fleet-server migrate --data {} --to URL brings it there; where a migration was cut, put the one away that is not wanted", layout.dir));
  if (!has_file && layout.database_url.empty())
    return Error{Kind::not_found, "no_database", fmt::format("{} is missing, and {} names no other", file, layout.settings()), "name it by --database, or restore a backup"};
  return layout;
}

Result<void> check_pair(db::Connection& reader, signing::KeyRing& keys) {
  for (auto const* const role : {"snapshot", "timestamp"}) {
    FLEET_TRY(bool const ours, signing::holds_role(reader, keys, role));
    if (ours) return {};
  }
  return Error{Kind::conflict, "not_its_database", "the metadata in the database names none of the keys of this data folder", "look at --database and DIR/server.yaml: it is another fleet's"};
}

Result<void> write_settings(Fs& fs, Layout const& layout) {
  FLEET_TRY(auto const before, read_settings(fs, layout.settings()));
  std::string text;
  for (auto const& [name, url] : {std::pair{"database", &layout.database_url}, std::pair{"blobs", &layout.blobs_url}, std::pair{"telemetry", &before.telemetry}})
    if (!url->empty()) text += fmt::format("{}: \"{}\"\n", name, *url);
  if (!text.empty()) return fs.replace(layout.settings(), text, 0600);
  auto const removed = fs.remove(layout.settings());
  return !removed && removed.error().kind == Kind::not_found ? Result<void>() : removed;
}

}  // namespace fleet::admin
