// usage: crash [--errors] [--life NAME] [--orders N] [--seed N] [--every N] [--cut K --order NAME]: lives of the agent over a model of a disk, the power cut after every
// operation, or calls that fail. Prints what was tried; exit 1 with what was wrong and how to see it again.
#include "tests/crash/cuts.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

int main(int argc, char** argv) try {
  CLI::App app("crash: cuts the power after every operation of the agent");
  fleet::crash::Wanted wanted;
  bool loud = false, errors = false;
  app.add_option("--life", wanted.life, "this one alone");
  app.add_option("--seed", wanted.seed, "of the orders");
  app.add_option("--mixed", wanted.mixed, "so many mixed orders at each cut");
  app.add_option("--every", wanted.every, "only each n-th operation");
  app.add_option("--cut", wanted.cut, "only after this operation, counted from 0; of errors, only from this call on, counted from 1");
  app.add_option("--order", wanted.order, "only this order");
  app.add_option("--forget", wanted.forget, "a sync that does nothing, such as 'fdatasync /journal': shows that it would be found");
  app.add_flag("--errors", errors, "calls that fail, in place of cuts");
  app.add_option("--error", wanted.error, "of those, this one alone");
  app.add_flag("--log", loud, "what the agent logs");
  CLI11_PARSE(app, argc, argv);
  fleet::log::set_level(loud ? fleet::log::Level::debug : static_cast<fleet::log::Level>(4));
  fleet::crash::Tried const cuts = errors ? fleet::crash::fail_all(wanted) : fleet::crash::cut_all(wanted);
  return cuts.faults == 0 && cuts.runs > 0 ? 0 : 1;
} catch (std::exception const& fault) {
  fmt::print(stderr, "crash: {}\n", fault.what());
  return 1;
}
