#include "core/net/connection.hpp"

#include "core/base/log.hpp"
#include "core/net/answer_sink.hpp"
#include "core/net/outgoing.hpp"
#include "core/net/response_head.hpp"

#include <boost/asio/post.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace fleet::net {
namespace {

/// Bodies up to this size are copied behind the head and leave in the same record.
constexpr std::size_t kSmallBody = 8 * 1024;
/// A fast reader of a large body gives way to the others after this much: half a millisecond of a core.
constexpr std::size_t kTurnBytes = 512 * 1024;
constexpr std::size_t kTurnBytesPlain = 2 * 1024 * 1024;
constexpr Millis kLinger{2'000};
/// A peer that keeps sending after the last word gives way to the others after this many reads.
constexpr int kDiscardReads = 32;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view bytes_of(Response const& response) {
  if (auto const* const text = std::get_if<std::string>(&response.body)) return *text;
  auto const* const shared = std::get_if<SharedBody>(&response.body);
  return shared != nullptr && *shared ? std::string_view{**shared} : std::string_view{};
}

/// A source's bytes that are in memory at once, a connection.
constexpr std::size_t kPieceBytes = 256 * 1024;

std::uint64_t body_size(Response const& response) {
  if (auto const* const stream = std::get_if<StreamBody>(&response.body)) return stream->length;
  auto const* const file = std::get_if<FileBody>(&response.body);
  return file != nullptr ? file->length : bytes_of(response).size();
}

}  // namespace

Connection::AnswerSink::AnswerSink(std::shared_ptr<Worker> worker, Connection& connection, std::shared_ptr<Peer const> peer)
    : worker_(std::move(worker)), connection_(connection.weak_from_this()), identity_(&connection), peer_(std::move(peer)) {}

void Connection::AnswerSink::answer(Response response) {
  if (worker_->is_current() && worker_->handling == identity_) {
    worker_->inline_answer = std::move(response);
    return;
  }
  // Always by the queue otherwise: an answer given deep inside another request's handling must not start a third one there.
  boost::asio::post(worker_->io, [to = connection_, response = std::move(response)]() mutable {
    if (auto const connection = to.lock()) connection->answer(std::move(response));
  });
}

std::unique_ptr<Connection::Outgoing> Connection::open_file(Response& response) {
  auto const wanted = std::get<FileBody>(response.body);
  auto out = std::make_unique<Outgoing>(worker_.shared().egress);
  out->held = wanted.held;
  out->file = Fd{::open(wanted.path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info {};
  int const error = out->file && ::fstat(out->file.get(), &info) == 0 ? 0 : errno;
  auto const size = error == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  out->file_offset = wanted.offset;
  out->file_left = wanted.length;
  if (error == 0 && wanted.offset <= size && wanted.length <= size - wanted.offset) return out;
  auto const id = worker_.make_request_id();
  if (error == EMFILE || error == ENFILE) {
    response = make_problem(503, "busy", "the server has no descriptor left for the file", "try again in a moment", id);
    return {};
  }
  log::error("file_body_unreadable",
             {{"path", wanted.path}, {"offset", wanted.offset}, {"length", wanted.length}, {"size", size}, {"error", system_words(error)}, {"request_id", id}});
  response = make_problem(500, "file_unreadable", "the server could not read the object", "ask the operator to run fleet-server check", id);
  return {};
}

void Connection::render(Response& response) {
  auto& out = worker_.out_scratch;
  out.clear();
  auto const rendered = render_head(response, body_size(response), !keeps_alive_, worker_.date_line(), out);
  if (rendered) return;
  auto const id = worker_.make_request_id();
  log::error("answer_refused", {{"listener", listener_.config.name}, {"detail", rendered.error().detail}, {"request_id", id}});
  response = make_problem(500, "internal", "the answer met a bug", "report it with the request id", id);
  keeps_alive_ = false;
  out.clear();
  static_cast<void>(render_head(response, body_size(response), true, worker_.date_line(), out));  // our own header names are good
}

/// By way of the queue, also where it is brought at once: never deeper than one call.
void Connection::ask_source(std::uint64_t offset, std::uint64_t left, std::function<void(Connection&, Result<std::string>)> then) {
  auto const source = outgoing_->source;
  outgoing_->asked = true;
  source->read(offset, static_cast<std::size_t>(std::min<std::uint64_t>(left, kPieceBytes)),
               [to = weak_from_this(), of = worker_.weak_from_this(), of_this = outgoing_.get(), then = std::move(then)](Result<std::string> piece) mutable {
                 auto const kept = of.lock();
                 if (!kept) return;
                 boost::asio::post(kept->io, [to, of_this, then = std::move(then), piece = std::move(piece)]() mutable {
                   auto const connection = to.lock();
                   if (!connection || connection->outgoing_.get() != of_this) return;
                   connection->outgoing_->asked = false;
                   then(*connection, std::move(piece));
                 });
               });
}

void Connection::begin_stream(Response response) {
  auto const& wanted = std::get<StreamBody>(response.body);
  outgoing_ = std::make_unique<Outgoing>(worker_.shared().egress);
  outgoing_->source = wanted.source;
  outgoing_->held = wanted.held;
  outgoing_->file_offset = wanted.offset;
  outgoing_->file_left = wanted.length;
  auto const kept = std::make_shared<Response>(std::move(response));
  ask_source(outgoing_->file_offset, outgoing_->file_left, [kept](Connection& self, Result<std::string> piece) {
    if (piece && !piece->empty() && piece->size() <= self.outgoing_->file_left) {
      self.outgoing_->piece = *std::move(piece);
      return self.send(std::move(*kept));
    }
    self.outgoing_.reset();
    auto const error = piece ? Error{Kind::unavailable, "no_bytes", "the object's store gives nothing, or too much"} : piece.error();
    self.send(make_problem(503, error.code, error.detail, error.hint, self.worker_.make_request_id()));
  });
}

void Connection::send(Response response) {
  bool const streams = std::holds_alternative<StreamBody>(response.body) && body_size(response) > 0 && !head_only_;
  if (streams && !outgoing_) return begin_stream(std::move(response));
  state_ = State::writing;
  keeps_alive_ = keeps_alive_ && !response.close && !worker_.draining() && !peer_ended_;
  if (std::holds_alternative<FileBody>(response.body)) outgoing_ = open_file(response);
  render(response);
  auto& head = worker_.out_scratch;
  auto const bytes = bytes_of(response);
  if (head_only_) {
    outgoing_.reset();
  } else if (streams) {
    // What is to go is in outgoing_ already.
  } else if (bytes.size() <= kSmallBody) {
    head += bytes;
  } else {
    outgoing_ = std::make_unique<Outgoing>(worker_.shared().egress);
    auto* const shared = std::get_if<SharedBody>(&response.body);
    outgoing_->body = shared != nullptr ? std::move(*shared) : std::make_shared<std::string const>(std::get<std::string>(std::move(response.body)));
  }
  auto const step = tls_.write(head);
  if (!outgoing_ && step.state == TlsSocket::State::done && step.bytes == head.size()) return finish_answer();
  if (!outgoing_) outgoing_ = std::make_unique<Outgoing>(worker_.shared().egress);
  // Kept as it is: OpenSSL wants the very bytes again that it could not send.
  outgoing_->rest = head.substr(step.bytes);
  worker_.set_deadline(*this, worker_.shared().limits.write);
  pump();
}

std::optional<TlsSocket::Step> Connection::push(std::size_t room) {
  auto& out = *outgoing_;
  if (out.rest_sent < out.rest.size()) {
    auto const step = tls_.write(std::string_view{out.rest}.substr(out.rest_sent));
    out.rest_sent += step.bytes;
    return step;
  }
  if (out.body && out.body_sent < out.body->size()) {
    auto const step = tls_.write(std::string_view{*out.body}.substr(out.body_sent, std::max(room, kTurnBytes / 8)));
    out.body_sent += step.bytes;
    return step;
  }
  if (out.source) return out.file_left > 0 ? push_stream(room) : std::nullopt;
  return out.file_left > 0 ? push_file(room) : std::nullopt;
}

std::optional<TlsSocket::Step> Connection::push_stream(std::size_t room) {
  auto& out = *outgoing_;
  if (out.piece_sent == out.piece.size()) {
    worker_.clear_deadline(*this);  // it is not the peer who is late
    ask_source(out.file_offset, out.file_left, [](Connection& self, Result<std::string> piece) { self.on_piece(std::move(piece)); });
    return std::nullopt;
  }
  if (!may_send()) return std::nullopt;
  auto wanted = std::min(out.piece.size() - out.piece_sent, room);
  if (out.egress.is_bound()) wanted = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, out.allowed));
  auto const step = tls_.write(std::string_view{out.piece}.substr(out.piece_sent, wanted));
  out.piece_sent += step.bytes;
  out.file_offset += step.bytes;
  out.file_left -= step.bytes;
  if (out.egress.is_bound()) out.allowed -= step.bytes;
  count(worker_.counters.file_bytes, step.bytes);
  return step;
}

/// The head has gone: what cannot be brought any more ends the connection, and the peer asks for the rest.
void Connection::on_piece(Result<std::string> piece) {
  if (!piece || piece->empty() || piece->size() > outgoing_->file_left) {
    log::warn("stream_cut", {{"offset", outgoing_->file_offset}, {"left", outgoing_->file_left}, {"error", piece ? "no bytes, or too many" : piece.error().detail}});
    return close();
  }
  outgoing_->piece = *std::move(piece);
  outgoing_->piece_sent = 0;
  worker_.set_deadline(*this, worker_.shared().limits.write);
  pump();
}

bool Connection::waits() const { return outgoing_ && (outgoing_->waits || outgoing_->asked); }

std::optional<TlsSocket::Step> Connection::push_file(std::size_t room) {
  if (!may_send()) return std::nullopt;
  auto& out = *outgoing_;
  auto wanted = std::min<std::uint64_t>(out.file_left, room);
  if (out.egress.is_bound()) wanted = std::min(wanted, out.allowed);
  errno = 0;
  auto step = tls_.is_plain() ? tls_.send_file(out.file.get(), out.file_offset, static_cast<std::size_t>(wanted)) : send_read(wanted);
  if (step.state == TlsSocket::State::ended || (step.state == TlsSocket::State::failed && errno == EIO)) {
    log::error("file_body_cut", {{"offset", out.file_offset}, {"left", out.file_left}, {"error", errno == 0 ? "the file ended early" : system_words(errno)}});
    close();
    return std::nullopt;
  }
  out.file_offset += step.bytes;
  out.file_left -= step.bytes;
  if (out.egress.is_bound()) out.allowed -= step.bytes;
  count(worker_.counters.file_bytes, step.bytes);
  if (step.state == TlsSocket::State::done && step.bytes < wanted && tls_.is_plain()) step.state = TlsSocket::State::want_write;  // the socket is full
  return step;
}

/// By TLS, a record at a time; `bytes` went, whatever the state says of the rest. What could not go is read again: OpenSSL wants the same bytes, not the same place.
TlsSocket::Step Connection::send_read(std::uint64_t wanted) {
  auto& scratch = worker_.file_scratch;
  auto const got = ::pread(outgoing_->file.get(), scratch.data(), static_cast<std::size_t>(std::min<std::uint64_t>(wanted, scratch.size())), static_cast<off_t>(outgoing_->file_offset));
  if (got == 0) return {TlsSocket::State::ended, 0};
  if (got < 0) return {errno == EINTR ? TlsSocket::State::done : TlsSocket::State::ended, 0};
  std::string_view left{scratch.data(), static_cast<std::size_t>(got)};
  TlsSocket::Step step{TlsSocket::State::done, 0};
  while (!left.empty() && step.state == TlsSocket::State::done) {
    auto const one = tls_.write(left);
    step.state = one.state == TlsSocket::State::ended ? TlsSocket::State::failed : one.state;  // the peer's end, not the file's
    step.bytes += one.bytes;
    left.remove_prefix(one.bytes);
  }
  errno = 0;
  return step;
}

bool Connection::may_send() {
  auto& out = *outgoing_;
  if (!out.egress.is_bound() || out.allowed > 0) return true;
  // Neither the line, which workers share, nor a worker's own queue may keep a worker: a server that stops would leave it behind.
  out.allowed = out.egress.ask(out.file_left, [to = weak_from_this(), of = worker_.weak_from_this()](std::uint64_t bytes) {
    auto const kept = of.lock();
    if (!kept) return;
    boost::asio::post(kept->io, [to, worker = kept.get(), bytes] {
      auto const connection = to.lock();
      if (connection && connection->outgoing_ && connection->outgoing_->waits) connection->allow(bytes);
      else worker->shared().egress.give_back(bytes);
    });
  });
  out.waits = out.allowed == 0;
  if (out.waits) worker_.clear_deadline(*this);  // it is not the peer who is late
  return !out.waits;
}

void Connection::allow(std::uint64_t bytes) {
  outgoing_->waits = false;
  outgoing_->allowed = bytes;
  worker_.set_deadline(*this, worker_.shared().limits.write);
  pump();
}

void Connection::pump() {
  auto const most = tls_.is_plain() ? kTurnBytesPlain : kTurnBytes;
  for (std::size_t turn = 0; turn < most;) {
    auto const step = push(most - turn);
    if (!step) {
      if (state_ == State::writing && !waits()) finish_answer();
      return;
    }
    if (step->bytes > 0) worker_.set_deadline(*this, worker_.shared().limits.write);
    if (step->state == TlsSocket::State::want_write) return arm_write();
    if (step->state != TlsSocket::State::done) return close();
    turn += step->bytes;
  }
  arm_write();
}

void Connection::finish_answer() {
  sink_.reset();
  outgoing_.reset();
  if (keeps_alive_) next_request();
  else begin_linger();
}

void Connection::begin_linger() {
  early_ = {};
  paused_ = false;
  if (peer_ended_) return close();
  state_ = State::linger;
  worker_.set_deadline(*this, kLinger);
  tls_.say_goodbye();
  ::shutdown(descriptor_.native_handle(), SHUT_WR);
  discard();
}

void Connection::discard() {
  for (int i = 0; i < kDiscardReads; ++i) {
    auto const got = ::recv(descriptor_.native_handle(), worker_.read_scratch.data(), worker_.read_scratch.size(), 0);
    if (got > 0) continue;
    if (got < 0 && errno == EAGAIN) break;
    return close();
  }
  arm_read();
}

void Connection::say_continue() {
  auto const step = tls_.write(kContinue);
  // Nothing else is under way, so the socket has room for 25 bytes, or the peer has gone.
  if (step.state != TlsSocket::State::done || step.bytes != kContinue.size()) close();
}

}  // namespace fleet::net
