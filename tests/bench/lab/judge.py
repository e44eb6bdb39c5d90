"""From samples to findings: medians with spread, ratios to nginx, and targets with what was measured for them.

A ratio is made within each round, from two measurements a few seconds apart; the median of those is the figure. The
machine may be slower in one round than in another, and a ratio of two medians would mix rounds.
"""
import statistics

from lab import crossing, plugins

SKIP = ("round", "points", "streams")
SUMS = ("failed",)
RIVAL, OURS = "nginx", "ccproxy"
FLOOR_US = 1.0  # an added latency below this cannot be told from none


def medians(samples):
    """[{case, server, rounds, failed, figure: {median, low, high}}], in the order of the first samples."""
    groups = {}
    for row in samples:
        groups.setdefault((row["case"], row["server"]), []).append(row)
    out = []
    for (case, server), rows in groups.items():
        one = {"case": case, "server": server, "rounds": len(rows)}
        for key in dict.fromkeys(key for row in rows for key in row):
            values = [r[key] for r in rows if key in r]
            if key in SUMS:
                one[key] = sum(values)
            elif key == "problem":
                one[key] = "; ".join(values)
            elif key not in SKIP and isinstance(values[0], (int, float)):
                one[key] = {"median": statistics.median(values), "low": min(values), "high": max(values)}
        out.append(one)
    return out


def add_latency(samples):
    """Into each paced sample: what it adds to the way without a proxy in the same round."""
    direct = {(r["case"], r["round"]): r for r in samples if r["server"] == "direct" and "ttfb_p99_us" in r}
    for row in samples:
        base = direct.get((row["case"], row["round"]))
        if base is None or row["server"] == "direct":
            continue
        for name in ("ttfb", "gap", "delay"):
            for q in ("p50", "p99"):
                key = "%s_%s_us" % (name, q)
                row["%s_added_%s_us" % (name, q)] = row[key] - base[key]


def paired(samples, case, metric, server, rival=RIVAL, floor=0.0):
    """The ratio of each round, server over rival."""
    rows = [r for r in samples if r["case"] == case and metric in r]
    mine, theirs = [{r["round"]: r[metric] for r in rows if r["server"] == who} for who in (server, rival)]
    return [max(mine[n], floor) / max(theirs[n], floor) for n in mine if n in theirs and max(theirs[n], floor) > 0]


def ratio_rows(samples, plan):
    """plan: [(case, figure, metric, floor)]. What the default ccproxy is to nginx, then the other servers."""
    ours, others = [], []
    for case, figure, metric, floor in plan:
        for server in dict.fromkeys(r["server"] for r in samples if r["case"] == case):
            found = paired(samples, case, metric, server, floor=floor)
            if found and server not in (RIVAL, "direct"):
                row = {"case": case, "figure": figure, "server": server, "ratio_to_nginx": statistics.median(found),
                       "low": min(found), "high": max(found), "rounds": len(found)}
                (ours if server == OURS else others).append(row)
    return ours, others


def plan_of(cases, memory_cases):
    """Which ratios there are: the plain figure of each case, and the added latencies of the paced ones."""
    out = [(c.name, c.figure, c.metric, 0.0) for c in cases]
    for case in cases:
        if hasattr(case, "gap_ms"):
            out += [(case.name, "%s_added_p99" % name, "%s_added_p99_us" % name, FLOOR_US)
                    for name in ("ttfb", "gap", "delay")]
    return out + [(c.name, c.figure, c.metric, 0.0) for c in memory_cases]


class Target:
    """A figure that ccproxy is built to hold; limit is the most (or, with `least`, the least) that is good."""

    def __init__(self, text, limit, unit, case, find, least=False, stretch=None):
        self.text, self.limit, self.unit, self.case = text, limit, unit, case
        self.find, self.least, self.stretch = find, least, stretch

    def judge(self, report):
        value = self.find(report, self.case)
        if value is None:
            return None
        good = value >= self.limit if self.least else value <= self.limit
        miss = (self.limit / value if self.least else value / self.limit) - 1 if value else 0
        return {"target": self.text, "case": self.case, "limit": self.limit, "unit": self.unit, "least": self.least,
                "stretch": self.stretch, "measured": value, "good": good, "missed_by": 0 if good else miss}


def by_ratio(figure):
    def find(report, case):
        rows = [r for r in report["ratios"] if r["figure"] == figure and r["case"] == case]
        return rows[0]["ratio_to_nginx"] if rows else None
    return find


def by_row(key, server=OURS):
    def find(report, case):
        rows = [r for r in report["rows"] if r["case"] == case and r["server"] == server and key in r]
        if not rows:
            return None
        return rows[0][key]["median"] if isinstance(rows[0][key], dict) else rows[0][key]
    return find


def targets():
    out = []
    for where in ("HTTP/1.1", "HTTP/2 in clear", "HTTP/2 with TLS", "HTTP/1.1, TLS upstream"):
        tls = "TLS upstream" in where
        for size, key in (("0.1 KB", "small"), ("10 KB", "10k"), ("100 KB", "100k"), ("1 MB", "1m")):
            limit = 1.3 if tls else 1.7 if key in ("small", "10k") else 1.0
            out.append(Target("CPU per request", limit, "x nginx", "%s, %s" % (where, size),
                              by_ratio("cpu_per_request_" + ("tls_upstream" if tls else key)),
                              stretch=1.0 if limit == 1.7 else None))
    for case in ("SSE, 200 chunks, unpaced", "SSE, 20 ms apart, 1,000 streams"):
        out.append(Target("CPU per chunk", 1.15, "x nginx", case, by_ratio("cpu_per_chunk"), stretch=1.0))
    for case in crossing.everything():
        out.append(Target("CPU, translated over passed", 2.0, "x", case.name, by_row("ratio")))
    for case in plugins.everything():
        out.append(Target("CPU, metrics and access log on over off", 1.15, "x", case.name, by_row("ratio")))
    for case in ("SSE, 50 ms apart, 1,000 streams", "SSE, 20 ms apart, 1,000 streams"):
        out.append(Target("added time to first byte, p99", 1.0, "x nginx", case, by_ratio("ttfb_added_p99")))
        out.append(Target("added gap, p99", 1.0, "x nginx", case, by_ratio("gap_added_p99")))
    for case, limit in (("HTTP/1.1", 27), ("HTTP/2 clients", 27), ("HTTP/1.1, TLS upstream", 60),
                        ("HTTP/2 with TLS, TLS upstream", 60)):
        out.append(Target("RSS per open stream", limit, "KB", "open streams, " + case, by_row("kb_per_stream"),
                          stretch=14 if limit == 27 else None))
        out.append(Target("streams lost", 0, "streams", "open streams, " + case, by_row("failed")))
    out.append(Target("idle RSS", 12, "MiB", "idle, two workers", by_row("rss_mb")))
    for size in ("100 KB", "1 MB"):
        case = "JSON pass, agent request of " + size
        out.append(Target("JSON pass", 1000, "MB/s", case, by_row("scan_mb_s"), least=True))
    case = "200 parallel requests of 1 MB"
    out.append(Target("RSS peak over bytes in flight", 2.0, "x", case, by_row("peak_per_byte")))
    out.append(Target("throughput with the second worker (projected)", 1.8, "x", "second worker", by_row("scaling"),
                      least=True))
    return out


def judge(report):
    return [verdict for verdict in (t.judge(report) for t in targets()) if verdict]
