"""How cost grows: with connections, routes, plugins, models, and with a second worker.

Each point has a server of its own. Requests are small, so that what grows is the part under test and not the copying.
"""
import resource
import statistics

from lab import account, bodies, load, machine

ACTIVE = 64


def point(lab, server, x, connections=32, body=None, **more):
    body = body or bodies.file(lab.folder, 100, {"size": 1024})
    spread = connections / 5000
    report = load.closed_loop(lab, server, body, connections, at_end=lambda: account.rss_kb(server.pids),
                              active=min(connections, ACTIVE), spread=spread, warm=spread + 0.3,
                              seconds=lab.profile.growth_seconds)
    out = {"x": x, "server": server.name, "per_second": report["done"] / report["seconds"], "rss_kb": report["at_end"],
           "cpu_us": report["cpu_ns"] / 1000 / max(1, report["done"]), "failed": report["failed"]}
    out.update(more)
    return out


def connections(lab):
    """Kept-alive connections, of which 64 have a request out: the rest wait, as those of real clients do. Not more than
    two descriptors each leave room for, which is where ccproxy stops taking new ones."""
    room = (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 256) // 200 * 100
    for x in sorted({min(x, room) for x in lab.profile.connections}):
        for name in lab.names:
            if name != "direct" and "(" not in name:
                with lab.fresh(name, many=True) as server:
                    yield point(lab, server, x, connections=x)


def routes(lab):
    """[providers.x] blocks; the request goes to the last one."""
    for x in lab.profile.routes:
        block = '[providers.r%d]\nbase_url = "http://127.0.0.1:%d/v1"\nauth = "none"'
        more = [block % (i, lab.upstream.port) for i in range(1, x + 1)]
        with lab.fresh("ccproxy", more=more) as server:
            server.path = "/r%d/v1/chat/completions" % x
            yield point(lab, server, x)


def plugins(lab):
    """The plugins that are there, more and more of them; all of them is the default."""
    every = ["openai", "access_log", "claude_api", "gemini", "mock"]
    for x in range(1, len(every) + 1):
        chosen = every[:x]
        top = ["enabled_plugins = [%s]" % ", ".join('"%s"' % name for name in chosen)]
        with lab.fresh("ccproxy", top=top, access_log=True) as server:
            yield point(lab, server, x, last=every[x - 1])


def models(lab):
    """Listed models, and rules of which none fits (the first that fits wins, so every one is looked at)."""
    for x in lab.profile.models:
        ids = [bodies.MODEL] + ["gpt-%d" % i for i in range(x - 1)]
        listed = "models = [%s]" % ", ".join('"%s"' % name for name in ids)
        with lab.fresh("ccproxy", more=[listed]) as server:
            yield dict(point(lab, server, x), server="models listed")
        rules = ", ".join('{ match = "no-%d", target = "other" }' % i for i in range(x))
        with lab.fresh("ccproxy", more=["model_mappings = [%s]" % rules]) as server:
            yield dict(point(lab, server, x), server="mapping rules")


CHARTS = (("connections", connections), ("routes", routes), ("plugins", plugins), ("models", models))


def run(lab, wanted):
    out = {}
    for name, measure in CHARTS:
        if wanted("growth, " + name):
            out[name] = []
            for row in measure(lab):
                out[name].append(row)
                lab.say("growth, %s %s | %s | %.0f/s, %.1f us, %d KB, %d failed" % (
                    name, row["x"], row["server"], row["per_second"], row["cpu_us"], row["rss_kb"], row["failed"]))
    return out


def busy_shares(before, after):
    """CPU of each thread that worked, largest first."""
    return sorted((after[t] - before.get(t, 0) for t in after), reverse=True)


def second_worker(lab, name):
    """One and two workers on the same two cores, which the load shares: what a worker's work costs, and how evenly it
    is spread. Two cores cannot show a doubled rate, because the load needs one of them; `scaling` is what follows for a
    machine with free cores: twice the work, times the cost of a request with one worker over that with two, times
    how far the busiest worker is from its even share."""
    rounds = [[worker_round(lab, name, workers) for workers in (1, 2)] for _ in range(lab.profile.worker_rounds)]
    row = {"case": "second worker", "server": name, "failed": sum(r["failed"] for pair in rounds for r in pair)}
    for key in ("cpu_us", "per_second"):
        for i in (0, 1):
            row["%s_%d" % (key, i + 1)] = statistics.median(pair[i][key] for pair in rounds)
    row["balance"] = statistics.median(pair[1]["balance"] for pair in rounds)
    row["scaling"] = 2 * statistics.median(
        one["cpu_us"] / two["cpu_us"] * two["balance"] for one, two in rounds)
    lab.say("second worker | %s | %.2f x" % (name, row["scaling"]))
    return row


def worker_round(lab, name, workers):
    body, both = bodies.file(lab.folder, 100, {"size": 1024}), ",".join(map(str, machine.CORES))
    with lab.fresh(name, workers=workers, core=both) as server:
        threads = lambda: {key: ns for pid in server.pids for key, ns in account.thread_cpu_ns(pid).items()}
        load.warm_up(lab, server)
        before = threads()
        report = load.closed_loop(lab, server, body, 256, warm=0.3, seconds=lab.profile.growth_seconds, at_end=threads)
    shares = busy_shares(before, report["at_end"])
    return {"failed": report["failed"], "cpu_us": report["cpu_ns"] / 1000 / max(1, report["done"]),
            "per_second": report["done"] / report["seconds"],
            "balance": sum(shares[:workers]) / (workers * max(1, shares[0]))}
