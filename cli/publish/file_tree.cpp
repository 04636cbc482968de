#include "cli/publish/file_tree.hpp"

#include <fmt/format.h>

namespace fleet::cli {
namespace {

constexpr std::size_t kFilesMax = 10'000;
constexpr int kDepthMax = 64;

Error refused(std::string const& path, std::string_view what) {
  return {Kind::bad_input, "bad_file", path + ": " + std::string(what), "publish plain files and folders only"};
}

class Walk {
public:
  explicit Walk(Fs& fs) : fs_(&fs) {}

  Result<void> add(std::string const& path, std::string const& name, int depth) {
    FLEET_TRY(auto const info, fs_->info(path));
    switch (info.type) {
      case FileInfo::Type::file: return add_file(path, name, info);
      case FileInfo::Type::directory: return add_folder(path, name, depth);
      case FileInfo::Type::link: return refused(path, "a symbolic link");
      case FileInfo::Type::other: break;
    }
    return refused(path, "neither a file nor a folder");
  }

  std::vector<LocalFile> files;

private:
  Result<void> add_file(std::string const& path, std::string const& name, FileInfo const& info) {
    if (files.size() == kFilesMax) return refused(path, fmt::format("more than {} files", kFilesMax));
    if (!is_safe_relative_path(name)) return refused(path, "its name cannot be used on a device");
    FLEET_TRY(auto const digest, crypto::sha256_file(*fs_, path));
    files.push_back({name, path, digest.sha256, digest.size, info.executable});
    return {};
  }

  Result<void> add_folder(std::string const& path, std::string const& name, int depth) {
    if (depth == kDepthMax) return refused(path, fmt::format("more than {} folders deep", kDepthMax));
    FLEET_TRY(auto const names, fs_->list(path));
    for (auto const& child : names) FLEET_CHECK(add(path + "/" + child, name.empty() ? child : name + "/" + child, depth + 1));
    return {};
  }

  Fs* fs_;
};

}  // namespace

Result<std::vector<LocalFile>> read_tree(Fs& fs, std::string const& path) {
  auto plain = path;
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  FLEET_TRY(auto const info, fs.info(plain));
  Walk walk(fs);
  auto const name = info.type == FileInfo::Type::directory ? std::string() : plain.substr(plain.rfind('/') == std::string::npos ? 0 : plain.rfind('/') + 1);
  FLEET_CHECK(walk.add(plain, name, 0));
  if (walk.files.empty()) return refused(plain, "a folder without files");
  return std::move(walk.files);
}

}  // namespace fleet::cli
