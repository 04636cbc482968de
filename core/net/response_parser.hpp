#pragma once

#include "core/net/chunked_body.hpp"
#include "core/net/client.hpp"

#include <boost/beast/http/basic_parser.hpp>

namespace fleet::net {

/// Parses one answer, fed by put(). Interim answers (1xx) are left to the caller, who starts a new parser.
class ResponseParser final : public boost::beast::http::basic_parser<false> {
public:
  ResponseParser(ClientRequest const& request, BodySink const& sink);

  /// Consumes a prefix of `bytes`; the caller keeps the rest and gives it again with what follows.
  /// @errors bad_input (not HTTP), too_large, what the sink says
  Result<std::size_t> feed(std::string_view bytes);
  /// The peer ended the connection. @errors unavailable when the answer is not complete
  Result<void> feed_end();
  [[nodiscard]] bool is_done() const { return chunks_ ? chunks_->is_done() : basic_parser::is_done(); }
  [[nodiscard]] ClientResponse& response() { return response_; }
  /// The header of a 2xx answer is there: what comes now is for the sink.
  [[nodiscard]] bool in_good_body() const { return headers_done_ && response_.status / 100 == 2; }
  [[nodiscard]] bool sink_called() const { return sink_called_; }

private:
  using ErrorCode = boost::beast::error_code;
  using Text = boost::beast::string_view;
  void on_request_impl(boost::beast::http::verb, Text, Text, int, ErrorCode&) override {}
  void on_response_impl(int code, Text, int, ErrorCode&) override { response_.status = code; }
  void on_field_impl(boost::beast::http::field field, Text name, Text value, ErrorCode& error) override;
  void on_header_impl(ErrorCode&) override { headers_done_ = true; }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, ErrorCode&) override {}
  std::size_t on_body_impl(Text piece, ErrorCode& error) override { return take(piece, error); }
  void on_chunk_header_impl(std::uint64_t, Text, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text piece, ErrorCode& error) override { return take(piece, error); }
  void on_finish_impl(ErrorCode&) override {}
  std::size_t take(Text piece, ErrorCode& error);

  BodySink const& sink_;
  std::optional<ChunkedBody> chunks_;
  ClientResponse response_;
  Error refusal_;  ///< why take() stopped the parser
  std::uint64_t taken_ = 0;
  std::uint64_t limit_;
  bool headers_done_ = false;
  bool framed_ = false;  ///< the header has said where the body ends
  bool sink_called_ = false;
};

}  // namespace fleet::net
