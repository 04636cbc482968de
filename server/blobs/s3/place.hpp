#pragma once

#include "core/base/fs.hpp"
#include "server/blobs/s3/sigv4.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// Where a bucket is, and who we are there.
namespace fleet::s3 {

/// `s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&addressing=path|host&ca=FILE]`. Without an endpoint it is Amazon's of the region (us-east-1 unless told), the bucket
/// a part of the host's name; with one, of the path.
struct Place {
  std::string bucket;
  std::string prefix = {};    ///< of all keys; without a slash at its ends
  std::string scheme, host;   ///< host[:port], as it is sent and signed
  std::string region = "us-east-1";
  std::string ca_file = {};   ///< whom TLS trusts, instead of the system's CAs
  bool in_path = true;        ///< the bucket is the first part of the path

  /// @errors bad_input (`bad_blobs`); never quotes what looks like a credential
  [[nodiscard]] static Result<Place> parse(std::string_view url);
  /// Path of an object, not encoded.
  [[nodiscard]] std::string path_of(std::string_view key) const;
};

/// From a file as AWS's tools write it (`aws_access_key_id = ...`, `aws_secret_access_key`, `aws_session_token`; sections and comments are passed over).
/// @errors bad_input (`bad_credentials`); never quotes what it holds
[[nodiscard]] Result<Credentials> parse_credentials(std::string_view text);

using Environment = std::function<std::optional<std::string>(std::string const&)>;
/// Of the file, where there is one, else AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
/// @errors not_found, bad_input (`no_credentials`, `bad_credentials`)
[[nodiscard]] Result<Credentials> find_credentials(Fs& fs, std::string const& file, Environment const& environment);

}  // namespace fleet::s3
