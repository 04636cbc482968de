#include "agent/conditions/sensors.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

namespace fleet::agent {
namespace {

constexpr std::string_view kThermal = "/sys/class/thermal";
constexpr std::size_t kLineMax = 256;
constexpr std::size_t kMemInfoMax = 64 * 1024;

/// The number a text begins with.
template <class Number>
std::optional<Number> number_at(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  Number out{};
  if (std::from_chars(text.data(), text.data() + text.size(), out).ec != std::errc{}) return std::nullopt;
  return out;
}

std::optional<double> degrees_of(Fs& fs, std::string const& file) {
  auto const text = fs.read(file, kLineMax);
  auto const thousandths = text ? number_at<std::int64_t>(*text) : std::nullopt;
  if (!thousandths) return std::nullopt;
  return static_cast<double>(*thousandths) / 1000;
}

}  // namespace

std::optional<int> Sensors::battery() const {
  if (context_.config.battery_file.empty()) return std::nullopt;
  auto const text = context_.fs.read(context_.config.battery_file, kLineMax);
  return text ? number_at<int>(*text) : std::nullopt;
}

std::optional<bool> Sensors::is_charging() const {
  if (context_.config.charging_file.empty()) return std::nullopt;
  auto const text = context_.fs.read(context_.config.charging_file, kLineMax);
  if (!text) return std::nullopt;
  if (auto const online = number_at<int>(*text)) return *online != 0;
  // A battery that is full, or kept from more, has power all the same.
  for (auto const* const word : {"Charging", "Full", "Not charging"})
    if (text->starts_with(word)) return true;
  if (text->starts_with("Discharging")) return false;
  return std::nullopt;
}

std::optional<double> Sensors::temperature() const {
  auto& fs = context_.fs;
  if (!context_.config.temperature_file.empty()) return degrees_of(fs, context_.config.temperature_file);
  auto const zones = fs.list(std::string(kThermal));
  std::optional<double> hottest;
  for (auto const& zone : zones ? *zones : std::vector<std::string>{}) {
    if (!zone.starts_with("thermal_zone")) continue;
    auto const degrees = degrees_of(fs, std::string(kThermal) + "/" + zone + "/temp");
    if (degrees && (!hottest || *degrees > *hottest)) hottest = degrees;
  }
  return hottest;
}

std::optional<double> Sensors::uptime() const {
  auto const text = context_.fs.read("/proc/uptime", kLineMax);
  return text ? number_at<double>(*text) : std::nullopt;
}

std::optional<double> Sensors::load() const {
  auto const text = context_.fs.read("/proc/loadavg", kLineMax);
  auto const minute = text ? number_at<double>(*text) : std::nullopt;
  if (!minute) return std::nullopt;
  return *minute / std::max(1U, std::thread::hardware_concurrency());
}

std::optional<std::uint64_t> Sensors::memory_free() const {
  constexpr std::string_view kName = "MemAvailable:";
  auto const text = context_.fs.read("/proc/meminfo", kMemInfoMax);
  auto const at = text ? text->find(kName) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  auto const kibibytes = number_at<std::uint64_t>(std::string_view(*text).substr(at + kName.size()));
  if (!kibibytes) return std::nullopt;
  return *kibibytes * 1024;
}

std::optional<std::uint64_t> Sensors::disk_free() const {
  auto const bytes = context_.fs.free_bytes(context_.layout.root);
  if (!bytes) return std::nullopt;
  return *bytes;
}

}  // namespace fleet::agent
