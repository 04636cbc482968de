#pragma once

#include "core/net/http.hpp"

namespace fleet::net {

/// Reason phrase of a status (RFC 9110, 15); empty for what is unknown.
[[nodiscard]] std::string_view reason_of(int status);

/// Appends status line, headers and empty line. `date_line` is a whole `Date: ...` line with its CR LF.
/// @errors internal when a header would break the framing (bad name, CR or LF, a header that only the server sets)
Result<void> render_head(Response const& response, std::uint64_t body_size, bool close, std::string_view date_line, std::string& out);

/// What the server itself answers, as an RFC 9457 problem that ends the connection. `detail` and `hint` are plain ASCII.
[[nodiscard]] Response make_problem(int status, std::string_view code, std::string_view detail, std::string_view hint, std::string_view request_id);

/// `Date: Fri, 20 Nov 2026 09:30:00 GMT` with its CR LF (RFC 9110, 5.6.7).
[[nodiscard]] std::string make_date_line(SysTime at);

}  // namespace fleet::net
