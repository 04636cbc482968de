#pragma once

#include "core/net/chunked_body.hpp"
#include "core/net/gate.hpp"

#include <boost/beast/http/basic_parser.hpp>

namespace fleet::net {

/// One request: first its whole header block, which the gate let through and Beast parses, then its body piece by piece, which is framed here.
class RequestParser final : public boost::beast::http::basic_parser<true> {
public:
  explicit RequestParser(std::size_t header_bytes_max);

  /// Judges and parses `block`. @errors bad_input
  Result<HeadFacts> feed_head(std::string_view block);
  /// The body may have this many bytes. @errors too_large when the length given is over it
  Result<void> set_body_limit(std::uint64_t limit);
  /// Consumes a prefix of `bytes`; the rest must come again with what follows, or is the next request's. @errors bad_input, too_large
  Result<std::size_t> feed_body(std::string_view bytes);

  /// Header and body have come.
  [[nodiscard]] bool is_done() const { return chunked_ ? chunks_.is_done() : left_ == 0; }
  [[nodiscard]] Request& request() { return request_; }
  /// Bytes that the body will have, as its header says; of a chunked one the most that it may.
  [[nodiscard]] std::uint64_t announced_bytes() const { return content_length() ? *content_length() : limit_; }
  [[nodiscard]] bool keeps_alive() const { return version_ == 11 && keep_alive(); }
  [[nodiscard]] std::uint64_t body_bytes() const { return request_.body.size(); }

private:
  using ErrorCode = boost::beast::error_code;
  using Text = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb verb, Text method, Text target, int version, ErrorCode&) override;
  void on_response_impl(int, Text, int, ErrorCode&) override {}
  void on_field_impl(boost::beast::http::field, Text name, Text value, ErrorCode&) override;
  void on_header_impl(ErrorCode&) override {}
  // Beast is shown no byte of a body.
  void on_body_init_impl(boost::optional<std::uint64_t> const&, ErrorCode&) override {}
  std::size_t on_body_impl(Text, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, Text, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text, ErrorCode&) override { return 0; }
  void on_finish_impl(ErrorCode&) override {}
  Result<void> take(std::string_view piece);

  Request request_;
  ChunkedBody chunks_;
  std::uint64_t limit_ = 0;
  std::uint64_t left_ = 0;  ///< of a body whose length was given
  int version_ = 0;
  bool chunked_ = false;
};

}  // namespace fleet::net
