#include "core/net/proxy.hpp"

#include "core/base/bytes.hpp"
#include "core/net/ascii.hpp"
#include "core/net/client.hpp"
#include "core/net/resolve.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

namespace fleet::net {
namespace {

constexpr std::size_t kAnswerMax = 16 * 1024;

Error bad_proxy(std::string_view set_by, std::string_view why) {
  return {Kind::bad_input, "bad_proxy", fmt::format("{}: {}", set_by, why), "expected http://[USER:PASSWORD@]HOST[:PORT]"};
}

std::string with_port(std::string const& host, std::uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), to_lower);
  return out;
}

/// The bytes of an address, an IPv4 one in IPv6 as what it is.
std::optional<Bytes> address_bytes(std::string const& text) {
  auto const address = numeric_address(text, 0);
  if (!address) return std::nullopt;
  if (address->storage.ss_family == AF_INET) {
    auto const& ip = reinterpret_cast<sockaddr_in const&>(address->storage).sin_addr;
    auto const* const first = reinterpret_cast<std::uint8_t const*>(&ip);
    return Bytes(first, first + 4);
  }
  auto const& ip = reinterpret_cast<sockaddr_in6 const&>(address->storage).sin6_addr;
  auto const* const first = ip.s6_addr;
  return IN6_IS_ADDR_V4MAPPED(&ip) ? Bytes(first + 12, first + 16) : Bytes(first, first + 16);
}

bool is_in_network(Bytes const& address, std::string_view network, std::string_view length) {
  auto const base = address_bytes(std::string(network));
  std::size_t bits = 0;
  auto const [end, fault] = std::from_chars(length.data(), length.data() + length.size(), bits);
  if (!base || base->size() != address.size() || fault != std::errc{} || end != length.data() + length.size() || bits > 8 * address.size()) return false;
  for (std::size_t bit = 0; bit < bits; ++bit)
    if ((((*base)[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1) != 0) return false;
  return true;
}

/// Takes `:port` off the end of a name, an IPv4 address or an address in brackets.
std::string_view take_port(std::string_view& entry) {
  auto const colon = entry.rfind(':');
  bool const bare_v6 = std::count(entry.begin(), entry.end(), ':') > 1 && !entry.starts_with('[');
  std::string_view port;
  if (colon != std::string_view::npos && !bare_v6 && entry.find(']', colon) == std::string_view::npos) {
    port = entry.substr(colon + 1);
    entry = entry.substr(0, colon);
  }
  if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
  return port;
}

bool spares(std::string_view entry, std::string_view host, std::optional<Bytes> const& address, std::uint16_t port) {
  if (entry == "*") return true;
  auto const wanted = take_port(entry);
  if (!wanted.empty() && wanted != std::to_string(port)) return false;
  if (auto const slash = entry.find('/'); slash != std::string_view::npos)
    return address && is_in_network(*address, entry.substr(0, slash), entry.substr(slash + 1));
  if (address) return address_bytes(std::string(entry)) == address;
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  while (entry.starts_with('.')) entry.remove_prefix(1);
  while (entry.ends_with('.')) entry.remove_suffix(1);
  return !entry.empty() && host.ends_with(entry) && (host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.');
}

bool is_this_machine(std::string_view host, std::optional<Bytes> const& address) {
  if (!address) return host == "localhost" || host.ends_with(".localhost");
  return address->size() == 4 ? address->front() == 127 : is_in_network(*address, "::1", "128");
}

/// Reads up to the empty line, and nothing behind it: the target speaks only after we did.
Result<std::string> read_head(int fd, Patience const& patience) {
  std::string head;
  std::array<char, 2048> piece{};
  while (head.find("\r\n\r\n") == std::string::npos) {
    if (head.size() > kAnswerMax) return Error{Kind::unavailable, "proxy_failed", "its answer is too long"};
    auto const got = ::recv(fd, piece.data(), piece.size(), 0);
    if (got > 0) head.append(piece.data(), static_cast<std::size_t>(got));
    else if (got == 0) return Error{Kind::unavailable, "proxy_failed", "it closed the connection without an answer"};
    else if (errno != EAGAIN && errno != EINTR) return Error{Kind::unavailable, "proxy_failed", system_words(errno)};
    else FLEET_CHECK(wait_for(fd, POLLIN, patience));
  }
  return head;
}

Result<void> write_all(int fd, std::string_view bytes, Patience const& patience) {
  while (!bytes.empty()) {
    auto const sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
    else if (errno != EAGAIN && errno != EINTR) return Error{Kind::unavailable, "proxy_failed", system_words(errno)};
    else FLEET_CHECK(wait_for(fd, POLLOUT, patience));
  }
  return {};
}

/// `HTTP/1.1 407 Proxy Authentication Required` -> 407; 0 where it is no status line.
int status_of(std::string_view line) {
  int status = 0;
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return 0;
  auto const [end, fault] = std::from_chars(line.data() + 9, line.data() + 12, status);
  return fault == std::errc{} && end == line.data() + 12 ? status : 0;
}

}  // namespace

std::string Proxy::name() const { return fmt::format("proxy {} ({})", with_port(host, port), set_by); }

Result<Fd> Proxy::connect(std::string const& target_host, std::uint16_t target_port, Patience const& patience) const {
  auto const target = with_port(target_host, target_port);
  auto const explained = [&](Error error) {
    if (error.code == "cancelled") return error;
    if (error.kind != Kind::timeout) error.code = "proxy_failed";
    error.detail = fmt::format("{}: {}", name(), error.detail);
    return error;
  };
  auto fd = connect_to(host, port, patience);
  if (!fd) return explained(fd.error());
  auto request = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", target);
  if (!authorization.empty()) request += fmt::format("Proxy-Authorization: {}\r\n", authorization);
  request += "\r\n";
  if (auto const written = write_all(fd->get(), request, patience); !written) return explained(written.error());
  auto const head = read_head(fd->get(), patience);
  if (!head) return explained(head.error());
  auto line = head->substr(0, head->find("\r\n"));
  std::replace_if(line.begin(), line.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  auto const status = status_of(line);
  if (status / 100 != 2)
    return Error{Kind::unavailable, "proxy_refused", fmt::format("{} does not let us through to {}: {}", name(), target, line.substr(0, 200)),
                 status == 407 ? "name a user and a password: http://USER:PASSWORD@HOST:PORT" : "may this machine reach that address through it? else name it in no_proxy"};
  if (!head->ends_with("\r\n\r\n")) return explained({Kind::unavailable, "proxy_failed", "bytes that nobody asked for follow its answer"});
  return fd;
}

Result<ProxyRules> ProxyRules::create(std::string_view https, std::vector<std::string> no_proxy, std::string set_by) {
  ProxyRules out;
  for (auto& entry : no_proxy) out.spared_.push_back(lower(entry));
  if (https.empty()) return out;
  auto rest = https;
  if (auto const scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (!equal_ignoring_case(rest.substr(0, scheme), "http"))
      return bad_proxy(set_by, fmt::format("a proxy is spoken to by http://, not {}://", rest.substr(0, std::min<std::size_t>(scheme, 20))));
    rest.remove_prefix(scheme + 3);
  }
  Proxy proxy;
  proxy.set_by = set_by;
  auto const end = std::min(rest.find_first_of("/?#"), rest.size());
  if (auto const at = rest.substr(0, end).rfind('@'); at != std::string_view::npos) {
    auto const user = percent_decode(rest.substr(0, at));
    if (!user) return bad_proxy(set_by, "its user and password are not percent-encoded as they must be");
    proxy.authorization = "Basic " + to_base64(as_bytes(user->find(':') == std::string::npos ? *user + ":" : *user));
    rest.remove_prefix(at + 1);
  }
  auto const url = Url::parse("http://" + std::string(rest));
  if (!url) return bad_proxy(set_by, url.error().detail);
  proxy.host = url->host;
  proxy.port = url->port;
  out.https_ = std::move(proxy);
  return out;
}

Result<ProxyRules> ProxyRules::from_environment(std::function<std::optional<std::string>(std::string const&)> const& environment) {
  auto const first_of = [&](std::string const& name, std::string const& capitals) {
    auto value = environment(name);
    return value && !value->empty() ? *value : environment(capitals).value_or("");
  };
  std::vector<std::string> entries;
  auto const listed = first_of("no_proxy", "NO_PROXY");
  for (std::size_t from = 0; from < listed.size();) {
    auto const stop = std::min(listed.find_first_of(", \t", from), listed.size());
    if (stop > from) entries.push_back(listed.substr(from, stop - from));
    from = stop + 1;
  }
  FLEET_TRY(auto out, create(first_of("https_proxy", "HTTPS_PROXY"), std::move(entries), "https_proxy"));
  out.spares_this_machine_ = true;
  return out;
}

Proxy const* ProxyRules::find(Url const& url) const {
  if (!https_ || url.scheme != "https") return nullptr;
  auto const address = address_bytes(url.host);
  std::string_view host = url.host;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (spares_this_machine_ && is_this_machine(host, address)) return nullptr;
  bool const direct = std::any_of(spared_.begin(), spared_.end(), [&](std::string const& entry) { return spares(entry, host, address, url.port); });
  return direct ? nullptr : &*https_;
}

}  // namespace fleet::net
