// What arrives on a TLS connection: a request behind its gate, an answer, queries and URLs. The first byte chooses.
#include "core/base/bytes.hpp"
#include "core/net/client.hpp"
#include "core/net/gate.hpp"
#include "core/net/request_parser.hpp"
#include "core/net/response_parser.hpp"

#include <cstdlib>

using namespace fleet;

namespace {

constexpr std::size_t kHeaderBytes = 16 * 1024;
constexpr std::uint64_t kBodyBytes = 4096;

/// A request's body, or nothing when it was refused or is not whole.
std::optional<std::string> body_of(std::string_view bytes, std::size_t step) {
  auto const end = net::find_head_end(bytes, 0);
  if (end.state != net::HeadEnd::State::complete) return std::nullopt;
  net::RequestParser parser(kHeaderBytes);
  if (!parser.feed_head(bytes.substr(0, end.size)) || !parser.set_body_limit(kBodyBytes)) return std::nullopt;
  auto const body = bytes.substr(end.size);
  for (std::size_t taken = 0, shown = 0; !parser.is_done();) {
    if (shown == body.size()) return std::nullopt;
    shown = std::min(body.size(), shown + step);
    auto const used = parser.feed_body(body.substr(taken, shown - taken));
    if (!used) return std::nullopt;
    taken += *used;
  }
  return std::move(parser.request().body);
}

/// However the bytes are cut on their way, they are the same request.
void request(std::string_view bytes) {
  auto const whole = body_of(bytes, bytes.size() + 1), cut = body_of(bytes, 1);
  if (whole != cut) std::abort();
}

void answer(std::string_view bytes) {
  net::ClientRequest asked;
  asked.body_limit = kBodyBytes;
  net::BodySink const sink;
  net::ResponseParser parser(asked, sink);
  for (auto rest = bytes; !rest.empty() && !parser.is_done();) {
    auto const used = parser.feed(rest);
    if (!used || *used == 0) return;
    rest.remove_prefix(*used);
  }
  static_cast<void>(parser.feed_end());
}

void texts(std::string_view bytes) {
  static_cast<void>(net::parse_query(bytes));
  static_cast<void>(net::percent_decode(bytes));
  static_cast<void>(net::Url::parse(bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const text = as_text({data + 1, size - 1});
  if (data[0] == 'a') answer(text);
  else if (data[0] == 't') texts(text);
  else request(text);
  return 0;
}
