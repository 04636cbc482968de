#pragma once

#include "core/net/connection.hpp"

#include <atomic>

namespace fleet::net {

/// Carries one answer from any thread to its connection. Keeps the io thread's memory and the peer's description alive, not the connection.
class Connection::AnswerSink final : public Responder::Sink {
public:
  AnswerSink(std::shared_ptr<Worker> worker, Connection& connection, std::shared_ptr<Peer const> peer);
  void answer(Response response) override;
  [[nodiscard]] bool alive() const override { return alive_.load(std::memory_order_relaxed); }
  void peer_has_gone() { alive_.store(false, std::memory_order_relaxed); }

private:
  std::shared_ptr<Worker> worker_;
  std::weak_ptr<Connection> connection_;
  Connection* identity_;  ///< compared only
  std::shared_ptr<Peer const> peer_;
  std::atomic<bool> alive_{true};
};

}  // namespace fleet::net
