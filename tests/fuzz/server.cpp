// What people give the server: publications, selectors, model files, the address of telemetry; and what a ClickHouse answers. The first byte chooses.
#include "core/base/bytes.hpp"
#include "core/inspect/onnx.hpp"
#include "server/catalog/releases.hpp"
#include "server/registry/selector.hpp"
#include "server/telemetry/clickhouse/address.hpp"
#include "server/telemetry/clickhouse/row_binary.hpp"
#include "tests/unit/agent/crash_fs.hpp"

using namespace fleet;

namespace {

void onnx(std::string_view bytes) {
  agent::CrashFs fs;
  fs.put("/model.onnx", std::string(bytes));
  if (auto const model = inspect::inspect_onnx(fs, "/model.onnx")) static_cast<void>(inspect::onnx_json(*model));
}

/// An answer in pieces of 7 bytes.
void answer(std::string_view bytes) {
  clickhouse::Reader reader;
  for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(7, bytes.size()))) {
    reader.feed(as_bytes(bytes.substr(0, 7)));
    while (true) {
      auto const step = reader.step();
      if (!step) return;
      if (!*step) break;
    }
  }
  static_cast<void>(reader.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const text = as_text({data + 1, size - 1});
  if (data[0] == 'o') onnx(text);
  else if (data[0] == 'c') answer(text);
  else if (data[0] == 'a') static_cast<void>(clickhouse::parse_address(text));
  else if (data[0] == 's') static_cast<void>(registry::Selector::parse(text));
  else static_cast<void>(catalog::decode_publication("m", text));
  return 0;
}
