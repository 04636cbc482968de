#pragma once

#include "core/wire/device.hpp"

/// What a device did, signed by its own key, for who carries it to the server by file (docs/protocol.md, Receipts).
namespace fleet::wire {

inline constexpr std::string_view kReceiptPayloadType = "application/vnd.fleet.receipt+json";
inline constexpr std::size_t kReceiptPayloadMax = kReportBytesMax + 64 * 1024;
inline constexpr std::size_t kReceiptBytesMax = 2 * kReceiptPayloadMax;  ///< of a line of the file: the payload in base64, and what is around it

/// The payload of the envelope; verify first, then decode.
struct Receipt {
  std::string device;
  std::int64_t directive_sequence = 0;  ///< of the directive that it accepted last
  SysTime made_at{};                    ///< by its own clock
  Report report;                        ///< as it would send it: counted once, whichever way it comes
};
[[nodiscard]] Result<Receipt> decode_receipt(std::string_view json);
[[nodiscard]] std::string encode(Receipt const& message);

/// A line of a receipt's file. Nothing of it is believed before the envelope is verified with a key that the server knows as the device's.
struct SignedReceipt {
  std::string device;
  std::string key;       ///< SubjectPublicKeyInfo, PEM
  std::string envelope;  ///< DSSE
};
/// @errors bad_input
[[nodiscard]] Result<SignedReceipt> decode_signed_receipt(std::string_view json);
[[nodiscard]] std::string encode(SignedReceipt const& message);

}  // namespace fleet::wire
