#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "server/blobs/s3/patience.hpp"
#include "server/blobs/s3/place.hpp"
#include "server/blobs/s3/transport.hpp"
#include "server/blobs/s3/watch.hpp"

#include <functional>
#include <string>
#include <string_view>

/// Objects of a bucket, by key. What fails for a moment is tried again, what comes is measured, and nothing is ever listed.
namespace fleet::s3 {

inline constexpr std::uint64_t kPartBytes = 16U << 20;  ///< of a multipart upload, and the most that goes in one request; more where 10,000 parts would not do

/// What a bucket works with; all outlive it.
struct Means {
  Transport& transport;
  Clock& clock;
  Random& random;
  Watch& watch;
  std::function<Result<Credentials>()> credentials;  ///< as they are now; thread-safe
  Pause pause;
  Patience patience = {};
};

/// Thread-safe; blocks. @errors of all: unavailable (codes of answers.hpp and transport.hpp), signature (`blobs_tls`)
class Bucket {
public:
  Bucket(Place place, Means means) : place_(std::move(place)), means_(std::move(means)) {}

  /// Durable before it returns, signed with the hash of its bytes, which the store checks.
  Result<void> put(std::string_view key, std::string_view bytes);
  /// The same of a file of `size` bytes, in parts above kPartBytes; what failed for good is not left over.
  Result<void> put_file(std::string_view key, Fs& fs, std::string const& path, std::uint64_t size);
  /// `length` bytes from `offset` of an object that has `size`. @errors also not_found (`no_object`)
  Result<std::string> get(std::string_view key, std::uint64_t offset, std::uint64_t length, std::uint64_t size);
  /// A small object whose size is not known. @errors also not_found, too_large
  Result<std::string> get_small(std::string_view key, std::uint64_t limit);
  /// @errors also not_found
  Result<std::uint64_t> size(std::string_view key);
  /// All `size` bytes, in order; a connection that breaks is taken up where it broke. @errors also those of `piece`, not_found
  Result<void> stream(std::string_view key, std::uint64_t size, std::function<Result<void>(BytesView)> const& piece);
  /// Fine where it is absent.
  Result<void> remove(std::string_view key);
  /// A URL that reads the object until it expires, for whoever has it. @errors those of the credentials
  [[nodiscard]] Result<std::string> signed_url(std::string_view key, std::chrono::seconds lifetime) const;

private:
  struct Ask {
    std::string_view method, key;
    Pairs query = {}, headers = {};
    std::string_view body = {};
    std::uint64_t answer_max = 64 * 1024;
  };
  Result<HttpAnswer> once(Ask const& ask, Sink const* sink) const;
  /// As often as patience has it; `good` judges an answer that is a success.
  Result<HttpAnswer> patiently(Ask const& ask, Sink const* sink = nullptr, std::function<void()> const& anew = {});
  Result<std::string> begin_parts(std::string_view key);
  Result<void> put_parts(std::string_view key, File& file, std::uint64_t size, std::string const& upload);
  [[nodiscard]] std::string what(Ask const& ask) const;

  Place place_;
  Means means_;
};

}  // namespace fleet::s3
