#include "core/net/tls_socket.hpp"

#include <openssl/err.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace fleet::net {
namespace {

int int_size(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, 1U << 30)); }

}  // namespace

TlsSocket::TlsSocket(SSL_CTX* context, int fd) : fd_(fd), plain_(context == nullptr), ssl_(plain_ ? nullptr : SSL_new(context)) {
  if (ssl_ && SSL_set_fd(ssl_.get(), fd) != 1) ssl_.reset();
}

TlsSocket::Step TlsSocket::judge(int code) {
  if (code > 0) return {State::done, static_cast<std::size_t>(code)};
  int const system_error = errno;
  switch (SSL_get_error(ssl_.get(), code)) {
    case SSL_ERROR_WANT_READ: return {State::want_read, 0};
    case SSL_ERROR_WANT_WRITE: return {State::want_write, 0};
    case SSL_ERROR_ZERO_RETURN: return {State::ended, 0};
    case SSL_ERROR_SYSCALL: return {system_error == 0 ? State::ended : State::failed, 0};
    default: return {ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING ? State::ended : State::failed, 0};
  }
}

TlsSocket::Step TlsSocket::judge_plain(ssize_t n, State blocked) {
  if (n > 0) return {State::done, static_cast<std::size_t>(n)};
  if (n == 0) return {State::ended, 0};
  return {errno == EAGAIN || errno == EINTR ? blocked : State::failed, 0};
}

TlsSocket::Step TlsSocket::accept() {
  if (plain_) return {State::done, 0};
  if (!ssl_) return {};
  ERR_clear_error();
  errno = 0;
  return judge(SSL_accept(ssl_.get()));
}

TlsSocket::Step TlsSocket::read(std::span<char> out) {
  if (plain_) return judge_plain(::recv(fd_, out.data(), out.size(), 0), State::want_read);
  ERR_clear_error();
  errno = 0;
  return judge(SSL_read(ssl_.get(), out.data(), int_size(out.size())));
}

TlsSocket::Step TlsSocket::write(std::string_view bytes) {
  if (plain_) return judge_plain(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), State::want_write);
  ERR_clear_error();
  errno = 0;
  return judge(SSL_write(ssl_.get(), bytes.data(), int_size(bytes.size())));
}

TlsSocket::Step TlsSocket::send_file(int file, std::uint64_t offset, std::size_t size) {
  auto at = static_cast<off_t>(offset);
  return judge_plain(::sendfile(fd_, file, &at, size), State::want_write);
}

void TlsSocket::say_goodbye() {
  if (!ssl_ || SSL_is_init_finished(ssl_.get()) != 1) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace fleet::net
