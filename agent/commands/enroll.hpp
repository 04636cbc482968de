#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "core/net/client.hpp"
#include "core/wire/device.hpp"

#include <functional>
#include <string>
#include <vector>

namespace fleet::agent {

struct EnrollOptions {
  std::vector<std::string> servers;
  std::string ca_file, token_file, tuf_root_file, id, hardware;
  std::string factory_certificate_file, factory_key;  ///< in place of the token: what the factory gave the device; the key is a file or a URI
  std::string key;                                    ///< URI of a key in a TPM; empty: one is made, in a file
  std::string wrap_key = {};                          ///< the same of the key that data keys come encrypted to: one that may decrypt; empty with a key in a TPM: none
  wire::Labels reported;
  net::ProxyRules proxy;
};

/// Makes a key, asks for a certificate, keeps what the device trusts from now on. May be repeated: the same key is used again.
/// @param waits  the exchange is timed out by it, as Context has it
/// @returns the state the server gave: active or pending
/// @errors conflict (code `enrolled`), unauthenticated, forbidden, unavailable, signature
Result<std::string> enroll(Fs& fs, Clock& clock, Random& random, Layout const& layout, EnrollOptions const& options, Clock& waits,
                           net::Connect const& connect = net::over_network());

/// How an enrolment that waits for a person is asked after.
struct Waiting {
  Millis timeout{0};                          ///< at most so long
  std::function<void(Millis)> pause;          ///< lets time pass
  std::function<void(std::string)> say;       ///< what it waits for, once
};
/// `enroll`, again and again while it is pending, ever more slowly, up to every half minute; a network that fails meanwhile is waited for, too.
/// @returns active @errors timeout (code `enrolment_pending`), and those of enroll
Result<std::string> enroll_and_wait(Fs& fs, Clock& clock, Random& random, Layout const& layout, EnrollOptions const& options, Waiting const& waiting,
                                    Clock& waits);

}  // namespace fleet::agent
