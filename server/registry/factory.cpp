#include "server/registry/factory.hpp"

#include "core/base/names.hpp"
#include "core/crypto/certificates.hpp"
#include "core/wire/json.hpp"
#include "core/wire/yaml.hpp"
#include "server/registry/lifecycle.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::registry {
namespace {

constexpr std::uint64_t kFileMax = 64 * 1024;
constexpr std::uint64_t kAllowedMax = 16 * 1024 * 1024;
constexpr std::size_t kFactoriesMax = 64;

/// Where text is wanted.
constexpr auto kTexts = std::to_array<std::string_view>({"/factories/*/name", "/factories/*/hardware", "/factories/*/labels/*"});

std::string beside(std::string const& file, std::string const& path) {
  auto const slash = file.rfind('/');
  return path.starts_with('/') || slash == std::string::npos ? path : file.substr(0, slash + 1) + path;
}

/// One name a line; empty lines and those that begin with # say nothing.
std::set<std::string> read_names(std::string_view text) {
  std::set<std::string> out;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty() && line.front() != '#') out.emplace(line);
  }
  return out;
}

Result<Factory> read_factory(Fs& fs, std::string const& file, boost::json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  wire::ObjectReader reader(value, std::move(pointer), faults);
  Factory out;
  out.name = reader.required_text("name", 64);
  auto const ca = reader.required_text("ca", 1024);
  auto const named_by = reader.text("named_by", 32, "common_name");
  out.by_serial = named_by == "serial";
  if (named_by != "common_name" && named_by != "serial") reader.fault("named_by", "is one of common_name, serial");
  out.hardware = reader.text("hardware", 64, {});
  for (auto& [key, label] : reader.text_map("labels", 64, 256)) out.labels.emplace(std::move(key), std::move(label));
  if (auto const fine = check_labels(out.labels); !fine) reader.fault("labels", fine.error().detail);
  auto const allow = reader.text("allow", 1024, {});
  reader.refuse_unknown();
  if (ca.empty()) return out;
  FLEET_TRY(out.ca_pem, fs.read(beside(file, ca), kFileMax));
  if (crypto::split_certificates(out.ca_pem).empty()) reader.fault("ca", fmt::format("{} holds no certificate in PEM", beside(file, ca)));
  if (!allow.empty()) {
    FLEET_TRY(auto const names, fs.read(beside(file, allow), kAllowedMax));
    out.allowed = read_names(names);
  }
  return out;
}

Error refused(std::string code, std::string detail) {
  return {Kind::forbidden, std::move(code), std::move(detail), "the file of `fleet-server run --factories` says who may enrol"};
}

}  // namespace

Result<std::vector<Factory>> load_factories(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const yaml, fs.read(path, kFileMax));
  auto const document = wire::read_yaml(yaml, kFileMax, kTexts);
  if (!document) return wire::in_file(document.error(), path);
  FLEET_TRY(auto const value, wire::parse_json(document->json, kFileMax));
  std::vector<FieldError> faults;
  wire::ObjectReader top(value, "", faults);
  std::vector<Factory> out;
  if (auto const* const list = top.array("factories", kFactoriesMax)) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      FLEET_TRY(auto factory, read_factory(fs, path, (*list)[i], fmt::format("/factories/{}", i), faults));
      out.push_back(std::move(factory));
    }
  }
  top.refuse_unknown();
  if (auto const fine = wire::no_faults(faults, "factories"); !fine) return document->located(fine.error(), path);
  return out;
}

Result<FactoryDevice> recognise(std::vector<Factory> const& factories, BytesView certificate_der, SysTime now) {
  std::string why;
  for (auto const& factory : factories) {
    auto const info = crypto::verify_client(certificate_der, factory.ca_pem, now);
    if (!info) {
      // What its own factory says helps; that it is of no other one does not.
      bool const own = info.error().code != "certificate_of_others";
      if (own) why = fmt::format("factory {}: {}", factory.name, info.error().detail);
      else if (why.empty()) why = info.error().detail;
      continue;
    }
    auto id = factory.by_serial ? info->serial : info->common_name;
    if (factory.by_serial) std::transform(id.begin(), id.end(), id.begin(), [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
    FLEET_CHECK(check_id("id", id));
    if (factory.allowed && !factory.allowed->contains(id))
      return refused("device_not_allowed", fmt::format("factory {} certified '{}', which is not on its list", factory.name, id));
    return FactoryDevice{id, factory.hardware, factory.labels, fmt::format("factory {}, serial {}", factory.name, info->serial)};
  }
  return Error{Kind::unauthenticated, "certificate_not_trusted", why.empty() ? "no factory is known to this server" : std::move(why),
               "is the CA that issued it, itself and not one above it, in the file of `fleet-server run --factories`?"};
}

}  // namespace fleet::registry
