#pragma once

#include "agent/unpack/entries.hpp"

#include <string>

namespace fleet::agent {

/// What a sink was told, as one text.
struct WrittenEntries final : EntrySink {
  Result<void> file(std::string_view name, bool executable) override {
    close();
    text.append(executable ? "program " : "file ").append(name).append("=");
    open = true;
    return {};
  }
  Result<void> data(BytesView piece) override {
    text.append(as_text(piece));
    return {};
  }
  Result<void> folder(std::string_view name) override {
    close();
    text.append("folder ").append(name).append("; ");
    return {};
  }
  Result<void> link(std::string_view name, std::string_view target) override {
    close();
    text.append("link ").append(name).append(">").append(target).append("; ");
    return {};
  }
  Result<void> end() override {
    close();
    text.append("end; ");
    return {};
  }
  void close() {
    if (open) text.append("; ");
    open = false;
  }
  std::string text;
  bool open = false;
};

}  // namespace fleet::agent
