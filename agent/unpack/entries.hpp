#pragma once

#include "core/base/bytes.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace fleet::agent {

/// Takes the entries of an archive in their order. A file's bytes come after its name, in as many pieces as it takes; what comes next ends it.
class EntrySink {
public:
  virtual ~EntrySink() = default;
  virtual Result<void> file(std::string_view name, bool executable) = 0;
  virtual Result<void> data(BytesView piece) = 0;
  virtual Result<void> folder(std::string_view name) = 0;
  virtual Result<void> link(std::string_view name, std::string_view target) = 0;
  /// There are no more.
  virtual Result<void> end() = 0;
};

/// A record of the stream: one byte of kind, four of length (little-endian), so many bytes.
/// F, X: name of a file, of an executable one; B: bytes of the file before it; D: name of a folder; L: two bytes of length, a link's name, its target; E: the end.
inline constexpr std::size_t kPieceBytesMax = 64 * 1024;
[[nodiscard]] std::string record_of(char kind, std::string_view payload);

/// Reads the stream in whatever pieces it comes. Its writer may be in an attacker's hands: every record has a limit, and names are passed on as they are.
class EntryDecoder {
public:
  explicit EntryDecoder(EntrySink& sink) : sink_(sink) {}
  /// @errors bad_input (code `bad_entries`), what the sink says
  Result<void> feed(BytesView piece);
  /// The end was told: what comes after it is refused, and a stream without it is torn.
  [[nodiscard]] bool is_complete() const { return ended_; }

private:
  Result<void> take(char kind, BytesView payload);
  EntrySink& sink_;
  std::string begun_;  ///< of a record that has not come whole
  bool in_file_ = false, ended_ = false;
};

/// Writes the stream. @param write  takes all of it, or says why not
class EntryEncoder final : public EntrySink {
public:
  using Write = Result<void> (*)(void* to, std::string_view bytes);
  EntryEncoder(Write write, void* to) : write_(write), to_(to) {}
  Result<void> file(std::string_view name, bool executable) override { return write_(to_, record_of(executable ? 'X' : 'F', name)); }
  Result<void> data(BytesView piece) override;
  Result<void> folder(std::string_view name) override { return write_(to_, record_of('D', name)); }
  Result<void> link(std::string_view name, std::string_view target) override;
  Result<void> end() override { return write_(to_, record_of('E', {})); }

private:
  Write write_;
  void* to_;
};

}  // namespace fleet::agent
