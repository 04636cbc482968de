#include "tests/crash/peer.hpp"

#include "core/bundle/bundle.hpp"
#include "core/content/recipe.hpp"
#include "core/crypto/certificates.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/compose.hpp"
#include "core/trust/dsse.hpp"
#include "core/net/range.hpp"
#include "core/wire/json.hpp"
#include "core/wire/routes.hpp"
#include "tests/crash/disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace fleet::crash {
namespace {

constexpr auto kDay = std::chrono::days{1};

net::ClientResponse answer(int status, std::string body) { return {status, {{"Content-Type", "application/json"}}, std::move(body)}; }
net::ClientResponse problem(int status, std::string const& code) { return answer(status, fmt::format(R"({{"code":"{}","detail":"because"}})", code)); }

std::string path_of(std::string const& url) {
  auto const host = url.find("://");
  auto const slash = url.find('/', host == std::string::npos ? 0 : host + 3);
  return slash == std::string::npos ? "/" : url.substr(slash);
}

wire::Variant variant_of(std::string name, Contents const& contents) {
  wire::Variant out{{"cam-a"}, {}, contents.folders, {}, std::move(name)};
  for (auto const& [link, target] : contents.links) out.links.push_back({link, target});
  for (auto const& [file, content] : contents.files) out.files.push_back({file, content.size(), crypto::sha256(content), is_program(file)});
  return out;
}

constexpr std::size_t kRecipeBlock = 2048;

/// Blocks of a size that a test can afford: each is copied from the base, or stored.
struct Recipe {
  content::RecipeHead head;
  std::vector<content::Block> blocks;
  std::string stored;

  Recipe(std::string const& target, std::string const& base) : head{crypto::sha256(target), target.size(), 0, {{crypto::sha256(base), base.size()}}, {}} {
    for (std::size_t at = 0; at < target.size(); at += kRecipeBlock) add(target, base, at);
    head.segments = {{crypto::sha256(stored), static_cast<std::uint32_t>(stored.size())}};
  }
  void add(std::string const& target, std::string const& base, std::size_t at) {
    auto const bytes = std::string_view(target).substr(at, kRecipeBlock);
    auto const size = static_cast<std::uint32_t>(bytes.size());
    content::Block block;
    block.offset = at;
    block.length = size;
    block.sha256 = crypto::sha256(bytes);
    if (at < base.size() && std::string_view(base).substr(at, size) == bytes) {
      block.method = content::Method::copy;
      block.base = content::BaseRange{0, at, size, block.sha256};
    } else {
      block.stored = content::StoredRange{0, static_cast<std::uint32_t>(stored.size()), size, block.sha256};
      stored += bytes;
    }
    blocks.push_back(block);
  }
};

}  // namespace

bool is_program(std::string const& file) { return file.starts_with("bin/") || file == wire::kAgentProgram; }

Published publish(std::string const& model, std::string const& version, std::int64_t counter, Published out, wire::Manifest manifest) {
  out.release = {model, version, counter, {variant_of({}, out)}, std::move(manifest)};
  for (auto const& [name, contents] : out.variants) out.release.variants.push_back(variant_of(name, contents));
  out.document = wire::encode(out.release);
  out.digest = crypto::sha256(out.document).hex();
  return out;
}

Published publish_set(std::string const& model, std::string const& version, std::int64_t counter, std::vector<Published const*> const& members) {
  Published out;
  out.release = {model, version, counter, {}, {}};
  for (auto const* const member : members) out.release.members.push_back({member->release.model, member->release.version, *Digest::parse(member->digest)});
  out.document = wire::encode(out.release);
  out.digest = crypto::sha256(out.document).hex();
  out.files = {{"release.json", out.document}};
  return out;
}

struct Peer::Keys {
  SeededRandom random{11};
  crypto::SigningKey release = crypto::SigningKey::generate(random);
  crypto::SigningKey directive = crypto::SigningKey::generate(random);
};

Peer::Peer(SysTime now) : keys_(std::make_shared<Keys>()) {
  static auto const first = std::make_shared<crypto::CertificateAndKey const>(crypto::make_ca("first", now - kDay, now + 3650 * kDay).value());
  static auto const second = std::make_shared<crypto::CertificateAndKey const>(crypto::make_ca("second", now - kDay, now + 3650 * kDay).value());
  authorities_ = {first, second};
  for (auto const& [prefix, key] : {std::pair{"/device/v1/tuf/", &keys_->release}, std::pair{"/device/v1/directive/", &keys_->directive}}) {
    trust::RootSpec root{1, now + 3650 * kDay, {}, key == &keys_->directive ? "directive" : ""};
    for (auto const* const role : {"root", "targets", "snapshot", "timestamp"}) root.roles[role] = {{key->public_key()}, 1};
    serve(std::string(prefix) + "1.root.json", trust::compose_root(root, {key, 1}));
  }
  sign(now);
}

bool Peer::is_known_by(std::string const& ca_pem) const { return ca_pem.find(authorities_[issuer_]->certificate) != std::string::npos; }

void Peer::sign(SysTime now) {
  ++metadata_;
  auto const until = now + 300 * kDay;
  auto const key = std::span(&keys_->release, 1);
  auto const name = std::to_string(metadata_);
  serve("/device/v1/tuf/" + name + ".targets.json", trust::compose_targets(metadata_, until, signed_, {}, key));
  serve("/device/v1/tuf/" + name + ".snapshot.json", trust::compose_snapshot(metadata_, until, {{"targets.json", {metadata_}}}, key));
  serve("/device/v1/tuf/timestamp.json", trust::compose_timestamp(metadata_, until, metadata_, key));
}

void Peer::add(Published const& release, SysTime now) {
  auto const& [model, version] = std::tie(release.release.model, release.release.version);
  signed_.push_back({"models/" + model + "/" + version + "/release.json", release.document.size(), {{"sha256", release.digest}}, {}});
  serve("/device/v1/tuf/targets/models/" + model + "/" + version + "/" + release.digest + ".release.json", release.document);
  serve_contents(release);
  for (auto const& [name, contents] : release.variants) serve_contents(contents);
  published_[release.digest] = std::make_shared<Published const>(release);
  sign(now);
}

void Peer::retire(std::string const& digest) {
  std::erase_if(signed_, [&](trust::Target const& one) { return one.hashes.at("sha256") == digest; });
}

void Peer::serve_contents(Contents const& contents) {
  for (auto const& [name, content] : contents.files) serve("/blobs/sha256/" + crypto::sha256(content).hex(), content);
}

void Peer::add_route(Published const& release, Published const& base, std::string const& file) {
  auto const& target = release.files.at(file);
  Recipe const made(target, base.files.at(file));
  auto const bytes = content::encode_recipe(made.head, made.blocks);
  auto const recipe = std::string(as_text(BytesView(bytes)));
  wire::Route const route{"binary_delta", {made.head.bases.front().sha256}, crypto::sha256(recipe), recipe.size(), made.stored.size(), 1024 * 1024};
  wire::ReleaseRoutes const routes{*Digest::parse(release.digest), "cam-a", {{made.head.sha256, target.size(), {route}}}};
  auto const payload = wire::encode(routes);
  serve("/device/v1/routes/" + release.digest, trust::make_envelope(wire::kRoutesPayloadType, as_bytes(payload), {&keys_->directive, 1}));
  serve("/blobs/sha256/" + crypto::sha256(recipe).hex(), recipe);
  serve("/blobs/sha256/" + crypto::sha256(made.stored).hex(), made.stored);
}

std::string Peer::bundle(std::vector<wire::DirectiveTarget> targets, SysTime now) {
  direct(std::move(targets));
  wire::Directive const directive{id_, sequence_, {}, now, now + 30 * kDay, now + 30 * kDay, targets_};
  Disk stick;
  auto const fs = make_fs(stick);
  auto writer = bundle::BundleWriter::create(*fs, "/bundle").value();
  writer.put(bundle::kAbout, "{}").value();
  writer.put(bundle::directive_name(id_), trust::make_envelope(wire::kDirectivePayloadType, as_bytes(wire::encode(directive)), {&keys_->directive, 1})).value();
  for (auto const& [from, to] : {std::pair<std::string_view, std::string_view>{"/device/v1/tuf/", bundle::kMetadata}, {"/blobs/sha256/", bundle::kBlobs}})
    for (auto const& [path, body] : served_)
      if (path.starts_with(from)) writer.put(std::string(to) + path.substr(from.size()), *body).value();
  writer.finish().value();
  return *stick.text("/bundle");
}

void Peer::direct(std::vector<wire::DirectiveTarget> targets) {
  for (auto const& target : targets) models_ever.insert(target.model);
  targets_ = std::move(targets);
  ++sequence_;
}

wire::DirectiveTarget Peer::target(Published const& release, std::string rollout, wire::Action action, std::int64_t attempt) {
  wire::DirectiveTarget out;
  out.model = release.release.model;
  out.path = "models/" + out.model + "/" + release.release.version + "/release.json";
  out.length = release.document.size();
  out.hashes = {{"sha256", release.digest}};
  out.rollout = std::move(rollout);
  out.attempt = attempt;
  out.action = action;
  return out;
}

void Peer::announce_successor() {
  ++announced_;
  auto const payload = wire::encode(wire::CaAnnouncement{announced_, authorities_[0]->certificate + authorities_[1]->certificate});
  serve("/device/v1/ca", trust::make_envelope(wire::kCaPayloadType, as_bytes(payload), {&keys_->directive, 1}));
}

std::string Peer::certify(std::string const& csr, SysTime now) const {
  return crypto::issue_device_certificate(*authorities_[0], csr, id_, now - kDay, now + 300 * kDay).value();
}

bool Peer::recognises(std::string const& certificate) {
  auto const info = certificate.empty() ? Result<crypto::CertificateInfo>(Error{}) : crypto::inspect_certificate(certificate);
  if (!info || !key_) return false;
  if (next_key_ && info->key_sha256 == *next_key_) {  // it was used: the one before counts no more
    key_ = std::exchange(next_key_, std::nullopt);
    ++renewed_;
    renews = false;  // not before: what was issued may never have arrived
  }
  return info->key_sha256 == *key_;
}

net::ClientResponse Peer::handle(net::ClientRequest const& request, std::string const& certificate, SysTime now) {
  ++requests_;
  auto const path = path_of(request.url);
  if (path == "/device/v1/enroll") return enroll(request, now);
  if (path == "/device/v1/ca" && served_.contains(path)) return answer(200, *served_.at(path));
  if (!recognises(certificate)) return problem(401, "unknown_device");
  if (path == "/device/v1/poll") return poll(request, now);
  if (path == "/device/v1/reports") return report(request);
  if (path == "/device/v1/renew") return renew(request, now);
  return object(request, path);
}

net::ClientResponse Peer::object(net::ClientRequest const& request, std::string const& path) {
  auto const found = served_.find(path);
  if (found == served_.end()) return problem(404, "not_found");
  auto const& body = *found->second;
  auto const header = net::find_header(request.headers, "Range");
  if (header.empty()) asked_[path] += body.size();
  if (header.empty()) return answer(200, body);
  auto const range = net::read_range(header, body.size());
  if (!range || !*range) return problem(416, "bad_range");
  auto const size = (*range)->last - (*range)->first + 1;
  asked_[path] += size;
  return answer(206, body.substr((*range)->first, size));
}

net::ClientResponse Peer::enroll(net::ClientRequest const& request, SysTime now) {
  auto const asked = wire::decode_enroll_request(request.body);
  if (!asked) return problem(400, "bad_input");
  auto const csr = crypto::inspect_request(asked->csr);
  if (!csr) return problem(400, "bad_input");
  if (key_ && *key_ != csr->key_sha256) return problem(409, "device_exists");  // the same device with a key that it did not keep
  key_ = csr->key_sha256;
  id_ = asked->id;
  wire::EnrollResponse response;
  response.id = id_;
  response.state = pends ? "pending" : "active";
  response.hardware = "cam-a";
  if (!pends) response.certificate = certify(asked->csr, now);
  response.ca = ca();
  response.tuf_root = *served_.at("/device/v1/tuf/1.root.json");
  response.directive_root = *served_.at("/device/v1/directive/1.root.json");
  return answer(200, wire::encode(response));
}

net::ClientResponse Peer::poll(net::ClientRequest const& request, SysTime now) {
  auto const asked = wire::decode_poll_request(request.body);
  if (!asked) return problem(400, "bad_input");
  if (asked->directive_sequence < sequence_seen_ && !(may_ask_anew && asked->directive_sequence == 0))
    complaints_.push_back(fmt::format("it forgot directive {}: now it has {}", sequence_seen_, asked->directive_sequence));
  ++polls_;
  if (renewed_ > 0) ++polls_since_renewal_;
  if (issuer_ == 1) ++polls_of_successor_;
  if (!nonces_.insert(asked->nonce).second) complaints_.push_back("a nonce was used twice");
  if (!asked->prior.empty() && asked->prior != last_nonce_) complaints_.push_back("it names a nonce that was not its last");
  last_nonce_ = asked->nonce;
  sequence_seen_ = std::max(sequence_seen_, asked->directive_sequence);
  ca_followed_ = asked->ca_version.value_or(0);
  polled_ = asked->models;
  if (polled_now) polled_now(*asked);
  wire::PollResponse response;
  response.next_poll_s = 20;
  response.renew = renews;
  response.ca_version = announced_;
  if (asked->directive_sequence != sequence_) {
    wire::Directive directive{id_, sequence_, asked->nonce, now, now + 7 * kDay, now + 7 * kDay, targets_};
    response.directive = trust::make_envelope(wire::kDirectivePayloadType, as_bytes(wire::encode(directive)), {&keys_->directive, 1});
  }
  return answer(200, wire::encode(response));
}

net::ClientResponse Peer::report(net::ClientRequest const& request) {
  auto const report = wire::decode_report(request.body);
  if (!report) return problem(400, "bad_input");
  for (auto const tier : wire::kTiers) {
    for (auto const& item : report->items[tier]) {
      auto text = wire::encode(item);
      auto const [at, is_new] = received_[tier].try_emplace(item.sequence, text);
      if (!is_new && at->second != text) complaints_.push_back(fmt::format("number {} of tier {} was used twice", item.sequence, wire::tier_name(tier)));
      if (!is_new) continue;
      if (item.update) updates_.push_back(*item.update);
      if (item.note) notes_.push_back(*item.note);
      if (item.facts) facts_ = item.facts->reported;
      if (heard) heard(item);
    }
    if (!received_[tier].empty()) acked_[tier] = received_[tier].rbegin()->first;
  }
  return answer(200, wire::encode(wire::ReportAnswer{acked_, acked_, 0}));
}

net::ClientResponse Peer::renew(net::ClientRequest const& request, SysTime now) {
  auto const body = wire::parse_json(request.body, 1 << 16);
  auto const csr = std::string(body->at("csr").as_string());
  auto const info = crypto::inspect_request(csr);
  if (!info) return problem(400, "bad_input");
  next_key_ = info->key_sha256;
  wire::EnrollResponse response;
  response.id = id_;
  response.state = "active";
  response.certificate = certify(csr, now);
  return answer(200, wire::encode(response));
}

std::vector<std::string> Peer::told(std::string const& model) const {
  std::vector<std::string> out;
  for (auto const& one : updates_)
    if (one.model == model) out.push_back(one.state + " " + one.version);
  return out;
}

bool Peer::was_told(std::string const& model, std::string const& state, std::string const& rollout, std::int64_t attempt) const {
  return std::any_of(updates_.begin(), updates_.end(),
                     [&](auto const& one) { return one.model == model && one.state == state && one.rollout == rollout && one.attempt == attempt; });
}

wire::UpdateItem const* Peer::last_told(std::string const& model) const {
  auto const found = std::find_if(updates_.rbegin(), updates_.rend(), [&](auto const& one) { return one.model == model; });
  return found == updates_.rend() ? nullptr : &*found;
}

bool Peer::was_noted(std::string const& code, std::string const& text) const {
  return std::any_of(notes_.begin(), notes_.end(), [&](auto const& one) { return one.code == code && one.text.starts_with(text); });
}

std::uint64_t Peer::asked_for(std::string const& content) const {
  auto const found = asked_.find("/blobs/sha256/" + crypto::sha256(content).hex());
  return found == asked_.end() ? 0 : found->second;
}

Published const* Peer::published(std::string const& digest) const {
  auto const found = published_.find(digest);
  return found == published_.end() ? nullptr : found->second.get();
}

}  // namespace fleet::crash
