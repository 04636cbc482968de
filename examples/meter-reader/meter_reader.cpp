// The camera's application: reads digits with the model that `current` points at, and says how it does by StatsD.
// It knows nothing of Fleet but a link to watch and a socket to write to.
#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Row = std::vector<float>;

std::vector<Row> read_csv(fs::path const& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    Row row;
    std::stringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stof(cell));
    if (!row.empty()) rows.push_back(std::move(row));
  }
  return rows;
}

/// One loaded release: its model and the labels that belong to it.
class Model {
public:
  explicit Model(fs::path const& folder) : net_(cv::dnn::readNetFromONNX((folder / "model.onnx").string())) {
    std::ifstream labels(folder / "labels.txt");
    for (std::string line; std::getline(labels, line);) labels_.push_back(line);
    if (labels_.empty()) throw std::runtime_error("no labels in " + folder.string());
  }
  /// @param pixels 64 values, row by row, in the scale the model was trained on
  /// @returns a probability for each digit
  Row infer(Row const& pixels) {
    cv::Mat const input(1, 64, CV_32F, const_cast<float*>(pixels.data()));
    net_.setInput(input);
    cv::Mat const output = net_.forward();
    return {output.ptr<float>(), output.ptr<float>() + output.total()};
  }
  [[nodiscard]] std::string const& label(std::size_t index) const { return labels_.at(index); }

private:
  cv::dnn::Net net_;
  std::vector<std::string> labels_;
};

std::string variable(char const* name) {
  char const* const value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
  return value;
}

/// `--golden`: the release's own test inputs through the release's model, for the agent to compare.
int golden() {
  Model model(variable("FLEET_SLOT"));
  std::ofstream out(variable("FLEET_OUTPUT"));
  out << std::fixed << std::setprecision(7);
  for (auto const& row : read_csv(variable("FLEET_INPUTS"))) {
    auto const digits = model.infer(row);
    for (std::size_t i = 0; i < digits.size(); ++i) out << (i == 0 ? "" : ",") << digits[i];
    out << "\n";
  }
  return out.flush() ? 0 : 1;
}

/// A datagram socket to the agent. The camera keeps reading digits whether or not anybody listens.
class StatsD {
public:
  explicit StatsD(std::string const& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    address_.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address_.sun_path)) throw std::runtime_error("socket path too long: " + path);
    std::memcpy(address_.sun_path, path.c_str(), path.size() + 1);
  }
  ~StatsD() { ::close(fd_); }
  StatsD(StatsD const&) = delete;
  StatsD& operator=(StatsD const&) = delete;
  void send(std::string const& lines) const { ::sendto(fd_, lines.data(), lines.size(), 0, reinterpret_cast<sockaddr const*>(&address_), sizeof address_); }

private:
  int fd_;
  sockaddr_un address_{};
};

volatile std::sig_atomic_t stopped = 0;

/// What `current` leads to. The link is read once: through it, two files might be of two releases.
struct Slot {
  fs::path folder;
  std::string digest;
};
std::optional<Slot> current_slot(fs::path const& current) {
  std::error_code none;
  auto const target = fs::read_symlink(current, none);
  if (none) return std::nullopt;
  return Slot{current.parent_path() / target, target.filename().string()};
}

struct Options {
  fs::path current, field;
  std::string statsd;
  fs::path journal;       ///< where each reading is written down, for who counts them; empty: nowhere
  std::size_t start = 0;  ///< row the stream starts with: every camera looks at another meter
  int per_second = 50;
};

struct Camera {
  explicit Camera(Options given) : options(std::move(given)), field(read_csv(options.field)), statsd(options.statsd), at(options.start) {}

  /// Loads the release that `current` leads to, when that changed, beside the one that reads meanwhile. The old one stays when the new one does not load.
  void follow_link() {
    auto const slot = current_slot(options.current);
    if (loading.valid()) return take_loaded();
    if (!slot) {
      model.reset();
      release.clear();
    } else if (slot->digest != release && slot->digest != refused) {
      loaded = slot->digest;
      loading = std::async(std::launch::async, [folder = slot->folder] { return std::make_unique<Model>(folder); });
    }
  }

  void take_loaded() {
    if (loading.wait_for(std::chrono::seconds{0}) != std::future_status::ready) return;
    try {
      model = loading.get();
      release = loaded;
      std::cout << "reading with " << release << std::endl;
    } catch (std::exception const& fault) {
      refused = loaded;
      std::cerr << "meter-reader: " << loaded << " does not load, the one before stays: " << fault.what() << std::endl;
    }
  }

  void read_digits(int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) {
      auto const number = at++ % field.size();
      auto const& row = field[number];
      Row pixels(row.begin(), row.begin() + 64);
      for (auto& pixel : pixels) pixel /= 16;
      auto const from = std::chrono::steady_clock::now();
      auto const digits = model->infer(pixels);
      std::chrono::duration<double, std::milli> const took = std::chrono::steady_clock::now() - from;
      auto const best = std::max_element(digits.begin(), digits.end());
      auto const& label = model->label(static_cast<std::size_t>(best - digits.begin()));
      bool const right = label == std::to_string(static_cast<int>(row[64]));
      if (journal.is_open()) write_down(number, label, digits);
      auto const tag = "|#release:" + release + "\n";
      lines += "inferences:1|c" + tag + "latency_ms:" + std::to_string(took.count()) + "|ms" + tag + "confidence:" + std::to_string(*best) + "|h" + tag +
               "accuracy:" + (right ? "1" : "0") + "|d" + tag;
    }
    statsd.send(lines);
  }

  void write_down(std::size_t row, std::string const& label, Row const& digits) {
    journal << release << ' ' << row << ' ' << label << std::fixed << std::setprecision(4);
    for (auto const digit : digits) journal << ',' << digit;
    journal << '\n';
  }

  Options options;
  std::vector<Row> field;
  StatsD statsd;
  std::size_t at;
  std::ofstream journal{};
  std::unique_ptr<Model> model{};
  std::string release{};
  std::future<std::unique_ptr<Model>> loading{};
  std::string loaded{}, refused{};  ///< digests: of what is being loaded, of what did not load
};

int run(Options const& options) {
  std::signal(SIGTERM, [](int) { stopped = 1; });
  std::signal(SIGINT, [](int) { stopped = 1; });
  cv::setNumThreads(1);
  Camera camera(options);
  if (!options.journal.empty()) camera.journal.open(options.journal);
  while (stopped == 0) {
    camera.follow_link();
    if (camera.model) camera.read_digits(std::max(1, options.per_second / 5));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  return 0;
}

int usage() {
  std::cerr << "usage: meter-reader --golden\n"
               "       meter-reader --current LINK --field CSV --statsd SOCKET [--start ROW] [--per-second N] [--journal FILE]\n";
  return 2;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2 && std::strcmp(argv[1], "--golden") == 0) return golden();
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  if (argc % 2 == 0 || !given.contains("--current") || !given.contains("--field") || !given.contains("--statsd")) return usage();
  Options options{given["--current"], given["--field"], given["--statsd"], given["--journal"]};
  if (given.contains("--start")) options.start = std::stoul(given["--start"]);
  if (given.contains("--per-second")) options.per_second = std::stoi(given["--per-second"]);
  return run(options);
} catch (std::exception const& fault) {
  std::cerr << "meter-reader: " << fault.what() << "\n";
  return 1;
}
