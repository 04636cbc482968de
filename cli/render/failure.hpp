#pragma once

#include <string>
#include <vector>

namespace boost::json {
class value;
}

/// What went wrong on a device, for people. Pure.
namespace fleet::render {

/// `cam-1 failed: golden_mismatch: line 3 differs`, and beneath it the last lines of its program's output; nothing where there is no error.
/// @param item  an object with `device` or `version`, `state`, `outcome` and `error` {code, text, output}
[[nodiscard]] std::vector<std::string> failure_lines(boost::json::value const& item);

}  // namespace fleet::render
