#include "agent/store/config.hpp"

#include "core/base/names.hpp"
#include "core/net/client.hpp"
#include "core/wire/json.hpp"
#include "core/wire/metric_schema.hpp"
#include "core/wire/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>
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
  auto const interval = reader.duration("interval");
  out.telemetry_interval = interval.value_or(out.telemetry_interval);
  out.telemetry_idle = reader.duration("idle").value_or(interval ? *interval : out.telemetry_idle);
  out.telemetry_bytes_per_day = read_size(reader, "per_day");
  out.udp_port = static_cast<int>(reader.integer("udp_port", 0, 65'535, 0));
  out.telemetry_health = reader.duration("health").value_or(out.telemetry_health);
  out.telemetry_send = reader.texts("send", 64, 128);
  if (reader.find("send") != nullptr && out.telemetry_send.empty()) reader.fault("send", "names metrics; without it all leave the device");
  if (out.telemetry_interval < Millis{100}) reader.fault("interval", "at least 100ms");
  if (out.telemetry_idle < out.telemetry_interval) reader.fault("idle", "at least telemetry.interval");
  reader.refuse_unknown();
}

void read_sensors(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("sensors");
  if (value == nullptr) return;
  auto const* const sensors = value->if_object();
  if (sensors == nullptr || sensors->size() > 64) return top.fault("sensors", "expected at most 64 metrics by their names: {temperature: {range: [-40, 85]}}");
  for (auto const& [key, inner] : *sensors) {
    std::string const name(key);
    wire::ObjectReader one(inner, "/sensors/" + name, faults);
    out.sensors.emplace(name, wire::read_metric_schema(one, true));
  }
}

bool is_variable(std::string_view name) {
  auto const fits = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && std::all_of(name.begin(), name.end(), fits) && (name[0] < '0' || name[0] > '9') && !name.starts_with("FLEET_");
}

void read_limits(wire::ObjectReader& exec, proof::ExecLimits& out, Faults& faults) {
  auto const* const value = exec.find("limits");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/exec/limits", faults);
  constexpr std::int64_t kCountMax = 1'000'000;
  out.processes = static_cast<std::uint64_t>(reader.integer("processes", 1, kCountMax, static_cast<std::int64_t>(out.processes)));
  out.open_files = static_cast<std::uint64_t>(reader.integer("open_files", 16, kCountMax, static_cast<std::int64_t>(out.open_files)));
  out.memory_bytes = read_size(reader, "memory");
  if (auto const size = read_size(reader, "file_size"); size > 0) out.file_bytes = size;
  reader.refuse_unknown();
}

void read_exec(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("exec");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/exec", faults);
  out.exec.run_as = reader.text("run_as", 64, {});
  for (auto& [name, path] : reader.text_map("programs", 64, 1024)) {
    if (!path.starts_with('/')) reader.fault("programs", fmt::format("{}: an absolute path is needed", name));
    out.exec.programs.emplace(std::move(name), std::move(path));
  }
  for (auto& [name, text] : reader.text_map("environment", 64, 4096)) {
    if (!is_variable(name)) reader.fault("environment", fmt::format("'{}' is no name of a variable, or begins with FLEET_, which is the agent's", name));
    out.exec.environment.emplace(std::move(name), std::move(text));
  }
  for (auto const& name : reader.texts("as_root", 16, 64)) {
    if (!out.exec.programs.contains(name)) reader.fault("as_root", fmt::format("'{}' is none of the programs", name));
    out.as_root.insert(name);
  }
  read_limits(reader, out.exec.limits, faults);
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
  out.charging_file = reader.text("charging", 1024, {});
  out.temperature_file = reader.text("temperature", 1024, {});
  if (auto const* const metered = reader.find("metered")) {
    wire::ObjectReader inner(*metered, "/conditions/metered", faults);
    out.metered_command = inner.texts("exec", 64, 1024);
    inner.refuse_unknown();
  }
  reader.refuse_unknown();
}

void read_keep(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("keep");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/keep", faults);
  out.keep_versions = static_cast<int>(reader.integer("versions", 2, 16, out.keep_versions));
  out.keep_max_bytes = read_size(reader, "max");
  reader.refuse_unknown();
}

void read_memory(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("memory");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/memory", faults);
  out.memory_dir = reader.required_text("dir", 1024);
  while (out.memory_dir.size() > 1 && out.memory_dir.ends_with('/')) out.memory_dir.pop_back();
  if (!out.memory_dir.empty() && !out.memory_dir.starts_with('/')) reader.fault("dir", "is an absolute path");
  out.memory_max_bytes = read_size(reader, "max");
  reader.refuse_unknown();
}

void read_handlers(wire::ObjectReader& top, Config& out, Faults& faults) {
  if (top.find("handlers") != nullptr) out.handlers = top.texts("handlers", 8, 32);
  for (auto const& name : out.handlers)
    if (std::find(wire::kHandlers.begin(), wire::kHandlers.end(), name) == wire::kHandlers.end())
      top.fault("handlers", fmt::format("'{}' is no handler of this agent; it has {}", name, fmt::join(wire::kHandlers, ", ")));
  auto const* const value = top.find("unpack");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/unpack", faults);
  if (auto const size = read_size(reader, "max"); size > 0) out.unpack.max_bytes = size;
  out.unpack.ratio = static_cast<std::uint64_t>(reader.integer("ratio", 1, 1'000, static_cast<std::int64_t>(out.unpack.ratio)));
  reader.refuse_unknown();
}

void read_update_lock(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("update_lock");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/update_lock", faults);
  out.update_lock.file = reader.text("file", 1024, {});
  out.update_lock.max_delay = reader.duration("max_delay").value_or(out.update_lock.max_delay);
  out.update_lock.consent = reader.texts("consent", 64, 64);
  for (auto const& model : out.update_lock.consent)
    if (auto const named = check_model_name(model); !named) reader.fault("consent", named.error().detail);
  reader.refuse_unknown();
}

void read_proving(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const check_model = [&](std::string_view key, std::string const& model) {
    if (auto const named = check_model_name(model); !named) top.fault(key, named.error().detail);
  };
  for (auto& [model, path] : top.text_map("inputs", 64, 1024)) {
    check_model("inputs", model);
    if (!path.starts_with('/')) faults.push_back({"/inputs/" + model, "an absolute path is needed"});
    out.inputs.emplace(std::move(model), std::move(path));
  }
  out.unload_first = top.texts("unload_first", 64, 64);
  for (auto const& model : out.unload_first) check_model("unload_first", model);
}

FactSource read_source(wire::ObjectReader reader) {
  FactSource out{reader.text("file", 1024, {}), reader.texts("exec", 64, 1024)};
  if (out.file.empty() == out.exec.empty()) reader.fault("", "a fact is a text, {file: PATH} or {exec: [PROGRAM, ...]}");
  if (!out.file.empty() && !out.file.starts_with('/')) reader.fault("file", "an absolute path is needed");
  reader.refuse_unknown();
  return out;
}

/// Facts as they are written down, and where others are found.
void read_report(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("report");
  if (value == nullptr) return;
  boost::json::object written;
  auto& plain = written["report"] = *value;
  auto const* const object = value->if_object();
  for (auto const& [key, fact] : object == nullptr ? boost::json::object() : *object) {
    if (!fact.is_object()) continue;
    std::string const name(key);
    out.report_from.emplace(name, read_source(wire::ObjectReader(fact, "/report/" + name, faults)));
    plain.get_object().erase(key);
  }
  boost::json::value const texts = std::move(written);
  wire::ObjectReader reader(texts, "", faults);
  for (auto& [key, fact] : reader.text_map("report", 64, 256)) out.report.emplace(std::move(key), std::move(fact));
}

void read_statsd(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("statsd");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/statsd", faults);
  out.statsd_group = reader.text("group", 64, {});
  reader.refuse_unknown();
}

void read_proxy(wire::ObjectReader& top, Config& out, Faults& faults) {
  auto const* const value = top.find("proxy");
  if (value == nullptr) return;
  wire::ObjectReader reader(*value, "/proxy", faults);
  auto rules = net::ProxyRules::create(reader.text("https", 1024, {}), reader.texts("no_proxy", 256, 256), "agent.yaml");
  if (rules) out.proxy = std::move(*rules);
  else reader.fault("https", fmt::format("{}: {}", rules.error().detail, rules.error().hint));
  reader.refuse_unknown();
}

void check_servers(Config const& config, Faults& faults) {
  for (std::size_t i = 0; i < config.servers.size(); ++i)
    if (auto const url = net::Url::parse(config.servers[i]); !url || url->scheme != "https")
      faults.push_back({fmt::format("/servers/{}", i), url ? "expected https://HOST[:PORT]" : url.error().detail});
}

void read_sources(wire::ObjectReader& top, Config& out, Faults& faults) {
  constexpr std::string_view kSystem = "system";
  out.sources = top.texts("sources", 8, 1024);
  for (std::size_t i = 0; i < out.sources.size(); ++i) {
    while (out.sources[i].ends_with('/')) out.sources[i].pop_back();
    if (auto const url = net::Url::parse(out.sources[i]); !url) faults.push_back({fmt::format("/sources/{}", i), url.error().detail});
  }
  out.sources_ca = top.text("sources_ca", 1024, {});
  if (out.sources_ca == kSystem) out.sources_ca.clear();
}

/// Where text is wanted: a version, a port or a user may be written without quotes.
constexpr auto kTexts = std::to_array<std::string_view>({"/servers/*", "/sources/*", "/sources_ca", "/poll/interval", "/bandwidth/max", "/bandwidth/per_day", "/bandwidth/metered",
                                                         "/telemetry/interval", "/telemetry/idle", "/telemetry/per_day", "/telemetry/health", "/telemetry/send/*", "/sensors/*/unit", "/sensors/*/varies", "/sensors/*/every", "/exec/run_as", "/exec/programs/*", "/exec/as_root/*", "/hooks/*/*", "/exec/environment/*",
                                                         "/exec/limits/memory", "/exec/limits/file_size",
                                                         "/conditions/battery", "/conditions/charging", "/conditions/temperature", "/conditions/metered/exec/*", "/report/*", "/report/*/file", "/report/*/exec/*", "/inputs/*", "/unload_first/*", "/handlers/*", "/unpack/max", "/keep/max", "/memory/dir", "/memory/max",
                                                         "/statsd/group", "/update_lock/file", "/update_lock/max_delay", "/update_lock/consent/*", "/proxy/https", "/proxy/no_proxy/*"});

}  // namespace

Result<Config> parse_config(std::string_view yaml, std::string_view file) {
  auto const document = wire::read_yaml(yaml, kBytesMax, kTexts);
  if (!document) return wire::in_file(document.error(), file);
  Config out;
  out.written = yaml;
  if (document->json == "null") return out;
  FLEET_TRY(auto const value, wire::parse_json(document->json, kBytesMax));
  Faults faults;
  wire::ObjectReader top(value, "", faults);
  out.servers = top.texts("servers", 8, 1024);
  check_servers(out, faults);
  read_sources(top, out, faults);
  read_poll(top, out, faults);
  read_bandwidth(top, out, faults);
  read_telemetry(top, out, faults);
  read_sensors(top, out, faults);
  read_exec(top, out, faults);
  read_hooks(top, out, faults);
  read_keep(top, out, faults);
  read_memory(top, out, faults);
  read_update_lock(top, out, faults);
  read_proving(top, out, faults);
  read_statsd(top, out, faults);
  read_proxy(top, out, faults);
  read_report(top, out, faults);
  read_handlers(top, out, faults);
  top.refuse_unknown();
  if (auto const fine = wire::no_faults(faults, "agent.yaml"); !fine) return document->located(fine.error(), file);
  return out;
}

Result<Config> load_config(Fs& fs, std::string const& path) {
  auto const text = fs.read(path, kBytesMax);
  if (!text && text.error().kind == Kind::not_found) return Config{};
  if (!text) return text.error();
  return parse_config(*text, path);
}

}  // namespace fleet::agent
