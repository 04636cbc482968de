#include "core/net/connection.hpp"

#include "core/base/log.hpp"
#include "core/net/answer_sink.hpp"
#include "core/net/outgoing.hpp"
#include "core/net/proxy_header.hpp"
#include "core/net/response_head.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace fleet::net {
namespace {

constexpr std::int64_t kBodyBytesPerSecondMin = 16 * 1024;
/// Bodies up to this size always have room.
constexpr std::uint64_t kSmallBody = 64 * 1024;
/// A peer that shut down its half may still wait for the answer; one that has gone must not hold its descriptor.
constexpr Millis kAnswerAfterEnd{2'000};

}  // namespace

Connection::Connection(Worker& worker, Listener const& listener, Door& door, Fd fd, SocketAddress const& address)
    : worker_(worker),
      listener_(listener),
      door_(door),
      address_(address),
      descriptor_(worker.io.get_executor(), fd.release()),
      tls_(listener.tls->get().get(), descriptor_.native_handle()),
      peer_(std::make_shared<Peer>()) {
  guest_.connection = this;
}

Connection::~Connection() = default;

void Connection::start() {
  worker_.set_deadline(*this, worker_.shared().limits.handshake);
  auto const& balancers = listener_.config.balancers;
  if (std::none_of(balancers.begin(), balancers.end(), [&](AddressRange const& range) { return range.contains(address_); })) return enter(address_);
  state_ = State::announced;
  read_announcement();
}

/// Takes exactly the header off the socket: what follows is for OpenSSL, which reads the socket itself.
void Connection::read_announcement() {
  for (;;) {
    auto const wanted = early_.size() < ProxyHeader::kFixedBytes ? Result<std::size_t>{ProxyHeader::kFixedBytes} : proxy_header_size(early_);
    if (!wanted) return refuse_announcement(wanted.error());
    if (early_.size() >= ProxyHeader::kFixedBytes && early_.size() == *wanted) break;
    auto const got = ::recv(descriptor_.native_handle(), worker_.read_scratch.data(), *wanted - early_.size(), 0);
    if (got < 0 && errno == EAGAIN) return arm_read();
    if (got <= 0) return close();
    early_.append(worker_.read_scratch.data(), static_cast<std::size_t>(got));
  }
  auto const header = parse_proxy_header(std::exchange(early_, {}));
  if (!header) return refuse_announcement(header.error());
  enter(header->client.value_or(address_));
}

void Connection::refuse_announcement(Error const& error) {
  log::warn("balancer_refused", {{"listener", listener_.config.name}, {"balancer", to_string(address_)}, {"detail", error.detail}, {"hint", error.hint}});
  close();
}

/// Takes a place among the strangers.
void Connection::enter(SocketAddress const& address) {
  peer_->address = to_string(address);
  peer_->loopback = is_loopback(address);
  auto const admitted = door_.admit(guest_, key_of(address), worker_.now());
  if (admitted.leaves != nullptr || !admitted.in) count(worker_.counters.connections_refused);
  if (!admitted.in) return close();
  if (admitted.leaves != nullptr) admitted.leaves->connection->close();
  state_ = State::handshake;
  shake_hands();
}

void Connection::shake_hands() {
  switch (tls_.accept().state) {
    case TlsSocket::State::want_read: return arm_read();
    case TlsSocket::State::want_write: return arm_write();
    case TlsSocket::State::done: break;
    default: count(worker_.counters.handshake_failures); return close();
  }
  count(worker_.counters.handshakes);
  greet();
  state_ = State::head;
  worker_.set_deadline(*this, patience());
  on_readable();
}

/// Who resumes a session was known when it was kept; whether that still holds, each request shows.
void Connection::greet() {
  if (tls_.is_plain()) return;
  if (!tls_.resumed()) return read_peer_certificate(tls_.get(), *peer_, listener_.config.keep_client_certificate);
  count(worker_.counters.resumed);
  auto const known = Sessions::read(tls_.get());
  if (!known) return;
  peer_->has_certificate = known->peer.has_certificate;
  peer_->key_sha256 = known->peer.key_sha256;
  peer_->certificate_sha256 = known->peer.certificate_sha256;
  peer_->common_name = known->peer.common_name;
  peer_->not_after = known->peer.not_after;
  recognise(known->who);
}

void Connection::recognise(Digest const& who) {
  if (guest_.known || !door_.recognise(guest_, who) || tls_.is_plain()) return;
  listener_.sessions->keep(tls_.get(), who, *peer_);
}

void Connection::disown() {
  keeps_alive_ = false;
  if (guest_.known) listener_.sessions->forget(guest_.who);
}

/// How long a peer may be silent between requests.
Millis Connection::patience() const { return guest_.known ? worker_.shared().limits.idle : worker_.shared().limits.stranger; }

void Connection::arm_read() {
  if (read_armed_ || state_ == State::closed) return;
  read_armed_ = true;
  descriptor_.async_wait(Descriptor::wait_read, [self = shared_from_this()](boost::system::error_code const& error) {
    self->read_armed_ = false;
    if (!error) self->on_readable();
  });
}

void Connection::arm_write() {
  if (write_armed_ || state_ == State::closed) return;
  write_armed_ = true;
  descriptor_.async_wait(Descriptor::wait_write, [self = shared_from_this()](boost::system::error_code const& error) {
    self->write_armed_ = false;
    if (!error) self->on_writable();
  });
}

void Connection::on_writable() {
  if (state_ == State::writing) return pump();
  on_readable();
}

void Connection::on_readable() {
  if (state_ == State::announced) return read_announcement();
  if (state_ == State::handshake) return shake_hands();
  while (state_ != State::closed && !paused_ && !peer_ended_) {
    if (state_ == State::linger) return discard();
    auto const step = tls_.read(worker_.read_scratch);
    switch (step.state) {
      case TlsSocket::State::done: take({worker_.read_scratch.data(), step.bytes}); break;
      case TlsSocket::State::want_read: return arm_read();
      case TlsSocket::State::want_write: return arm_write();
      case TlsSocket::State::ended: return on_peer_end(true);
      case TlsSocket::State::failed: return on_peer_end(false);
    }
    if (state_ != State::linger && state_ != State::closed && !paused_ && !tls_.has_pending()) return arm_read();
  }
}

void Connection::on_peer_end(bool orderly) {
  peer_ended_ = true;
  if (sink_) sink_->peer_has_gone();
  bool const may_wait = state_ == State::pending || state_ == State::writing;
  if (!orderly || !may_wait) return close();
  if (state_ == State::pending) worker_.set_deadline(*this, kAnswerAfterEnd);
}

void Connection::take(std::string_view fresh) {
  if (early_.empty()) return consume(fresh);
  auto all = std::move(early_);
  early_ = {};
  all.append(fresh);
  consume(all);
}

void Connection::consume(std::string_view bytes) {
  consuming_ = true;
  while (!bytes.empty() && (state_ == State::head || state_ == State::body)) {
    auto const used = state_ == State::head ? take_head(bytes) : take_body(bytes);
    if (used == 0) break;
    bytes.remove_prefix(used);
  }
  consuming_ = false;
  if (bytes.empty() || state_ == State::closed || state_ == State::linger) return;
  early_.assign(bytes);
  paused_ = (state_ == State::pending || state_ == State::writing) && early_.size() > worker_.shared().limits.header_bytes;
}

std::size_t Connection::take_head(std::string_view bytes) {
  constexpr std::string_view kEmptyLine = "\r\n";
  if (bytes.starts_with(kEmptyLine)) {  // before a request it means nothing (RFC 9112, 2.2); the deadline goes on
    searched_ = 0;
    return kEmptyLine.size();
  }
  auto const limit = worker_.shared().limits.header_bytes;
  auto const end = find_head_end(bytes, searched_);
  auto const seen = end.state == HeadEnd::State::complete ? end.size : bytes.size();
  if (end.state == HeadEnd::State::refused) {
    refuse(400, "bad_request", "a line does not end in CR LF", "send HTTP/1.1 as RFC 9112 has it");
    return 0;
  }
  if (seen > limit) {
    refuse(431, "header_too_large", "the header block exceeds the limit", "send fewer or shorter headers");
    return 0;
  }
  if (end.state == HeadEnd::State::incomplete) {
    if (!head_began_) worker_.set_deadline(*this, worker_.shared().limits.header);
    head_began_ = true;
    searched_ = end.size;
    return 0;
  }
  searched_ = 0;
  head_began_ = false;
  parser_.emplace(limit);
  auto const facts = parser_->feed_head(bytes.substr(0, end.size));
  if (!facts) {
    refuse(facts.error());
    return 0;
  }
  if (parser_->is_done()) {
    dispatch();
    return end.size;
  }
  auto const& request = parser_->request();
  if (auto const allowed = parser_->set_body_limit(listener_.config.handler->body_limit(request.method, request.path)); !allowed) {
    refuse(allowed.error());
    return 0;
  }
  if (!reserve_body()) {
    refuse(503, "busy", "too many large bodies are under way", "try again in a moment");
    return 0;
  }
  state_ = State::body;
  body_began_ = worker_.now();
  worker_.set_deadline(*this, worker_.shared().limits.body);
  if (facts->expects_continue && end.size == bytes.size()) say_continue();
  return end.size;
}

std::size_t Connection::take_body(std::string_view bytes) {
  auto const used = parser_->feed_body(bytes);
  if (!used) {
    refuse(used.error());
    return 0;
  }
  if (parser_->is_done()) {
    dispatch();
    return *used;
  }
  if (*used == 0 && bytes.size() > worker_.shared().limits.header_bytes) {
    refuse(400, "bad_request", "a chunk's header or the trailer exceeds the limit", "send smaller chunk extensions");
    return 0;
  }
  // Slower than the least rate, on the whole, meets the deadline.
  Millis const by_rate{static_cast<std::int64_t>(parser_->body_bytes()) * 1000 / kBodyBytesPerSecondMin};
  worker_.set_deadline(*this, std::max(worker_.shared().limits.body, by_rate) - (worker_.now() - body_began_));
  return *used;
}

/// What bodies take before any handler has seen them has an end: whoever announces large ones and sends them slowly, or not at all, takes others' room only
/// so far.
bool Connection::reserve_body() {
  auto const& limits = worker_.shared().limits;
  auto& sum = guest_.known ? worker_.known_bodies : worker_.stranger_bodies;
  auto const bytes = parser_->announced_bytes();
  if (bytes > kSmallBody && sum + bytes > (guest_.known ? limits.known_bodies : limits.stranger_bodies)) return false;
  sum += bytes;
  bodies_ = &sum;
  body_reserved_ = bytes;
  return true;
}

void Connection::release_body() {
  if (bodies_ != nullptr) *bodies_ -= body_reserved_;
  bodies_ = nullptr;
}

void Connection::dispatch() {
  release_body();
  count(worker_.counters.requests);
  auto request = std::move(parser_->request());
  keeps_alive_ = parser_->keeps_alive();
  head_only_ = request.method == Method::head;
  parser_.reset();
  request.peer = peer_.get();
  request.attachment = &attachment_;
  request.standing = this;
  state_ = State::pending;
  worker_.clear_deadline(*this);
  sink_ = std::make_shared<AnswerSink>(worker_.shared_from_this(), *this, peer_);
  worker_.handling = this;
  try {
    listener_.config.handler->handle(std::move(request), Responder{sink_});
  } catch (std::exception const& bug) {
    log::error("handler_failed", {{"listener", listener_.config.name}, {"what", bug.what()}});
    worker_.inline_answer = make_problem(500, "internal", "the request met a bug", "report it with the request id", worker_.make_request_id());
  }
  worker_.handling = nullptr;
  if (!worker_.inline_answer) return;
  auto response = *std::move(worker_.inline_answer);
  worker_.inline_answer.reset();
  send(std::move(response));
}

void Connection::refuse(Error const& error) {
  bool const large = error.kind == Kind::too_large;
  int const status = large ? 413 : error.code == "expectation_failed" ? 417 : 400;
  refuse(status, error.code, error.detail, error.hint);
}

void Connection::refuse(int status, std::string_view code, std::string_view detail, std::string_view hint) {
  count(worker_.counters.requests_refused);
  release_body();
  parser_.reset();
  early_ = {};
  head_only_ = false;
  state_ = State::pending;
  auto const id = worker_.make_request_id();
  log::debug("request_refused", {{"listener", listener_.config.name}, {"peer", peer_->address}, {"code", code}, {"detail", detail}, {"request_id", id}});
  send(make_problem(status, code, detail, hint, id));
}

void Connection::answer(Response response) {
  if (state_ == State::pending) send(std::move(response));
}

void Connection::next_request() {
  state_ = State::head;
  worker_.set_deadline(*this, patience());
  if (consuming_) return;
  bool const was_paused = std::exchange(paused_, false);
  if (!early_.empty()) take({});
  if (was_paused && !paused_ && state_ != State::closed) on_readable();
}

void Connection::on_deadline() {
  count(worker_.counters.timed_out);
  bool const midway = state_ == State::body || (state_ == State::head && head_began_);
  if (midway) return refuse(408, "request_timeout", "the request did not arrive before the deadline", "send faster, or check the network");
  if (state_ == State::head) tls_.say_goodbye();
  close();
}

void Connection::drain() {
  if (state_ != State::head || head_began_) return;
  tls_.say_goodbye();
  close();
}

void Connection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  if (sink_) sink_->peer_has_gone();
  sink_.reset();
  outgoing_.reset();
  auto const self = shared_from_this();
  release_body();
  door_.leave(guest_);
  descriptor_.close();
  worker_.forget(*this);
}

}  // namespace fleet::net
