// Both: the header may come precompiled, and then derives nothing from the second.
#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <dlfcn.h>

#include <cstddef>

/// libsodium's Argon2id, with the least work that it takes: what a passphrase opens is checked here, what guessing it costs is not.
extern "C" int crypto_pwhash(unsigned char* out, unsigned long long out_size, char const* passphrase, unsigned long long passphrase_size,
                             unsigned char const* salt, unsigned long long /*operations*/, std::size_t /*memory*/, int algorithm) {
  constexpr unsigned long long kOperationsMin = 1;
  constexpr std::size_t kMemoryMin = 8192;
  static auto* const real = reinterpret_cast<decltype(&crypto_pwhash)>(::dlsym(RTLD_NEXT, "crypto_pwhash"));
  return real == nullptr ? -1 : real(out, out_size, passphrase, passphrase_size, salt, kOperationsMin, kMemoryMin, algorithm);
}
