#include "server/blobs/store/open.hpp"

#include "core/base/env.hpp"
#include "server/blobs/store/bucket_store.hpp"

#include <algorithm>

namespace fleet::blobs {
namespace {

constexpr std::string_view kFile = "file://", kBucket = "s3://";
constexpr std::size_t kUrlMax = 2048;

std::string folder_in(std::string_view url) {
  if (url.starts_with(kFile)) url.remove_prefix(kFile.size());
  while (url.size() > 1 && url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

}  // namespace

Result<void> check_url(std::string_view url) {
  // As it stands in server.yaml, between quotes.
  bool const fits = url.size() <= kUrlMax && std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '"' && c != '\\'; });
  if (!fits) return Error{Kind::bad_input, "bad_blobs", "the URL of the store of blobs holds what a URL does not, or is longer than 2,048 characters", "write it as %20 and the like"};
  if (url.starts_with(kBucket)) {
    FLEET_CHECK(s3::Place::parse(url));
    return {};
  }
  auto const folder = folder_in(url);
  if (folder.starts_with('/') && folder.size() > 1) return {};
  return Error{Kind::bad_input, "bad_blobs", "the store of blobs is neither s3://BUCKET... nor a folder's whole path (/PATH or file:///PATH)"};
}

Result<std::unique_ptr<BlobStore>> open(std::string_view url, OpenMeans const& means) {
  if (url.empty()) return in_folder(means.fs, means.data_dir, false);
  FLEET_CHECK(check_url(url));
  if (!url.starts_with(kBucket)) return in_folder(means.fs, folder_in(url), true);
  FLEET_TRY(auto const place, s3::Place::parse(url));
  return in_bucket(place, {means.fs, means.clock, means.random, means.scratch, means.copies_max, means.credentials_file, [](std::string const& name) { return environment(name); }, nullptr});
}

}  // namespace fleet::blobs
