#include "cli/command.hpp"
#include "cli/service.hpp"
#include "cli/session.hpp"
#include "core/proxy/service_unit.hpp"
#include "core/system/hash.hpp"

#include <CLI/CLI.hpp>

namespace dbx::cli {

namespace {

constexpr std::uint64_t unit_limit = 1U << 20U;

// Takes back exactly what `proxy install` did.
class ProxyUninstall : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_flag("--dry-run", dry_run_, "Show what would be removed; change nothing");
    }

    std::string_view state_after_error() const override { return "Nothing was changed."; }

    Result<int> run(Session& session) override {
        const auto service = Service::find(session);
        if (!service) return fail(service.error());
        const auto written = service->written();
        if (!written) return fail(written.error());
        const auto status = session.files().status(service->unit());
        if (!status) return fail(status.error());
        const bool there = status->kind != system::FileKind::missing;
        if (!*written) {
            if (there)
                return fail(ErrorKind::file, "cannot take back " + session.shown(service->unit()),
                            "dbx-agents has not written it", "remove it yourself, if you want that");
            return show(session, *service, false);
        }
        if (there) {
            const auto text = session.files().read(service->unit(), unit_limit);
            if (!text) return fail(text.error());
            if (system::sha256(*text) != (*written)->hash)
                return fail(ErrorKind::file, "cannot take back " + session.shown(service->unit()),
                            "it was changed since dbx-agents wrote it",
                            "look at it, remove it yourself, then run dbx-agents proxy uninstall again");
        }
        if (dry_run_) return show(session, *service, true);

        const bool manager = service->manager_runs();
        if (manager && there) {
            if (auto ended = service->control({"disable", "--now", proxy::service_name}); !ended)
                return fail(ended.error());
        }
        auto& files = session.files();
        if (auto removed = files.remove(service->enabled_link()); !removed) return fail(removed.error());
        if (auto removed = files.remove(service->unit()); !removed) return fail(removed.error());
        for (const auto& folder : (*written)->folders)
            if (auto gone = files.remove_empty_directory(folder); !gone) return fail(gone.error());
        if (auto forgotten = service->forget(); !forgotten) return fail(forgotten.error());
        if (manager) {
            if (auto reloaded = service->control({"daemon-reload"}); !reloaded)
                session.output().warning(reloaded.error().what);
        }
        return show(session, *service, true);
    }

  private:
    int show(Session& session, const Service& service, bool anything) const {
        auto& output = session.output();
        if (output.json()) {
            output.document({{"unit", service.unit().string()},
                             {"removed", anything && !dry_run_},
                             {"would_remove", anything}});
        } else if (!anything) {
            output.summary("The proxy is no service; nothing was changed.\n");
        } else {
            output.summary(session.shown(service.unit()) +
                           (dry_run_ ? "  would be removed\n" : "  removed\n"));
        }
        return 0;
    }

    bool dry_run_ = false;
};

} // namespace

std::unique_ptr<Command> make_proxy_uninstall() {
    return std::make_unique<ProxyUninstall>();
}

} // namespace dbx::cli
