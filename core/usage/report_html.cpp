#include "core/usage/report.hpp"

#include <nlohmann/json.hpp>

namespace dbx::usage {

namespace {

using nlohmann::ordered_json;

// The page in three parts: head and style, the data, what draws it. Nothing is loaded from anywhere.
constexpr const char* head = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>Usage - dbx-agents</title>
<style>
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5d6a7a; --paper: #f6f7f9; --card: #ffffff; --line: #e1e5ea;
  --bad: #c0392b; --c0: #0072b2; --c1: #e69f00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #d55e00; --c6: #b8a800; --c7: #8a93a0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --dim: #98a4b3; --paper: #12161c; --card: #1a2029; --line: #2c3541; --bad: #ff7b6b;
    --c0: #4aa3df; --c1: #f0b840; --c2: #33c194; --c3: #e09cc3; --c4: #8fd0f5; --c5: #f08a4b; --c6: #ddd04a; --c7: #a3adba; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 28px 20px 40px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 15px; margin: 0 0 8px; }
.sub { color: var(--dim); margin: 2px 0 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-bottom: 12px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.tile b { display: block; font-size: 23px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 12px; margin-bottom: 12px; }
.wide { grid-column: 1 / -1; }
svg { width: 100%; height: auto; display: block; overflow: visible; }
svg text { fill: var(--dim); font-size: 11px; font-variant-numeric: tabular-nums; }
.axis { stroke: var(--line); } .bar:hover, .dot:hover { opacity: .75; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; color: var(--dim); font-size: 13px; margin-top: 8px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 6px 5px; text-align: right; border-bottom: 1px solid var(--line); }
th.text, td.text { text-align: left; } tbody tr:last-child td { border-bottom: 0; }
th { padding: 0; } th button { all: unset; cursor: pointer; padding: 6px 5px; color: var(--dim); font-weight: 600; font-size: 12.5px; }
th button:focus-visible { outline: 2px solid var(--c0); border-radius: 4px; } th[aria-sort] button { color: var(--ink); }
.none { color: var(--dim); } .bad { color: var(--bad); }
.empty { text-align: center; color: var(--dim); padding: 60px 0; }
label { color: var(--dim); font-size: 13px; font-weight: 400; float: right; }
footer { color: var(--dim); font-size: 13px; margin-top: 16px; }
</style>
</head>
<body>
<main>
<h1>Usage</h1>
<p class="sub" id="sub"></p>
<div id="page"></div>
<footer id="foot"></footer>
</main>
<script id="data" type="application/json">)html";

constexpr const char* tail = R"html(</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const make = (tag, attributes, ...children) => {
  const svg = ["svg", "rect", "line", "path", "circle", "text", "title", "g"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const short = (n) => n >= 1e9 ? (n / 1e9).toFixed(2) + " B" : n >= 1e6 ? (n / 1e6).toFixed(2) + " M" : n >= 1e4 ? (n / 1e3).toFixed(1) + " k"
  : n >= 1000 ? (n / 1e3).toFixed(2) + " k" : String(Math.round(n));
const usd = (n) => "$" + (n >= 100 ? n.toFixed(0) : n >= 1 || n === 0 ? n.toFixed(2) : n.toFixed(4));
const time = (ms) => ms === null ? "-" : ms >= 10000 ? (ms / 1000).toFixed(1) + " s" : ms >= 1000 ? (ms / 1000).toFixed(2) + " s" : Math.round(ms) + " ms";
const percent = (part, whole) => whole > 0 ? Math.round(100 * part / whole) + " %" : "-";
const rows = data.daily, days = data.days;
const dayOf = new Map(days.map((d) => [d.day, d]));
const sum = (list, get) => list.reduce((total, one) => total + get(one), 0);
const counted = (r) => r.input + r.output + r.cache_write;
const cost = (r) => r.known > 0 && r.unpriced === r.known ? "unpriced" : usd(r.cost) + (r.unpriced > 0 ? " + " + short(r.unpriced) + " unpriced" : "");

document.getElementById("sub").textContent = data.from + " to " + data.to;
document.getElementById("foot").textContent = "Made " + data.made + " by dbx-agents " + data.version +
  " from this machine's ledger. Input without cached tokens; output with reasoning; cost by the prices at the time of each request.";
const page = document.getElementById("page");

function calendar() { // every day from the first to the last, also those without a request
  const result = [];
  if (days.length === 0) return result;
  const last = Date.parse(days[days.length - 1].day + "T00:00:00Z");
  for (let at = Date.parse(days[0].day + "T00:00:00Z"); at <= last && result.length < 4000; at += 864e5) result.push(new Date(at).toISOString().slice(0, 10));
  return result;
}
const all = calendar();

const plain = (text) => text.replace(/^(\d+\.\d*?)0+(?= )/, "$1").replace(". ", " ").replace(/^(\$\d+\.\d\d)0+$/, "$1"); // on an axis
function frame(format, top, width, height) {
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const left = 52, right = width - 6, bottom = height - 20, upper = 8;
  const nice = (v) => { const p = 10 ** Math.floor(Math.log10(v || 1)); return [1, 2, 2.5, 5, 10].map((f) => f * p).find((f) => f >= v) || 1; };
  const step = nice(top / 5 || 1), max = step * Math.max(1, Math.ceil(top / step - 1e-9));
  const y = (v) => bottom - (bottom - upper) * v / max;
  for (let v = 0; v <= max + step / 2; v += step) {
    svg.append(make("line", { class: "axis", x1: left, x2: right, y1: y(v), y2: y(v) }), make("text", { x: left - 7, y: y(v) + 4, "text-anchor": "end" }, plain(format(v))));
  }
  const slot = (right - left) / Math.max(1, all.length), x = (i) => left + slot * i;
  const every = Math.max(1, Math.ceil(all.length / Math.floor((right - left) / 62)));
  all.forEach((day, i) => { if (i % every === 0) svg.append(make("text", { x: x(i) + slot / 2, y: height - 4, "text-anchor": "middle" }, day.slice(5))); });
  return { svg, x, y, slot, bottom };
}

const models = [...new Set(rows.map((r) => r.model))].sort((a, b) => sum(rows.filter((r) => r.model === b), counted) - sum(rows.filter((r) => r.model === a), counted));
const colour = (model) => "var(--c" + Math.min(7, models.indexOf(model)) + ")";
const shown = (model) => models.indexOf(model) < 7 ? model : "others";
const legend = () => {
  const node = make("div", { class: "legend" });
  for (const name of new Set(models.map(shown))) node.append(make("span", {}, make("i", { style: "background:" + (name === "others" ? "var(--c7)" : colour(name)) }), name || "(no model)"));
  return node;
};
function stacked(get, format, width, height) {
  const per = new Map(all.map((day) => [day, []]));
  for (const model of models) for (const day of all) {
    const value = sum(rows.filter((r) => r.day === day && r.model === model), get);
    if (value > 0) per.get(day).push([model, value]);
  }
  const f = frame(format, Math.max(1e-9, ...[...per.values()].map((list) => sum(list, (e) => e[1]))), width, height);
  all.forEach((day, i) => {
    let base = 0;
    for (const [model, value] of per.get(day)) {
      const gap = Math.min(6, f.slot * 0.2);
      f.svg.append(make("rect", { class: "bar", x: f.x(i) + gap / 2, width: Math.max(1, Math.min(f.slot - gap, 64)), y: f.y(base + value), height: Math.max(0.5, f.y(base) - f.y(base + value)), fill: colour(model) },
        make("title", {}, `${day}\n${model || "(no model)"}: ${format(value)}`)));
      base += value;
    }
  });
  return f.svg;
}
function bars(get, format, fill, words) {
  const f = frame(format, Math.max(1, ...days.map(get)), 520, 190);
  all.forEach((day, i) => {
    const d = dayOf.get(day), value = d ? get(d) : 0, gap = Math.min(6, f.slot * 0.2);
    if (value > 0) f.svg.append(make("rect", { class: "bar", x: f.x(i) + gap / 2, width: Math.max(1, Math.min(f.slot - gap, 64)), y: f.y(value), height: f.bottom - f.y(value), fill }, make("title", {}, words(d))));
  });
  return f.svg;
}
function lines() {
  const f = frame(time, Math.max(1, ...days.map((d) => d.p95 || 0)), 520, 190);
  for (const [key, fill] of [["p95", "var(--c1)"], ["p50", "var(--c0)"]]) {
    let path = "", broken = true;
    all.forEach((day, i) => {
      const d = dayOf.get(day), v = d ? d[key] : null;
      if (v === null) { broken = true; return; }
      const x = f.x(i) + Math.min(f.slot / 2, 32), y = f.y(v);
      path += (broken ? "M" : "L") + x.toFixed(1) + " " + y.toFixed(1);
      broken = false;
      f.svg.append(make("circle", { class: "dot", cx: x, cy: y, r: all.length > 90 ? 1.5 : 3, fill }, make("title", {}, `${day}\n${key}: ${time(v)}`)));
    });
    f.svg.append(make("path", { d: path, fill: "none", stroke: fill, "stroke-width": 2 }));
  }
  return f.svg;
}
function table() {
  const groups = new Map();
  for (const r of rows) {
    const key = JSON.stringify([r.agent, r.model]);
    const g = groups.get(key) || { agent: r.agent, model: r.model, requests: 0, input: 0, output: 0, cache_read: 0, cache_write: 0, cost: 0, unpriced: 0, known: 0, errors: 0 };
    for (const name of ["requests", "input", "output", "cache_read", "cache_write", "cost", "unpriced", "known", "errors"]) g[name] += r[name];
    groups.set(key, g);
  }
  const latency = new Map(data.latency.map((l) => [JSON.stringify([l.agent, l.model]), l]));
  const list = [...groups.values()].map((g) => ({ ...g, ...latency.get(JSON.stringify([g.agent, g.model])) }));
  const share = (g) => g.cache_read / Math.max(1, g.input + g.cache_read + g.cache_write);
  const columns = [["Agent", (g) => g.agent, (g) => g.agent || "-", 1], ["Model", (g) => g.model, (g) => g.model || "-", 1], ["Requests", (g) => g.requests, (g) => g.requests.toLocaleString("en")],
    ["Input", (g) => g.input, (g) => short(g.input)], ["Cache read", (g) => g.cache_read, (g) => short(g.cache_read)], ["Cache write", (g) => g.cache_write, (g) => short(g.cache_write)],
    ["Cached", share, (g) => percent(g.cache_read, g.input + g.cache_read + g.cache_write)], ["Output", (g) => g.output, (g) => short(g.output)], ["Cost", (g) => g.known > 0 && g.unpriced === g.known ? -1 : g.cost, cost],
    ["Errors", (g) => g.errors, (g) => String(g.errors)], ["First byte p50", (g) => g.p50 ?? -1, (g) => time(g.p50 ?? null)], ["p95", (g) => g.p95 ?? -1, (g) => time(g.p95 ?? null)]];
  const body = make("tbody"), header = make("tr");
  let by = 8, down = true;
  const draw = () => {
    const get = columns[by][1];
    list.sort((a, b) => { const x = get(a), y = get(b); return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1); });
    body.replaceChildren(...list.map((g) => make("tr", {}, ...columns.map(([name, , text, words]) => {
      const content = text(g);
      return make("td", { class: (words ? "text" : "") + (name === "Errors" && g.errors > 0 ? " bad" : content === "unpriced" || content === "-" || content === "0" ? " none" : "") }, content);
    }))));
    [...header.children].forEach((cell, i) => i === by ? cell.setAttribute("aria-sort", down ? "descending" : "ascending") : cell.removeAttribute("aria-sort"));
  };
  columns.forEach(([name, , , words], i) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => { down = by === i ? !down : !words; by = i; draw(); });
    header.append(make("th", { class: words ? "text" : "", scope: "col" }, button));
  });
  draw();
  return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, header), body));
}
const card = (title, wide, ...children) => make("section", { class: "card" + (wide ? " wide" : "") }, make("h2", {}, title), ...children);

if (rows.length === 0) {
  page.append(make("div", { class: "card empty" }, "No requests in this time."));
} else {
  const t = { requests: 0, input: 0, output: 0, cache_read: 0, cache_write: 0, cost: 0, unpriced: 0, known: 0, errors: 0 };
  for (const r of rows) for (const name in t) t[name] += r[name];
  const tiles = make("div", { class: "tiles" });
  for (const [value, words] of [[short(counted(t)), "tokens (without cache reads)"], [t.known > 0 && t.unpriced === t.known ? "unpriced" : usd(t.cost), "cost" + (t.unpriced > 0 ? ", " + short(t.unpriced) + " requests unpriced" : "")], [t.requests.toLocaleString("en"), "requests"],
    [percent(t.cache_read, t.input + t.cache_read + t.cache_write), "of the input from the cache"], [String(t.errors), "errors (" + percent(t.errors, t.requests) + ")"],
    [time(data.p50), "to the first byte, p50; p95 " + time(data.p95)]]) tiles.append(make("div", { class: "card tile" }, make("b", {}, value), make("span", {}, words)));
  const reads = make("input", { type: "checkbox", id: "reads" });
  const tokens = make("div");
  const drawTokens = () => tokens.replaceChildren(stacked((r) => counted(r) + (reads.checked ? r.cache_read : 0), short, 1060, 260));
  reads.addEventListener("change", drawTokens);
  drawTokens();
  const first = card("Tokens per day, by model", true, tokens, legend());
  first.firstChild.append(make("label", {}, reads, " with cache reads"));
  const two = make("div", { class: "legend" });
  for (const [name, fill] of [["p50", "--c0"], ["p95", "--c1"]]) two.append(make("span", {}, make("i", { style: `background:var(${fill})` }), name));
  page.append(tiles, make("div", { class: "grid" }, first,
    card("Cost per day" + (t.unpriced > 0 ? ", priced models" : ""), false, stacked((r) => r.cost, usd, 520, 190)),
    card("Time to the first byte", false, lines(), two),
    card("Requests per day", false, bars((d) => d.requests, short, "var(--c0)", (d) => `${d.day}\n${d.requests} requests`)),
    card("Errors per day", false, bars((d) => d.errors, short, "var(--bad)", (d) => `${d.day}\n${d.errors} errors of ${d.requests} requests`))),
    card("By agent and model", true, table()));
}
</script>
</body>
</html>
)html";

ordered_json quantile(const Histogram& times, double share) {
    const auto value = times.quantile(share);
    return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json numbers(const Group& group) {
    const auto& totals = group.totals;
    return {{"requests", totals.requests},
            {"input", totals.input},
            {"output", totals.output},
            {"cache_read", totals.cache_read},
            {"cache_write", totals.cache_write},
            {"cost", totals.cost_usd},
            {"unpriced", totals.unpriced},
            {"known", totals.known},
            {"errors", totals.errors}};
}

// JSON inside <script>: no text in it may look like markup.
std::string embedded(const ordered_json& document) {
    const auto text = document.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (c == '<')
            result += "\\u003c";
        else
            result += c;
    }
    return result;
}

} // namespace

std::string html_page(const Page& page, const Report& daily, const Report& days, const Report& models) {
    ordered_json data = {
        {"from", page.from}, {"to", page.to}, {"made", page.made}, {"version", page.version}};
    data["p50"] = quantile(days.total.first_byte, 0.5);
    data["p95"] = quantile(days.total.first_byte, 0.95);
    data["daily"] = ordered_json::array();
    for (const auto& group : daily.groups) {
        ordered_json row = {
            {"day", group.keys.at(0)}, {"agent", group.keys.at(1)}, {"model", group.keys.at(2)}};
        row.update(numbers(group));
        data["daily"].push_back(std::move(row));
    }
    data["days"] = ordered_json::array();
    for (const auto& group : days.groups)
        data["days"].push_back({{"day", group.keys.at(0)},
                                {"requests", group.totals.requests},
                                {"errors", group.totals.errors},
                                {"p50", quantile(group.first_byte, 0.5)},
                                {"p95", quantile(group.first_byte, 0.95)}});
    data["latency"] = ordered_json::array();
    for (const auto& group : models.groups)
        data["latency"].push_back({{"agent", group.keys.at(0)},
                                   {"model", group.keys.at(1)},
                                   {"p50", quantile(group.first_byte, 0.5)},
                                   {"p95", quantile(group.first_byte, 0.95)}});
    return head + embedded(data) + tail;
}

} // namespace dbx::usage
