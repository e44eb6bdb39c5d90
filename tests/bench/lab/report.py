"""The report as Markdown: tables of a run put into performance.md.in, whose text is written by hand and stays."""
import os
import re

from lab import charts

TEMPLATE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "performance.md.in")
NOTHING = "*Not part of this run.*"


def table(heads, rows):
    if not rows:
        return NOTHING
    align = ["---"] + ["---:" if re.match(r"[-\d.*]", str(cell)) else "---" for cell in rows[0][1:]]
    lines = [heads, align] + rows
    return "\n".join("| %s |" % " | ".join(str(cell) for cell in line) for line in lines)


def short(value):
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return "%.0f" % value
    return "%.3g" % value


def spread(figure):
    if not isinstance(figure, dict):
        return short(figure)
    if figure["low"] == figure["high"]:
        return short(figure["median"])
    return "%s (%s–%s)" % (short(figure["median"]), short(figure["low"]), short(figure["high"]))


def rows_of(report, start, key):
    return [r for r in report["rows"] if r["case"].startswith(start) and key in r]


def ratio_of(report, row, figure_part):
    for one in report["ratios"] + report["ratios_of_others"]:
        if one["case"] == row["case"] and one["server"] == row["server"] and figure_part in one["figure"]:
            return "%.2f (%.2f–%.2f)" % (one["ratio_to_nginx"], one["low"], one["high"])
    return "1" if row["server"] == "nginx" else ""


def columns(report, rows, named, ratio=None):
    """A table of rows; named: [(head, key)]."""
    heads = ["case", "server"] + [head for head, _ in named] + (["× nginx"] if ratio else []) + ["failed"]
    lines, before = [], None
    for row in rows:
        line = [row["case"] if row["case"] != before else "", row["server"]]
        line += [spread(row.get(key)) for _, key in named]
        before = row["case"]
        lines.append(line + ([ratio_of(report, row, ratio)] if ratio else []) + [row["failed"]])
    return table(heads, lines)


def requests(report):
    return columns(report, rows_of(report, "HTTP/", "per_second"),
                   [("CPU µs", "cpu_us"), ("per second", "per_second"), ("p50 µs", "p50_us"), ("p99 µs", "p99_us")],
                   "cpu_per_request")


def chunks(report):
    return columns(report, rows_of(report, "SSE", "per_second"),
                   [("CPU µs per chunk", "cpu_us"), ("chunks per second", "per_second")],
                   "cpu_per_chunk")


def translation(report):
    return columns(report, rows_of(report, "translated", "ratio"),
                   [("CPU µs, bytes pass", "same_us"), ("translated", "translated_us"), ("×", "ratio")])


def watching(report):
    return columns(report, rows_of(report, "plugins on", "ratio"),
                   [("CPU µs, off", "bare_us"), ("on", "watched_us"), ("×", "ratio")])


def latency(report):
    return columns(report, [r for r in rows_of(report, "SSE", "ttfb_p99_us")],
                   [("first byte p50 µs", "ttfb_p50_us"), ("p99", "ttfb_p99_us"), ("added p50", "ttfb_added_p50_us"),
                    ("added p99", "ttfb_added_p99_us"), ("gap p99 µs", "gap_p99_us"), ("added", "gap_added_p99_us"),
                    ("on the way p50 µs", "delay_p50_us"), ("p99", "delay_p99_us"),
                    ("added p99", "delay_added_p99_us")])


def streams(report):
    return columns(report, rows_of(report, "open streams", "kb_per_stream"),
                   [("KB per stream", "kb_per_stream"), ("RSS KB with all open", "rss_kb")], "rss_per_stream")


def memory(report):
    rows = rows_of(report, "idle", "rss_mb") + rows_of(report, "200 parallel", "peak_mb")
    return columns(report, rows, [("RSS MiB idle", "rss_mb"), ("growth at the peak MiB", "peak_mb"),
                                  ("in flight MiB", "in_flight_mb"), ("peak per byte", "peak_per_byte")])


def json_pass(report):
    return columns(report, rows_of(report, "JSON pass", "scan_mb_s"),
                   [("scan MB/s", "scan_mb_s"), ("parse MB/s", "parse_mb_s")])


def instructions(report):
    rows = rows_of(report, "instructions", "instructions")
    return table(["case", "server", "instructions", "where"], [
        [r["case"], r["server"], short(r["instructions"]), listed(r["objects"])] for r in rows])


def listed(pairs, unit="", n=6):
    return ", ".join("%s %s%s" % (name, short(value), unit) for name, value in pairs[:n])


def functions(report):
    rows = [r for r in rows_of(report, "instructions", "functions") if r["server"] == "ccproxy"]
    out = []
    for row in rows:
        out.append("**%s**\n\n" % row["case"] + table(["function", "instructions"], [
            ["`%s`" % name, short(value)] for name, value in row["functions"]]))
    return "\n\n".join(out) or NOTHING


def calls(report):
    rows = rows_of(report, "system calls", "calls")
    return table(["case", "server", "calls", "which"], [
        [r["case"], r["server"], "%.2f" % r["calls"], listed(r["by_name"], n=8)] for r in rows])


def samples(report):
    rows = rows_of(report, "CPU samples", "objects")
    return table(["case", "server", "where"], [[r["case"], r["server"], listed(r["objects"], " %")] for r in rows])


def sampled_functions(report):
    out = []
    for row in rows_of(report, "CPU samples", "functions"):
        if row["server"] == "ccproxy":
            out.append("**%s**: %s" % (row["case"], listed(row["functions"], " %", 20)))
    return "\n\n".join(out) or NOTHING


def workers(report):
    return columns(report, rows_of(report, "second worker", "scaling"),
                   [("CPU µs, one", "cpu_us_1"), ("two", "cpu_us_2"), ("per second, one", "per_second_1"),
                    ("two", "per_second_2"), ("balance", "balance"), ("projected ×", "scaling")])


def targets(report):
    rows = []
    for one in report["targets"]:
        sign = "≥" if one["least"] else "≤"
        stretch = " (stretch %s)" % short(one["stretch"]) if one["stretch"] else ""
        missed = "**missed by %.0f %%**" % (100 * one["missed_by"]) if one["limit"] else "**missed**"
        mark = "holds" if one["good"] else missed
        rows.append([one["target"], one["case"], "%s %s %s%s" % (sign, short(one["limit"]), one["unit"], stretch),
                     short(one["measured"]), mark])
    return table(["figure", "case", "target", "measured", ""], rows)


def machine(report):
    here = dict(report["machine"])
    here["this run"] = "%s, %s, %d rounds of %g s a sample, %d s in all, access log %s" % (
        report["date"], report["profile"], report["rounds"], report["seconds_per_sample"], report["seconds"],
        "on (ccproxy and nginx)" if report["access_log"] else "off")
    return table(["", ""], [[name.replace("_", " "), "`%s`" % value] for name, value in here.items()])


def config(report):
    return "\n\n".join("**%s**\n\n```\n%s```" % (name, text) for name, text in report["config"].items()) or NOTHING


# Charts: (file, title, x, y, growth table or None for the request cases, key)
CPU, RSS, OPEN = "CPU per request, µs", "RSS, MiB", "open connections (64 active)"
CHARTS = (
    ("connections-rate", "Requests per second against open connections", OPEN, "requests per second", "connections",
     "per_second"),
    ("connections-memory", "Memory against open connections", OPEN, RSS, "connections", "rss_kb"),
    ("body-size", "CPU per request against the size of its body", "body, KB", CPU, None, "cpu_us"),
    ("routes-cpu", "CPU per request against providers", "[providers.x] blocks", CPU, "routes", "cpu_us"),
    ("routes-memory", "Memory against providers", "[providers.x] blocks", RSS, "routes", "rss_kb"),
    ("plugins-cpu", "CPU per request against plugins", "plugins", CPU, "plugins", "cpu_us"),
    ("models-cpu", "CPU per request against models and mapping rules", "entries", CPU, "models", "cpu_us"),
    ("models-memory", "Memory against models and mapping rules", "entries", RSS, "models", "rss_kb"))
KB = {"0.1 KB": 0.1, "10 KB": 10, "100 KB": 100, "1 MB": 1024}


def series_of(report, source, key):
    found = {}
    if source is None:
        for row in report["rows"]:
            front, _, size = row["case"].rpartition(", ")
            if front == "HTTP/1.1" and size in KB and row["server"] != "direct":
                found.setdefault(row["server"], []).append((KB[size], row[key]["median"]))
    for row in report["growth"].get(source, []):
        found.setdefault(row["server"], []).append((row["x"], row[key] / 1024 if key == "rss_kb" else row[key]))
    return [(name, sorted(points)) for name, points in found.items()]


def draw(report, folder):
    """Writes the charts; {name: Markdown}."""
    links = {}
    for name, title, x, y, source, key in CHARTS:
        series = series_of(report, source, key)
        if not series:
            links["chart " + name] = NOTHING
            continue
        os.makedirs(folder, exist_ok=True)
        wide = source != "plugins"
        with open(os.path.join(folder, name + ".svg"), "w") as out:
            out.write(charts.lines(title, x, y, series, log_x=wide, log_y=source is None))
        links["chart " + name] = "![%s](%s/%s.svg)" % (title, os.path.basename(folder), name)
    return links


def growth_tables(report):
    out = {}
    for name in ("connections", "routes", "plugins", "models"):
        rows = []
        for r in report["growth"].get(name, []):
            who = "+ " + r["last"] if "last" in r else r["server"]
            rows.append([r["x"], who, short(r["per_second"]), short(r["cpu_us"]), "%.1f" % (r["rss_kb"] / 1024),
                         r["failed"]])
        out["growth " + name] = table([name, "", "per second", "CPU µs", "RSS MiB", "failed"], rows)
    return out


PARTS = (machine, targets, requests, chunks, translation, watching, latency, streams, memory, json_pass, instructions,
         functions, calls, samples, sampled_functions, workers, config)


def write(report, path):
    parts = {part.__name__.replace("_", " "): part(report) for part in PARTS}
    parts.update(growth_tables(report))
    parts.update(draw(report, os.path.splitext(path)[0]))
    with open(TEMPLATE) as file:
        text = file.read()
    text = re.sub(r"\{\{([^}]+)\}\}", lambda found: parts[found.group(1)], text)
    with open(path, "w") as out:
        out.write(text)


def summary(report):
    """For the terminal: the tables that matter, and the verdicts."""
    wanted = (requests, chunks, translation, watching, latency, streams, memory, json_pass, calls, workers, targets)
    made = [(part.__name__, part(report)) for part in wanted]
    return "\n\n".join("# %s\n%s" % (name, text) for name, text in made if text != NOTHING)
