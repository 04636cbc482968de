#include "core/wire/links.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::wire {
namespace {

constexpr std::size_t kPathBytesMax = 1024;
constexpr int kPassedMax = 32;  ///< a kernel passes 40, some of them on its way to the slot

std::string parent_of(std::string const& name) {
  auto const slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

}  // namespace

Links::Links(Variant const& variant) : variant_(&variant) {
  auto const add_parents = [this](std::string const& name) {
    for (auto above = parent_of(name); !above.empty() && folders_.insert(above).second;) above = parent_of(above);
  };
  for (auto const& file : variant.files) {
    files_.insert(file.name);
    add_parents(file.name);
  }
  for (auto const& folder : variant.folders) {
    folders_.insert(folder);
    add_parents(folder);
  }
  for (auto const& link : variant.links) {
    targets_.emplace(link.name, link.target);
    add_parents(link.name);
  }
}

Links::Place Links::walk(std::string at, std::string_view text, int depth) {
  int passed = 0;
  for (std::size_t from = 0; from <= text.size();) {
    auto const slash = std::min(text.find('/', from), text.size());
    auto const part = text.substr(from, slash - from);
    from = slash + 1;
    if (!is_folder(at)) return {{}, 0, fmt::format("leads through '{}', which is no folder", at)};
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (at.empty()) return {{}, 0, "leads out of the release's folder"};
      at = parent_of(at);
      continue;
    }
    if (!check_file_name(part)) return {{}, 0, "leads to a name that no file may have"};
    auto next = at.empty() ? std::string(part) : fmt::format("{}/{}", at, part);
    if (targets_.contains(next)) {
      auto const& there = follow(next, depth + 1);
      if (!there.fault.empty()) return there;
      passed += there.links;
      if (passed > kPassedMax) return {{}, 0, fmt::format("leads through more than {} links", kPassedMax)};
      next = there.path;
    } else if (!files_.contains(next) && !folders_.contains(next)) {
      return {{}, 0, fmt::format("leads to '{}', which is not in the release", next)};
    }
    at = std::move(next);
  }
  return {std::move(at), passed};
}

/// Each link once: what a long document can ask for grows with its bytes.
Links::Place const& Links::follow(std::string const& name, int depth) {
  auto const [known, fresh] = found_.try_emplace(name, Place{{}, 0, "leads in a circle"});
  if (!fresh) return known->second;
  auto place = depth > kPassedMax ? Place{{}, 0, fmt::format("leads through more than {} links", kPassedMax)} : walk(parent_of(name), targets_.find(name)->second, depth);
  if (++place.links > kPassedMax && place.fault.empty()) place.fault = fmt::format("leads through more than {} links", kPassedMax);
  return known->second = std::move(place);
}

/// Who walks the tree through its links must come to an end: folders and the links between them, taken away from the top as long as one is entered by nothing.
void Links::check_folders(std::string const& pointer, std::vector<FieldError>& faults) {
  std::map<std::string_view, std::vector<std::string_view>> into;
  std::map<std::string_view, std::size_t> entered;
  auto const add = [&](std::string_view from, std::string_view to) {
    into[from].push_back(to);
    ++entered[to];
  };
  std::vector<std::pair<std::string_view, std::string_view>> links;  // from folder to folder
  for (auto const& folder : folders_) {
    auto const slash = folder.rfind('/');
    add(std::string_view(folder).substr(0, slash == std::string::npos ? 0 : slash), folder);
  }
  for (auto const& [name, place] : found_)
    if (place.fault.empty() && is_folder(place.path)) {
      auto const slash = name.rfind('/');
      links.emplace_back(std::string_view(name).substr(0, slash == std::string::npos ? 0 : slash), place.path);
      add(links.back().first, links.back().second);
    }
  std::vector<std::string_view> free;
  if (!entered.contains("")) free.emplace_back("");
  while (!free.empty()) {
    auto const folder = free.back();
    free.pop_back();
    for (auto const next : into[folder])
      if (--entered[next] == 0) free.push_back(next);
  }
  for (auto const& [from, to] : links)
    if (entered[from] > 0 && entered[to] > 0) {
      faults.push_back({pointer, fmt::format("a link in folder '{}' leads back to folder '{}', which it is in", from, to)});
      return;
    }
}

void Links::check(std::string const& pointer, std::vector<FieldError>& faults) {
  auto const before = faults.size();
  for (std::size_t i = 0; i < variant_->links.size(); ++i) {
    auto const& link = variant_->links[i];
    auto const fault = [&](std::string_view what) { faults.push_back({fmt::format("{}/{}/target", pointer, i), fmt::format("'{}' {}", link.name, what)}); };
    if (link.target.starts_with('/')) fault("leads to an absolute path");
    else if (auto const& place = follow(link.name, 1); !place.fault.empty()) fault(place.fault);
  }
  if (faults.size() == before) check_folders(pointer, faults);
}

std::optional<std::string> Links::find(std::string_view name) {
  auto const place = walk({}, name, 0);
  return place.fault.empty() ? std::optional(place.path) : std::nullopt;
}

std::vector<ReleaseLink> read_links(ObjectReader& variant, std::string const& pointer, std::size_t most, std::vector<FieldError>& faults) {
  std::vector<ReleaseLink> out;
  auto const* const entries = variant.array("links", most);
  for (std::size_t i = 0; entries != nullptr && i < entries->size(); ++i) {
    ObjectReader reader((*entries)[i], fmt::format("{}/{}", pointer, i), faults);
    ReleaseLink link{reader.required_text("name", kPathBytesMax), reader.required_text("target", kPathBytesMax)};
    if (auto const fine = check_file_name(link.name); !fine) reader.fault("name", fine.error().detail);
    out.push_back(std::move(link));
  }
  return out;
}

std::map<std::string, std::string> linked_digests(Variant const& variant) {
  std::map<std::string_view, Digest const*> files;
  for (auto const& file : variant.files) files.emplace(file.name, &file.sha256);
  std::map<std::string, std::string> out;
  Links links(variant);
  for (auto const& link : variant.links)
    if (auto const real = links.find(link.name); real && files.contains(*real)) out.emplace(link.name, files.at(*real)->hex());
  return out;
}

}  // namespace fleet::wire
