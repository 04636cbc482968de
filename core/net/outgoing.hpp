#pragma once

#include "core/net/connection.hpp"

namespace fleet::net {

/// What of an answer could not be sent at once: first `rest`, then `body`, then the file.
struct Connection::Outgoing {
  std::string rest;
  std::size_t rest_sent = 0;
  SharedBody body;
  std::size_t body_sent = 0;
  Fd file;
  std::uint64_t file_offset = 0;
  std::uint64_t file_left = 0;
};

}  // namespace fleet::net
