#pragma once

#include "core/crypto/keys.hpp"
#include "core/crypto/x509.hpp"
#include "core/net/client.hpp"
#include "core/trust/updater.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fleet::crash {

/// What a folder holds.
struct Contents {
  std::map<std::string, std::string> files, links;  ///< what they hold, where they lead
  std::vector<std::string> folders;                 ///< empty ones
};
/// A release as its owners publish it: its document, and the bytes of its files by name.
struct Published : Contents {
  wire::Release release = {};
  std::string document = {}, digest = {};
  std::map<std::string, Contents> variants = {};    ///< that run by a condition of the device, by name
  std::optional<Contents> unpacked = {};            ///< what its slot holds, where that is not what travels
};
/// What is executable in a release: what lies under `bin/`, and the agent's own program.
[[nodiscard]] bool is_program(std::string const& file);
/// @param what  its files, links, folders and variants
[[nodiscard]] Published publish(std::string const& model, std::string const& version, std::int64_t counter, Published what, wire::Manifest manifest = {});
/// Of members that were published.
[[nodiscard]] Published publish_set(std::string const& model, std::string const& version, std::int64_t counter, std::vector<Published const*> const& members);

/// The server that one device knows, as the protocol has it: signs with real keys, pins the device's key, counts reports. A value: a copy goes on from where
/// it was made, as a server does while a device has no power.
class Peer {
public:
  explicit Peer(SysTime now);

  /// One exchange. @param certificate  the client's, PEM; empty: none
  [[nodiscard]] net::ClientResponse handle(net::ClientRequest const& request, std::string const& certificate, SysTime now);
  /// Whether a client that trusts these CAs knows this server.
  [[nodiscard]] bool is_known_by(std::string const& ca_pem) const;

  void add(Published const& release, SysTime now);
  /// It is signed no more: what is signed stays as long as it was.
  void retire(std::string const& digest);
  /// A file of `release` can be made of the one of that name in `base`, too: what stands there already is copied, the rest is sent.
  void add_route(Published const& release, Published const& base, std::string const& file);
  /// A bundle with all releases and an order for this device, which holds from now on here, too.
  [[nodiscard]] std::string bundle(std::vector<wire::DirectiveTarget> targets, SysTime now);
  /// What the device is to do from now on.
  void direct(std::vector<wire::DirectiveTarget> targets);
  [[nodiscard]] static wire::DirectiveTarget target(Published const& release, std::string rollout, wire::Action action = wire::Action::install, std::int64_t attempt = 1);
  /// The successor's certificate is announced beside the old one; then servers show a certificate of its own.
  void announce_successor();
  void change_ca() { issuer_ = 1; }
  /// The next so many answers that carry files end in the middle.
  int breaks = 0;
  /// How long a piece of an object is on its way.
  Millis piece_takes{0};

  bool away = false;       ///< nobody answers
  bool renews = false;     ///< the next polls ask for a renewal
  bool pends = false;      ///< an enrolment waits for a person
  bool may_ask_anew = false;  ///< a device that cannot read which directive it has asks as one that has none
  std::set<std::string> models_ever = {};  ///< that were directed

  // What it saw.
  [[nodiscard]] std::string const& ca() const { return authorities_[0]->certificate; }
  [[nodiscard]] std::map<std::string, wire::ModelStatus> const& polled() const { return polled_; }
  [[nodiscard]] wire::ByTier<std::map<std::int64_t, std::string>> const& received() const { return received_; }
  /// The states that were told of a model, in order, each with its version: `committed 2`.
  [[nodiscard]] std::vector<std::string> told(std::string const& model) const;
  [[nodiscard]] bool was_told(std::string const& model, std::string const& state, std::string const& rollout, std::int64_t attempt = 1) const;
  [[nodiscard]] wire::UpdateItem const* last_told(std::string const& model) const;
  /// Renewals whose certificate was used.
  [[nodiscard]] int renewed() const { return renewed_; }
  [[nodiscard]] bool enrolled() const { return !id_.empty(); }
  [[nodiscard]] std::int64_t ca_followed() const { return ca_followed_; }
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  [[nodiscard]] std::uint64_t polls() const { return polls_; }
  [[nodiscard]] std::uint64_t polls_since_renewal() const { return polls_since_renewal_; }
  [[nodiscard]] std::uint64_t polls_of_successor() const { return polls_of_successor_; }
  [[nodiscard]] bool has_facts(std::string const& name) const { return facts_.contains(name); }
  [[nodiscard]] Published const* published(std::string const& digest) const;
  /// Whether somebody was told such a note, from its beginning.
  [[nodiscard]] bool was_noted(std::string const& code, std::string const& text) const;
  /// Bytes of an object that were asked for, ranges among them.
  [[nodiscard]] std::uint64_t asked_for(std::string const& content) const;
  [[nodiscard]] std::int64_t sequence() const { return sequence_; }
  [[nodiscard]] std::int64_t sequence_seen() const { return sequence_seen_; }
  /// Of the key that counts now, and what the device was heard saying that it must not.
  [[nodiscard]] std::vector<std::string> const& complaints() const { return complaints_; }
  /// Called with each item that was not received before, and each poll.
  std::function<void(wire::ReportItem const&)> heard;
  std::function<void(wire::PollRequest const&)> polled_now;

private:
  struct Keys;
  using Text = std::shared_ptr<std::string const>;
  net::ClientResponse enroll(net::ClientRequest const& request, SysTime now);
  net::ClientResponse poll(net::ClientRequest const& request, SysTime now);
  net::ClientResponse report(net::ClientRequest const& request);
  net::ClientResponse renew(net::ClientRequest const& request, SysTime now);
  /// Empty: the client may ask.
  [[nodiscard]] bool recognises(std::string const& certificate);
  void serve_contents(Contents const& contents);
  net::ClientResponse object(net::ClientRequest const& request, std::string const& path);
  void serve(std::string path, std::string body) { served_[std::move(path)] = std::make_shared<std::string const>(std::move(body)); }
  void sign(SysTime now);
  [[nodiscard]] std::string certify(std::string const& csr, SysTime now) const;

  std::shared_ptr<Keys const> keys_;
  std::map<std::string, Text> served_;
  std::map<std::string, std::shared_ptr<Published const>> published_;
  std::vector<trust::Target> signed_;
  std::int64_t metadata_ = 0;
  std::vector<std::shared_ptr<crypto::CertificateAndKey const>> authorities_;
  std::size_t issuer_ = 0;
  std::int64_t announced_ = 0, ca_followed_ = 0;
  std::string id_;
  std::optional<Digest> key_, next_key_;
  int renewed_ = 0;
  std::int64_t sequence_ = 0, sequence_seen_ = 0;
  std::vector<wire::DirectiveTarget> targets_;
  std::map<std::string, wire::ModelStatus> polled_;
  wire::ByTier<std::map<std::int64_t, std::string>> received_;
  wire::ByTier<std::int64_t> acked_;
  std::set<std::string> nonces_;
  std::string last_nonce_;
  std::vector<wire::UpdateItem> updates_;
  std::vector<wire::NoteItem> notes_;
  std::map<std::string, std::uint64_t> asked_;
  std::vector<std::string> complaints_;
  std::uint64_t requests_ = 0, polls_ = 0, polls_since_renewal_ = 0, polls_of_successor_ = 0;
  wire::Labels facts_;
};

}  // namespace fleet::crash
