#include "core/base/strings.hpp"
#include "tests/workspace/row_store.hpp"
#include "tests/workspace/world_json.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace dbx::standin {

namespace {

Model model(std::string name, std::string own_api, std::int64_t cap) {
    Model out;
    out.name = "system.ai." + std::move(name);
    out.api_types = {"mlflow/v1/chat/completions"};
    if (!own_api.empty()) out.api_types.push_back(own_api);
    if (own_api == "openai/v1/responses") out.api_types.push_back("openai/v1/chat/completions");
    out.api_types.push_back("cursor/v1/chat/completions");
    out.max_output_tokens = cap;
    return out;
}

} // namespace

World default_world() {
    World world;
    Token pat;
    pat.value = "dapi-valid-token-0123456789abcdef";
    pat.owner = "ada@example.com";
    Token narrow;
    narrow.value = "dapi-gateway-only-0123456789abcdef";
    narrow.owner = "ada@example.com";
    narrow.scopes = {"ai-gateway"};
    Token guest;
    guest.value = "dapi-guest-token-0123456789abcdef0";
    guest.owner = "guest@example.com";
    world.tokens = {pat, narrow, guest};
    OauthClient client;
    client.client_id = "11111111-2222-3333-4444-555555555555";
    client.client_secret = "dose-valid-secret-0123456789abcdef";
    world.clients = {client};
    world.principals = {
        {"ada@example.com", "Ada Lovelace", "1001", {"admins", "developers"}, true},
        {"guest@example.com", "Guest", "1002", {}, false},
        {client.client_id, "telemetry-writer", "1003", {}, false},
        {"developers", "developers", "2001", {}, false},
    };
    const std::string claude = "anthropic/v1/messages";
    const std::string gpt = "openai/v1/responses";
    const std::string gemini = "gemini/v1/generateContent";
    world.models = {
        model("claude-opus-4-6", claude, 128000),
        model("claude-opus-4-8", claude, 128000),
        model("claude-sonnet-4-5", claude, 64000),
        model("claude-sonnet-5", claude, 64000),
        model("claude-haiku-4-5", claude, 64000),
        model("claude-fable", claude, 128000),
        model("gpt-5-2", gpt, 128000),
        model("gpt-5-5", gpt, 128000),
        model("gpt-5-5-pro", gpt, 128000),
        model("gemini-2-5-flash", gemini, 65536),
        model("gemini-3-5-flash", gemini, 65536),
        model("gemini-3-1-pro", gemini, 65536),
        model("gpt-oss-120b", "", 25000),
        model("kimi-k3", "", 32000),
    };
    world.catalogs = {{"main", "ada@example.com", ""}, {"system", "System user", ""}};
    world.schemas = {{"main.default", "ada@example.com", ""},
                     {"main.telemetry", "ada@example.com", ""},
                     {"system.ai", "System user", ""}};
    Warehouse starter;
    starter.id = "0123456789abcdef";
    starter.name = "Serverless Starter Warehouse";
    world.warehouses = {starter};
    return world;
}

std::int64_t now_seconds(const World& world) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count() +
           world.settings.clock_offset_seconds;
}

namespace {

template <class Items, class Member>
auto find_by(Items& items, Member member, std::string_view name) -> decltype(items.data()) {
    for (auto& item : items)
        if (iequals(item.*member, name)) return &item;
    return nullptr;
}

} // namespace

Principal* find_principal(World& world, std::string_view name) {
    return find_by(world.principals, &Principal::name, name);
}
const Catalog* find_catalog(const World& world, std::string_view name) {
    return find_by(world.catalogs, &Catalog::name, name);
}
const Schema* find_schema(const World& world, std::string_view full_name) {
    return find_by(world.schemas, &Schema::name, full_name);
}
Table* find_table(World& world, std::string_view full_name) {
    return find_by(world.tables, &Table::name, full_name);
}
Warehouse* find_warehouse(World& world, std::string_view id) {
    return find_by(world.warehouses, &Warehouse::id, id);
}

Store::Store(std::string directory)
    : directory_(std::move(directory)) {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) throw std::runtime_error("cannot make " + directory_ + ": " + error.message());
    ::chmod(directory_.c_str(), 0700); // the record holds tokens
    lock_fd_ = ::open((directory_ + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_fd_ < 0) throw std::runtime_error("cannot write in " + directory_);
    if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
        throw std::runtime_error(directory_ + " is in use by another dbx-agents-workspace");

    rows_ = std::make_unique<RowStore>(directory_ + "/rows.db");
    const std::string path = directory_ + "/state.json";
    std::ifstream file(path);
    if (!file) {
        world = default_world();
        return;
    }
    std::stringstream text;
    text << file.rdbuf();
    try {
        world = Json::parse(text.str()).get<World>();
    } catch (const std::exception& e) {
        throw std::runtime_error(path + " is damaged: " + e.what());
    }
    touched_ = false;
}

Store::~Store() {
    if (lock_fd_ >= 0) ::close(lock_fd_);
}

void Store::save() {
    if (!touched_) return;
    // Request bodies may put any bytes into names; the state must stay writable.
    const std::string text = Json(world).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
    const std::string path = directory_ + "/state.json";
    {
        std::ofstream file(path + ".new", std::ios::binary | std::ios::trunc);
        file << text;
        file.flush();
        if (!file) throw std::runtime_error("cannot write " + path);
    }
    if (std::rename((path + ".new").c_str(), path.c_str()) != 0)
        throw std::runtime_error("cannot replace " + path);
    touched_ = false;
}

} // namespace dbx::standin
