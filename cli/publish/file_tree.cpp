#include "cli/publish/file_tree.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace fleet::cli {
namespace {

constexpr std::size_t kFilesMax = 10'000;
constexpr int kDepthMax = 64;
constexpr int kLinksMax = 40;  // as the kernel has it

Error refused(std::string const& path, std::string_view what, std::string hint = {}) {
  return {Kind::bad_input, "bad_file", path + ": " + std::string(what), std::move(hint)};
}

/// A path without `.`, `..` and empty parts, as if no part of it were a link: to see a circle early; what it misses ends at kDepthMax. @param path  absolute
std::string plain(std::string const& path) {
  std::vector<std::string_view> parts;
  for (std::string_view rest = path; !rest.empty();) {
    auto const slash = std::min(rest.find('/'), rest.size());
    auto const part = rest.substr(0, slash);
    rest.remove_prefix(std::min(slash + 1, rest.size()));
    if (part == ".." && !parts.empty()) parts.pop_back();
    else if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  }
  return fmt::format("/{}", fmt::join(parts, "/"));
}

class Walk {
public:
  explicit Walk(Fs& fs) : fs_(&fs) {}

  Result<void> add(std::string path, std::string const& name) {
    FLEET_TRY(auto info, fs_->info(path));
    bool const followed = info.type == FileInfo::Type::link;
    if (followed && !above_.empty()) {
      FLEET_TRY(bool const kept, keep(path, name));
      if (kept) return {};
    }
    if (followed) FLEET_CHECK(follow(path, info));
    if (info.type == FileInfo::Type::file) return add_file(path, name, info);
    if (info.type != FileInfo::Type::directory) return refused(path, "neither a file nor a folder", "publish files and folders only");
    bool const is_base = followed || above_.empty();
    if (is_base) bases_.push_back({path, above_.empty() ? std::string() : name + "/"});
    FLEET_CHECK(add_folder(path, name));
    if (is_base) bases_.pop_back();
    return {};
  }

  LocalTree tree;

private:
  /// A folder that was entered by its path or by a link: below it names on the disk are names in the release.
  struct Base {
    std::string path, prefix;
  };

  /// Where a path leads that a link names. Nothing: out of the base, or nowhere. What links lead out to is published in their place, so the way goes on there.
  /// @param at  below the base
  Result<std::optional<std::string>> inside(std::string at, std::string_view target, std::string const& link, int& passed) {
    auto const& base = bases_.back().path;
    bool is_beyond = false;
    for (std::size_t from = 0; from <= target.size();) {
      auto const slash = std::min(target.find('/', from), target.size());
      auto const part = target.substr(from, slash - from);
      from = slash + 1;
      if (part.empty() || part == ".") continue;
      if (part == ".." && (at.empty() || is_beyond)) return std::optional<std::string>{};
      if (part == "..") {
        auto const last = at.rfind('/');
        at.erase(last == std::string::npos ? 0 : last);
        continue;
      }
      at += fmt::format("{}{}", at.empty() ? "" : "/", part);
      auto const there = fs_->info(base + "/" + at);
      if (!there) return std::optional<std::string>{};
      if (there->type != FileInfo::Type::link || is_beyond) continue;
      if (++passed > kLinksMax) return refused(link, "a link that leads in a circle", "remove it, or publish a copy made without it");
      FLEET_TRY(auto const next, fs_->read_link(base + "/" + at));
      auto const last = at.rfind('/');
      auto onward = std::optional<std::string>{};
      if (!next.starts_with('/')) {
        FLEET_TRY(onward, inside(at.substr(0, last == std::string::npos ? 0 : last), next, link, passed));
      }
      is_beyond = !onward;
      if (onward) at = *std::move(onward);
    }
    return std::optional(std::move(at));
  }

  /// Whether the link stays one.
  Result<bool> keep(std::string const& path, std::string const& name) {
    FLEET_TRY(auto target, fs_->read_link(path));
    if (target.starts_with('/')) return false;
    auto const& prefix = bases_.back().prefix;
    auto const own = name.substr(prefix.size());
    auto const folder = own.substr(0, own.find('/') == std::string::npos ? 0 : own.rfind('/'));
    int passed = 0;
    FLEET_TRY(auto const place, inside(folder, target, path, passed));
    if (!place) return false;
    if (place->empty() || folder == *place || folder.starts_with(*place + "/"))
      return refused(path, "a link leads back to a folder above it", "remove the link, or publish a copy made without it");
    if (auto fine = check_file_name(name); !fine) return fine.error();
    FLEET_CHECK(check_count(path));
    tree.links.push_back({name, std::move(target)});
    return true;
  }

  Result<void> check_count(std::string const& path) const {
    if (tree.files.size() + tree.links.size() < kFilesMax) return {};
    return refused(path, fmt::format("more than {} files", kFilesMax), "pack them into an archive");
  }

  /// `path` becomes what the link leads to.
  Result<void> follow(std::string& path, FileInfo& info) {
    auto const link = path;
    for (int links = 0; info.type == FileInfo::Type::link; ++links) {
      if (links == kLinksMax) return refused(link, "a link that leads in a circle", "remove it, or publish a copy made without it");
      FLEET_TRY(auto const target, fs_->read_link(path));
      path = target.starts_with('/') ? target : path.substr(0, path.rfind('/') + 1) + target;
      auto const there = fs_->info(path);
      if (!there && there.error().kind == Kind::not_found)
        return refused(link, fmt::format("a link to {}, which is not there", target),
                       "fetch what it points at (git annex get, dvc checkout, git lfs pull), or publish a copy of the folder made by: cp -rL");
      if (!there) return there.error();
      info = *there;
    }
    ++tree.followed;
    return {};
  }

  Result<void> add_file(std::string const& path, std::string const& name, FileInfo const& info) {
    FLEET_CHECK(check_count(path));
    if (auto fine = check_file_name(name); !fine) return fine;
    tree.files.push_back({name, path, {}, info.size, info.executable});
    return {};
  }

  /// The name of the topmost folder is no part of its files' names.
  Result<void> add_folder(std::string const& path, std::string const& name) {
    if (above_.size() == kDepthMax) return refused(path, fmt::format("more than {} folders deep", kDepthMax));
    auto const place = plain(path);
    if (std::find(above_.begin(), above_.end(), place) != above_.end())
      return refused(path, "a link leads back to a folder above it", "remove the link, or publish a copy made without it");
    auto const prefix = above_.empty() ? std::string() : name + "/";
    above_.push_back(place);
    FLEET_TRY(auto const names, fs_->list(path));
    if (names.empty() && above_.size() > 1) {
      if (auto fine = check_file_name(name); !fine) return fine;
      tree.folders.push_back(name);
    }
    for (auto const& child : names) FLEET_CHECK(add(path + "/" + child, prefix + child));
    above_.pop_back();
    return {};
  }

  Fs* fs_;
  std::vector<std::string> above_;  ///< the folders that the walk is in
  std::vector<Base> bases_;
};

}  // namespace

Result<LocalTree> read_tree(Fs& fs, std::string const& path) {
  auto start = path;
  while (start.size() > 1 && start.back() == '/') start.pop_back();
  Walk walk(fs);
  FLEET_CHECK(walk.add(start, start.substr(start.rfind('/') + 1)));
  if (walk.tree.files.empty()) return refused(start, "a folder without files");
  return std::move(walk.tree);
}

Result<void> hash_files(Fs& fs, std::vector<LocalFile>& files) {
  for (auto& file : files) {
    FLEET_TRY(auto const digest, crypto::sha256_file(fs, file.path));
    file.sha256 = digest.sha256;
    file.size = digest.size;
  }
  return {};
}

}  // namespace fleet::cli
