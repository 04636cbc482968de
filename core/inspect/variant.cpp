#include "core/inspect/variant.hpp"

#include "core/inspect/stand_in.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace fleet::inspect {
namespace {

using Files = std::function<VariantFile const*(std::string const&)>;
constexpr std::size_t kIndexBytesMax = 32 * 1024 * 1024;
/// Weights in parts: part i of n is called so by those who write them (transformers, llama.cpp).
constexpr auto kSplitEndings = std::to_array<std::string_view>({".safetensors", ".gguf", ".bin"});

Error missing(std::string const& name, std::string what, std::string hint) {
  return {Kind::unprocessable, "missing_file", fmt::format("file '{}': {}", name, what), std::move(hint)};
}

/// What a file says of another, for people.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 200));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

std::string_view without_dots(std::string_view location) {
  while (location.starts_with("./")) location.remove_prefix(2);
  return location;
}

Result<void> refuse_stand_in(Fs& fs, VariantFile const& file) {
  if (file.size > kStandInBytesMax) return {};
  FLEET_TRY(auto const content, fs.read(file.path, kStandInBytesMax));
  auto const* const found = find_stand_in(content);
  if (found == nullptr) return {};
  return Error{Kind::unprocessable, "stand_in", fmt::format("file '{}' is {}", file.name, found->what), std::string(found->hint)};
}

/// An index of weights in parts (`model.safetensors.index.json`): its `weight_map` names the file of each tensor.
Result<void> check_index(Fs& fs, VariantFile const& file, Files const& files) {
  if (file.size > kIndexBytesMax) return {};
  FLEET_TRY(auto const text, fs.read(file.path, kIndexBytesMax));
  auto const index = wire::parse_json(text, kIndexBytesMax);
  auto const* const object = index ? index->if_object() : nullptr;
  auto const* const map = object != nullptr ? object->if_contains("weight_map") : nullptr;
  if (map == nullptr || !map->is_object()) return {};
  for (auto const& [tensor, part] : map->get_object()) {
    auto const* const name = part.if_string();
    if (name == nullptr || files(name_beside(file.name, *name)) != nullptr) continue;
    return missing(file.name, fmt::format("its tensor '{}' is in '{}', which is not there", shown(tensor), shown(*name)),
                   "publish all files of the model, each under its own name");
  }
  return {};
}

/// `model-00001-of-00003.gguf`.
struct Split {
  std::string before, after;
  int part = 0, parts = 0;
  [[nodiscard]] std::string name(int i) const { return fmt::format("{}{:05}-of-{:05}{}", before, i, parts, after); }
};

std::optional<Split> split_of(std::string const& name) {
  auto const at = name.find("-of-");
  if (at == std::string::npos || at < 6 || name.size() < at + 9 || name[at - 6] != '-') return std::nullopt;
  Split split{name.substr(0, at - 5), name.substr(at + 9)};
  auto const number = [&](std::size_t from, int& out) {
    auto const [end, fault] = std::from_chars(name.data() + from, name.data() + from + 5, out);
    return fault == std::errc{} && end == name.data() + from + 5;
  };
  bool const known = std::find(kSplitEndings.begin(), kSplitEndings.end(), split.after) != kSplitEndings.end();
  if (!known || !number(at - 5, split.part) || !number(at + 4, split.parts) || split.part < 1 || split.part > split.parts) return std::nullopt;
  return split;
}

Result<void> check_parts(std::string const& name, Files const& files) {
  auto const split = split_of(name);
  if (!split || (split->part != 1 && files(split->name(1)) != nullptr)) return {};  // the first speaks for all
  for (int i = 1; i <= split->parts; ++i)
    if (files(split->name(i)) == nullptr)
      return missing(name, fmt::format("it is one of {} parts, and '{}' is not there", split->parts, split->name(i)), "publish all parts");
  return {};
}

}  // namespace

std::string name_beside(std::string const& name, std::string_view location) {
  auto const slash = name.rfind('/');
  return (slash == std::string::npos ? std::string() : name.substr(0, slash + 1)) + std::string(without_dots(location));
}

Result<void> Inspector::check_onnx(VariantFile const& file, Files const& files) {
  auto known = models_.find(file.path);
  if (known == models_.end()) {
    auto model = inspect_onnx(*fs_, file.path);
    if (!model) {
      auto error = model.error();
      error.detail = fmt::format("file '{}': {}", file.name, error.detail);
      return error;
    }
    known = models_.emplace(file.path, *std::move(model)).first;
  }
  for (auto const& [location, external] : known->second.externals) {
    auto const said = fmt::format("the data of its tensor '{}' is in '{}'", external.tensor, shown(location));
    auto const relative = std::string(without_dots(location));
    if (!is_safe_relative_path(relative))
      return missing(file.name, said + ", outside the model's own folder, where no runtime looks", "save the model with its data beside it");
    auto const* const found = files(name_beside(file.name, location));
    if (found == nullptr) return missing(file.name, said + ", which is not there", "publish it under this name beside the model: the name is written in the model");
    if (found->size < external.end)
      return missing(file.name, fmt::format("{}, which has {} bytes of {}: it was cut short, or is of another model", said, found->size, external.end),
                     "copy or export it again");
  }
  return {};
}

Result<void> Inspector::check(std::vector<VariantFile> const& files, std::function<std::string(std::string const&)> const& real_name) {
  std::map<std::string, VariantFile const*> known;
  for (auto const& file : files) known.emplace(file.name, &file);
  Files const by_name = [&](std::string const& name) -> VariantFile const* {
    auto const found = known.find(real_name ? real_name(name) : name);
    return found == known.end() ? nullptr : found->second;
  };
  for (auto const& file : files) {
    FLEET_CHECK(refuse_stand_in(*fs_, file));
    FLEET_CHECK(check_parts(file.name, by_name));
    if (file.name.ends_with(".onnx")) FLEET_CHECK(check_onnx(file, by_name));
    if (file.name.ends_with(".index.json")) FLEET_CHECK(check_index(*fs_, file, by_name));
  }
  return {};
}

}  // namespace fleet::inspect
