#include "agent/commands/support.hpp"

#include "agent/commands/commands.hpp"
#include "core/bundle/tar.hpp"
#include "tests/unit/agent/device.hpp"
#include "tests/unit/agent/fake_server.hpp"

#include <map>

namespace fleet::agent {
namespace {

struct Asked {
  FakeServer server;
  Device device;
  std::unique_ptr<Remote> polls = server.remote(device.context->trusted);
  Link link{*device.context, *polls, *device.runner, *device.remotes};
  Support support{*device.context, *device.runner, link};
  void ask(std::string const& id, bool metered = false) {
    Told told = device.runner->told();
    ++told.sequence;
    told.collect = wire::CollectOrder{id, metered};
    device.runner->direct(std::move(told));
  }
};

std::map<std::string, std::string> files_of(std::string_view tar) {
  std::map<std::string, std::string> out;
  for (std::size_t at = 0;;) {
    auto const entry = bundle::read_tar_header(as_bytes(tar.substr(at, bundle::kTarBlock)));
    REQUIRE(entry.has_value());
    if (!*entry) return out;
    out[(*entry)->name] = tar.substr(at + bundle::kTarBlock, (*entry)->size);
    at += bundle::kTarBlock + (*entry)->size + bundle::tar_padding((*entry)->size);
  }
}

TEST_CASE("a device answers an order for its support bundle once, and again after a day where it is still asked") {
  Asked asked;
  CHECK_FALSE(asked.support.take().has_value());
  asked.ask("sup_1");
  auto const item = asked.support.take();
  REQUIRE(item.has_value());
  CHECK(item->support->id == "sup_1");
  auto const files = files_of(item->support->content);
  CHECK(files.at("status.json").find("\"cam-1\"") != std::string::npos);
  CHECK(files.contains("agent.json"));
  CHECK_FALSE(asked.support.take().has_value());
  asked.device.clock.advance(std::chrono::hours{25});
  CHECK(asked.support.take().has_value());
  asked.ask("sup_2");
  CHECK(asked.support.take()->support->id == "sup_2");
}

TEST_CASE("it waits for a link that costs nothing, unless the order says otherwise") {
  Asked asked;
  asked.device.context->config.metered = "yes";
  asked.ask("sup_1");
  CHECK_FALSE(asked.support.take().has_value());
  asked.ask("sup_2", true);
  CHECK(asked.support.take().has_value());
}

TEST_CASE("of a journal that is too long the last lines are sent") {
  Asked asked;
  std::string long_journal;
  while (long_journal.size() < 2 * wire::kSupportBytesMax) long_journal += "line " + std::to_string(long_journal.size()) + "\n";
  asked.device.fs.put(asked.device.layout.journal(), long_journal);
  auto const content = collected(asked.device.fs, asked.device.layout, "{}", wire::kSupportBytesMax);
  REQUIRE(content.has_value());
  CHECK(content->size() <= wire::kSupportBytesMax);
  CHECK(content->size() > wire::kSupportBytesMax - 4096);
  auto const journal = files_of(*content).at("journal");
  CHECK(journal.starts_with("line "));
  CHECK(long_journal.ends_with(journal));
}

}  // namespace
}  // namespace fleet::agent
