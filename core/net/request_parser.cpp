#include "core/net/request_parser.hpp"

#include <fmt/format.h>

#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <array>

namespace fleet::net {
namespace {

namespace http = boost::beast::http;
/// A body's memory grows with what has come, not with what a header promises.
constexpr std::uint64_t kBodyReserveMax = 64 * 1024;
/// More than any string keeps within itself, so that moving a request leaves its target where `path` and `query` point.
constexpr std::size_t kTargetReserve = 32;

struct Verb {
  http::verb from;
  Method to;
};
constexpr auto kVerbs = std::to_array<Verb>({
    {http::verb::get, Method::get},
    {http::verb::head, Method::head},
    {http::verb::post, Method::post},
    {http::verb::put, Method::put},
    {http::verb::patch, Method::patch},
    {http::verb::delete_, Method::del},
    {http::verb::options, Method::options},
});

Error over_limit(std::uint64_t limit) {
  return {Kind::too_large, "body_too_large", fmt::format("the body exceeds {} bytes", limit), "send less, or in pieces where the route allows"};
}

}  // namespace

RequestParser::RequestParser(std::size_t header_bytes_max) {
  header_limit(static_cast<std::uint32_t>(header_bytes_max));
  body_limit(boost::none);  // counted in take(): the limit is known only after the header
}

void RequestParser::on_request_impl(http::verb verb, Text, Text target, int version, ErrorCode&) {
  version_ = version;
  for (auto const& row : kVerbs)
    if (row.from == verb) request_.method = row.to;
  request_.target.reserve(std::max(target.size(), kTargetReserve));
  request_.target += origin_form({target.data(), target.size()});
  std::string_view const whole = request_.target;
  auto const mark = whole.find('?');
  request_.path = whole.substr(0, mark);
  if (mark != std::string_view::npos) request_.query = whole.substr(mark + 1);
}

void RequestParser::on_field_impl(http::field, Text name, Text value, ErrorCode&) {
  request_.headers.push_back({std::string{name.data(), name.size()}, std::string{value.data(), value.size()}});
}

Result<void> RequestParser::take(std::string_view piece) {
  if (piece.size() > limit_ - request_.body.size()) return over_limit(limit_);
  request_.body.append(piece);
  return {};
}

Result<HeadFacts> RequestParser::feed_head(std::string_view block) {
  FLEET_TRY(auto const facts, check_head(block));
  ErrorCode error;
  eager(false);
  auto const used = put(boost::asio::buffer(block.data(), block.size()), error);
  // Two parsers must agree on where the header ends, or the gate judged something else.
  if (error || used != block.size() || !is_header_done() || chunked() != facts.chunked)
    return Error{Kind::bad_input, "bad_request", fmt::format("the header is not HTTP/1.1: {}", error ? error.message() : "ambiguous framing")};
  chunked_ = facts.chunked;
  left_ = facts.chunked ? 0 : content_length().value_or(0);
  request_.body.reserve(static_cast<std::size_t>(std::min(left_, kBodyReserveMax)));
  return facts;
}

Result<void> RequestParser::set_body_limit(std::uint64_t limit) {
  limit_ = limit;
  return left_ > limit || (chunked_ && limit == 0) ? over_limit(limit) : Result<void>{};
}

Result<std::size_t> RequestParser::feed_body(std::string_view bytes) {
  if (chunked_) return chunks_.feed(bytes, [this](std::string_view piece) { return take(piece); });
  auto const piece = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
  FLEET_CHECK(take(piece));
  left_ -= piece.size();
  return piece.size();
}

}  // namespace fleet::net
