#pragma once

#include "server/blobs/s3/transport.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What a store's answers say. Pure; whatever bytes they are.
namespace fleet::s3 {

/// The text of the first element of that name, entities replaced; nothing where there is none, or it is no XML.
[[nodiscard]] std::optional<std::string> element(std::string_view xml, std::string_view name);

/// Digits and nothing else.
[[nodiscard]] std::optional<std::uint64_t> number(std::string_view text);

/// The error of an answer that is none of success, in our words: all but an absent object are of kind unavailable, since the caller did nothing wrong.
/// @errors not_found (`no_object`); unavailable: `blobs_refused` (credentials), `blobs_expired` (temporary ones), `blobs_clock`, `blobs_no_bucket`, `blobs_wrong_region`,
/// `blobs_throttled`, `blobs_altered` (what came was not what we sent), `blobs_failed`
[[nodiscard]] Error fault_of(HttpAnswer const& answer, std::string_view what);
/// CompleteMultipartUpload answers 200 before it knows, and may say an error in the body. @source Amazon S3 API reference, CompleteMultipartUpload
[[nodiscard]] bool is_late_error(HttpAnswer const& answer);

/// Whether the same request may fare better a moment later.
[[nodiscard]] bool is_passing(Error const& error);

/// The head of an answer to a range must be of the very bytes: other lengths are told before any byte is used. @errors unavailable (`blobs_altered`)
[[nodiscard]] Result<void> check_range(HttpAnswer const& answer, std::uint64_t offset, std::uint64_t length, std::uint64_t size, std::string_view what);

}  // namespace fleet::s3
