#pragma once

#include <string>
#include <vector>

/// The house's rules that a machine can hold (docs/style of the project: layers, vendors, lengths, purity).
namespace tidy {

struct Source {
  std::string path;  ///< relative to the repository
  std::vector<std::string> lines;
};

struct Finding {
  std::string path;
  std::size_t line = 0;  ///< counted from 1; 0: the file or folder as a whole
  std::string rule;
  std::string text;
};

/// All rules over one C++ source.
std::vector<Finding> check(Source const& source);
/// A folder's README.md: at most ten lines.
std::vector<Finding> check_readme(Source const& readme);

}  // namespace tidy
