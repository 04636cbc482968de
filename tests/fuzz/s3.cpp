// What a store of blobs answers, and what its URL and credentials are.
#include "server/blobs/s3/answers.hpp"
#include "server/blobs/s3/place.hpp"

#include <cstdlib>

using namespace fleet;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text{reinterpret_cast<char const*>(data), size};
  for (int const status : {200, 301, 403, 404, 500, 503}) {
    s3::HttpAnswer const answer{status, {{"content-range", std::string(text)}, {"content-length", std::string(text)}}, std::string(text)};
    auto const fault = s3::fault_of(answer, "GET x");
    if (fault.code.empty() || fault.detail.size() > 1'000) std::abort();
    static_cast<void>(s3::is_late_error(answer));
    if (s3::check_range(answer, 0, 10, 10, "GET x") && status != 200) std::abort();
  }
  if (auto const id = s3::element(text, "UploadId"); id && id->size() > 1024) std::abort();
  if (auto const place = s3::Place::parse(text)) {
    auto const path = place->path_of("blobs/x");
    if (path.find("..") != std::string::npos || !path.starts_with('/') || place->host.find('@') != std::string::npos) std::abort();
  }
  static_cast<void>(s3::parse_credentials(text));
  return 0;
}
