#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fleet::net {

enum class Method { get, head, post, put, patch, del, options, other };
[[nodiscard]] std::string_view to_string(Method method);

struct Header {
  std::string name;
  std::string value;
};
using Headers = std::vector<Header>;
/// Value of the first header of that name, compared without case; empty when absent.
[[nodiscard]] std::string_view find_header(Headers const& headers, std::string_view name);

/// What is known of the other end of a TLS connection.
struct Peer {
  std::string address;  ///< ip:port
  bool loopback = false;
  bool has_certificate = false;  ///< proved possession of its key in this or the resumed handshake; the chain is NOT judged
  Digest key_sha256{};           ///< of the certificate's SubjectPublicKeyInfo
  Digest certificate_sha256{};
  std::string common_name;
  SysTime not_after{};
  Bytes certificate = {};        ///< DER; only where the listener keeps it
};

/// Something a handler wants remembered on a connection (a device's cached decision). Touched on the connection's io thread only.
struct Attachment {
  virtual ~Attachment() = default;
};

/// How a connection stands with the program. Called on the connection's io thread, inside Handler::handle.
struct Standing {
  virtual ~Standing() = default;
  /// The peer proved to be `who` (the hash of a key, of a token's name), whom the program knows: while there is room, the connection is no stranger's any
  /// more, and its TLS session is kept.
  virtual void recognise(Digest const& who) = 0;
  /// What the peer shows is not known, or no longer: the connection ends with this answer, and its session is forgotten.
  virtual void disown() = 0;
};

/// Moving keeps `path` and `query` valid for requests that the server made; copying does not.
struct Request {
  Method method = Method::other;
  std::string target;      ///< raw, as received: path?query
  std::string_view path;   ///< part of target before ?, still percent-encoded
  std::string_view query;  ///< part after ?, without it
  Headers headers;
  std::string body;
  Peer const* peer = nullptr;                         ///< lives as long as the connection, or the request's Responder if that is longer
  std::unique_ptr<Attachment>* attachment = nullptr;  ///< of the connection; only valid inside Handler::handle
  Standing* standing = nullptr;                       ///< of the connection; only valid inside Handler::handle
  [[nodiscard]] std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

/// A range of a file, read and sent in pieces, without TLS by sendfile(2) (no mmap: a file that is cut short or a bad disk ends one connection, not the process).
struct FileBody {
  std::string path;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::shared_ptr<void const> held = {};  ///< let go of once the answer has been sent, or cannot be
};
/// Bytes that are brought from elsewhere while they leave, a piece at a time.
class Source {
public:
  virtual ~Source() = default;
  using Done = std::function<void(Result<std::string>)>;
  /// Begins to bring 1 to `most` bytes from `offset`, and does not wait for them: `done` is called once, on any thread, also within this call.
  virtual void read(std::uint64_t offset, std::size_t most, Done done) = 0;
};
/// The answer's head waits for the first piece: what cannot be brought at all is answered as a problem.
struct StreamBody {
  std::shared_ptr<Source> source;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::shared_ptr<void const> held = {};  ///< as of FileBody
};
/// Bytes made once and shared by many answers.
using SharedBody = std::shared_ptr<std::string const>;

struct Response {
  int status = 200;
  Headers headers;  ///< without Content-Length, Date and Connection, which the server adds
  std::variant<std::string, SharedBody, FileBody, StreamBody> body;
  bool close = false;
};

/// `application/json` with `body`.
[[nodiscard]] Response json_response(int status, std::string body);

/// Percent-decodes a path segment or query value. @errors bad_input (bad escape, NUL)
[[nodiscard]] Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
/// Encodes everything but RFC 3986 unreserved characters.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// `a=1&b=2` decoded, in order. @errors bad_input
[[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

}  // namespace fleet::net
