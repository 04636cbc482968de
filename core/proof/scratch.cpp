#include "core/proof/scratch.hpp"

#include "core/base/log.hpp"
#include "core/proof/compare.hpp"

#include <fmt/format.h>

#include <utility>

namespace fleet::proof {

Result<Scratch> Scratch::make(Fs& fs, std::string const& path, Owner owner) {
  FLEET_CHECK(fs.remove_tree(path));
  FLEET_CHECK(fs.make_private_dir(path, owner));
  return Scratch(fs, path);
}

Scratch::Scratch(Scratch&& other) noexcept : fs_(other.fs_), path_(std::exchange(other.path_, {})) {}

Scratch::~Scratch() {
  if (path_.empty()) return;
  if (auto const removed = fs_.remove_tree(path_); !removed) log::warn("scratch.left", {{"path", path_}, {"error", removed.error().detail}});
}

Result<std::string> read_written(Fs& fs, std::string const& path, std::string_view variable, Owner owner, std::string const& code) {
  auto got = fs.read_own(path, kOutputBytesMax, owner);
  if (got || got.error().kind == Kind::io) return got;
  bool const absent = got.error().kind == Kind::not_found;
  return Error{Kind::unprocessable, code, absent ? fmt::format("the program wrote no {}", variable) : fmt::format("{}: {}", variable, got.error().detail)};
}

}  // namespace fleet::proof
