#include "core/base/random.hpp"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace fleet {
namespace {

class SystemRandom final : public Random {
public:
  void fill(std::span<std::uint8_t> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      auto const got = getrandom(out.data() + done, out.size() - done, 0);
      if (got < 0 && errno != EINTR) throw std::runtime_error(std::string("getrandom: ") + std::strerror(errno));
      if (got > 0) done += static_cast<std::size_t>(got);
    }
  }
};

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t Random::next() {
  std::array<std::uint8_t, 8> raw{};
  fill(raw);
  return std::bit_cast<std::uint64_t>(raw);
}

double Random::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

Random& system_random() {
  static SystemRandom random;
  return random;
}

SeededRandom::SeededRandom(std::uint64_t seed) {
  for (auto& word : state_) word = splitmix(seed);
}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  for (std::size_t at = 0; at < out.size(); at += 8) {
    std::uint64_t const result = std::rotl(state_[1] * 5, 7) * 9;  // xoshiro256**, Blackman and Vigna 2018
    std::uint64_t const t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    auto const raw = std::bit_cast<std::array<std::uint8_t, 8>>(result);
    std::copy_n(raw.begin(), std::min<std::size_t>(8, out.size() - at), out.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

std::string make_ulid(std::string_view prefix, std::int64_t unix_ms, Random& random) {
  constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  std::array<std::uint8_t, 16> raw{};
  random.fill(std::span(raw).subspan(6));
  for (std::size_t i = 0; i < 6; ++i) raw[i] = static_cast<std::uint8_t>(unix_ms >> (8 * (5 - i)));
  std::string out(prefix);
  // 128 bits as 26 characters: the first carries 3 bits.
  int bit = -2;
  for (int k = 0; k < 26; ++k, bit += 5) {
    unsigned value = 0;
    for (int i = bit; i < bit + 5; ++i)
      value = value * 2 + (i < 0 ? 0U : (static_cast<unsigned>(raw[static_cast<std::size_t>(i / 8)]) >> static_cast<unsigned>(7 - i % 8)) & 1U);
    out += kAlphabet[value];
  }
  return out;
}

}  // namespace fleet
