#pragma once

#include "core/base/result.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What people write as one word: `reader@2.0.0`, `cam-a+cam-b=./model`, `accuracy=0.97`. Pure.
namespace fleet::cli {

struct ReleaseRef {
  std::string model, version;
};
/// `M@V`, both names as the protocol has them; for V an alias of the model may stand, or `latest`. @errors bad_input
[[nodiscard]] Result<ReleaseRef> parse_release(std::string_view text);

struct VariantArgument {
  std::vector<std::string> hardware;
  std::string path;
  std::string name = {};  ///< of a variant that runs by a condition
};
/// `HARDWARE[+HARDWARE...][/NAME]=PATH`. @errors bad_input
[[nodiscard]] Result<VariantArgument> parse_variant(std::string_view text);

struct ParentArgument {
  ReleaseRef release;
  std::string relation;
};
/// `M@V=RELATION`. @errors bad_input (names the relations there are)
[[nodiscard]] Result<ParentArgument> parse_parent(std::string_view text);

struct MemberArgument {
  ReleaseRef release;
  std::vector<std::string> after;  ///< models
};
/// `M@V` or `M@V:after=M[,M...]`. @errors bad_input
[[nodiscard]] Result<MemberArgument> parse_member(std::string_view text);

struct DatasetArgument {
  std::string name, sha256;
};
/// `NAME=sha256:HEX`. @errors bad_input
[[nodiscard]] Result<DatasetArgument> parse_dataset(std::string_view text);
/// `NAME=NUMBER`. @errors bad_input
[[nodiscard]] Result<std::pair<std::string, double>> parse_metric(std::string_view text);
/// `k=v`. @param what  names the flag in the error
[[nodiscard]] Result<std::pair<std::string, std::string>> parse_pair(std::string_view what, std::string_view text);
/// `k=v` sets, `k-` removes (no value). @errors bad_input
[[nodiscard]] Result<std::pair<std::string, std::optional<std::string>>> parse_change(std::string_view what, std::string_view text);
/// A count from `least`. @errors bad_input
[[nodiscard]] Result<std::int64_t> parse_count(std::string_view what, std::string_view text, std::int64_t least);

}  // namespace fleet::cli
