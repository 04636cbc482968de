#include "core/wire/release.hpp"

#include "core/base/fs.hpp"
#include "core/base/names.hpp"
#include "core/wire/device.hpp"
#include "core/wire/golden.hpp"
#include "core/wire/handler_keys.hpp"
#include "core/wire/json.hpp"
#include "core/wire/links.hpp"
#include "core/wire/manifest_files.hpp"
#include "core/wire/members.hpp"
#include "core/wire/metric_schema.hpp"
#include "core/wire/runtime_rule.hpp"
#include "core/wire/variant_when.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::size_t kFilesMax = 10'000;
constexpr std::size_t kPathBytesMax = 1024;
constexpr std::size_t kMetricsMax = 64, kMetricNameMax = 128;
constexpr std::int64_t kCounterMax = std::int64_t{1} << 53;
constexpr auto kStats = std::to_array<std::string_view>({"mean", "min", "max", "sum", "rate", "p50", "p95", "p99"});

HealthCheck read_check(json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  HealthCheck check;
  check.exec = reader.texts("exec", kWordsMax, kWordBytesMax);
  check.http = reader.text("http", 1024, {});
  check.every = read_time(reader, "every", check.every, kProbationMax);
  check.timeout = read_time(reader, "timeout", check.timeout, kProgramTimeMax);
  if (auto const* const inner = reader.find("statsd")) {
    ObjectReader statsd(*inner, pointer + "/statsd", faults);
    HealthCheck::StatsD rule;
    rule.metric = statsd.required_text("metric", 128);
    if (statsd.find("min") != nullptr) rule.min = statsd.number("min", 0);
    if (statsd.find("max") != nullptr) rule.max = statsd.number("max", 0);
    rule.stat = statsd.text("stat", 8, rule.stat);
    rule.window = read_time(statsd, "window", rule.window, kProbationMax);
    rule.samples = statsd.integer("samples", 1, 1'000'000'000, rule.samples);
    if (std::find(kStats.begin(), kStats.end(), rule.stat) == kStats.end()) statsd.fault("stat", fmt::format("is one of {}", fmt::join(kStats, ", ")));
    if (!rule.min && !rule.max) statsd.fault("min", "min or max is required");
    if (strict) statsd.refuse_unknown();
    check.statsd = rule;
  }
  int const kinds = (check.exec.empty() ? 0 : 1) + (check.http.empty() ? 0 : 1) + (check.statsd ? 1 : 0);
  if (kinds != 1) reader.fault("", "exactly one of exec, http, statsd is required");
  constexpr auto kLoopback = std::to_array<std::string_view>({"http://127.0.0.1:", "http://127.0.0.1/", "http://localhost:", "http://[::1]:"});
  bool const loopback = std::any_of(kLoopback.begin(), kLoopback.end(), [&](auto prefix) { return check.http.starts_with(prefix); });
  if (!check.http.empty() && !loopback) reader.fault("http", "only loopback is checked: http://127.0.0.1:PORT/path");
  if (check.every < Millis{100}) reader.fault("every", "at least 100ms");
  if (check.timeout <= Millis{0}) reader.fault("timeout", "must be longer than 0");
  if (strict) reader.refuse_unknown();
  return check;
}

void read_probation(json::value const& value, std::string const& at, bool strict, Manifest& manifest, std::vector<FieldError>& faults) {
  ObjectReader reader(value, at + "/probation", faults);
  Probation probation;
  probation.time = read_time(reader, "time", Millis{0}, kProbationMax);
  probation.inferences = reader.integer("inferences", 0, 1'000'000'000'000, 0);
  auto const usual = std::clamp<Millis>(probation.time * 4, std::chrono::minutes{1}, kProbationMax);
  probation.max = read_time(reader, "max", usual, kProbationMax);
  if (probation.max < probation.time && probation.time <= kProbationMax) reader.fault("max", fmt::format("is shorter than time ({})", to_string(probation.time)));
  if (strict) reader.refuse_unknown();
  manifest.probation = probation;
}

void read_schema(json::value const& value, std::string const& at, bool strict, Manifest& manifest, std::vector<FieldError>& faults) {
  ObjectReader reader(value, at, faults);
  if (!reader.valid()) return;
  auto const& metrics = value.get_object();
  if (metrics.size() > kMetricsMax) return faults.push_back({at, fmt::format("{} metrics, at most {} are taken", metrics.size(), kMetricsMax)});
  for (auto const& [key, inner] : metrics) {
    std::string name(key);
    auto const where = at + "/" + name.substr(0, kMetricNameMax);
    if (name.empty() || name.size() > kMetricNameMax) faults.push_back({where, fmt::format("a metric's name has 1 to {} bytes", kMetricNameMax)});
    if (name.starts_with("agent.")) faults.push_back({where, "names that begin with agent. are the agent's own"});
    ObjectReader one(inner, where, faults);
    manifest.schema.emplace(std::move(name), read_metric_schema(one, strict));
  }
}

/// @param strict  refuse unknown keys: what people write; a signed release of a newer server may carry more
Manifest read_manifest(json::value const& value, std::string const& at, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, at, faults);
  Manifest manifest;
  if (auto const* const golden = reader.find("golden")) manifest.golden = read_golden(*golden, at + "/golden", strict, faults);
  if (auto const* const shadow = reader.find("shadow")) manifest.shadow = read_shadow(*shadow, at + "/shadow", strict, faults);
  if (auto const* const checks = reader.array("health", 32))
    for (std::size_t i = 0; i < checks->size(); ++i) manifest.health.push_back(read_check((*checks)[i], fmt::format("{}/health/{}", at, i), strict, faults));
  if (auto const* const probation = reader.find("probation")) read_probation(*probation, at, strict, manifest, faults);
  if (auto const* const match = reader.find("match")) {
    ObjectReader rules(*match, at + "/match", faults);
    manifest.match.runtime = rules.text("runtime", 256, {});
    if (auto const sound = parse_runtime_rules(manifest.match.runtime); strict && rules.find("runtime") != nullptr && !sound)
      rules.fault("runtime", sound.error().detail);
    manifest.match.memory_min_bytes = read_size(rules, "memory_min");
    if (strict) rules.refuse_unknown();
  }
  if (auto const* const activate = reader.find("activate")) {
    ObjectReader rules(*activate, at + "/activate", faults);
    manifest.activate = rules.texts("exec", kWordsMax, kWordBytesMax);
    if (manifest.activate.empty()) rules.fault("exec", "is required");
    manifest.activate_timeout = read_time(rules, "timeout", manifest.activate_timeout, kProgramTimeMax);
    if (manifest.activate_timeout <= Millis{0}) rules.fault("timeout", "must be longer than 0");
    if (strict) rules.refuse_unknown();
  }
  read_handler(reader, at, strict, manifest, faults);
  manifest.security_floor = reader.integer("security_floor", 0, kCounterMax, 0);
  if (auto const* const variants = reader.find("variants")) manifest.variants = read_whens(*variants, at + "/variants", strict, faults);
  if (auto const* const schema = reader.find("schema")) read_schema(*schema, at + "/schema", strict, manifest, faults);
  if (strict) reader.refuse_unknown();
  return manifest;
}

json::array words(std::vector<std::string> const& list) { return json::array(list.begin(), list.end()); }

json::object check_json(HealthCheck const& check) {
  json::object out{{"every", to_string(check.every)}, {"timeout", to_string(check.timeout)}};
  if (!check.exec.empty()) out["exec"] = words(check.exec);
  if (!check.http.empty()) out["http"] = check.http;
  if (check.statsd) {
    json::object rule{
        {"metric", check.statsd->metric}, {"stat", check.statsd->stat}, {"window", to_string(check.statsd->window)}, {"samples", check.statsd->samples}};
    if (check.statsd->min) rule["min"] = *check.statsd->min;
    if (check.statsd->max) rule["max"] = *check.statsd->max;
    out["statsd"] = std::move(rule);
  }
  return out;
}

json::object manifest_json(Manifest const& manifest) {
  json::object out;
  if (manifest.golden) out["golden"] = golden_json(*manifest.golden);
  if (manifest.shadow) out["shadow"] = shadow_json(*manifest.shadow);
  json::array checks;
  for (auto const& check : manifest.health) checks.push_back(check_json(check));
  if (!checks.empty()) out["health"] = std::move(checks);
  if (auto const& p = manifest.probation)
    out["probation"] = json::object{{"time", to_string(p->time)}, {"inferences", p->inferences}, {"max", to_string(p->max)}};
  if (!manifest.match.runtime.empty() || manifest.match.memory_min_bytes > 0)
    out["match"] = json::object{{"runtime", manifest.match.runtime}, {"memory_min", manifest.match.memory_min_bytes}};
  if (!manifest.activate.empty()) {
    json::object activate{{"exec", words(manifest.activate)}};
    if (manifest.activate_timeout != Manifest{}.activate_timeout) activate["timeout"] = to_string(manifest.activate_timeout);
    out["activate"] = std::move(activate);
  }
  write_handler(manifest, out);
  if (manifest.security_floor > 0) out["security_floor"] = manifest.security_floor;
  if (!manifest.variants.empty()) out["variants"] = whens_json(manifest.variants);
  json::object schema;
  for (auto const& [name, metric] : manifest.schema) schema[name] = metric_schema_json(metric);
  if (!schema.empty()) out["schema"] = std::move(schema);
  return out;
}

ReleaseFile read_file(json::value const& value, std::string const& pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  ReleaseFile file;
  file.name = reader.required_text("name", kPathBytesMax);
  file.size = static_cast<std::uint64_t>(reader.required_integer("size", 0, std::int64_t{1} << 50));
  file.executable = reader.boolean("executable", false);
  auto const digest = Digest::parse(reader.required_text("sha256", 64));
  if (digest) file.sha256 = *digest;
  else reader.fault("sha256", "expected 64 hex characters, lower case");
  if (auto const fine = check_file_name(file.name); !fine) reader.fault("name", fine.error().detail);
  return file;
}

/// A name twice, or a file or link that is also a folder.
void refuse_clashes(Variant const& variant, std::string const& pointer, std::vector<FieldError>& faults) {
  std::set<std::string_view> names, folders(variant.folders.begin(), variant.folders.end());
  auto const add_parents = [&folders](std::string_view name) {
    for (auto slash = name.find('/'); slash != std::string_view::npos; slash = name.find('/', slash + 1)) folders.insert(name.substr(0, slash));
  };
  for (auto const& file : variant.files) {
    if (!names.insert(file.name).second) faults.push_back({pointer, fmt::format("file '{}' twice", file.name)});
    add_parents(file.name);
  }
  for (auto const& link : variant.links) {
    if (!names.insert(link.name).second) faults.push_back({pointer, fmt::format("'{}' twice", link.name)});
    add_parents(link.name);
  }
  for (auto const& folder : variant.folders) add_parents(folder);
  for (auto const& name : names)
    if (folders.contains(name)) faults.push_back({pointer, fmt::format("'{}' is a file and a folder", name)});
}

void read_variants(json::array const& list, Release& release, std::vector<FieldError>& faults) {
  std::size_t files = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto const pointer = fmt::format("/variants/{}", i);
    ObjectReader reader(list[i], pointer, faults);
    Variant variant;
    variant.hardware = reader.texts("hardware", 64, 128);
    if (variant.hardware.empty()) reader.fault("hardware", "is required");
    variant.name = reader.text("name", 32, {});
    for (auto const& name : variant.hardware) {
      if (auto const fine = check_id("hardware", name); !fine) reader.fault("hardware", fine.error().detail);
    }
    if (auto const* const entries = reader.array("files", kFilesMax))
      for (std::size_t k = 0; k < entries->size(); ++k) variant.files.push_back(read_file((*entries)[k], fmt::format("{}/files/{}", pointer, k), faults));
    if (variant.files.empty()) reader.fault("files", "at least one file is required");
    variant.folders = reader.texts("folders", kFilesMax, kPathBytesMax);
    for (auto const& folder : variant.folders)
      if (auto const fine = check_file_name(folder); !fine) reader.fault("folders", fine.error().detail);
    variant.links = read_links(reader, pointer + "/links", kFilesMax, faults);
    refuse_clashes(variant, pointer + "/files", faults);
    files += variant.files.size() + variant.folders.size() + variant.links.size();
    if (faults.empty()) Links(variant).check(pointer + "/links", faults);
    release.variants.push_back(std::move(variant));
  }
  if (files > kFilesMax) faults.push_back({"/variants", fmt::format("{} files, links and empty folders, at most {} are taken", files, kFilesMax)});
}

/// @param is_signed  false: as people ask for it
Result<Release> read_release(json::value const& value, bool is_signed) {
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  Release release;
  release.model = reader.required_text("model", 64);
  release.version = reader.required_text("version", 64);
  release.release_counter = reader.required_integer("release_counter", 1, kCounterMax);
  if (auto const ok = check_model_name(release.model); !ok) reader.fault("model", ok.error().detail);
  if (auto const ok = check_version_name(release.version); !ok) reader.fault("version", ok.error().detail);
  if (reader.find("members") != nullptr) {
    read_set(reader, release, is_signed, faults);
    FLEET_CHECK(no_faults(faults, "release"));
    return release;
  }
  if (auto const* const variants = reader.array("variants", 64)) read_variants(*variants, release, faults);
  if (release.variants.empty()) reader.fault("variants", "at least one variant is required");
  if (auto const* const manifest = reader.find("manifest")) release.manifest = read_manifest(*manifest, "/manifest", false, faults);
  // One that this program does not know is not taken for none: the files would be asked for as they are, and kept so.
  auto const protection = parse_protection(reader.text("protected", 32, {}));
  if (protection) release.protection = *protection;
  else reader.fault("protected", protection.error().detail);
  check_variant_names(release, !is_signed, faults);
  if (auto const fine = check_floor_of(release); !fine) faults.push_back({"/manifest/security_floor", fine.error().detail});
  FLEET_CHECK(no_faults(faults, "release"));
  return release;
}

}  // namespace

constexpr auto kProtections =
    std::to_array<std::pair<std::string_view, Protection>>({{"", Protection::none}, {"disk", Protection::disk}, {"memory", Protection::memory}});

std::string_view protection_name(Protection protection) {
  for (auto const& [text, value] : kProtections)
    if (value == protection) return text;
  return {};
}

Result<Protection> parse_protection(std::string_view text) {
  for (auto const& [name, value] : kProtections)
    if (name == text) return value;
  return Error{Kind::bad_input, "bad_protection", fmt::format("'{}' is neither disk nor memory", text.substr(0, 40))};
}

Result<void> check_floor_of(Release const& release) {
  if (release.manifest.security_floor <= release.release_counter) return {};
  return Error{Kind::unprocessable, "floor_above_counter",
               fmt::format("security_floor {} is above the release's own counter {}: a device that ran it would take no later release below that",
                           release.manifest.security_floor, release.release_counter),
               "a floor is a counter of this model: that of the first release that is still safe"};
}

Result<void> check_protection_of(Release const& release) {
  if (release.protection == Protection::none) return {};
  auto const refused = [](std::string why, std::string hint) { return Error{Kind::unprocessable, "cannot_protect", std::move(why), std::move(hint)}; };
  std::map<std::string_view, std::size_t> files;
  for (auto const& variant : release.variants)
    for (auto const& hardware : variant.hardware)
      if ((files[hardware] += variant.files.size()) > kProtectedFilesMax)
        return refused(fmt::format("{} files for hardware {}: of a protected model at most {} are taken", files[hardware], hardware, kProtectedFilesMax), "pack small files into one (tar, zip, a single weights file)");
  if (release.protection == Protection::memory && release.manifest.handler != kFilesHandler)
    return refused(fmt::format("the handler {} writes to the disk what the model may have in memory alone", release.manifest.handler), "publish its files as they are, or have the model protected on disk");
  return {};
}

Result<Manifest> decode_manifest(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReleaseBytesMax));
  std::vector<FieldError> faults;
  auto manifest = read_manifest(value, "", true, faults);
  FLEET_CHECK(no_faults(faults, "manifest"));
  return manifest;
}

Result<Release> decode_release(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReleaseBytesMax));
  return read_release(value, true);
}

Result<Release> decode_wanted_release(std::string_view model, std::string_view body) {
  FLEET_TRY(auto const value, parse_json(body, kPublicationBytesMax));
  json::object document{{"model", model}, {"release_counter", kCounterMax}};
  for (auto const* const key : {"version", "variants", "manifest", "members"})
    if (auto const* const member = value.is_object() ? value.get_object().if_contains(key) : nullptr) document[key] = *member;
  std::vector<FieldError> faults;
  // What people write is refused for unknown keys; a signed release of a newer server is not.
  if (auto const* const manifest = document.if_contains("manifest")) read_manifest(*manifest, "/manifest", true, faults);
  FLEET_CHECK(no_faults(faults, "manifest"));
  FLEET_TRY(auto release, read_release(document, false));
  check_manifest_files(release, faults);
  FLEET_CHECK(no_faults(faults, "release"));
  auto const bytes = encode(release).size();
  std::size_t files = 0;
  for (auto const& variant : release.variants) files += variant.files.size();
  if (bytes > kReleaseBytesMax)
    return Error{Kind::bad_input, "release_too_large",
                 fmt::format("its release.json would have {} bytes, at most {} are taken: {} files, {} bytes for each", bytes, kReleaseBytesMax, files, bytes / files),
                 "pack small files into one (tar, zip, a single weights file), or give them shorter names"};
  release.release_counter = 1;
  return release;
}

std::string encode(Release const& release) {
  if (release.is_set())
    return json::serialize(json::object{{"model", release.model},
                                        {"version", release.version},
                                        {"release_counter", release.release_counter},
                                        {"members", members_json(release.members)}});
  json::array variants;
  for (auto const& variant : release.variants) {
    json::array files;
    for (auto const& file : variant.files) {
      json::object entry{{"name", file.name}, {"size", file.size}, {"sha256", file.sha256.hex()}};
      if (file.executable) entry["executable"] = true;  // the rule is not spelled out ten thousand times
      files.push_back(std::move(entry));
    }
    json::object entry{{"hardware", words(variant.hardware)}, {"files", std::move(files)}};
    if (!variant.name.empty()) entry["name"] = variant.name;
    if (!variant.folders.empty()) entry["folders"] = words(variant.folders);
    json::array links;
    for (auto const& link : variant.links) links.push_back(json::object{{"name", link.name}, {"target", link.target}});
    if (!links.empty()) entry["links"] = std::move(links);
    variants.push_back(std::move(entry));
  }
  json::object out{{"model", release.model},
                   {"version", release.version},
                   {"release_counter", release.release_counter},
                   {"variants", std::move(variants)},
                   {"manifest", manifest_json(release.manifest)}};
  if (release.protection != Protection::none) out["protected"] = protection_name(release.protection);
  return json::serialize(out);
}

Variant const* find_variant(Release const& release, std::string_view hardware) {
  auto const all = variants_for(release, hardware);
  return all.empty() ? nullptr : all.front();
}

std::vector<Variant const*> variants_for(Release const& release, std::string_view hardware) {
  std::vector<Variant const*> out;
  for (auto const& variant : release.variants)
    if (std::find(variant.hardware.begin(), variant.hardware.end(), hardware) != variant.hardware.end())
      out.insert(variant.name.empty() ? out.begin() : out.end(), &variant);
  return out;
}

}  // namespace fleet::wire
