"""What plugins cost that watch every request: ccproxy with `metrics` and `access_log` beside one with neither, in the same
round, under the same load. The ratio is CPU per request (per event of a stream) with them over without.
"""
from lab import bodies, load

OFF = ("metrics",)  # and the access log, which the laboratory switches itself
CHUNKS = 200
REPEATS = 3  # of each in a round, in turns; the least counts, since nothing but the work itself is always there


class Watched:
    """figure: its name in the rows; measured for ccproxy only."""
    front, tls_upstream, many, direct, rounds, metric, figure = "h1", False, False, False, "rounds", "cpu_us", ""

    def __init__(self, name, size, answer, clients, stream=False):
        self.name, self.size, self.answer, self.clients, self.stream = name, size, answer, clients, stream

    def suits(self, server):
        return server == "ccproxy"

    def measure(self, lab, server):
        body = bodies.file(lab.folder, self.size, self.answer, stream=self.stream)
        out, more = {"failed": 0}, {"events": CHUNKS} if self.stream else {}
        for name in ("bare", "watched") * REPEATS:
            report = load.closed_loop(lab, self.server(lab, name), body, self.clients, warm=lab.profile.warm,
                                      seconds=lab.profile.seconds, minimum=2 * self.clients, **more)
            took = report["cpu_ns"] / 1000 / max(1, report["events"] if self.stream else report["done"])
            out[name + "_us"] = min(took, out.get(name + "_us", took))
            out["failed"] += report["failed"]
        out["ratio"] = out["watched_us"] / out["bare_us"]
        return out

    def server(self, lab, name):
        """Both stay up for the whole run."""
        key = ("plugins", name)
        if key not in lab.kept:
            bare = name == "bare"
            lines = [line for p in OFF if bare for line in ("[plugins.%s]" % p, "enabled = false")]
            lab.kept[key] = lab.fresh("ccproxy", more=lines, access_log=not bare)
            lab.configs["ccproxy, " + name] = lab.kept[key].config.replace(lab.folder, "FOLDER")
        return lab.kept[key]


def everything():
    return [Watched("plugins on, 1 KB", 1000, {"size": 1024}, 32),
            Watched("plugins on, 100 KB", 100 << 10, {"size": 1024}, 16),
            Watched("plugins on, %d chunks" % CHUNKS, 190, {"events": CHUNKS}, 32, stream=True)]
