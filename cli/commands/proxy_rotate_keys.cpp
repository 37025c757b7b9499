#include "cli/command.hpp"
#include "cli/session.hpp"
#include "core/agents/plan.hpp"
#include "core/base/strings.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;

class ProxyRotateKeys : public Command {
  public:
    void declare(CLI::App&) override {}

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        auto lock = session.lock();
        if (!lock) return fail(lock.error());
        auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        const auto rotation = agents::plan_key_rotation(*journal, session.environment(), session.files());
        if (!rotation) return fail(rotation.error());
        const bool anything =
            !rotation->rotated.empty() || !rotation->without.empty() || !rotation->dropped.empty();
        if (anything) {
            std::vector<const agents::FileChange*> changes;
            for (const auto& change : rotation->changes) changes.push_back(&change);
            const system::InterruptGuard guard;
            if (auto applied =
                    agents::apply(changes, *journal, session.environment(), session.files(), session.now());
                !applied)
                return fail(applied.error());
        }
        show(session, *rotation, anything);
        return 0;
    }

  private:
    static void show(Session& session, const agents::KeyRotation& rotation, bool anything) {
        auto& out = session.output();
        if (out.json()) {
            ordered_json root;
            root["rotated"] = rotation.rotated;
            root["dropped"] = rotation.dropped;
            root["without_key"] = rotation.without;
            root["files"] = ordered_json::array();
            for (const auto& change : rotation.changes)
                if (!change.agent.empty()) root["files"].push_back(change.named.string());
            out.document(root);
            return;
        }
        if (!anything) {
            out.summary("There are no local keys: no agent goes through the local proxy.\n");
            return;
        }
        std::vector<std::vector<std::string>> rows;
        for (const auto& change : rotation.changes)
            if (!change.agent.empty())
                rows.push_back(
                    {change.agent, session.shown(change.named), out.styled("new key", Style::green)});
        out.summary(columns(rows, 0));
        if (!rotation.dropped.empty())
            out.note("no longer valid, as they do not go through the proxy: " + join(rotation.dropped, ", "));
        for (const auto& agent : rotation.without)
            out.warning(agent + ": there was no local key in its files; run dbx-agents setup " + agent +
                        " --via-proxy");
        out.summary("A running proxy and running agents keep the old keys until they are started again.\n");
    }
};

} // namespace

std::unique_ptr<Command> make_proxy_rotate_keys() {
    return std::make_unique<ProxyRotateKeys>();
}

} // namespace dbx::cli
