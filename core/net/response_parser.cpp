#include "core/net/response_parser.hpp"

#include "core/net/ascii.hpp"

#include <fmt/format.h>

#include <boost/beast/http/error.hpp>

#include <utility>

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
  skip(request.method == Method::head);
}

void ResponseParser::on_field_impl(http::field field, Text name, Text value, ErrorCode& error) {
  // Beast takes other codings than `chunked` and equal lengths twice; what stands between us and the server might read them otherwise.
  bool const length = field == http::field::content_length, coding = field == http::field::transfer_encoding;
  if (!headers_done_ && (length || coding) && (std::exchange(framed_, true) || (coding && !equal_ignoring_case({value.data(), value.size()}, "chunked")))) {
    error = http::error::bad_transfer_encoding;
    return;
  }
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
  if (chunks_) {
    return chunks_->feed(bytes, [this](std::string_view piece) -> Result<void> {
      ErrorCode error;
      take({piece.data(), piece.size()}, error);
      return error ? Result<void>(refusal_) : Result<void>{};
    });
  }
  ErrorCode error;
  auto const used = put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (is_header_done() && chunked() && !basic_parser::is_done()) chunks_.emplace();  // Beast's own reading of chunks is lax
  else eager(is_header_done());
  if (!error || error == http::error::need_more) return used;
  if (!refusal_.code.empty()) return refusal_;
  return Error{Kind::bad_input, "bad_answer", fmt::format("the answer is not HTTP/1.1: {}", error.message())};
}

Result<void> ResponseParser::feed_end() {
  ErrorCode error = http::error::partial_message;
  if (got_some() && !chunks_) put_eof(error);
  if (!error) return {};
  return Error{Kind::unavailable, "connection_lost", fmt::format("the peer ended the connection after {} bytes of the body of an unfinished answer", taken_)};
}

}  // namespace fleet::net
