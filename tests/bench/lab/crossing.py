"""What translation costs: an Anthropic Messages client at a Chat Completions upstream, beside a Chat client at the same
upstream whose bytes pass. Both in one server and one round, the same conversation, the same size, the same answer.
"""
from lab import bodies, load

SIZES = (("1 KB", 1000, 32), ("100 KB", 100 << 10, 16), ("1,000 KB", 1000 << 10, 8))
CHUNKS = 200
TRANSLATED = "/openai/v1/messages"


class Crossing:
    """figure: its name in the rows; measured for ccproxy only, as a ratio to its own pass-through."""
    front, tls_upstream, many, direct, rounds, metric, figure = "h1", False, False, False, "rounds", "cpu_us", ""

    def suits(self, server):
        return server == "ccproxy"

    def both(self, lab, server, plain, translated, clients, units):
        out, path = {"failed": 0}, server.path
        for name, body, where in (("same", plain, path), ("translated", translated, TRANSLATED)):
            server.path = where
            try:
                report = load.closed_loop(lab, server, body, clients, warm=lab.profile.warm,
                                          seconds=lab.profile.seconds, minimum=2 * clients)
            finally:
                server.path = path
            out[name + "_us"] = report["cpu_ns"] / 1000 / max(1, report["done"]) / units
            out["failed"] += report["failed"]
        out["ratio"] = out["translated_us"] / out["same_us"]
        return out


class Request(Crossing):
    def __init__(self, label, size, clients):
        self.name, self.size, self.clients = "translated request, " + label, size, clients

    def measure(self, lab, server):
        model = "gpt-bench;size=1024"
        return self.both(lab, server, bodies.file(lab.folder, self.size, {"size": 1024}),
                         bodies.messages_file(lab.folder, self.size, model), self.clients, 1)


class Stream(Crossing):
    name = "translated stream, %d chunks" % CHUNKS

    def measure(self, lab, server):
        model = "gpt-bench;events=%d" % CHUNKS
        return self.both(lab, server, bodies.file(lab.folder, 190, {"events": CHUNKS}, stream=True),
                         bodies.messages_file(lab.folder, 190, model, stream=True), 32, CHUNKS)


def everything():
    return [Request(*size) for size in SIZES] + [Stream()]
