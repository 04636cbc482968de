#pragma once

#include "agent/delivery/download.hpp"
#include "tests/unit/agent/fake_server.hpp"

#include <charconv>

namespace fleet::agent {

inline std::string const kContent = [] {
  std::string out(300'000, '\0');
  SeededRandom random{3};
  random.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
  return out;
}();

/// A device that downloads one file of `kContent` from a server that a test shapes.
struct Bench {
  FakeServer server;
  CrashFs fs;
  FakeClock fake{FakeFleet::now()};
  TrustedClock trusted = TrustedClock::load(fs, fake, "/state/floor");
  Slots slots{fs, Layout{"/agent"}};
  wire::Variant variant{{"cam-a"}, {{"model/part.bin", kContent.size(), crypto::sha256(kContent), false}}};
  std::string const digest = std::string(64, 'd');
  std::string const blob = "/blobs/sha256/" + crypto::sha256(kContent).hex();
  std::string const staged = slots.staging("reader", digest) + "/model/part.bin";
  std::string const other_model = "elsewhere";
  Sources sources;
  Assemblers assemblers{kAssemblersMax};
  std::set<Digest> spent;
  std::optional<wire::ReleaseRoutes> routes;  ///< as the server would tell them
  std::uint64_t planned_bytes = 0;            ///< what the last download would have fetched
  std::atomic<bool> stop{false};
  std::vector<std::string> ranges;
  std::mutex mutex;

  Bench() { fs.put("/agent/agent.yaml", ""); }

  Lines::Make make_line() {
    return [this]() -> Result<std::shared_ptr<Remote>> { return std::shared_ptr<Remote>(server.remote(trusted)); };
  }
  Result<void> run(std::vector<std::string> announced = {}, std::uint64_t rate = 0) {
    Lines lines(make_line());
    Throttle throttle(system_clock(), rate);
    sources.announce(std::move(announced));
    return go(lines, throttle);
  }
  Result<void> go(Lines& lines, Throttle& throttle, std::function<Result<void>(bool)> may_go_on = {}) {
    Download download({fs, slots, throttle, sources, assemblers}, {"reader", digest, variant, "cam-a", spent}, stop);
    FLEET_CHECK(download.plan([this]() -> Result<std::optional<wire::ReleaseRoutes>> { return routes; }));
    planned_bytes = download.to_fetch();
    return download.run(lines, std::move(may_go_on));
  }

  /// A kept release of a model with one file. @returns where that lies
  std::string keep(std::string const& model, std::string const& name, std::string const& content, std::string const& lies = {}) {
    wire::Release const release{model, "1", 1, {{{"cam-a"}, {{name, content.size(), crypto::sha256(content), false}}}}, {}};
    auto const document = wire::encode(release);
    auto const kept = crypto::sha256(document).hex();
    fs.put("/agent/models/" + model + "/releases/" + kept + ".json", document);
    fs.put(slots.slot(model, kept) + "/" + name, lies.empty() ? content : lies);
    return slots.slot(model, kept) + "/" + name;
  }

  /// Answers a Range as a blob store does; `cut` bytes are sent and then the connection ends.
  FakeServer::Answer ranged(std::string content, std::size_t cut = std::string::npos) {
    return [this, content = std::move(content), cut](net::Request const& request) {
      std::string range{request.header("Range")};
      {
        std::lock_guard const lock(mutex);
        ranges.push_back(range);
      }
      std::size_t from = 0;
      if (range.starts_with("bytes=")) std::from_chars(range.data() + 6, range.data() + range.size(), from);
      net::Response response;
      response.status = from > 0 ? 206 : 200;
      response.body = content.substr(std::min(from, content.size()), cut);
      return response;
    };
  }
};

}  // namespace fleet::agent
