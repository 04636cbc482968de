#pragma once

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::agent {

/// One entry of a tar as a hostile packer writes it: nothing is checked.
struct TarEntry {
  std::string name, content = {};
  char type = '0';  ///< 0 file, 1 hard link, 2 link, 3 and 4 devices, 5 folder, 6 pipe, x pax header
  unsigned mode = 0644;
  std::string target = {};
};

inline std::string pax(std::string_view key, std::string_view value) {
  auto size = key.size() + value.size() + 3;
  size += std::to_string(size + std::to_string(size).size()).size();
  return fmt::format("{} {}={}\n", size, key, value);
}

/// ustar (POSIX.1-1988), names up to 100 bytes. @param end  the two empty blocks
inline std::string tar_of(std::vector<TarEntry> const& entries, bool end = true) {
  std::string out;
  for (auto const& entry : entries) {
    std::string head(512, '\0');
    auto const put = [&](std::size_t at, std::string_view text) { std::memcpy(head.data() + at, text.data(), text.size()); };
    put(0, std::string_view(entry.name).substr(0, 100));
    put(100, fmt::format("{:07o}", entry.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", entry.content.size()));
    put(136, "00000000000");
    put(148, "        ");
    head[156] = entry.type;
    put(157, std::string_view(entry.target).substr(0, 100));
    put(257, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (char const c : head) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum));
    head[154] = '\0';
    out += head + entry.content;
    out.resize((out.size() + 511) / 512 * 512);
  }
  if (end) out.resize(out.size() + 1024);
  return out;
}

}  // namespace fleet::agent
