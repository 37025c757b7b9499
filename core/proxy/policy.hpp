#pragma once

#include "core/proxy/admit.hpp"
#include "core/proxy/heads.hpp"
#include "core/proxy/limits.hpp"
#include "core/proxy/relay.hpp"
#include "core/proxy/tls.hpp"
#include "core/usage/prices.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace dbx::proxy {

// "asked = sent": a model name that clients ask for (a glob) and the one that goes upstream.
struct ModelRule {
    std::string asked;
    std::string sent;
};

// Makes the TLS context when the first connection needs it. Any thread.
class LazyTls {
  public:
    explicit LazyTls(TlsContext::Trust trust)
        : trust_(std::move(trust)) {}
    Result<std::shared_ptr<TlsContext>> get();

  private:
    const TlsContext::Trust trust_;
    std::mutex guard_;
    std::shared_ptr<TlsContext> made_;
};

// What may change while the proxy runs (SIGHUP). A snapshot: requests keep the one they began with.
struct Policy {
    Gate gate;
    std::shared_ptr<const Endpoint> gateway;
    std::vector<ModelRule> models; // the first that matches
    std::shared_ptr<LazyTls> tls;
    usage::Limiter::Options rules;                  // what `limits` is to keep
    std::shared_ptr<Limits> limits;                 // one for all policies; the server puts it in
    std::shared_ptr<const usage::PriceBook> prices; // never null once the proxy serves
    std::shared_ptr<const RelayPolicy> relay;       // the same
};

// The model to send instead of `asked`; empty when it stays.
std::string mapped_model(const Policy& policy, std::string_view asked);

} // namespace dbx::proxy
