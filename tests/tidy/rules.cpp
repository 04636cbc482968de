#include "tests/tidy/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <regex>
#include <set>
#include <string_view>

namespace tidy {
namespace {

constexpr std::size_t kFileLines = 400;
constexpr std::size_t kFunctionLines = 70;

/// Who may include whom: what a room names here and whatever that may include in its turn. A room may always include itself; a program's rooms
/// include any of core's; programs never include each other, core never a program. A room that is not here is a finding.
std::map<std::string, std::set<std::string>, std::less<>> const kLayers{
    {"core/base", {}},
    {"core/crypto", {"core/base"}},
    {"core/trust", {"core/crypto"}},
    {"core/bundle", {"core/trust"}},
    {"core/stats", {"core/base"}},
    {"core/wire", {"core/base"}},
    {"core/inspect", {"core/proof"}},
    {"core/proof", {"core/wire"}},
    {"core/tensors", {"core/inspect"}},
    {"core/content", {"core/crypto"}},
    {"core/content/encode", {"core/content", "core/tensors"}},
    {"core/net", {"core/crypto"}},

    {"server/store/db", {}},
    {"server/store/sqlite", {"server/store/db"}},
    {"server/store/postgres", {"server/store/db"}},
    {"server/store", {"server/store/sqlite", "server/store/postgres"}},
    {"server/store/transfer", {"server/store"}},
    {"server/events", {"server/store"}},
    {"server/blobs/s3", {}},
    {"server/blobs/store", {"server/blobs/s3"}},
    {"server/blobs", {"server/store", "server/blobs/store"}},
    {"server/signing", {"server/events"}},
    {"server/registry", {"server/events"}},
    {"server/telemetry", {"server/registry"}},
    {"server/telemetry/clickhouse", {"server/telemetry"}},
    {"server/access/oidc", {}},
    {"server/access", {"server/access/oidc", "server/registry"}},
    {"server/catalog", {"server/signing", "server/blobs", "server/registry"}},
    {"server/ceremony", {"server/catalog"}},
    {"server/content", {"server/catalog"}},
    {"server/rollout/policy", {}},
    {"server/rollout/gates", {"server/rollout/policy"}},
    {"server/rollout/engine", {"server/rollout/gates", "server/registry"}},
    {"server/rollout/shell", {"server/rollout/engine"}},
    {"server/nodes", {"server/rollout/shell", "server/signing"}},
    {"server/cost", {"server/content", "server/rollout/engine"}},
    {"server/simulation", {"server/rollout/engine"}},
    {"server/delivery", {"server/rollout/shell", "server/signing"}},
    {"server/fronts/agent", {"server/delivery", "server/telemetry"}},
    {"server/api", {"server/access", "server/content", "server/cost", "server/ceremony", "server/simulation", "server/fronts/agent", "server/nodes"}},
    {"server/admin", {"server/catalog", "server/rollout/shell", "server/nodes", "server/store/transfer"}},
    {"server/upkeep", {"server/admin", "server/telemetry"}},
    {"server", {"server/api", "server/upkeep", "server/telemetry/clickhouse"}},

    {"agent/store", {}},
    {"agent/slots", {"agent/store"}},
    {"agent/trust", {"agent/store"}},
    {"agent/telemetry", {"agent/store"}},
    {"agent/proof", {"agent/telemetry"}},
    {"agent/unpack", {}},
    {"agent/unpack/reader", {"agent/unpack"}},
    {"agent/handlers", {"agent/slots", "agent/proof", "agent/unpack"}},
    {"agent/delivery", {"agent/slots", "agent/trust"}},
    {"agent/report", {"agent/slots", "agent/telemetry", "agent/trust"}},
    {"agent/conditions", {"agent/slots", "agent/proof"}},
    {"agent/update", {"agent/delivery", "agent/conditions", "agent/handlers"}},
    {"agent/link", {"agent/update"}},
    {"agent/commands", {"agent/link", "agent/report"}},
    {"agent", {"agent/commands", "agent/unpack/reader"}},

    {"cli/render", {}},
    {"cli/args", {"cli/render"}},
    {"cli/client", {"cli/args"}},
    {"cli/signing", {"cli/client"}},
    {"cli/publish", {"cli/client"}},
    {"cli/trial", {"cli/client"}},
    {"cli/bundle", {"cli/client"}},
    {"cli/commands", {"cli/signing", "cli/publish", "cli/trial", "cli/bundle"}},
    {"cli", {"cli/commands"}},
};
/// What a program's rooms share, made by the process: any of its rooms may include it. It names no room above the lowest.
std::set<std::string, std::less<>> const kShared{"server/services.hpp", "agent/context.hpp", "agent/thread.hpp"};
std::set<std::string, std::less<>> const kPrograms{"server", "agent", "cli"};

/// Vendor headers and the folders that may name them; `header` says whether their .hpp files may, too.
struct Vendor {
  std::string_view prefix;
  std::vector<std::string> folders;
  bool header;
};
std::vector<Vendor> const kVendors{
    {"sodium", {"core/crypto"}, false},  {"openssl/ssl.h", {"core/net"}, true}, {"openssl/", {"core/crypto", "core/net"}, true},
    {"libpq-fe.h", {"server/store/postgres"}, false},
    {"curl/", {"server/blobs/s3"}, false},
    {"sqlite3.h", {"server/store/sqlite", "tests/crash/server"}, false},   {"yaml-cpp/", {"core/wire"}, false},   {"boost/beast", {"core/net"}, true},
    {"boost/asio", {"core/net"}, true},  {"boost/math", {"core/stats"}, false}, {"CLI/", {"cli", "server", "agent", "tests"}, true},
    {"zstd.h", {"core/content"}, false}, {"p11-kit/", {"cli/signing"}, false},
    {"archive", {"agent/unpack/reader"}, false},
    {"ares.h", {"core/net"}, false},
};
/// Headers outside these folders stay free of Boost.JSON: it doubles the time of every file that reads it.
std::set<std::string, std::less<>> const kJsonHeaders{"core/wire",  "core/trust", "server/access", "server/api",
                                                           "cli/client", "cli/render", "cli/signing",   "cli/publish", "cli/commands"};

/// Time, chance, environment: passed in, read in core/base alone.
std::regex const kImpure(
    R"((system_clock|steady_clock|high_resolution_clock)::now|std::random_device|\bgetenv\s*\(|\brand\s*\(\)|\btime\s*\((nullptr|NULL|0)\)|\bclock_gettime\s*\(|\bgetrandom\s*\(|\bgettimeofday\s*\()");
/// The same by our own names, which only they may call who make everything: each program's main, and the server's parts.
std::regex const kAccessor(R"(\bsystem_(clock|random)\s*\(\s*\))");
std::set<std::string, std::less<>> const kRoots{"server/main.cpp", "server/node.cpp", "agent/main.cpp", "cli/main.cpp"};
/// Files: through core/base/kernel.hpp alone, which tests put a model of a disk in the place of (docs/adr/0034).
std::regex const kFileCall(
    R"((^|[^\w>])::(open|openat|creat|truncate|ftruncate|pread|pwrite|fsync|fdatasync|sync|syncfs|fallocate|rename|renameat|unlink|unlinkat|rmdir|mkdir|mkdirat|link|linkat|symlink|symlinkat|readlink|readlinkat|chmod|fchmod|chown|fchown|lchown|stat|lstat|fstat|fstatat|access|statvfs|flock|opendir|fdopendir|fopen|mkdtemp|mkstemp)\s*\(|std::(filesystem|[io]?fstream|fopen|remove\(|rename\())");
/// What is no file of ours, or no file at all.
std::set<std::string, std::less<>> const kFileCallers{
    "core/base/kernel.cpp",
    "core/net/connection_write.cpp",                                                 // what is sent, read as it is
    "core/proof/supervisor.cpp", "core/proof/cgroup.cpp", "core/proof/process.cpp",  // the kernel's own: /proc, control groups; what may be run
    "agent/telemetry/statsd_socket.cpp", "agent/commands/control.cpp",               // names of sockets
    "agent/commands/config_check.cpp",                                               // what the machine may run
    "cli/trial/slow_pipe.cpp",                                                       // a pipe
};
std::regex const kAwaitTemporary(R"(co_await\s[^;]*(\{|\[[&=\w, ]*\]\s*[\({]))");
std::regex const kPassphrasePrompt(R"(PEM_read_bio_\w+\((?!.*no_passphrase))");
std::regex const kInclude(R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"])re");
std::regex const kDebt(
    "\\b(TO"
    "DO|FIX"
    "ME|X"
    "XX)\\b");

std::string folder_of(std::string_view path) { return std::string(path.substr(0, path.rfind('/'))); }
std::string program_of(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }
bool is_header(std::string_view path) { return path.ends_with(".hpp"); }

bool may_include(std::string const& from, std::string const& to) {
  if (from == to) return true;
  auto const rule = kLayers.find(from);
  return rule != kLayers.end() && std::any_of(rule->second.begin(), rule->second.end(), [&](auto const& one) { return may_include(one, to); });
}

void check_layer(Source const& source, std::size_t line, std::string const& included, std::vector<Finding>& out) {
  auto const from = folder_of(source.path), to = folder_of(included);
  auto const program = program_of(source.path), other = program_of(included);
  if (from == to || program == "tests" || program == "examples" || (!kPrograms.contains(other) && other != "core")) return;
  bool const allowed = kShared.contains(included) ? program == other : other == "core" && program != "core" ? true : may_include(from, to);
  if (!allowed) out.push_back({source.path, line, "layer", fmt::format("{} must not include {}", from, included)});
}

void check_vendor(Source const& source, std::size_t line, std::string const& included, std::vector<Finding>& out) {
  auto const folder = folder_of(source.path), program = program_of(source.path);
  for (auto const& vendor : kVendors) {
    if (!included.starts_with(vendor.prefix)) continue;
    bool const allowed = std::any_of(vendor.folders.begin(), vendor.folders.end(), [&](auto const& f) { return f == folder || f == program; });
    if (!allowed) out.push_back({source.path, line, "vendor", fmt::format("{} belongs to {}", included, fmt::join(vendor.folders, ", "))});
    else if (is_header(source.path) && !vendor.header) out.push_back({source.path, line, "vendor", fmt::format("{} must stay out of headers", included)});
    break;
  }
  if (included.starts_with("boost/json") && is_header(source.path) && !kJsonHeaders.contains(folder))
    out.push_back({source.path, line, "vendor", fmt::format("{} must stay out of headers here", included)});
}

void check_includes(Source const& source, std::vector<Finding>& out) {
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    std::smatch found;
    if (!std::regex_search(source.lines[i], found, kInclude)) continue;
    if (found[1] == "\"") check_layer(source, i + 1, found[2], out);
    else check_vendor(source, i + 1, found[2], out);
  }
}

bool opens_function(std::string const& line) {
  static std::regex const kNot(R"(^\s*(namespace|struct|class|enum|union|extern|\}|#|//|constexpr auto|inline constexpr|constexpr std|std::(map|set|vector)))");
  return !line.empty() && line.back() == '{' && line.find('(') != std::string::npos && !std::regex_search(line, kNot);
}

/// A function's body runs from the line that opens it to the `}` at the same depth; nested ones (members) count for themselves.
void check_lengths(Source const& source, std::vector<Finding>& out) {
  if (source.lines.size() > kFileLines && program_of(source.path) != "tests")
    out.push_back({source.path, 0, "file length", fmt::format("{} lines, at most {}", source.lines.size(), kFileLines)});
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    auto const& line = source.lines[i];
    auto const indent = line.find_first_not_of(' ');
    if (indent > 2 || !opens_function(line)) continue;
    auto const end = std::string(indent, ' ') + "}";
    std::size_t k = i + 1;
    while (k < source.lines.size() && !source.lines[k].starts_with(end)) ++k;
    if (k - i + 1 > kFunctionLines && !line.starts_with("TEST_CASE"))
      out.push_back({source.path, i + 1, "function length", fmt::format("{} lines, at most {}", k - i + 1, kFunctionLines)});
  }
}

void check_lines(Source const& source, std::vector<Finding>& out) {
  bool const base = folder_of(source.path) == "core/base", tests = program_of(source.path) == "tests", example = program_of(source.path) == "examples";
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    auto const code = source.lines[i].substr(0, source.lines[i].find("//"));
    if (!base && !tests && !example && std::regex_search(code, kImpure))
      out.push_back({source.path, i + 1, "purity", "clock, randomness and environment are read in core/base and passed in"});
    if (!base && !tests && !example && !kRoots.contains(source.path) && std::regex_search(code, kAccessor))
      out.push_back({source.path, i + 1, "accessor", "the machine's clock and randomness are handed in from main"});
    if (!tests && !example && !kFileCallers.contains(source.path) && std::regex_search(code, kFileCall))
      out.push_back({source.path, i + 1, "disk", "files are opened, written and named through core/base/fs.hpp"});
    if (std::regex_search(code, kAwaitTemporary))
      out.push_back({source.path, i + 1, "co_await", "name the object first: g++ 12 destroys temporaries of an awaited expression twice"});
    if (std::regex_search(code, kPassphrasePrompt))
      out.push_back({source.path, i + 1, "prompt", "without no_passphrase OpenSSL asks the terminal for a pass phrase"});
    if (std::regex_search(source.lines[i], kDebt)) out.push_back({source.path, i + 1, "debt", "finish it or leave it out"});
    if (is_header(source.path) && code.find("using namespace") != std::string::npos)
      out.push_back({source.path, i + 1, "header", "no using namespace in a header"});
    if (tests && code.find("sleep_for") != std::string::npos) out.push_back({source.path, i + 1, "sleep", "tests wait for conditions, they do not sleep"});
  }
  if (is_header(source.path) && std::find(source.lines.begin(), source.lines.end(), "#pragma once") == source.lines.end())
    out.push_back({source.path, 1, "header", "#pragma once is missing"});
}

}  // namespace

std::vector<Finding> check(Source const& source) {
  std::vector<Finding> out;
  check_includes(source, out);
  check_lengths(source, out);
  check_lines(source, out);
  return out;
}

std::vector<Finding> check_readme(Source const& readme) {
  if (readme.lines.size() <= 10) return {};
  return {{readme.path, 0, "readme", fmt::format("{} lines, at most 10: what lives here, what may not, where to start", readme.lines.size())}};
}

}  // namespace tidy
