#include "agent/commands/facts.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"
#include "core/proof/process.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::string_view kRelease = "/etc/os-release", kKernel = "/proc/sys/kernel/osrelease";
constexpr std::size_t kFileMax = 64 * 1024, kFactMax = 256, kChangesShown = 8;

/// The first line, without what no fact may hold.
std::string first_line(std::string_view text) {
  std::string line(text.substr(0, std::min(text.find('\n'), kFactMax)));
  std::replace_if(line.begin(), line.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  while (!line.empty() && (line.back() == ' ' || line.back() == '?')) line.pop_back();
  line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
  return line;
}

/// os-release(5): `KEY=value`, or `KEY="value"`.
std::string value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    auto const line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != '=') continue;
    auto value = line.substr(key.size() + 1);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) value = value.substr(1, value.size() - 2);
    return first_line(value);
  }
  return {};
}

/// An image is told from the one before it by its build, which its name does not always have.
std::string os_of(std::string_view text) {
  auto name = value_of(text, "PRETTY_NAME");
  for (std::string_view const key : {"IMAGE_VERSION", "BUILD_ID", "VERSION_ID"}) {
    auto const build = value_of(text, key);
    if (build.empty()) continue;
    if (name.find(build) == std::string::npos) name += (name.empty() ? "" : " ") + build;
    break;
  }
  return name.substr(0, kFactMax);
}

Result<std::string> fact_of(Fs& fs, Clock& waits, Config const& config, FactSource const& source, std::atomic<bool> const& stop) {
  if (!source.file.empty()) return fs.read(source.file, kFileMax);
  FLEET_TRY(auto command, proof::resolve(fs, source.exec, "/", config.exec));
  FLEET_TRY(auto const ran, proof::run(command, waits, stop));
  if (!ran.ok()) return Error{Kind::unavailable, "no_fact", fmt::format("{} {}", source.exec.front(), ran.text)};
  return ran.output;
}

std::string as_text(wire::Labels const& facts) {
  json::object object;
  for (auto const& [key, fact] : facts) object[key] = fact;
  return json::serialize(object);
}

wire::Labels from_text(std::string_view text) {
  wire::Labels out;
  auto const value = wire::parse_json(text, kFileMax);
  if (auto const* const object = value ? value->if_object() : nullptr)
    for (auto const& [key, fact] : *object)
      if (fact.is_string()) out.emplace(std::string(key), std::string(fact.get_string()));
  return out;
}

/// `kernel: 6.1.0-20 is 6.1.0-21 now`.
std::string changes_between(wire::Labels const& before, wire::Labels const& now) {
  std::vector<std::string> out;
  for (auto const& [key, fact] : now)
    if (auto const found = before.find(key); found == before.end()) out.push_back(fmt::format("{} is {} now", key, fact));
    else if (found->second != fact) out.push_back(fmt::format("{} was {} and is {} now", key, found->second, fact));
  for (auto const& [key, fact] : before)
    if (!now.contains(key)) out.push_back(fmt::format("{} was {} and is not told any more", key, fact));
  if (out.size() > kChangesShown) out.resize(kChangesShown);
  return fmt::format("{}", fmt::join(out, ", "));
}

}  // namespace

wire::Labels read_facts(Fs& fs, Clock& waits, Config const& config, std::atomic<bool> const& stop) {
  wire::Labels out;
  auto const put = [&](std::string const& key, std::string fact) {
    if (!fact.empty()) out.insert_or_assign(key, std::move(fact));
  };
  if (auto const text = fs.read(std::string(kRelease), kFileMax)) put("os", os_of(*text));
  if (auto const text = fs.read(std::string(kKernel), kFileMax)) put("kernel", first_line(*text));
  for (auto const& [key, source] : config.report_from) {
    auto const said = fact_of(fs, waits, config, source, stop);
    if (said) put(key, first_line(*said));
    else log::warn("fact.not_known", {{"fact", key}, {"error", said.error().detail}});
  }
  return out;
}

wire::Labels facts_of_device(Context const& context, wire::Labels const& enrolled) {
  auto out = enrolled;
  for (auto const& [key, fact] : read_facts(context.fs, context.waits, context.config, context.stop)) {
    if (context.config.report_from.contains(key)) out[key] = fact;
    else out.emplace(key, fact);
  }
  for (auto const& [key, fact] : context.config.report) out[key] = fact;
  return out;
}

bool is_another_system(Context const& context) {
  auto const enrolled = load_identity(context.fs, context.layout);
  return enrolled && digest_of_system(context.fs, facts_of_device(context, enrolled->reported)) != context.system;
}

Result<std::string> report_facts(Context& context, wire::Labels const& enrolled) {
  auto const& facts = context.identity.reported;
  auto const told = context.fs.read(context.layout.facts(), kFileMax);
  if (!told && told.error().kind != Kind::not_found) return told.error();
  auto const before = told ? from_text(*told) : enrolled;
  if (facts == before) return std::string();
  wire::ReportItem item;
  item.facts = wire::FactsItem{context.trusted.now(), facts};
  FLEET_CHECK(context.spool->add(std::move(item)));
  FLEET_CHECK(context.fs.replace(context.layout.facts(), as_text(facts)));
  return changes_between(before, facts);
}

std::string digest_of_system(Fs& fs, wire::Labels const& facts) {
  auto const release = fs.read(std::string(kRelease), kFileMax);
  return crypto::sha256(as_text(facts) + (release ? *release : std::string())).hex();
}

}  // namespace fleet::agent
