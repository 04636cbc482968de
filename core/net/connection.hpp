#pragma once

#include "core/net/door.hpp"
#include "core/net/request_parser.hpp"
#include "core/net/tls_socket.hpp"
#include "core/net/worker.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace fleet::net {

/// One peer's life on its io thread. Between requests and while an answer is pending it holds no buffers, only what came too early.
class Connection : public std::enable_shared_from_this<Connection>, public Standing {
public:
  Connection(Worker& worker, Listener const& listener, Door& door, Fd fd, SocketAddress const& address);
  ~Connection() override;
  void start();
  /// The answer to the request under way; ignored when none is (the peer has gone).
  void answer(Response response);
  void on_deadline();
  /// The server stops: closes at once when between requests, else after the answer.
  void drain();
  void close();
  void recognise(Digest const& who) override;
  void disown() override;

  std::size_t slot = 0;  ///< the worker's, of this connection

private:
  enum class State {
    announced,  ///< by a balancer, whose header comes first
    handshake,
    head,  ///< between requests, or in the middle of a header block
    body,
    pending,  ///< the handler has the request
    writing,
    linger,  ///< said its last word; waits for the peer to have read it
    closed,
  };
  class AnswerSink;
  struct Outgoing;

  // Reading (connection.cpp).
  void arm_read();
  void arm_write();
  void on_readable();
  void on_writable();
  void read_announcement();
  void refuse_announcement(Error const& error);
  void enter(SocketAddress const& address);
  void shake_hands();
  void greet();
  [[nodiscard]] Millis patience() const;
  void take(std::string_view fresh);
  void consume(std::string_view bytes);
  std::size_t take_head(std::string_view bytes);
  std::size_t take_body(std::string_view bytes);
  bool reserve_body();
  void release_body();
  void on_peer_end(bool orderly);
  void dispatch();
  void refuse(Error const& error);
  void refuse(int status, std::string_view code, std::string_view detail, std::string_view hint);
  void next_request();

  // Writing (connection_write.cpp).
  void send(Response response);
  /// The file of `response`, opened; or nothing, and `response` is a problem then.
  std::unique_ptr<Outgoing> open_file(Response& response);
  /// Has the first piece of a source brought, and sends then.
  void begin_stream(Response response);
  void ask_source(std::uint64_t offset, std::uint64_t left, std::function<void(Connection&, Result<std::string>)> then);
  [[nodiscard]] std::optional<TlsSocket::Step> push_stream(std::size_t room);
  void on_piece(Result<std::string> piece);
  /// Head of `response` into the worker's scratch; `response` becomes a problem when it may not be sent.
  void render(Response& response);
  void pump();
  /// One piece of what is left, at most as much as the turn has room for. Nothing: there is none, or the connection has closed.
  [[nodiscard]] std::optional<TlsSocket::Step> push(std::size_t room);
  [[nodiscard]] std::optional<TlsSocket::Step> push_file(std::size_t room);
  [[nodiscard]] TlsSocket::Step send_read(std::uint64_t wanted);
  /// Whether bytes of the file may go now; else the connection goes on when they may.
  bool may_send();
  [[nodiscard]] bool waits() const;
  void allow(std::uint64_t bytes);
  void finish_answer();
  void begin_linger();
  /// After the last word: what the peer still sends is thrown away, lest closing resets the connection under the answer it has not read yet.
  void discard();
  void say_continue();

  Worker& worker_;
  Listener const& listener_;
  Door& door_;
  Door::Guest guest_;
  SocketAddress address_;  ///< of the other end of the socket
  Descriptor descriptor_;
  TlsSocket tls_;
  std::shared_ptr<Peer> peer_;
  std::unique_ptr<Attachment> attachment_;
  std::optional<RequestParser> parser_;
  std::shared_ptr<AnswerSink> sink_;
  std::unique_ptr<Outgoing> outgoing_;
  std::string early_;         ///< received, not consumed yet
  std::size_t searched_ = 0;  ///< of early_: known not to hold the end of the header block
  MonoTime body_began_{};
  std::uint64_t body_reserved_ = 0;           ///< bytes of bodies_
  std::uint64_t* bodies_ = nullptr;           ///< the worker's sum that they count in
  State state_ = State::handshake;
  bool head_began_ = false;  ///< part of a header block is in early_
  bool read_armed_ = false;
  bool write_armed_ = false;
  bool paused_ = false;  ///< too much came early: nothing is read until the answer has gone
  bool consuming_ = false;
  bool keeps_alive_ = false;
  bool head_only_ = false;  ///< the request is HEAD
  bool peer_ended_ = false;
};

}  // namespace fleet::net
