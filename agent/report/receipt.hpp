#pragma once

#include "agent/context.hpp"
#include "core/wire/receipt.hpp"

namespace fleet::agent {

/// A line of a receipt's file (core/wire/receipt.hpp), signed by the device's key: results and notes that the server has not acknowledged, above `after`.
struct ReceiptLine {
  std::string text;
  wire::ByTier<std::int64_t> after;  ///< where the next line goes on
  bool more = false;
};
/// @param directive_sequence  of the directive that was accepted last @errors of the key
[[nodiscard]] Result<ReceiptLine> make_receipt(Context& context, std::int64_t directive_sequence, wire::ByTier<std::int64_t> const& after);

}  // namespace fleet::agent
