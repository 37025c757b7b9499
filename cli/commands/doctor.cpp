#include "core/doctor/doctor.hpp"

#include "cli/command.hpp"
#include "cli/progress.hpp"
#include "cli/session.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace dbx::cli {

namespace {

using doctor::Finding;
using doctor::Severity;
using nlohmann::ordered_json;

constexpr int exit_broken = 1;

class Doctor : public Command {
  public:
    void declare(CLI::App& app) override {
        app.add_option("agent", names_, "Only these agents")->type_name("AGENT");
        app.add_option("--gateway", gateway_, "The gateway's root, used as it is")->type_name("URL");
        app.add_flag("--offline", offline_, "Look at this machine only, without asking the gateway");
    }

    Result<int> run(Session& session) override {
        session.options().gateway = gateway_;
        auto chosen = session.agents_named(names_);
        if (!chosen) return fail(chosen.error());
        if (names_.empty()) {
            const auto catalogue = session.catalogue();
            if (!catalogue) return fail(catalogue.error());
            for (const auto& agent : (*catalogue)->agents) chosen->push_back(&agent);
            for (const auto& [name, error] : (*catalogue)->broken)
                session.output().warning(error.what + ": " + error.why);
        }
        const auto target = session.target();
        if (!target) return fail(target.error());
        const auto settings = session.settings();
        if (!settings) return fail(settings.error());
        auto journal = state::Journal::load(session.environment(), session.files());
        if (!journal) return fail(journal.error());
        std::optional<Progress> progress(std::in_place, session.output(),
                                         offline_ ? "looking at the agents" : "asking the gateway");
        const doctor::Surroundings surroundings{
            session.environment(),
            session.files(),
            session.clock(),
            session.process(),
            session.http(),
            session.pacer(),
            **target,
            *journal,
            **settings,
            [&](std::size_t done, std::size_t total) { progress->count(done, total); }};
        const auto report =
            doctor::diagnose(*chosen, names_.empty() ? doctor::Asked::all : doctor::Asked::by_name,
                             offline_ ? doctor::Network::avoid : doctor::Network::use, surroundings);
        progress.reset();
        if (!report) return fail(report.error());
        if (system::InterruptGuard::interrupted()) return fail(ErrorKind::interrupted, "interrupted");
        if (session.output().json()) {
            session.output().document(document_of(*report));
        } else {
            show(session, *report);
        }
        return count(*report, Severity::broken) > 0 ? exit_broken : 0;
    }

  private:
    static std::size_t count(const doctor::Report& report, Severity severity) {
        return static_cast<std::size_t>(
            std::count_if(report.findings.begin(), report.findings.end(),
                          [&](const Finding& finding) { return finding.severity == severity; }));
    }

    static ordered_json text_or_null(const std::string& text) {
        return text.empty() ? ordered_json(nullptr) : ordered_json(text);
    }

    ordered_json document_of(const doctor::Report& report) const {
        ordered_json root;
        root["broken"] = count(report, Severity::broken);
        root["warnings"] = count(report, Severity::warning);
        root["infos"] = count(report, Severity::info);
        root["offline"] = offline_;
        root["agents"] = report.looked_at;
        root["skipped"] = report.skipped;
        root["findings"] = ordered_json::array();
        for (const auto& finding : report.findings) {
            root["findings"].push_back(
                {{"id", finding.id},
                 {"agent", text_or_null(finding.agent)},
                 {"severity", doctor::to_string(finding.severity)},
                 {"what", finding.what},
                 {"file", text_or_null(finding.file.string())},
                 {"line", finding.line == 0 ? ordered_json(nullptr) : ordered_json(finding.line)},
                 {"evidence", text_or_null(finding.evidence)},
                 {"fix", finding.fix}});
        }
        root["probes"] = ordered_json::array();
        for (const auto& probe : report.probes)
            root["probes"].push_back({{"agent", probe.agent},
                                      {"url", probe.url},
                                      {"model", probe.model},
                                      {"outcome", probe.outcome}});
        return root;
    }

    static std::string mark(const Output& out, Severity severity) {
        switch (severity) {
        case Severity::broken:
            return out.styled("✗", Style::red);
        case Severity::warning:
            return out.styled("!", Style::yellow);
        case Severity::info:
            break;
        }
        return out.styled("i", Style::cyan);
    }

    static void show(Session& session, const doctor::Report& report) {
        auto& out = session.output();
        const auto line = [&](const std::string& text, int indent) {
            out.result(std::string(static_cast<std::size_t>(indent), ' ') +
                       wrap(printable(text), out.width() - indent, indent) + "\n");
        };
        for (const auto& finding : report.findings) {
            const std::string who = finding.agent.empty() ? "" : finding.agent + ": ";
            out.result(mark(out, finding.severity) + " " +
                       wrap(printable(who + finding.what), out.width() - 2, 2) + "\n");
            std::string place;
            if (!finding.file.empty()) {
                place = session.shown(finding.file);
                if (finding.line != 0) place += ":" + std::to_string(finding.line);
            }
            if (!place.empty()) line(place, 4);
            if (!finding.evidence.empty()) line(finding.evidence, 4);
            line("fix: " + finding.fix, 4);
        }
        if (out.verbose()) {
            for (const auto& probe : report.probes)
                out.result(out.styled(probe.outcome == "ok" ? "✓" : "✗",
                                      probe.outcome == "ok" ? Style::green : Style::red) +
                           " " + probe.agent + ": POST " + probe.url + " (" + probe.model +
                           "): " + probe.outcome + "\n");
            for (const auto& name : report.skipped)
                out.result("- " + name + ": neither installed nor configured\n");
        }
        const auto broken = count(report, Severity::broken);
        const auto warnings = count(report, Severity::warning);
        const auto infos = count(report, Severity::info);
        const auto words = [](std::size_t number, const char* one, const char* many) {
            return std::to_string(number) + " " + (number == 1 ? one : many);
        };
        std::string names;
        for (const auto& name : report.looked_at) names += (names.empty() ? "" : ", ") + name;
        if (report.looked_at.empty()) {
            out.summary("No agent is installed or configured here; dbx-agents setup --all --workspace URL\n");
        } else {
            out.summary(words(broken, "thing broken, ", "things broken, ") +
                        words(warnings, "warning, ", "warnings, ") + words(infos, "remark", "remarks") +
                        " (" + names + ")\n");
        }
    }

    std::vector<std::string> names_;
    std::string gateway_;
    bool offline_ = false;
};

} // namespace

std::unique_ptr<Command> make_doctor() {
    return std::make_unique<Doctor>();
}

} // namespace dbx::cli
