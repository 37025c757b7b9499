#include "cli/command.hpp"
#include "cli/probe_route.hpp"
#include "cli/tables_support.hpp"
#include "core/system/hash.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace dbx::cli {

namespace {

using nlohmann::ordered_json;
using tables::ProbeResult;
using tables::Signal;
using tables::TableState;

class TablesCheck : public Command {
  public:
    void declare(CLI::App& app) override {
        flags_.declare(app);
        flags_.declare_views(app, "Look at the views as well");
        app.add_flag(
            "--probe", probe_,
            "Send a marked metric, log and span the way the agents' go, and wait for them in the tables");
        app.add_flag("--direct", direct_, "The probe goes straight to the workspace, whatever the agents do");
    }

    Result<int> run(Session& session) override {
        if (direct_ && !probe_)
            return fail(ErrorKind::usage, "--direct without --probe", "it says which way the probe goes",
                        "add --probe, or leave --direct out");
        const auto wish = read_wish(session, flags_);
        if (!wish) return fail(wish.error());
        const auto workspace = session.workspace();
        if (!workspace) return fail(workspace.error());
        const system::InterruptGuard guard;
        const auto deadline = session.pacer().now() + wish->timeout;
        (*workspace)->set_deadline(deadline);
        WarehouseUse warehouse(session, **workspace, flags_.warehouse);
        auto& out = session.output();
        const auto outcome = check_all(**workspace, *wish, warehouse, out);
        if (!outcome) return fail(outcome.error());
        const auto views = check_views(**workspace, *wish);
        if (!views) return fail(views.error());
        ordered_json document;
        if (out.json()) {
            document = document_of(*outcome);
            if (flags_.views) document["views"] = document_of(*views);
        } else {
            out.result(text_of(out, *outcome) + text_of(out, *views));
        }
        int code = tables::exit_code_of(outcome->reports);
        const int of_views = tables::exit_code_of(*views);
        const auto signals = probed(*outcome);
        if (probe_ && !signals.empty()) {
            auto probed = probe(session, **workspace, *wish, signals, warehouse, deadline);
            if (!probed) {
                probed.error().state = "The tables were looked at; the probe may still arrive.";
                return end_with(out, std::move(document), std::move(probed.error()));
            }
            code = *probed != 0 ? *probed : of_views;
            document["probe"] = probe_document_;
            if (trouble_) document["error"] = document_of(*trouble_, "");
        } else if (probe_) {
            document["probe"] = nullptr;
            out.note("the probe was not sent: the tables come first");
        }
        // 11 before 12, of whichever it is
        if (code == 0 || (code == 12 && of_views == 11)) code = of_views;
        if (out.json()) {
            document["exit_code"] = code;
            document["warehouse"] = warehouse.document();
            out.document(document);
        } else {
            if (code != 0 || !probe_) advise(out, *outcome, *wish);
            advise(out, *views, *wish);
        }
        if (trouble_ && !out.json()) return fail(*trouble_);
        return code;
    }

  private:
    // What a probe can be sent for: nothing while a table that the agents need is not right. Spans are
    // optional, as long as nobody asked for them by name.
    std::vector<Signal> probed(const CheckOutcome& outcome) const {
        std::vector<Signal> signals;
        for (const auto& report : outcome.reports) {
            if (report.state == TableState::same)
                signals.push_back(report.signal);
            else if (report.state != TableState::missing || report.signal != Signal::traces || flags_.signals)
                return {};
        }
        return signals;
    }

    Result<int> probe(Session& session, databricks::Workspace& workspace, const TablesWish& wish,
                      std::vector<Signal> signals, WarehouseUse& warehouse,
                      std::chrono::steady_clock::time_point deadline) {
        auto& out = session.output();
        auto way = choose_way(session, workspace, wish.place,
                              direct_ ? ProbeDirection::direct : ProbeDirection::as_agents);
        if (!way) return fail(way.error());
        if (!way->traces) std::erase(signals, Signal::traces);
        std::vector<ProbeResult> results;
        if (way->trouble) {
            for (const Signal signal : signals)
                results.push_back(
                    {signal, wish.place.table_name(signal), ProbeResult::State::not_sent, {}, 0, {}});
            trouble_ = way->trouble->error;
        } else {
            const auto choice = warehouse.get();
            if (!choice) return fail(choice.error());
            const tables::ProbeWish probe{wish.place,           signals,
                                          choice->warehouse.id, "probe-" + system::random_hex(16),
                                          DBX_VERSION,          deadline};
            ProgressLine line(out, "waiting for the probe", choice->warehouse.state != "RUNNING");
            auto ran = tables::run_probe(workspace, *way->route, probe,
                                         [&](const tables::RunProgress& progress) { line.tell(progress); });
            if (!ran) return fail(ran.error());
            results = std::move(*ran);
        }
        tell(out, *way, results);
        // A refusal is told before a wait that ended.
        for (const bool refusals : {true, false})
            for (const auto& result : results)
                if (!trouble_ && result.trouble && (result.state == ProbeResult::State::refused) == refusals)
                    trouble_ = result.trouble->error;
        if (trouble_) trouble_->state = "Nothing was changed, but for probes that arrived.";
        const int code = trouble_ ? exit_code(trouble_->kind) : 0;
        document(*way, results, code);
        return code;
    }

    static void tell(Output& out, const ProbeWay& way, const std::vector<ProbeResult>& results) {
        if (out.json() || !way.route) return;
        std::vector<std::vector<std::string>> rows;
        for (const auto& result : results) {
            const double seconds = static_cast<double>(result.elapsed.count()) / 1000;
            std::string state =
                result.state == ProbeResult::State::arrived
                    ? out.styled(fmt::format("arrived after {:.1f} s", seconds), Style::green)
                : result.state == ProbeResult::State::refused
                    ? out.styled("refused", Style::red)
                    : out.styled(fmt::format("not there after {:.1f} s", seconds), Style::yellow);
            rows.push_back({result.table, std::move(state)});
        }
        out.result("\nA probe went " + way.words + ":\n" + columns(rows, 2));
    }

    void document(const ProbeWay& way, const std::vector<ProbeResult>& results, int code) {
        ordered_json root;
        root["way"] = way.port == 0 && way.route ? "direct" : "proxy";
        root["port"] = way.port == 0 ? ordered_json(nullptr) : ordered_json(way.port);
        root["tables"] = ordered_json::array();
        for (const auto& result : results) {
            ordered_json item;
            item["name"] = result.table;
            item["signal"] = tables::name_of(result.signal);
            item["state"] = tables::name_of(result.state);
            item["seconds"] = static_cast<double>(result.elapsed.count()) / 1000;
            item["looks"] = result.looks;
            add_trouble(item, result.trouble ? &*result.trouble : way.trouble ? &*way.trouble : nullptr);
            root["tables"].push_back(std::move(item));
        }
        root["exit_code"] = code;
        probe_document_ = std::move(root);
    }

    static void add_trouble(ordered_json& item, const tables::ProbeTrouble* trouble) {
        item["cause"] = trouble ? ordered_json(tables::name_of(trouble->cause)) : ordered_json(nullptr);
        if (!trouble) return;
        const auto shown = document_of(trouble->error, "");
        for (const char* name : {"what", "why", "fix"}) item[name] = shown[name];
    }

    TablesFlags flags_;
    bool probe_ = false;
    bool direct_ = false;
    std::optional<Error> trouble_;
    ordered_json probe_document_;
};

} // namespace

std::unique_ptr<Command> make_tables_check() {
    return std::make_unique<TablesCheck>();
}

} // namespace dbx::cli
