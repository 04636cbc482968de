#include "server/blobs/s3/transport.hpp"

#include <curl/curl.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace fleet::s3 {
namespace {

constexpr long kConnectMs = 5'000;
constexpr long kSlowBytes = 1024, kSlowSeconds = 15;  ///< slower than that for so long is no answer
constexpr std::size_t kHeadMax = 64 * 1024;
constexpr std::uint64_t kErrorMax = 64 * 1024;  ///< of an answer that is none of success

struct EndHandle {
  void operator()(CURL* handle) const { ::curl_easy_cleanup(handle); }
};
using Handle = std::unique_ptr<CURL, EndHandle>;

/// One exchange, as libcurl's callbacks see it.
struct Exchange {
  HttpRequest const& request;
  Sink const* sink;
  std::atomic<bool> const& stopped;
  HttpAnswer answer = {};
  std::size_t head_bytes = 0, sent = 0;
  bool judged = false;
  std::optional<Error> refused = {};  ///< why we ended it ourselves

  [[nodiscard]] bool to_sink() const { return sink != nullptr && answer.status >= 200 && answer.status < 300; }
};

std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  std::string_view line{bytes, size * count};
  exchange.head_bytes += line.size();
  if (exchange.head_bytes > kHeadMax) return 0;
  if (line.starts_with("HTTP/")) exchange.answer.headers.clear();  // after a 100
  auto const colon = line.find(':');
  if (colon != std::string_view::npos && !line.starts_with("HTTP/")) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    auto value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' ')) value.remove_suffix(1);
    exchange.answer.headers.emplace_back(std::move(name), std::string(value));
  }
  return size * count;
}

std::size_t take_body(Exchange& exchange, std::string_view bytes) {
  auto const refuse = [&](Error error) {
    exchange.refused = std::move(error);
    return std::size_t{0};
  };
  if (!exchange.to_sink()) {
    bool const good = exchange.answer.status >= 200 && exchange.answer.status < 300;
    auto const most = good ? exchange.request.answer_max : kErrorMax;
    if (exchange.answer.body.size() + bytes.size() > most) return refuse({Kind::too_large, "blobs_too_long", fmt::format("the store's answer {} has more than {} bytes", exchange.answer.status, most)});
    exchange.answer.body += bytes;
    return bytes.size();
  }
  if (!std::exchange(exchange.judged, true) && exchange.sink->head)
    if (auto const fits = exchange.sink->head(exchange.answer); !fits) return refuse(fits.error());
  if (auto const taken = exchange.sink->piece(as_bytes(bytes)); !taken) return refuse(taken.error());
  return bytes.size();
}

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* user);

std::size_t on_read(char* out, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  auto const left = exchange.request.body.size() - exchange.sent;
  auto const n = std::min(left, size * count);
  std::memcpy(out, exchange.request.body.data() + exchange.sent, n);
  exchange.sent += n;
  return n;
}

int on_seek(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (origin != SEEK_SET || offset < 0 || static_cast<std::size_t>(offset) > exchange.request.body.size()) return CURL_SEEKFUNC_CANTSEEK;
  exchange.sent = static_cast<std::size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return static_cast<Exchange*>(user)->stopped ? 1 : 0; }

/// The answer's status is known before its first byte.
struct Running {
  Exchange& exchange;
  CURL* handle;
};
std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& running = *static_cast<Running*>(user);
  long status = 0;
  ::curl_easy_getinfo(running.handle, CURLINFO_RESPONSE_CODE, &status);
  running.exchange.answer.status = static_cast<int>(status);
  return take_body(running.exchange, {bytes, size * count});
}

Error fault_of(CURLcode code, std::string_view text) {
  auto const detail = std::string(text.empty() ? ::curl_easy_strerror(code) : text);
  switch (code) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_WRITE_ERROR:
    case CURLE_ABORTED_BY_CALLBACK: return {Kind::unavailable, "blobs_cut", "the store's answer was cut: " + detail, "it is asked again"};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return {Kind::signature, "blobs_tls", "the store's certificate is not trusted: " + detail, "its CA belongs among the system's, or into ca=FILE of the store's URL"};
    default: return {Kind::unavailable, "blobs_unreachable", "the store cannot be reached: " + detail, "look at its endpoint, and at the network between"};
  }
}

class Curl final : public Transport {
public:
  explicit Curl(std::string ca_file) : ca_file_(std::move(ca_file)) {
    static CURLcode const ready = ::curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready != CURLE_OK) throw std::runtime_error("libcurl cannot be used");
  }

  Result<HttpAnswer> send(HttpRequest const& request, Sink const* sink) override {
    auto handle = take();
    Exchange exchange{.request = request, .sink = sink, .stopped = stopped_};
    Running running{exchange, handle.get()};
    std::array<char, CURL_ERROR_SIZE> text{};
    curl_slist* lines = nullptr;
    for (auto const& [name, value] : request.headers) lines = ::curl_slist_append(lines, fmt::format("{}{} {}", name, value.empty() ? ";" : ":", value).c_str());
    lines = ::curl_slist_append(lines, "Expect:");  // a round trip each; what is refused is told soon enough
    std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> const kept(lines, &::curl_slist_free_all);
    set_up(handle.get(), running, lines, text.data());
    auto const code = ::curl_easy_perform(handle.get());
    long status = 0;
    ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    exchange.answer.status = static_cast<int>(status);
    if (code == CURLE_OK) give_back(std::move(handle));
    if (exchange.refused) return *exchange.refused;
    if (code != CURLE_OK) return fault_of(code, text.data());
    // A body of no bytes calls nobody.
    if (exchange.to_sink() && !exchange.judged && sink->head) FLEET_CHECK(sink->head(exchange.answer));
    return std::move(exchange.answer);
  }

  void stop() override { stopped_ = true; }

private:
  void set_up(CURL* handle, Running& running, curl_slist* lines, char* text) const {
    auto const& request = running.exchange.request;
    ::curl_easy_reset(handle);  // connections and TLS sessions stay
    ::curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
    ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    ::curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    ::curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, lines);
    ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, text);
    ::curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kSlowBytes);
    ::curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kSlowSeconds);
    ::curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L * 1024);
    if (!ca_file_.empty()) ::curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file_.c_str());
    ::curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &on_header);
    ::curl_easy_setopt(handle, CURLOPT_HEADERDATA, &running.exchange);
    ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_body);
    ::curl_easy_setopt(handle, CURLOPT_WRITEDATA, &running);
    ::curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    ::curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
    ::curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &running.exchange);
    if (request.method == "HEAD") ::curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    if (request.method == "PUT" || request.method == "POST") {
      ::curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
      ::curl_easy_setopt(handle, CURLOPT_READFUNCTION, &on_read);
      ::curl_easy_setopt(handle, CURLOPT_READDATA, &running.exchange);
      ::curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, &on_seek);
      ::curl_easy_setopt(handle, CURLOPT_SEEKDATA, &running.exchange);
      ::curl_easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    if (request.method != "GET" && request.method != "HEAD") ::curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }

  /// One that knows a connection already, where there is one.
  Handle take() {
    std::lock_guard const lock(mutex_);
    if (idle_.empty()) return Handle(::curl_easy_init());
    auto out = std::move(idle_.back());
    idle_.pop_back();
    return out;
  }
  void give_back(Handle handle) {
    std::lock_guard const lock(mutex_);
    if (idle_.size() < kIdle) idle_.push_back(std::move(handle));
  }

  static constexpr std::size_t kIdle = 32;
  std::string const ca_file_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<Handle> idle_;
};

}  // namespace

std::string_view HttpAnswer::header(std::string_view name) const {
  auto const found = std::find_if(headers.begin(), headers.end(), [name](auto const& one) { return one.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::unique_ptr<Transport> over_curl(std::string ca_file) { return std::make_unique<Curl>(std::move(ca_file)); }

}  // namespace fleet::s3
