#include "tests/workspace/control.hpp"

#include "tests/workspace/otlp.hpp"
#include "tests/workspace/row_store.hpp"
#include "tests/workspace/world_json.hpp"

#include <charconv>

namespace dbx::standin {

namespace {

Response bad(const std::string& message) {
    return json_response(400, {{"error", message}});
}

Response done(const Json& extra = Json::object()) {
    Json body = extra;
    body["ok"] = true;
    return json_response(200, body);
}

bool is_array_or_object(const Json& json) {
    return json.is_array() || json.is_object();
}

// Refuses members that the type does not have: a misspelt one would silently do nothing.
template <class T>
T strict(const Json& given) {
    T value = given.get<T>();
    const Json known = value;
    for (const auto& [key, unused] : given.items())
        if (!known.contains(key)) throw std::runtime_error("unknown member: " + key);
    return value;
}

// One object or an array of them replaces or adds by identity; PUT replaces the whole list.
template <class T, class Same>
void store_items(std::vector<T>& items, const Json& body, bool replace_all, Same same) {
    std::vector<T> fresh;
    if (body.is_array())
        for (const Json& one : body) fresh.push_back(strict<T>(one));
    else
        fresh.push_back(strict<T>(body));
    if (replace_all) {
        items = std::move(fresh);
        return;
    }
    for (T& item : fresh) {
        bool found = false;
        for (T& old : items)
            if (same(old, item)) {
                old = item;
                found = true;
                break;
            }
        if (!found) items.push_back(item);
    }
}

template <class T, class Member>
auto by(Member T::*member) {
    return [member](const T& a, const T& b) { return a.*member == b.*member; };
}

template <class T>
auto never() {
    return [](const T&, const T&) { return false; };
}

// Calls `use` with the list of that name; false: there is none.
template <class Use>
bool with_collection(World& world, const std::string& name, Use use) {
    if (name == "tokens")
        use(world.tokens, by(&Token::value));
    else if (name == "clients")
        use(world.clients, by(&OauthClient::client_id));
    else if (name == "principals")
        use(world.principals, by(&Principal::name));
    else if (name == "models")
        use(world.models, by(&Model::name));
    else if (name == "catalogs")
        use(world.catalogs, by(&Catalog::name));
    else if (name == "schemas")
        use(world.schemas, by(&Schema::name));
    else if (name == "tables")
        use(world.tables, by(&Table::name));
    else if (name == "warehouses")
        use(world.warehouses, by(&Warehouse::id));
    else if (name == "results")
        use(world.canned_results, by(&CannedResult::contains));
    else if (name == "answers")
        use(world.answers, never<Answer>());
    else
        return false;
    return true;
}

} // namespace

Response Control::handle(const Request& request) {
    const std::string rest = request.path.size() > 10 ? request.path.substr(10) : "";
    const bool post = request.method == "POST";
    try {
        // The record has a lock of its own: it can be read while a request is being worked on.
        if (rest == "requests") return requests(request);
        if (rest == "release" && post) {
            ++workspace_.releases_;
            return done();
        }
        const std::lock_guard guard(workspace_.mutex_);
        Response response = [&] {
            if (rest == "state" && request.method == "GET")
                return json_response(200, workspace_.store_.world);
            if (rest == "state" && request.method == "DELETE") return reset();
            if (rest == "settings") return settings(request);
            if (rest == "clock" && post) return clock(request);
            if (rest == "tokens/revoke" && post) return revoke(request);
            if (rest == "faults" || rest.starts_with("faults/")) return faults(request, rest);
            if (rest == "rows") return rows(request);
            return collection(request, rest);
        }();
        workspace_.store_.save();
        return response;
    } catch (const std::exception& e) {
        return bad(e.what());
    }
}

Response Control::requests(const Request& request) {
    if (request.method == "DELETE") {
        workspace_.log_.clear();
        return done();
    }
    if (request.method != "GET") return wrong_method();
    return json_response(200, workspace_.log_.list());
}

Response Control::faults(const Request& request, const std::string& rest) {
    Faults& faults = workspace_.faults_;
    if (request.method == "GET") return json_response(200, faults.list());
    if (request.method == "DELETE") {
        if (rest == "faults") {
            faults.clear();
            return done();
        }
        std::int64_t id = 0;
        const std::string text = rest.substr(7);
        std::from_chars(text.data(), text.data() + text.size(), id);
        return faults.remove(id) ? done() : json_response(404, {{"error", "no such fault"}});
    }
    if (request.method != "POST") return wrong_method();
    const Json body = Json::parse(request.body);
    const Json rules = body.is_array() ? body : Json::array({body});
    for (const Json& rule : rules)
        if (const std::string error = faults.add(rule); !error.empty()) return bad(error);
    return done({{"faults", faults.list()}});
}

Response Control::settings(const Request& request) {
    World& world = workspace_.store_.world;
    if (request.method == "GET") return json_response(200, world.settings);
    if (request.method != "POST") return wrong_method();
    const Json changes = Json::parse(request.body);
    if (!changes.is_object()) return bad("settings are a JSON object");
    Json merged = world.settings;
    merged.update(changes);
    world.settings = strict<Settings>(merged);
    workspace_.store_.touch();
    return json_response(200, world.settings);
}

Response Control::collection(const Request& request, const std::string& name) {
    World& world = workspace_.store_.world;
    if (name == "grants") {
        if (request.method == "GET") return json_response(200, world.grants);
        if (request.method != "PUT") return wrong_method();
        world.grants = Json::parse(request.body).get<decltype(world.grants)>();
        workspace_.store_.touch();
        return done();
    }
    Response response = json_response(404, {{"error", "no such control endpoint: " + request.path}});
    with_collection(world, name, [&](auto& items, auto same) {
        if (request.method == "GET") {
            response = json_response(200, items);
            return;
        }
        if (request.method == "DELETE") {
            items.clear();
        } else if (request.method == "POST" || request.method == "PUT") {
            const Json body = Json::parse(request.body);
            if (!is_array_or_object(body)) throw std::runtime_error("expected an object or an array");
            store_items(items, body, request.method == "PUT", same);
        } else {
            response = wrong_method();
            return;
        }
        workspace_.store_.touch();
        response = done();
    });
    return response;
}

Response Control::clock(const Request& request) {
    World& world = workspace_.store_.world;
    world.settings.clock_offset_seconds +=
        Json::parse(request.body).at("advance_seconds").get<std::int64_t>();
    workspace_.store_.touch();
    return done({{"now", now_seconds(world)}});
}

// The rows of a table: as its columns, JSON typed. Those that no SELECT sees yet are among them.
Response Control::rows(const Request& request) {
    RowStore& rows = workspace_.store_.rows();
    const auto table = request.param("table");
    if (request.method == "POST") {
        load_rows(workspace_.store_, Json::parse(request.body));
        return done();
    }
    if (request.method == "DELETE") {
        if (table)
            rows.erase(*table);
        else
            rows.clear();
        return done();
    }
    if (request.method != "GET") return wrong_method();
    if (!table) return bad("which table? rows?table=catalog.schema.table");
    if (!find_table(workspace_.store_.world, *table)) return bad("no such table: " + *table);
    return json_response(200, rows.rows(*table, request.param("visible").value_or("") == "1"
                                                    ? RowStore::Which::visible
                                                    : RowStore::Which::all));
}

Response Control::revoke(const Request& request) {
    const std::string value = Json::parse(request.body).at("value").get<std::string>();
    for (Token& token : workspace_.store_.world.tokens)
        if (token.value == value) {
            token.revoked = true;
            workspace_.store_.touch();
            return done();
        }
    return json_response(404, {{"error", "no such token"}});
}

// Back to a fresh workspace: faults and record included.
Response Control::reset() {
    workspace_.store_.world = default_world();
    workspace_.store_.rows().clear();
    workspace_.store_.touch();
    workspace_.faults_.clear();
    workspace_.log_.clear();
    return done();
}

} // namespace dbx::standin
