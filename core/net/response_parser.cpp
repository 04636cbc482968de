#include "core/net/response_parser.hpp"

#include "core/net/gate.hpp"

#include <fmt/format.h>

#include <boost/beast/http/error.hpp>

namespace fleet::net {
namespace {

constexpr std::uint32_t kHeaderBytesMax = 32 * 1024;
/// Of an answer that is no success: a problem document, or somebody's error page. It is held in memory, and the limit of what was asked for says nothing about
/// it.
constexpr std::uint64_t kProblemBytesMax = 64 * 1024;
namespace http = boost::beast::http;

}  // namespace

ResponseParser::ResponseParser(ClientRequest const& request, BodySink const& sink) : sink_(sink), limit_(request.body_limit) {
  header_limit(kHeaderBytesMax);
  body_limit(boost::none);  // counted in take(), where the error can name the limit
  eager(true);
  skip(request.method == Method::head);
}

void ResponseParser::on_field_impl(http::field, Text name, Text value, ErrorCode&) {
  // Trailers come after the header was judged: they change nothing.
  if (!headers_done_) response_.headers.push_back({std::string{name}, std::string{value}});
}

std::size_t ResponseParser::take(Text piece, ErrorCode& error) {
  bool const good = response_.status / 100 == 2;
  auto const limit = good ? limit_ : kProblemBytesMax;
  taken_ += piece.size();
  if (taken_ > limit) {
    // A refusal keeps the kind of its status: how much a server says about being away does not change that it is away.
    refusal_ = {good ? Kind::too_large : kind_of_status(response_.status), "body_too_large",
                fmt::format("the body of the answer {} exceeds {} bytes", response_.status, limit)};
    error = http::error::body_limit;
    return 0;
  }
  if (!sink_ || !good) {
    response_.body.append(piece.data(), piece.size());
    return piece.size();
  }
  sink_called_ = true;
  if (auto const taken = sink_(response_, as_bytes({piece.data(), piece.size()})); !taken) {
    refusal_ = taken.error();
    error = http::error::end_of_stream;
    return 0;
  }
  return piece.size();
}

Result<std::size_t> ResponseParser::feed(std::string_view bytes) {
  if (is_header_done() && chunked() && bytes.size() < kChunkedRestMin) return std::size_t{0};
  ErrorCode error;
  auto const used = put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (!error || error == http::error::need_more) return used;
  if (!refusal_.code.empty()) return refusal_;
  return Error{Kind::bad_input, "bad_answer", fmt::format("the answer is not HTTP/1.1: {}", error.message())};
}

Result<void> ResponseParser::feed_end() {
  ErrorCode error = http::error::partial_message;
  if (got_some()) put_eof(error);
  if (!error) return {};
  return Error{Kind::unavailable, "connection_lost", fmt::format("the peer ended the connection after {} bytes of the body of an unfinished answer", taken_)};
}

}  // namespace fleet::net
