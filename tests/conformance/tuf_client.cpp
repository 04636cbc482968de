// A TUF client over core/trust and core/net, with the command line that the tuf-conformance suite drives:
//   tuf-client --metadata-dir D init ROOT
//   tuf-client --metadata-url U --metadata-dir D refresh
//   tuf-client --metadata-url U --metadata-dir D --target-name T [--target-name T ...] --target-dir X --target-base-url B download
#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/net/client.hpp"
#include "core/trust/updater.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace {

using namespace fleet;

struct Options {
  std::string metadata_url, metadata_dir, target_dir, target_base_url, root;
  std::vector<std::string> targets;
};

class FolderStore final : public trust::MetadataStore {
public:
  explicit FolderStore(std::string dir) : dir_(std::move(dir)) {}
  Result<std::optional<Bytes>> load(std::string const& role) override {
    auto const text = system_fs().read(path(role), 8'000'000);
    if (!text && text.error().kind == Kind::not_found) return std::optional<Bytes>();
    if (!text) return text.error();
    return std::optional(Bytes(text->begin(), text->end()));
  }
  Result<void> save(std::string const& role, BytesView bytes) override {
    FLEET_CHECK(system_fs().make_dirs(dir_));
    return system_fs().replace(path(role), as_text(bytes));
  }
  Result<void> remove(std::string const& role) override { return system_fs().remove(path(role)); }

private:
  [[nodiscard]] std::string path(std::string const& role) const { return dir_ + "/" + role + ".json"; }
  std::string dir_;
};

Result<Bytes> get(net::Client& client, std::string const& url, std::uint64_t limit) {
  net::ClientRequest request;
  request.url = url;
  request.body_limit = limit;
  FLEET_TRY(auto const answer, client.send(request));
  // 5.3.3: a repository may answer 403 as well as 404 where there is no next root.
  if (answer.status == 404 || answer.status == 403) return Error{Kind::not_found, "not_found", url};
  if (answer.status != 200) return Error{Kind::unavailable, "bad_status", fmt::format("{}: {}", url, answer.status)};
  return Bytes(answer.body.begin(), answer.body.end());
}

class HttpFetcher final : public trust::Fetcher {
public:
  HttpFetcher(net::Client& client, std::string base) : client_(client), base_(std::move(base)) {}
  Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) override {
    // Names are encoded once for the file; a URL's path carries the percent sign itself encoded again only by those who decode twice.
    return get(client_, base_ + "/" + name, limit_bytes);
  }

private:
  net::Client& client_;
  std::string base_;
};

std::string without_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

/// `dir/file` -> `dir/<hash>.file` with consistent snapshots.
std::string target_url(Options const& options, trust::Target const& target, bool consistent) {
  auto const slash = target.path.find_last_of('/');
  auto const dir = slash == std::string::npos ? std::string() : target.path.substr(0, slash + 1);
  auto const file = slash == std::string::npos ? target.path : target.path.substr(slash + 1);
  auto const hash = target.hashes.contains("sha256") ? target.hashes.at("sha256") : target.hashes.begin()->second;
  return without_slash(options.target_base_url) + "/" + dir + (consistent ? hash + "." : "") + file;
}

Result<void> download(Options const& options, trust::Updater& updater, net::Client& client) {
  for (auto const& name : options.targets) {
    FLEET_TRY(auto const target, updater.find(name));
    if (!target) return Error{Kind::not_found, "unknown_target", name};
    // One flat folder: the whole path encoded into a file name, so that nothing can escape it.
    auto const path = options.target_dir + "/" + net::percent_encode(name);
    if (auto const kept = system_fs().read(path, target->length))
      if (trust::verify_target(*target, as_bytes(*kept))) continue;
    FLEET_TRY(auto const bytes, get(client, target_url(options, *target, updater.consistent_snapshot()), target->length));
    FLEET_CHECK(trust::verify_target(*target, bytes));
    FLEET_CHECK(system_fs().make_dirs(options.target_dir));
    FLEET_CHECK(system_fs().replace(path, as_text(bytes)));
  }
  return {};
}

Result<void> run(Options const& options, std::string const& command) {
  FolderStore store(options.metadata_dir);
  if (command == "init") {
    FLEET_TRY(auto const root, system_fs().read(options.root, 512'000));
    return trust::Updater::init(store, as_bytes(root));
  }
  net::ClientConfig config;
  config.allow_plain_http = true;
  config.user_agent = "tuf-client";
  FLEET_TRY(auto client, net::Client::create(std::move(config), system_clock()));
  HttpFetcher fetcher(client, without_slash(options.metadata_url));
  FLEET_TRY(auto updater, trust::Updater::load(store, fetcher, system_clock().wall()));
  FLEET_CHECK(updater.refresh());
  return command == "download" ? download(options, updater, client) : Result<void>{};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"tuf-client: a TUF client over Fleet's verifier"};
  Options options;
  app.add_option("--metadata-url", options.metadata_url);
  app.add_option("--metadata-dir", options.metadata_dir)->required();
  app.add_option("--target-name", options.targets);
  app.add_option("--target-dir", options.target_dir);
  app.add_option("--target-base-url", options.target_base_url);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_subcommand("init")->add_option("root", options.root)->required();
  app.add_subcommand("refresh");
  app.add_subcommand("download");
  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& fault) {
    return app.exit(fault) == 0 ? 0 : 2;
  }
  auto const done = run(options, app.get_subcommands().front()->get_name());
  if (done) return 0;
  fmt::print(stderr, "tuf-client: {}: {}\n", done.error().code, done.error().detail);
  return 1;
}
