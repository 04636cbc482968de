#pragma once

#include "server/blobs/s3/sigv4.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace fleet::s3 {

struct HttpRequest {
  std::string method, url;
  Pairs headers;
  std::string_view body;
  std::uint64_t answer_max = 64 * 1024;  ///< bytes of a body that no sink takes; of an error 64 KiB
};
struct HttpAnswer {
  int status = 0;
  Pairs headers;     ///< names in lower case
  std::string body;  ///< of an error, or where there is no sink
  [[nodiscard]] std::string_view header(std::string_view name) const;
};
/// Takes the body of a 2xx piece by piece, after `head` said yes to the answer's head; an error ends the exchange and is returned.
struct Sink {
  std::function<Result<void>(HttpAnswer const&)> head;
  std::function<Result<void>(BytesView)> piece;
};

/// Carries one exchange. Thread-safe; blocks.
class Transport {
public:
  virtual ~Transport() = default;
  /// @param sink  may be nullptr. @errors unavailable (`blobs_unreachable`; `blobs_cut`: in mid-answer), signature (`blobs_tls`), too_large; those of the sink.
  /// Any status is an answer.
  virtual Result<HttpAnswer> send(HttpRequest const& request, Sink const* sink) = 0;
  /// What is under way ends, and all that follows fails: the server ends.
  virtual void stop() = 0;
};
/// By libcurl, connections kept. @param ca_file  empty: the system's
[[nodiscard]] std::unique_ptr<Transport> over_curl(std::string ca_file);

}  // namespace fleet::s3
