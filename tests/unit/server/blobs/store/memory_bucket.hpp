#pragma once

#include "core/crypto/hash.hpp"
#include "server/blobs/s3/transport.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

namespace fleet::blobs {

/// Objects of a bucket in memory, as an S3 answers of them; the real one is asked by tests/e2e/s3.sh.
struct MemoryBucket {
  std::mutex mutex;
  std::map<std::string, std::string> objects;  ///< by path
  int gets = 0;
  int status = 0;  ///< of every answer; 0: as it is

  s3::HttpAnswer answer(s3::HttpRequest const& request) {
    std::lock_guard const lock(mutex);
    if (status != 0) return {status, {}, "<Error><Code>AccessDenied</Code></Error>"};
    auto const path = request.url.substr(request.url.find('/', 8));
    if (request.method == "PUT") {
      objects[path] = std::string(request.body);
      return {200, {}, {}};
    }
    auto const found = objects.find(path);
    if (request.method == "DELETE") {
      if (found != objects.end()) objects.erase(found);
      return {204, {}, {}};
    }
    if (found == objects.end()) return {404, {}, request.method == "HEAD" ? "" : "<Error><Code>NoSuchKey</Code></Error>"};
    auto const& bytes = found->second;
    if (request.method == "HEAD") return {200, {{"content-length", std::to_string(bytes.size())}}, {}};
    ++gets;
    for (auto const& [name, value] : request.headers) {
      if (name != "range") continue;
      auto const dash = value.find('-');
      auto const first = std::stoul(value.substr(6, dash - 6)), last = std::min<std::size_t>(std::stoul(value.substr(dash + 1)), bytes.size() - 1);
      return {206, {{"content-range", fmt::format("bytes {}-{}/{}", first, last, bytes.size())}}, bytes.substr(first, last - first + 1)};
    }
    return {200, {}, bytes};
  }
};

class MemoryTransport final : public s3::Transport {
public:
  explicit MemoryTransport(MemoryBucket& bucket) : bucket_(bucket) {}
  Result<s3::HttpAnswer> send(s3::HttpRequest const& request, s3::Sink const* sink) override {
    auto out = bucket_.answer(request);
    if (sink == nullptr || out.status / 100 != 2) return out;
    FLEET_CHECK(sink->head(out));
    auto const body = std::exchange(out.body, {});
    FLEET_CHECK(sink->piece(as_bytes(body)));
    return out;
  }
  void stop() override {}

private:
  MemoryBucket& bucket_;
};

}  // namespace fleet::blobs
