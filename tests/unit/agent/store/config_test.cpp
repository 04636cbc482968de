#include "agent/store/config.hpp"
#include "agent/store/budget.hpp"
#include "agent/store/identity.hpp"
#include "agent/store/trusted_clock.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

TEST_CASE("agent.yaml: every key of the device's owner is read") {
  auto const config = parse_config(R"(
servers:   ["https://a:8444", "https://b:8444"]
sources:   ["http://mirror/fleet/", "https://cache:444"]
sources_ca: ca/mirror.pem
poll:      {interval: 5m, jitter: 0.25, long_poll: false}
bandwidth: {max: 1Mbit/s, metered: "yes", per_day: 50MiB}
telemetry: {interval: 10s, per_day: 1MiB, udp_port: 8125}
handlers:  [files, archive]
unpack:    {max: 2GiB, ratio: 20}
statsd:    {group: fleet-apps}
exec:      {run_as: fleet-exec, programs: {reader: /usr/bin/meter-reader}, environment: {LD_LIBRARY_PATH: /opt/lib, OMP_NUM_THREADS: 4},
            limits: {processes: 64, memory: 2GiB, open_files: 99, file_size: 1MiB}}
hooks:     {switched: [reader, --reload], removed: [reader, --stop]}
conditions: {battery: /sys/class/power_supply/BAT0/capacity, charging: /sys/class/power_supply/AC/online, temperature: /sys/cpu/temp,
             metered: {exec: [/usr/bin/is-metered]}}
update_lock: {file: run/update.lock, max_delay: 6h, consent: [reader]}
)");
  REQUIRE(config.has_value());
  CHECK(config->servers == std::vector<std::string>{"https://a:8444", "https://b:8444"});
  CHECK(config->sources == std::vector<std::string>{"http://mirror/fleet", "https://cache:444"});
  CHECK(config->sources_ca == "ca/mirror.pem");
  CHECK(parse_config("sources_ca: system").value().sources_ca.empty());
  CHECK(config->poll_interval == Millis{300'000});
  CHECK(config->poll_jitter == 0.25);
  CHECK_FALSE(config->long_poll);
  CHECK(config->bandwidth_bytes_per_s == 125'000);
  CHECK(config->download_bytes_per_day == 50 << 20);
  CHECK(config->metered == "yes");
  CHECK(config->telemetry_bytes_per_day == 1 << 20);
  CHECK(config->telemetry_interval == Millis{10'000});
  CHECK(config->telemetry_idle == Millis{10'000});
  CHECK(config->udp_port == 8125);
  CHECK(config->statsd_group == "fleet-apps");
  CHECK(config->exec.run_as == "fleet-exec");
  CHECK(config->exec.programs.at("reader") == "/usr/bin/meter-reader");
  CHECK(config->exec.environment == std::map<std::string, std::string>{{"LD_LIBRARY_PATH", "/opt/lib"}, {"OMP_NUM_THREADS", "4"}});
  CHECK(config->exec.limits.processes == 64);
  CHECK(config->exec.limits.memory_bytes == std::uint64_t{2} << 30U);
  CHECK(config->exec.limits.open_files == 99);
  CHECK(config->exec.limits.file_bytes == 1U << 20U);
  CHECK(config->switched_hook == std::vector<std::string>{"reader", "--reload"});
  CHECK(config->removed_hook == std::vector<std::string>{"reader", "--stop"});
  CHECK(config->battery_file == "/sys/class/power_supply/BAT0/capacity");
  CHECK(config->update_lock.file == "run/update.lock");
  CHECK(config->update_lock.max_delay == std::chrono::hours{6});
  CHECK(config->update_lock.consent == std::vector<std::string>{"reader"});
  CHECK(config->charging_file == "/sys/class/power_supply/AC/online");
  CHECK(config->temperature_file == "/sys/cpu/temp");
  CHECK(config->metered_command == std::vector<std::string>{"/usr/bin/is-metered"});
}

TEST_CASE("agent.yaml: what is wrong is refused by its place") {
  struct Case {
    std::string_view yaml, pointer;
  };
  for (auto const& [yaml, pointer] : std::to_array<Case>({
           {"polls: {interval: 5m}", "/polls"},
           {"poll: {intervall: 5m}", "/poll/intervall"},
           {"poll: {interval: 5}", "/poll/interval"},
           {"poll: {interval: 10ms}", "/poll/interval"},
           {"poll: {jitter: 2}", "/poll/jitter"},
           {"bandwidth: {max: fast}", "/bandwidth/max"},
           {"bandwidth: {max: -1Mbit/s}", "/bandwidth/max"},
           {"bandwidth: {metered: sometimes}", "/bandwidth/metered"},
           {"bandwidth: {per_day: much}", "/bandwidth/per_day"},
           {"handlers: [files, rpm]", "/handlers"},
           {"exec: {programs: {rauc: /usr/bin/rauc}, as_root: [swupdate]}", "/exec/as_root"},
           {"unpack: {max: much}", "/unpack/max"},
           {"unpack: {ratio: 0}", "/unpack/ratio"},
           {"unpack: {entries: 5}", "/unpack/entries"},
           {"telemetry: {udp_port: 70000}", "/telemetry/udp_port"},
           {"telemetry: {interval: 1h, idle: 30m}", "/telemetry/idle"},
           {"telemetry: {send: []}", "/telemetry/send"},
           {"telemetry: {health: often}", "/telemetry/health"},
           {"sensors: [temperature]", "/sensors"},
           {"sensors: {temperature: {range: [85, -40]}}", "/sensors/temperature/range"},
           {"sensors: {temperature: {varies: 1ms}}", "/sensors/temperature/varies"},
           {"sensors: {temperature: {stuck: 1h}}", "/sensors/temperature/stuck"},
           {"statsd: {users: [anna]}", "/statsd/users"},
           {"exec: {programs: {reader: meter-reader}}", "/exec/programs"},
           {"exec: {environment: {FLEET_SLOT: x}}", "/exec/environment"},
           {"exec: {environment: {'A B': x}}", "/exec/environment"},
           {"exec: {limits: {processes: 0}}", "/exec/limits/processes"},
           {"exec: {limits: {memory: much}}", "/exec/limits/memory"},
           {"exec: {limits: {cpu: 1}}", "/exec/limits/cpu"},
           {"hooks: {switch: [reader]}", "/hooks/switch"},
           {"conditions: {metered: {program: x}}", "/conditions/metered/program"},
           {"conditions: {load: /proc/loadavg}", "/conditions/load"},
           {"update_lock: {file: x, max_delay: long}", "/update_lock/max_delay"},
           {"update_lock: {file: x, consent: [../reader]}", "/update_lock/consent"},
           {"update_lock: {lock: x}", "/update_lock/lock"},
       })) {
    CAPTURE(yaml);
    auto const config = parse_config(yaml);
    REQUIRE_FALSE(config.has_value());
    CHECK(config.error().kind == Kind::bad_input);
    REQUIRE_FALSE(config.error().errors.empty());
    CHECK(config.error().errors.front().pointer == pointer);
  }
}

TEST_CASE("agent.yaml says what metrics' values are, and which may leave the device") {
  auto const config = parse_config("{telemetry: {send: [accuracy, 'agent.*'], health: 0s}, sensors: {temperature: {unit: 1, range: [-40, 85], varies: 1h, every: 5m}, faces: {local: true}}}");
  REQUIRE(config.has_value());
  CHECK(config->telemetry_send == std::vector<std::string>{"accuracy", "agent.*"});
  CHECK(config->telemetry_health == Millis{0});
  CHECK(config->sensors.at("temperature") == wire::MetricSchema{"1", wire::MetricSchema::Range{-40, 85}, std::chrono::hours{1}, std::chrono::minutes{5}});
  CHECK(config->sensors.at("faces").local);
}

TEST_CASE("an absent or empty agent.yaml means the defaults") {
  CrashFs fs;
  fs.put("/root/empty.yaml", "");
  for (auto const* path : {"/root/agent.yaml", "/root/empty.yaml"}) {
    auto const config = load_config(fs, path);
    REQUIRE(config.has_value());
    CHECK(config->poll_interval == std::chrono::minutes{15});
    CHECK(config->long_poll);
    CHECK(config->telemetry_interval == std::chrono::seconds{60});
    CHECK(config->telemetry_idle == std::chrono::minutes{30});
    CHECK(config->update_lock.file.empty());
    CHECK(config->update_lock.max_delay == std::chrono::hours{12});
  }
}

TEST_CASE("a day's budget is spent once a day, also across restarts") {
  CrashFs fs;
  fs.put("/state/other", "");
  auto const noon = from_unix_ms(1'700'000'000'000);
  {
    Budget budget(fs, "/state/budget", 100'000);
    budget.use(99'999, noon);
    CHECK_FALSE(budget.is_spent(noon));
    budget.use(1, noon);
    CHECK(budget.is_spent(noon));
  }
  Budget budget(fs, "/state/budget", 100'000);
  CHECK(budget.is_spent(noon));
  CHECK_FALSE(budget.is_spent(noon + std::chrono::days{1}));
  budget.use(1, noon + std::chrono::days{1});
  CHECK_FALSE(budget.is_spent(noon + std::chrono::days{1}));
  Budget unlimited;
  unlimited.use(1 << 30, noon);
  CHECK_FALSE(unlimited.is_spent(noon));
  fs.put("/state/budget", "garbage");
  CHECK_FALSE(Budget(fs, "/state/budget", 1).is_spent(noon));
}

TEST_CASE("an identity whose saving was cut is either not there, unfinished or whole") {
  Identity const identity{"cam-1", "cam-a", {"https://a"}, {{"k", "v"}}, "KEY", "CERTIFICATE", "CA"};
  Layout const layout{"/agent"};
  for (int step = 1;; ++step) {
    CAPTURE(step);
    CrashFs fs;
    fs.put("/agent/agent.yaml", "");
    fs.cut_at(step);
    bool const saved = save_identity(fs, layout, identity).has_value();
    bool const hit = fs.was_hit();
    fs.restart(CrashFs::Loss::nothing);
    auto const loaded = load_identity(fs, layout);
    if (saved) {
      REQUIRE(loaded.has_value());
      CHECK(loaded->certificate == "CERTIFICATE");
      CHECK(loaded->reported == identity.reported);
    } else if (loaded) {
      CHECK(loaded->private_key == "KEY");
      CHECK((loaded->certificate.empty() || loaded->certificate == "CERTIFICATE"));
    } else {
      CHECK(loaded.error().kind == Kind::not_found);
    }
    if (!hit) break;
  }
}

TEST_CASE("uptane-standard #267: where no time is told any more, trusted time goes on by the device's own monotonic clock") {
  CrashFs fs;
  fs.put("/state/other", "");
  FakeClock clock{from_unix_ms(0)};
  auto trusted = TrustedClock::load(fs, clock, "/state/floor");
  auto const told = compiled_at() + std::chrono::days{30};
  REQUIRE(trusted.set_floor(told).has_value());
  clock.advance(std::chrono::days{3});
  CHECK(trusted.now() == told + std::chrono::days{3});
  clock.set_wall(from_unix_ms(0));
  CHECK(trusted.now() == told + std::chrono::days{3});
}

TEST_CASE("uptane-standard #31: trusted time never goes below its floor, which the newest accepted time sets, also back") {
  CrashFs fs;
  fs.put("/state/other", "");
  FakeClock clock{from_unix_ms(0)};
  auto trusted = TrustedClock::load(fs, clock, "/state/floor");
  CHECK(trusted.behind());
  CHECK(trusted.now() == compiled_at());
  auto const issued = compiled_at() + std::chrono::days{30}, far = compiled_at() + std::chrono::days{36'500};
  for (auto const& at : {issued, far, issued}) {  // a century ahead is mended by the next word
    REQUIRE(trusted.set_floor(at).has_value());
    CHECK(trusted.now() == at);
    CHECK(TrustedClock::load(fs, clock, "/state/floor").now() == std::chrono::floor<std::chrono::seconds>(at));
  }
  REQUIRE(trusted.set_floor(from_unix_ms(0)).has_value());
  CHECK(trusted.now() == compiled_at());
  CHECK(trusted.unaided() == compiled_at());
  clock.set_wall(far + std::chrono::days{1});
  CHECK_FALSE(trusted.behind());
  CHECK(trusted.now() == far + std::chrono::days{1});
  fs.put("/state/floor", "garbage");
  clock.set_wall(from_unix_ms(0));
  CHECK(TrustedClock::load(fs, clock, "/state/floor").now() == compiled_at());
}

TEST_CASE("facts are texts, or are read from a file or a program; inputs and the models that unload first are named") {
  auto const config = parse_config("report: {onnxruntime: 1.10, driver: {file: /sys/driver}, runtime: {exec: [reader, --version]}}\ninputs: {reader: /var/recorded}\nunload_first: [reader]\n");
  REQUIRE(config.has_value());
  CHECK(config->report == std::map<std::string, std::string>{{"onnxruntime", "1.10"}});
  CHECK(config->report_from.at("driver").file == "/sys/driver");
  CHECK(config->report_from.at("runtime").exec == std::vector<std::string>{"reader", "--version"});
  CHECK(config->inputs.at("reader") == "/var/recorded");
  CHECK(config->unload_first == std::vector<std::string>{"reader"});
  for (auto const& [yaml, pointer] : std::to_array<std::pair<std::string, std::string>>({
           {"report: {a: {}}", "/report/a"},
           {"report: {a: {file: /x, exec: [y]}}", "/report/a"},
           {"report: {a: {file: x}}", "/report/a/file"},
           {"report: {a: {path: /x}}", "/report/a"},
           {"report: {a: [1]}", "/report/a"},
           {"inputs: {reader: recorded}", "/inputs/reader"},
           {"inputs: {Reader: /recorded}", "/inputs"},
           {"unload_first: [Reader]", "/unload_first"},
       })) {
    CAPTURE(yaml);
    auto const refused = parse_config(yaml);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().errors.at(0).pointer.find(pointer) == 0);
  }
}
