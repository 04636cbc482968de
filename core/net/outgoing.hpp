#pragma once

#include "core/net/connection.hpp"

namespace fleet::net {

/// What of an answer could not be sent at once: first `rest`, then `body`, then the file.
struct Connection::Outgoing {
  explicit Outgoing(Egress& bound) : egress(bound) {}
  ~Outgoing() {
    if (allowed > 0) egress.give_back(allowed);
  }
  Outgoing(Outgoing const&) = delete;
  Outgoing& operator=(Outgoing const&) = delete;

  Egress& egress;
  std::string rest;
  std::size_t rest_sent = 0;
  SharedBody body;
  std::size_t body_sent = 0;
  Fd file;
  std::shared_ptr<Source> source;  ///< instead of a file
  std::string piece = {};          ///< of the source; what has gone of it
  std::size_t piece_sent = 0;
  bool asked = false;              ///< the source, for the next one
  std::uint64_t file_offset = 0;
  std::uint64_t file_left = 0;
  std::uint64_t allowed = 0;  ///< bytes of the file, or of the source, that may go now, where there is a bound
  bool waits = false;         ///< for more of them
  std::shared_ptr<void const> held;
};

}  // namespace fleet::net
