// The gate in front of the HTTP parser, queries and URLs.
#include "core/base/bytes.hpp"
#include "core/net/client.hpp"
#include "core/net/gate.hpp"

using namespace fleet;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const text = as_text({data, size});
  auto const end = net::find_head_end(text, 0);
  if (end.state == net::HeadEnd::State::complete) static_cast<void>(net::check_head(text.substr(0, end.size)));
  static_cast<void>(net::parse_query(text));
  static_cast<void>(net::percent_decode(text));
  static_cast<void>(net::Url::parse(text));
  return 0;
}
