#include "agent/store/kept_dirs.hpp"

namespace fleet::agent {

Result<void> make_kept_dirs(Fs& fs, std::string const& top, std::string const& path, unsigned permissions) {
  FLEET_CHECK(fs.make_dirs(path, permissions));
  for (auto folder = path; folder.size() > top.size();) {
    folder = folder.substr(0, folder.find_last_of('/'));
    FLEET_CHECK(fs.sync_dir(folder));
  }
  return {};
}

Result<void> find_or_make_dirs(Fs& fs, std::string const& top, std::string const& path, unsigned permissions) {
  auto const made = make_kept_dirs(fs, top, path, permissions);
  return made || !fs.info(path) ? made : Result<void>{};
}

}  // namespace fleet::agent
