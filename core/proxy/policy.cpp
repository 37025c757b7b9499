#include "core/proxy/policy.hpp"

#include "core/base/strings.hpp"

namespace dbx::proxy {

Result<std::shared_ptr<TlsContext>> LazyTls::get() {
    const std::lock_guard lock(guard_);
    if (!made_) {
        auto made = TlsContext::make(trust_);
        if (!made) return fail(made.error());
        made_ = std::move(*made);
    }
    return made_;
}

std::string mapped_model(const Policy& policy, std::string_view asked) {
    for (const auto& rule : policy.models)
        if (glob_match(rule.asked, asked)) return rule.sent == asked ? std::string() : rule.sent;
    return {};
}

} // namespace dbx::proxy
