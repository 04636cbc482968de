#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <stdexcept>

namespace fleet::agent {

/// A thread with a small stack: a device has little memory, and nothing here recurses.
class Thread {
public:
  static constexpr std::size_t kStackBytes = 512 * 1024;

  explicit Thread(std::function<void()> body) : body_(std::move(body)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    int const made = pthread_create(
        &thread_, &attributes,
        [](void* self) -> void* {
          static_cast<Thread*>(self)->body_();
          return nullptr;
        },
        this);
    pthread_attr_destroy(&attributes);
    if (made != 0) throw std::runtime_error("no thread can be started");
  }
  Thread(Thread const&) = delete;
  ~Thread() { pthread_join(thread_, nullptr); }

private:
  std::function<void()> body_;
  pthread_t thread_{};
};

}  // namespace fleet::agent
