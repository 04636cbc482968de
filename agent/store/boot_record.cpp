#include "agent/store/boot_record.hpp"

#include "agent/store/record_file.hpp"
#include "core/wire/json.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kBytesMax = 4096;
constexpr std::int64_t kSecondsMax = 366 * 86'400;

}  // namespace

Result<std::optional<BootRecord>> load_boot(Fs& fs, Layout const& layout) {
  std::optional<BootRecord> const none;
  auto const line = fs.read(layout.boot(), kBytesMax);
  if (!line && line.error().kind == Kind::io) return line.error();
  if (!line || !line->ends_with('\n')) return none;
  auto const text = RecordFile::text_of(std::string_view(*line).substr(0, line->size() - 1));
  auto const value = text ? wire::parse_json(*text, kBytesMax) : Result<json::value>(Error{Kind::corrupt, "bad_boot", layout.boot()});
  if (!value) return none;
  std::vector<FieldError> faults;
  wire::ObjectReader reader(*value, "", faults);
  BootRecord out{reader.required_text("trial", 64), reader.text("back", 64, {}), static_cast<int>(reader.integer("starts", 0, 1'000'000, 0)),
                 seconds{reader.integer("watchdog_s", 0, kSecondsMax, 0)}};
  return faults.empty() ? std::optional(std::move(out)) : std::nullopt;
}

Result<void> save_boot(Fs& fs, Layout const& layout, BootRecord const& record) {
  auto const watchdog_s = std::chrono::ceil<seconds>(record.watchdog).count();
  json::object const object{{"trial", record.trial}, {"back", record.back}, {"starts", record.starts}, {"watchdog_s", watchdog_s}};
  return fs.replace(layout.boot(), RecordFile::line_of(json::serialize(object)), 0600);
}

Result<void> forget_boot(Fs& fs, Layout const& layout) {
  auto const gone = fs.remove(layout.boot());
  if (!gone && gone.error().kind != Kind::not_found) return gone;
  return gone ? fs.sync_dir(layout.state()) : Result<void>{};
}

}  // namespace fleet::agent
