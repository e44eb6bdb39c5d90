"""Resident memory: of an idle server, per open stream, and at the peak of many large requests at once.

Every measurement starts a server and an upstream of its own: memory that an earlier case left behind would hide what
a stream needs. The slope over several points is the figure, so that what a server takes once does not count.
"""
import time

from lab import account, bodies, load


class Streams:
    figure, metric = "rss_per_stream", "kb_per_stream"

    def __init__(self, front, tls_upstream, total, label):
        self.front, self.tls_upstream, self.total = front, tls_upstream, total
        self.name = "open streams, %s" % label
        self.held = load.HeldHttp1 if front == "h1" else load.HeldHttp2

    def measure(self, lab, name):
        total = max(200, int(self.total * lab.profile.scale))
        step = max(100, total // (9 if total % 9 == 0 else 10) // 100 * 100)
        with lab.new_upstream() as upstream, lab.fresh(name, upstream=upstream, front=self.front,
                                                       tls_upstream=self.tls_upstream, many=True) as server:
            load.warm_up(lab, server)
            held = self.held(lab, server, upstream, step)
            points, missing = [(0, account.rss_kb(server.pids))], 0
            for count in range(step, total + 1, step):
                if not held.open_group():
                    missing = count - upstream.ask("held")
                    break
                time.sleep(lab.profile.settle)
                points.append((count, account.rss_kb(server.pids)))
            lost = held.release()
        return {"kb_per_stream": account.slope(points), "streams": points[-1][0], "failed": max(lost, missing),
                "rss_kb": points[-1][1], "points": points}


class Idle:
    name, figure, metric = "idle, two workers", "rss_idle", "rss_mb"

    def measure(self, lab, name):
        with lab.fresh(name, workers=2) as server:
            time.sleep(max(0.3, lab.profile.settle))
            return {"rss_mb": account.rss_kb(server.pids) / 1024, "failed": 0}


class Peak:
    """All requests wait at the upstream at the same time, so that every body is in the proxy or has passed it."""
    figure, metric = "rss_peak_per_byte", "peak_per_byte"
    requests, size = 200, 1 << 20
    name = "200 parallel requests of 1 MB"

    def measure(self, lab, name):
        count = max(20, int(self.requests * lab.profile.scale))
        body = bodies.file(lab.folder, self.size, {"wait_ms": lab.profile.wait_ms, "size": 1024})
        with lab.fresh(name) as server:
            load.warm_up(lab, server)
            before = account.rss_kb(server.pids)
            client = load.Client(lab, server, body, count, total=count, warm=20, grace=20)
            report = client.finish()
            grown = account.peak_kb(server.pids) - before
        return {"peak_per_byte": grown * 1024 / (count * self.size), "peak_mb": grown / 1024,
                "in_flight_mb": count * self.size / 1048576, "failed": count - report["done"]}


def everything():
    return [Streams("h1", False, 9000, "HTTP/1.1"), Streams("h2c", False, 10000, "HTTP/2 clients"),
            Streams("h1", True, 2000, "HTTP/1.1, TLS upstream"),
            Streams("h2tls", True, 2000, "HTTP/2 with TLS, TLS upstream"),
            Idle(), Peak()]


def run(lab, cases):
    rows = []
    for number in range(lab.profile.memory_rounds):
        for case in cases:
            for name in lab.names:
                if name == "direct" or ("(" in name and getattr(case, "front", "") != "h1"):
                    continue
                row = dict(lab.attempt(case.measure, lab, name), case=case.name, server=name, round=number)
                rows.append(row)
                lab.say("%s | %s | %s" % (case.name, name, ", ".join(
                    "%s %.4g" % (k, v) for k, v in row.items() if isinstance(v, (int, float)) and k != "round")))
    return rows
