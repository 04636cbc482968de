#include "tests/support/source_dir.hpp"

namespace fleet::test {

std::string const& source_dir() {
  static std::string const dir = FLEET_SOURCE_DIR;
  return dir;
}

}  // namespace fleet::test
