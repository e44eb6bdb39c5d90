"""What is measured in rounds: requests of four sizes over three kinds of client connection, TLS upstreams, streams.

A case has a name, the servers it suits, and measure(lab, server) -> figures of one sample. Rounds are interleaved: each
round takes every case and in it every server, so that a noisy minute hits all alike and ratios are made within a round.
"""
from lab import bodies, crossing, load, plugins

SIZES = (("0.1 KB", 100, "small", 32), ("10 KB", 10 << 10, "10k", 32), ("100 KB", 100 << 10, "100k", 16),
         ("1 MB", 1 << 20, "1m", 8))
FRONTS = {"h1": "HTTP/1.1", "h2c": "HTTP/2 in clear", "h2tls": "HTTP/2 with TLS"}
ANSWER = 1024
CHUNKS = 200


class Case:
    """name; figure: its name in the report's ratios; metric: the column that the ratio is made of."""
    front, tls_upstream, many, direct, rounds = "h1", False, False, True, "rounds"

    def __init__(self, name, figure, metric="cpu_us"):
        self.name, self.figure, self.metric = name, figure, metric

    def suits(self, server):
        """The second transport differs behind the proxy, not in front of it: HTTP/1.1 clients show all of it."""
        return self.direct if server == "direct" else self.front == "h1" or "(" not in server


class Requests(Case):
    def __init__(self, front, size, tls_upstream=False):
        self.label, self.size, key, self.clients = size
        where = FRONTS[front] + (", TLS upstream" if tls_upstream else "")
        super().__init__("%s, %s" % (where, self.label), "cpu_per_request_" + ("tls_upstream" if tls_upstream else key))
        self.front, self.tls_upstream = front, tls_upstream
        self.direct = front == "h1" and not tls_upstream
        self.rates = {}

    def measure(self, lab, server):
        body = bodies.file(lab.folder, self.size, {"size": ANSWER})
        if self.front == "h1":
            return load.sample(load.closed_loop(lab, server, body, self.clients, warm=lab.profile.warm,
                                                seconds=lab.profile.seconds, minimum=2 * self.clients))
        clients, streams = (4, 8) if self.size < 100000 else (4, 2)
        if server.name not in self.rates:  # the first run says how many requests fill the time
            tries = max(20, int(lab.profile.warm * (3000 if self.size < 100000 else 300)))
            self.rates[server.name] = load.h2load(lab, server, body, tries, clients, streams)["per_second"]
        total = max(20, int(self.rates[server.name] * lab.profile.seconds))
        return load.h2load(lab, server, body, total, clients, streams)


class Burst(Case):
    """Streams as fast as they go; the unit is an event."""

    def __init__(self):
        super().__init__("SSE, %d chunks, unpaced" % CHUNKS, "cpu_per_chunk")

    def measure(self, lab, server):
        body = bodies.file(lab.folder, 190, {"events": CHUNKS}, stream=True)
        return load.sample(load.closed_loop(lab, server, body, 32, warm=lab.profile.warm, seconds=lab.profile.seconds,
                                            events=CHUNKS, minimum=32), "events")


class Paced(Case):
    """Open streams with one event every so often; probes beside them take the time to first byte."""
    many, rounds = True, "paced_rounds"

    def __init__(self, gap_ms):
        super().__init__("SSE, %d ms apart, 1,000 streams" % gap_ms, "cpu_per_chunk")
        self.gap_ms = gap_ms

    def measure(self, lab, server):
        streams, window = lab.profile.streams, lab.profile.paced_seconds
        opening = streams / 4000
        warm = opening + 0.3
        count = int((warm + window + 0.2) * 1000 / self.gap_ms)
        body = bodies.file(lab.folder, 190, {"events": count, "gap_ms": self.gap_ms}, stream=True)
        probe = bodies.file(lab.folder, 190, {"events": 1}, stream=True)
        report = load.closed_loop(lab, server, body, streams, warm=warm, seconds=window, spread=opening, events=count,
                                  probes=lab.profile.probes, probe_body=probe)
        out = load.sample(report, "events")
        for name, key in (("ttfb", "ttfb_us"), ("gap", "gap_us"), ("delay", "delay_us")):
            out[name + "_p50_us"], out[name + "_p99_us"] = report[key]["p50"], report[key]["p99"]
        del out["p50_us"], out["p99_us"]
        return out


def everything():
    out = [Requests("h1", size) for size in SIZES]
    out += [Requests("h1", size, tls_upstream=True) for size in SIZES]
    out += [Burst(), Paced(50), Paced(20)]
    out += [Requests(front, size) for front in ("h2c", "h2tls") for size in SIZES]
    return out + crossing.everything() + plugins.everything()


def run(lab, cases):
    """[{case, server, round, figure, ...}]: every sample of every round."""
    rows = []
    for number in range(lab.profile.rounds):
        for case in (c for c in cases if number < getattr(lab.profile, c.rounds)):
            names = [name for name in lab.names if case.suits(name)]
            if not names:
                continue
            shift = number % len(names)  # nobody is always the first after another case
            for name in names[shift:] + names[:shift]:
                server = lab.server(name, case.front, case.tls_upstream, case.many)
                row = dict(lab.attempt(case.measure, lab, server), case=case.name, server=name, round=number)
                rows.append(row)
                lab.say("%s | %s | %s" % (case.name, name, ", ".join(
                    "%s %.4g" % (k, v) for k, v in row.items() if isinstance(v, (int, float)) and k != "round")))
    return rows
