#include "agent/store/boot_id.hpp"

namespace fleet::agent {

std::string read_boot_id(Fs& fs) {
  auto id = fs.read("/proc/sys/kernel/random/boot_id", 64);
  if (!id) return "unknown";
  while (!id->empty() && id->back() == '\n') id->pop_back();
  return *id;
}

}  // namespace fleet::agent
