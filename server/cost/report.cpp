#include "server/cost/report.hpp"

#include "core/wire/json_pieces.hpp"
#include "server/catalog/models.hpp"
#include "server/cost/kept.hpp"
#include "server/cost/stored.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>


namespace fleet::cost {
namespace json = boost::json;
namespace {

constexpr std::size_t kVersionsShown = 20;

json::value money_value(Prices const& prices, Amounts const& amounts) { return wire::parse_own(money_json(prices, amounts)); }

json::value prices_value(Prices const& prices) { return prices.any() ? wire::parse_own(prices_json(prices)) : json::value(nullptr); }

std::optional<double> number(std::uint64_t value) { return static_cast<double>(value); }
std::optional<double> number(std::int64_t value) { return static_cast<double>(value); }

json::array lines_of(Traffic const& traffic) {
  json::array out;
  for (auto const& [what, devices, each] : traffic.lines)
    out.push_back(json::object{{"model", what.model},
                               {"hardware", what.hardware},
                               {"from", wire::text_or_null(what.from)},
                               {"devices", devices},
                               {"kind", each.kind},
                               {"bytes", each.bytes}});
  return out;
}

json::object rollout_object(RolloutTraffic const& one, Prices const& prices) {
  return {{"id", one.id},
          {"model", one.model},
          {"version", one.version},
          {"state", one.state},
          {"started_at", wire::time_or_null(one.started_at)},
          {"told", one.told},
          {"counted", one.counted},
          {"out_bytes", one.is_known() ? json::value(one.traffic.bytes) : json::value(nullptr)},
          {"as_it_is_bytes", one.is_known() ? json::value(one.traffic.as_it_is) : json::value(nullptr)},
          {"money", money_value(prices, {.out_bytes = one.is_known() ? std::optional(number(one.traffic.bytes)) : std::nullopt, .stored_bytes = {}, .requests = {}})}};
}

/// Of a model, or of all.
struct Releases {
  std::int64_t all = 0, kept = 0;
  std::map<Why, std::int64_t> because;
  json::array gone;  ///< versions, the newest first; at most kVersionsShown
};

/// What is known of the releases and their bytes.
struct Held {
  std::map<std::string, Releases> releases;
  Stored files, content;
};

Result<Held> look(db::Connection& reader, Question const& question, SysTime now) {
  Held out;
  FLEET_TRY(auto const rows, list_release_rows(reader));
  std::map<std::int64_t, Why> kept;
  if (question.keep_releases) {
    FLEET_TRY(kept, find_kept(reader, rows, *question.keep_releases, now));
  }
  Owners owners;
  for (auto const& row : rows) {
    // Of what the caller may not see not even that it keeps a shared file.
    if (!question.only_model.empty() && question.only_model != row.model) continue;
    auto& of = out.releases[row.model];
    ++of.all;
    auto const why = kept.find(row.n);
    bool const stays = !question.keep_releases || why != kept.end();
    owners[row.n] = {row.model, stays};
    of.kept += stays ? 1 : 0;
    if (why != kept.end()) ++of.because[why->second];
    if (!stays && of.gone.size() < kVersionsShown) of.gone.push_back(json::value(row.version));
  }
  FLEET_TRY(out.files, files_stored(reader, owners));
  FLEET_TRY(out.content, content_stored(reader, owners));
  return out;
}

json::object keep_object(Releases const& releases, Sum const& files, Sum const& content, Prices const& prices) {
  json::object because;
  for (auto const& [why, count] : releases.because) because[to_string(why)] = count;
  auto const gone = files.gone_bytes + content.gone_bytes;
  return {{"releases", releases.kept},
          {"gone", releases.all - releases.kept},
          {"because", std::move(because)},
          {"gone_versions", releases.gone},
          {"bytes", files.bytes - files.gone_bytes},
          {"gone_bytes", files.gone_bytes},
          {"prepared_gone_bytes", content.gone_bytes},
          {"saves", money_value(prices, {.out_bytes = {}, .stored_bytes = number(gone), .requests = {}})}};
}

Sum sum_of(Stored const& stored, std::string const& model) {
  auto const found = stored.models.find(model);
  return found == stored.models.end() ? Sum{} : found->second;
}

json::object store_object(Store const& store, Held const& held) {
  return {{"files", store.blobs},
          {"bytes", store.blob_bytes},
          {"unnamed_bytes", store.blob_bytes - held.files.all.bytes},
          {"prepared_bytes", held.content.all.bytes},
          {"uploading_bytes", store.uploading_bytes},
          {"leaving_bytes", store.leaving_bytes}};
}

json::object requests_object(Requests const& requests) {
  return {{"devices", requests.devices}, {"polls_a_day", requests.polls_a_day}, {"reports_a_day", requests.reports_a_day}};
}

/// Bytes out and rollouts of a model.
struct Out {
  std::int64_t rollouts = 0;
  std::uint64_t bytes = 0;
};

json::array models_array(Question const& question, Held const& held, std::map<std::string, Out> const& out_of, Prices const& prices) {
  json::array models;
  for (auto const& [model, releases] : held.releases) {
    if (!question.model.empty() && question.model != model) continue;
    auto const files = sum_of(held.files, model), content = sum_of(held.content, model);
    auto const sent = out_of.find(model);
    auto const out = sent == out_of.end() ? Out{} : sent->second;
    json::object one{{"model", model},
                     {"releases", releases.all},
                     {"files", files.files},
                     {"bytes", files.bytes},
                     {"prepared_bytes", content.bytes},
                     {"rollouts", out.rollouts},
                     {"out_bytes", out.bytes},
                     {"money", money_value(prices, {.out_bytes = number(out.bytes), .stored_bytes = number(files.bytes + content.bytes), .requests = {}})}};
    one["keep"] = question.keep_releases ? json::value(keep_object(releases, files, content, prices)) : json::value(nullptr);
    models.push_back(std::move(one));
  }
  return models;
}

/// Of all models together, each digest once.
json::value keep_all(Question const& question, Held const& held, Prices const& prices) {
  if (!question.keep_releases) return nullptr;
  Releases all;
  for (auto const& [model, one] : held.releases) {
    all.all += one.all;
    all.kept += one.kept;
    for (auto const& [why, count] : one.because) all.because[why] += count;
  }
  auto out = keep_object(all, held.files.all, held.content.all, prices);
  out.erase("gone_versions");
  out["newest"] = *question.keep_releases;
  return out;
}

}  // namespace

Result<std::string> cost_json(db::Connection& reader, Question const& question, Running const& running, SysTime now) {
  auto const model = question.model.empty() ? question.only_model : question.model;
  if (!model.empty()) FLEET_CHECK(catalog::load_model(reader, model));
  FLEET_TRY(auto const prices, load_prices(reader));
  FLEET_TRY(auto const held, look(reader, question, now));
  FLEET_TRY(auto const rollouts, rollouts_traffic(reader, model, now - std::chrono::hours(24 * kMonthDays)));
  std::map<std::string, Out> out_of;
  Amounts amounts{.out_bytes = 0, .stored_bytes = {}, .requests = {}};
  json::array sent;
  for (auto const& one : rollouts) {
    auto& of = out_of[one.model];
    ++of.rollouts;
    of.bytes += one.traffic.bytes;
    *amounts.out_bytes += static_cast<double>(one.traffic.bytes);
    sent.push_back(rollout_object(one, prices));
  }
  json::object out{{"prices", prices_value(prices)}, {"models", models_array(question, held, out_of, prices)}, {"rollouts", std::move(sent)}};
  out["cut"] = std::ssize(rollouts) == kRolloutsMax;
  for (auto const* const name : {"store", "requests", "sent_bytes", "keep"}) out[name] = nullptr;
  if (model.empty()) {
    FLEET_TRY(auto const store, store_held(reader));
    FLEET_TRY(auto const habits, habits_online(reader, now));
    auto const requests = requests_of(habits, running.parked);
    amounts.stored_bytes = number(store.blob_bytes + held.content.all.bytes + store.uploading_bytes + store.leaving_bytes);
    amounts.requests = (requests.polls_a_day + requests.reports_a_day) * kMonthDays;
    out["store"] = store_object(store, held);
    out["requests"] = requests_object(requests);
    if (running.sent_bytes) out["sent_bytes"] = *running.sent_bytes;
    out["keep"] = keep_all(question, held, prices);
  } else {
    amounts.stored_bytes = number(sum_of(held.files, model).bytes + sum_of(held.content, model).bytes);
  }
  out["money"] = money_value(prices, amounts);
  return json::serialize(out);
}

Result<std::string> rollout_cost_json(db::Connection& reader, std::string_view id) {
  FLEET_TRY(auto const prices, load_prices(reader));
  FLEET_TRY(auto const one, rollout_traffic(reader, id));
  auto rollout = rollout_object(one, prices);
  rollout["largest_bytes"] = one.traffic.largest;
  rollout["devices"] = lines_of(one.traffic);
  json::object out{{"prices", prices_value(prices)}, {"models", json::array()}, {"rollouts", json::array{rollout}}, {"cut", false}};
  for (auto const* const name : {"store", "requests", "sent_bytes", "keep"}) out[name] = nullptr;
  out["money"] = rollout["money"];
  return json::serialize(out);
}

Result<std::string> delivery_json(db::Connection& reader, std::map<Arrival, std::int64_t> const& arrivals) {
  FLEET_TRY(auto const prices, load_prices(reader));
  Travels travels(reader);
  FLEET_TRY(auto const traffic, travels.of(arrivals));
  return json::serialize(json::object{{"bytes", traffic.bytes},
                                      {"as_it_is_bytes", traffic.as_it_is},
                                      {"largest_bytes", traffic.largest},
                                      {"money", money_value(prices, {.out_bytes = number(traffic.bytes), .stored_bytes = {}, .requests = {}})},
                                      {"devices", lines_of(traffic)}});
}

}  // namespace fleet::cost
