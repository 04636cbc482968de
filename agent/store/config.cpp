#include "agent/store/config.hpp"

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"
#include "core/wire/yaml.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace fleet::agent {
namespace {

constexpr std::size_t kBytesMax = 64 * 1024;
using Faults = std::vector<FieldError>;

void read_poll(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("poll");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/poll", faults);
  out.poll_interval = reader.duration("interval").value_or(out.poll_interval);
  out.poll_jitter = reader.number("jitter", out.poll_jitter);
  out.long_poll = reader.boolean("long_poll", out.long_poll);
  if (out.poll_interval < Millis{1000}) reader.fault("interval", "at least 1s");
  if (!(out.poll_jitter >= 0 && out.poll_jitter <= 1)) reader.fault("jitter", "between 0 and 1");
  reader.refuse_unknown();
}

std::uint64_t read_size(wire::ObjectReader& reader, std::string_view key) {
  auto const text = reader.text(key, 32, {});
  if (text.empty()) return 0;
  auto const size = wire::parse_size(text);
  if (!size) reader.fault(key, size.error().detail);
  return size ? *size : 0;
}

void read_bandwidth(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("bandwidth");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/bandwidth", faults);
  if (auto const text = reader.text("max", 32, {}); !text.empty()) {
    auto const rate = wire::parse_rate(text);
    if (rate) out.bandwidth_bytes_per_s = *rate;
    else reader.fault("max", rate.error().detail);
  }
  out.download_bytes_per_day = read_size(reader, "per_day");
  out.metered = reader.text("metered", 8, out.metered);
  if (out.metered != "auto" && out.metered != "yes" && out.metered != "no") reader.fault("metered", "is one of auto, yes, no");
  reader.refuse_unknown();
}

void read_telemetry(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("telemetry");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/telemetry", faults);
  out.telemetry_interval = reader.duration("interval").value_or(out.telemetry_interval);
  out.telemetry_bytes_per_day = read_size(reader, "per_day");
  out.udp_port = static_cast<int>(reader.integer("udp_port", 0, 65'535, 0));
  if (out.telemetry_interval < Millis{100}) reader.fault("interval", "at least 100ms");
  reader.refuse_unknown();
}

void read_exec(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("exec");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/exec", faults);
  out.run_as = reader.text("run_as", 64, {});
  for (auto& [name, path] : reader.text_map("programs", 64, 1024)) {
    if (!path.starts_with('/')) reader.fault("programs", fmt::format("{}: an absolute path is needed", name));
    out.programs.emplace(std::move(name), std::move(path));
  }
  reader.refuse_unknown();
}

void read_hooks(wire::ObjectReader& top, Config& out, Faults& faults) {
  if (auto const* const value = top.find("hooks")) {
    wire::ObjectReader reader(*value, "/hooks", faults);
    out.switched_hook = reader.texts("switched", 64, 1024);
    out.removed_hook = reader.texts("removed", 64, 1024);
    reader.refuse_unknown();
  }
  auto const* const value = top.find("conditions");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/conditions", faults);
  out.battery_file = reader.text("battery", 1024, {});
  if (auto const* const metered = reader.find("metered")) {
    wire::ObjectReader inner(*metered, "/conditions/metered", faults);
    out.metered_command = inner.texts("exec", 64, 1024);
    inner.refuse_unknown();
  }
  reader.refuse_unknown();
}

}  // namespace

Result<Config> parse_config(std::string_view yaml) {
  FLEET_TRY(auto const text, wire::yaml_to_json(yaml, kBytesMax));
  Config out;
  if (text == "null") return out;
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  Faults faults;
  wire::ObjectReader top(value, "", faults);
  out.servers = top.texts("servers", 8, 1024);
  read_poll(top, out, faults);
  read_bandwidth(top, out, faults);
  read_telemetry(top, out, faults);
  read_exec(top, out, faults);
  read_hooks(top, out, faults);
  for (auto& [key, fact] : top.text_map("report", 64, 256)) out.report.emplace(std::move(key), std::move(fact));
  for (auto const& name : top.texts("handlers", 8, 32))
    if (name != "files") top.fault("handlers", fmt::format("'{}' is no handler of this agent; it has files", name));
  top.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "agent.yaml"));
  return out;
}

Result<Config> load_config(Fs& fs, std::string const& path) {
  auto const text = fs.read(path, kBytesMax);
  if (!text && text.error().kind == Kind::not_found) return Config{};
  if (!text) return text.error();
  auto config = parse_config(*text);
  if (config) return config;
  auto error = config.error();
  error.detail = path + ": " + error.detail;
  return error;
}

}  // namespace fleet::agent
