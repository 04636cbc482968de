#include "server/admin/address.hpp"

#include <fmt/format.h>

#include <charconv>

namespace fleet::admin {

Result<Address> Address::parse(std::string_view text) {
  auto const bad = [text] {
    return Error{Kind::bad_input, "bad_address", fmt::format("\"{}\" is no address to listen on", text),
                 "write HOST:PORT, such as 127.0.0.1:8443, [::]:8444 or :8444"};
  };
  auto const colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  Address address;
  auto const port = text.substr(colon + 1);
  auto const [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size()) return bad();
  auto host = text.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos) return bad();
  address.host = host.empty() ? "0.0.0.0" : std::string(host);
  return address;
}

}  // namespace fleet::admin
