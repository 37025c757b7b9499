"""`usage --html` in a browser: headless Chromium renders the page, and what it shows are the ledger's figures. Skipped (77) where there is no Chromium.

    test_usage_page.py --pictures FOLDER   writes light.png and dark.png, to be looked at, and ends
"""

import html.parser
import http.server
import json
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness import Home, Test, main
from test_usage_reports import ledger

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SKIP = 77
DAY = 86_400_000
# agent, model, price per million tokens of input, output, cache read, cache write (none: unpriced), share of the requests
MODELS = [
    ("claude", "databricks-claude-sonnet-4-5", (3.0, 15.0, 0.3, 3.75), 50),
    ("claude", "databricks-claude-haiku-4-5", (1.0, 5.0, 0.1, 1.25), 18),
    ("codex", "databricks-gpt-5-2", (1.75, 14.0, 0.175, 0.0), 22),
    ("gemini", "databricks-gemini-2-5-flash", (0.3, 2.5, 0.03, 0.0), 10),
    ("codex", "my-<b>model</b>, \"x\" </script>", None, 3),
]


def rows(days=28, per_day=40, seed=7):
    """Rows as the ledger has them, the newest a minute old."""
    dice = random.Random(seed)
    now = int(time.time() * 1000) - 60_000
    made = []
    for day in range(days):
        count = int(per_day * (0.25 if (day % 7) in (5, 6) else dice.uniform(0.6, 1.4))) or 1
        for _ in range(count):
            agent, model, price, _ = dice.choices(MODELS, [m[3] for m in MODELS])[0]
            at = now - day * DAY - int(dice.random() * 0.3 * DAY)
            if dice.random() < 0.03:
                made.append((at, agent, model, 429, "limit", None, None, None, None, None, None))
                continue
            counts = (dice.randint(200, 9000), dice.randint(50, 3000), dice.randint(0, 90_000), dice.randint(0, 6000) if agent == "claude" else 0)
            cost = None if price is None else sum(n * p for n, p in zip(counts, price)) / 1e6
            made.append((at, agent, model, 200, None, *counts, cost, dice.lognormvariate(6.6, 0.5)))
    return made


def page_of(home, data):
    ledger(home, data)
    path = home.home / "usage.html"
    result = home.run("usage", "--html", str(path), env={"TZ": "UTC"})
    assert result.code == 0, result
    return path


def chromium(folder, page, *flags):
    """Runs it over a page, with nothing of our own environment, and gives what it printed."""
    home = Path(folder) / f"chromium-{time.monotonic_ns()}"
    home.mkdir()
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
         f"--user-data-dir={home / 'profile'}", "--virtual-time-budget=3000", *flags, page.as_uri()],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}, stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False)
    if done.returncode != 0:
        raise AssertionError(f"Chromium ended with {done.returncode}\n{done.stderr.decode(errors='replace')[-3000:]}")
    return done.stdout.decode()


def with_script(page, script, name, head=lambda text: text):
    """A copy of the page that runs `script` when it has been drawn."""
    copy = page.with_name(name)
    copy.write_text(head(page.read_text()).replace("</body>", f"<script>{{ {script} }}</script></body>"))
    return copy


class Dom(html.parser.HTMLParser):
    """Texts of the tiles and of the table's cells, and the sorted column."""

    def __init__(self, text):
        super().__init__()
        self.tiles, self.table, self.sorted, self.titles, self.attributes, self.open = [], [], None, [], {}, []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.text = "" if tag in ("b", "span", "td", "th", "h2", "title") else self.text
        if tag == "html":
            self.attributes = attributes
        if tag == "tr":
            self.table.append([])
        if tag == "th" and "aria-sort" in attributes:
            self.sorted = (len(self.table[-1]), attributes["aria-sort"])
        if tag == "b":
            self.tiles.append([])

    def handle_data(self, data):
        self.text += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.table[-1].append(self.text)
        elif tag == "b" or (tag == "span" and self.tiles and len(self.tiles[-1]) == 1):
            self.tiles[-1].append(self.text)
        elif tag in ("h2", "title"):
            self.titles.append(self.text)


def short(n):
    """As the page shortens a number."""
    for limit, divisor, digits, unit in ((1e9, 1e9, 2, " B"), (1e6, 1e6, 2, " M"), (1e4, 1e3, 1, " k"), (1e3, 1e3, 2, " k")):
        if n >= limit:
            return f"{n / divisor:.{digits}f}{unit}"
    return str(round(n))


def close(shown, value):
    """A shortened number is the value, but for its last digit."""
    units = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9}
    match = re.fullmatch(r"(\d+(?:\.(\d+))?)(?: ([kMB]))?", shown)
    if not match:
        return False
    unit = units[match[3] or ""]
    return abs(float(match[1]) * unit - value) <= 0.51 * unit * 10 ** -len(match[2] or "")


class Sums:
    def __init__(self, data):
        self.requests, self.errors = len(data), sum(1 for r in data if r[3] >= 400)
        self.input, self.output, self.read, self.write = (sum(r[i] or 0 for r in data) for i in (5, 6, 7, 8))
        self.cost = sum(r[9] or 0 for r in data)
        self.unpriced = sum(1 for r in data if r[3] == 200 and r[9] is None)


class UsagePage(Test):
    def test_tiles_and_table_are_the_ledgers_sums(self):
        data = rows()
        page = page_of(self.h, data)
        dom = Dom(chromium(self.h.base, page, "--dump-dom"))
        total = Sums(data)
        tiles = {words: value for value, words in dom.tiles}
        self.assertEqual(len(tiles), 6, dom.tiles)
        self.assertTrue(close(tiles["tokens (without cache reads)"], total.input + total.output + total.write), tiles)
        cost = tiles[f"cost, {short(total.unpriced)} requests unpriced"]
        self.assertEqual(cost, f"${total.cost:.2f}")
        self.assertEqual(tiles["requests"], f"{total.requests:,}")
        self.assertEqual(tiles["of the input from the cache"], f"{round(100 * total.read / (total.input + total.read + total.write))} %")
        self.assertEqual(tiles[f"errors ({round(100 * total.errors / total.requests)} %)"], str(total.errors))
        header, *table = dom.table
        self.assertEqual(header, ["Agent", "Model", "Requests", "Input", "Cache read", "Cache write", "Cached", "Output", "Cost", "Errors", "First byte p50", "p95"])
        self.assertEqual({(row[0], row[1]) for row in table}, {(m[0], m[1]) for m in MODELS})
        for row in table:
            one = Sums([r for r in data if (r[1], r[2]) == (row[0], row[1])])
            self.assertEqual((row[2], row[9]), (f"{one.requests:,}", str(one.errors)))
            for column, value in ((3, one.input), (4, one.read), (5, one.write), (7, one.output)):
                self.assertTrue(close(row[column], value), (row, column, value))
            if one.unpriced:
                self.assertEqual(row[8], "unpriced")
            else:
                self.assertAlmostEqual(float(row[8].removeprefix("$")), one.cost, delta=0.51 if one.cost >= 100 else 0.006)
            first = sorted(r[10] for r in data if (r[1], r[2]) == (row[0], row[1]) and r[10])
            self.assertAlmostEqual(milliseconds(row[10]), first[len(first) // 2], delta=0.12 * first[len(first) // 2])
        # One bar a model and day; hovering tells both.
        day = time.strftime("%Y-%m-%d", time.gmtime(data[0][0] / 1000))
        self.assertTrue([title for title in dom.titles if title.startswith(f"{day}\ndatabricks-claude-sonnet-4-5: ")], dom.titles[:20])

    def test_a_click_sorts_by_a_column_and_another_one_the_other_way_round(self):
        data = rows(days=5)
        page = page_of(self.h, data)
        click = "const b = [...document.querySelectorAll('th button')]; const press = (name) => b.find((x) => x.textContent === name).click();"
        for script, column, direction, key in (
                ("", 8, "descending", lambda r: -1.0 if r[8] == "unpriced" else float(r[8].removeprefix("$"))),
                ("press('Requests');", 2, "descending", lambda r: int(r[2].replace(",", ""))),
                ("press('Requests'); press('Requests');", 2, "ascending", lambda r: int(r[2].replace(",", ""))),
                ("press('Model');", 1, "ascending", lambda r: r[1]),
                ("press('p95');", 11, "descending", lambda r: milliseconds(r[11]))):
            with self.subTest(script):
                dom = Dom(chromium(self.h.base, with_script(page, click + script, "sorted.html"), "--dump-dom"))
                self.assertEqual(dom.sorted, (column, direction))
                values = [key(row) for row in dom.table[1:]]
                self.assertEqual(len(values), len(MODELS))
                self.assertEqual(values, sorted(values, reverse=direction == "descending"))

    def test_no_request_leaves_the_page(self):
        seen = []

        class Listener(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.path)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        page = page_of(self.h, rows(days=3))
        # Nothing in it is an address but the name of SVG's namespace.
        self.assertEqual(set(re.findall(r"(?i)\b(?:https?|wss?|ftp)://[^\s\"'<>]*", page.read_text())), {"http://www.w3.org/2000/svg"})
        # Even a script that wants to cannot load anything: only the same page without its policy can.
        base = f"http://127.0.0.1:{server.server_port}"
        wish = (f"new Image().src = '{base}/image'; fetch('{base}/fetch').catch(() => 0); const s = document.createElement('script'); s.src = '{base}/script';"
                f" document.body.append(s); const f = document.createElement('iframe'); f.src = '{base}/frame'; document.body.append(f);"
                f" const l = document.createElement('link'); l.rel = 'stylesheet'; l.href = '{base}/style'; document.head.append(l);")
        chromium(self.h.base, with_script(page, wish, "wish.html"), "--dump-dom")
        self.assertEqual(seen, [])
        without = lambda text: re.sub(r"<meta http-equiv=.Content-Security-Policy.[^>]*>", "", text)
        chromium(self.h.base, with_script(page, wish, "open.html", without), "--dump-dom")
        self.assertIn("/image", seen)

    def test_light_and_dark_are_readable(self):
        page = page_of(self.h, [row for row in rows(days=5) if "<" not in row[2]])
        script = """
          const colour = (node, what) => getComputedStyle(node)[what].match(/[\\d.]+/g).slice(0, 3).map(Number);
          const paper = document.querySelector('.card');
          document.documentElement.setAttribute('data-seen', JSON.stringify({
            dark: matchMedia('(prefers-color-scheme: dark)').matches, body: colour(document.body, 'backgroundColor'), paper: colour(paper, 'backgroundColor'),
            ink: colour(document.querySelector('td.text'), 'color'), dim: colour(document.querySelector('.tile span'), 'color'),
            fits: document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth,
            bad: colour(document.querySelector('.bad') ?? paper, 'color'), bars: [...document.querySelectorAll('.bar')].map((bar) => colour(bar, 'fill')) }));"""
        copy = with_script(page, script, "colours.html")
        seen = {dark: json.loads(Dom(chromium(self.h.base, copy, "--dump-dom", "--window-size=1120,1400", f"--blink-settings=preferredColorScheme={0 if dark else 1}")).attributes["data-seen"])
                for dark in (False, True)}
        for dark, found in seen.items():
            self.assertEqual((found["dark"], found["fits"]), (dark, True), "the table is wider than the page")
            self.assertEqual(luminance(found["body"]) < 0.1, dark, found["body"])
            for name, least in (("ink", 7), ("dim", 4.5), ("bad", 4.5)):
                self.assertGreaterEqual(contrast(found[name], found["paper"]), least, (dark, name, found))
            self.assertTrue(found["bars"])
            for bar in found["bars"]:
                self.assertGreaterEqual(contrast(bar, found["paper"]), 1.9, (dark, bar))

    def test_a_time_without_requests(self):
        page = page_of(self.h, [])
        out = chromium(self.h.base, page, "--dump-dom")
        self.assertIn("No requests in this time.", re.sub(r"<script.*?</script>", "", out, flags=re.DOTALL))
        self.assertEqual(Dom(out).tiles, [])


def milliseconds(shown):
    number, unit = shown.split(" ")
    return float(number) * (1000 if unit == "s" else 1)


def luminance(rgb):
    parts = [c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    """By WCAG 2: 1 to 21."""
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def pictures(folder):
    data = [row for row in rows() if "<" not in row[2]]
    with Home() as home:
        page = page_of(home, data)
        for name, scheme in (("light", 1), ("dark", 0)):
            chromium(home.base, page, f"--screenshot={Path(folder).resolve() / name}.png", "--window-size=1120,1390", f"--blink-settings=preferredColorScheme={scheme}")


if __name__ == "__main__":
    if not CHROMIUM:
        print("skipped: there is no Chromium", file=sys.stderr)
        sys.exit(SKIP)
    if sys.argv[1:2] == ["--pictures"]:
        pictures(sys.argv[2])
        sys.exit(0)
    main()
