#include "cli/reflection.hpp"

#include "cli/command_line.hpp"
#include "cli/topics.hpp"
#include "core/base/strings.hpp"

#include <algorithm>

namespace dbx::cli {

namespace {

bool is_placeholder(std::string_view word) {
    return std::all_of(word.begin(), word.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
}

std::vector<std::string> literals(std::string_view label, char separator) {
    std::vector<std::string> words;
    for (auto& word : split(label, separator))
        if (!is_placeholder(word)) words.push_back(std::move(word));
    return words;
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return text;
}

ValueInfo value_of(const CLI::Option& option) {
    ValueInfo value;
    value.label = option.get_type_name();
    value.optional = option.get_type_size() == 0 || option.get_expected_max() == 0;
    if (option.get_positional() && value.label.empty()) value.label = upper(option.get_name(true));
    if (value.label.empty()) return value;
    const auto& label = value.label;
    if (label == "FILE") {
        value.takes = Takes::file;
    } else if (label == "DIR") {
        value.takes = Takes::directory;
    } else if (label == "AGENT") {
        value.takes = Takes::agent;
    } else if (label == "MODEL") {
        value.takes = Takes::model;
    } else if (label == "PROFILE") {
        value.takes = Takes::profile;
    } else if (label == "COMMAND|TOPIC") {
        value.takes = Takes::word;
        value.words = names_below("");
        for (const auto& topic : topics()) value.words.emplace_back(topic.name);
    } else if (label.find('|') != std::string::npos) {
        value.takes = Takes::word;
        value.words = literals(label, '|');
    } else if (label.find(',') != std::string::npos) {
        value.takes = Takes::words;
        value.words = literals(label, ',');
    } else {
        value.takes = Takes::anything;
    }
    return value;
}

OptionInfo option_of(const CLI::Option& option) {
    OptionInfo info;
    if (option.nonpositional()) {
        for (const auto& name : option.get_lnames()) info.names.push_back("--" + name);
        for (const auto& name : option.get_snames()) info.names.push_back("-" + name);
    }
    info.about = option.get_description();
    info.value = value_of(option);
    info.required = option.get_required();
    info.repeated = option.get_expected_max() > 1;
    for (const auto* other : option.get_excludes())
        for (const auto& name : other->get_lnames()) info.excludes.push_back("--" + name);
    std::sort(info.excludes.begin(), info.excludes.end()); // the library's set is ordered by address
    return info;
}

} // namespace

CommandInfo describe(const CLI::App& app, std::string_view name) {
    CommandInfo info;
    info.name = name;
    info.about = app.get_description();
    for (const auto* option : app.get_options()) {
        if (option->get_group().empty() || option == app.get_help_ptr()) continue;
        (option->get_positional() ? info.arguments : info.flags).push_back(option_of(*option));
    }
    info.below = names_below(name);
    for (const auto& entry : command_table())
        if (entry.name == name) info.acts = entry.make != nullptr;
    return info;
}

std::vector<CommandInfo> describe_all() {
    GlobalOptions options;
    CommandLine line(options, {}, CommandLine::Declare::all);
    std::vector<CommandInfo> all = {describe(line.app(), "")};
    for (const auto& entry : command_table())
        if (entry.audience == Audience::people) all.push_back(describe(*line.find(entry.name), entry.name));
    return all;
}

std::string brief(std::string_view about) {
    auto end = about.size();
    for (const std::string_view stop : {"; ", " (", ": the ", ": its "})
        end = std::min(end, about.find(stop));
    return std::string(about.substr(0, end));
}

} // namespace dbx::cli
