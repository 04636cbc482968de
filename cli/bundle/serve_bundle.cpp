#include "cli/bundle/serve_bundle.hpp"

#include "core/net/range.hpp"

#include <fmt/format.h>

namespace fleet::cli {
namespace {

constexpr std::string_view kSuffix = ".bundle";

net::Response problem(int status, std::string_view code, std::string_view detail) {
  auto out = net::json_response(status, fmt::format(R"({{"type":"urn:fleet:problem:{}","title":"{}","status":{},"detail":"{}","code":"{}"}})", code, code, status, detail, code));
  out.headers = {{"Content-Type", "application/problem+json"}};
  return out;
}

}  // namespace

std::vector<std::string> ObjectShelf::load(Fs& fs, std::vector<std::string> const& bundles) {
  std::map<Digest, Place> objects;
  std::vector<std::string> passed_over;
  for (auto const& file : bundles) {
    auto opened = fs.open(file, Fs::Mode::read);
    auto const bundle = opened ? bundle::Bundle::open(*std::move(opened)) : Result<std::shared_ptr<bundle::Bundle const>>(opened.error());
    if (!bundle) {
      passed_over.push_back(fmt::format("{}: {}", file, bundle.error().detail));
      continue;
    }
    for (auto const& [digest, place] : (*bundle)->blobs()) objects.emplace(digest, Place{file, place});
  }
  std::lock_guard const lock(mutex_);
  objects_ = std::move(objects);
  return passed_over;
}

std::size_t ObjectShelf::objects() const {
  std::lock_guard const lock(mutex_);
  return objects_.size();
}

std::optional<ObjectShelf::Place> ObjectShelf::find(std::string_view path) const {
  constexpr std::string_view kFolder = "/blobs/sha256/";
  if (!path.starts_with(kFolder)) return std::nullopt;
  auto const digest = Digest::parse(path.substr(kFolder.size()));
  if (!digest) return std::nullopt;
  std::lock_guard const lock(mutex_);
  auto const found = objects_.find(*digest);
  return found == objects_.end() ? std::nullopt : std::optional(found->second);
}

net::Response ObjectShelf::answer(net::Request const& request) const {
  if (request.method != net::Method::get && request.method != net::Method::head) return problem(405, "method_not_allowed", "objects are read, by GET or HEAD");
  auto const found = find(request.path);
  if (!found) return problem(404, "unknown_blob", "no bundle here has this object");
  auto const& [file, place] = *found;
  net::Response out;
  out.headers = {{"Content-Type", "application/octet-stream"}, {"Cache-Control", "public, max-age=31536000, immutable"}, {"Accept-Ranges", "bytes"}};
  // Ranges are defined for GET alone (RFC 9110, 14.2).
  auto const range = net::read_range(request.method == net::Method::get ? request.header("Range") : std::string_view(), place.size);
  if (!range) {
    out.status = 416;
    out.headers.push_back({"Content-Range", fmt::format("bytes */{}", place.size)});
    return out;
  }
  auto const part = range->value_or(net::Range{0, place.size == 0 ? 0 : place.size - 1});
  out.body = net::FileBody{file, place.offset + part.first, place.size == 0 ? 0 : part.last - part.first + 1};
  if (!*range) return out;
  out.status = 206;
  out.headers.push_back({"Content-Range", fmt::format("bytes {}-{}/{}", part.first, part.last, place.size)});
  return out;
}

void ObjectShelf::handle(net::Request&& request, net::Responder responder) { responder(answer(request)); }

Result<FoundBundles> find_bundles(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const what, fs.info(path));
  FoundBundles out;
  if (what.type != FileInfo::Type::directory) return FoundBundles{{path}, {what.identity}};
  FLEET_TRY(auto const names, fs.list(path));
  for (auto const& name : names) {
    auto file = path + "/" + name;
    auto const info = name.ends_with(kSuffix) ? fs.info(file) : Result<FileInfo>(Error{Kind::not_found, "not_a_bundle", name});
    if (!info || info->type != FileInfo::Type::file) continue;
    out.files.push_back(std::move(file));
    out.identities.push_back(info->identity);
  }
  return out;
}

}  // namespace fleet::cli
