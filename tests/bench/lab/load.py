"""Load on one server and what it cost: client.c for HTTP/1.1, h2load for HTTP/2."""
import json
import os
import re
import subprocess
import time

from lab import bodies, machine


class LoadFailed(Exception):
    """The generator itself did not work; a failed request is only counted."""


class Client:
    """client.c under way. wait("open"|"mark") reads up to that line; finish() gives the report."""

    def __init__(self, lab, server, body, connections, **options):
        command = [lab.client, "-p", str(server.port), "-u", server.path, "-c", str(connections), "-b", body]
        names = {"active": "a", "warm": "w", "seconds": "d", "total": "n", "minimum": "m", "spread": "s", "grace": "g",
                 "events": "e", "probes": "P", "probe_body": "q"}
        for name, value in options.items():
            if value:
                command += ["-" + names[name], str(value)]
        self.process = subprocess.Popen(machine.pinned(machine.OTHER_CORE, command), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)

    def wait(self, word):
        for line in self.process.stdout:
            if line.strip() == word:
                return
            if line.startswith("{"):
                raise LoadFailed("no %r before the end: %s" % (word, line))
        raise LoadFailed("the client ended without %r" % word)

    def finish(self):
        lines = self.process.stdout.read().strip().split("\n")
        self.process.stdout.close()
        if self.process.wait(60) != 0 or not lines[-1].startswith("{"):
            raise LoadFailed("the client ended with %d" % self.process.returncode)
        return json.loads(lines[-1])


def closed_loop(lab, server, body, connections, at_end=None, **options):
    """The client's report, and `cpu_ns` that the server used inside the window. at_end() is called when the window
    ends, while all connections are still open; its value is in the report too."""
    client = Client(lab, server, body, connections, **options)
    client.wait("mark")
    before = server.cpu_ns()
    client.wait("mark")
    used = server.cpu_ns() - before if server.process else None
    seen = at_end() if at_end else None
    report = client.finish()
    report["cpu_ns"], report["at_end"] = used, seen
    return report


def sample(report, units="done"):
    """The figures of a row: `units` says what one unit is, a request or an event."""
    out = {"per_second": report[units] / max(1e-9, report["seconds"]), "p50_us": report["latency_us"]["p50"],
           "p99_us": report["latency_us"]["p99"], "failed": report["failed"]}
    if report["cpu_ns"] is not None:
        out["cpu_us"] = report["cpu_ns"] / 1000 / max(1, report[units])
    return out


def h2load(lab, server, body, total, connections, streams):
    """`total` requests over HTTP/2; the CPU includes setting up the connections."""
    log = os.path.join(lab.folder, "h2load.log")
    if os.path.exists(log):
        os.unlink(log)
    command = [machine.find("h2load"), "-n", str(total), "-c", str(connections), "-m", str(streams), "-d", body,
               "-H", "content-type: application/json", "-H", "authorization: Bearer bench", "--log-file", log,
               server.url]
    before = server.cpu_ns()
    result = subprocess.run(machine.pinned(machine.OTHER_CORE, command), capture_output=True, text=True)
    used = server.cpu_ns() - before
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", result.stdout)
    rate = re.search(r"([\d.]+) req/s", result.stdout)
    codes = re.search(r"status codes: (\d+) 2xx", result.stdout)
    if not counts or not rate:
        raise LoadFailed("h2load: " + result.stdout + result.stderr)
    good = int(codes.group(1)) if codes else 0
    times = sorted(int(line.split("\t")[2]) for line in open(log)) or [0]
    at = lambda q: times[min(len(times) - 1, int(len(times) * q))]
    return {"per_second": float(rate.group(1)), "cpu_us": used / 1000 / max(1, good), "p50_us": at(0.5),
            "p99_us": at(0.99), "failed": total - good}


class Held:
    """Streams that stay open until the upstream is told to end them, in groups of `step`."""

    def __init__(self, lab, server, upstream, step):
        self.lab, self.server, self.upstream, self.step = lab, server, upstream, step
        self.body = bodies.file(lab.folder, 190, {"hold": 1}, stream=True)
        self.groups = []

    def open_group(self):
        """False when not all of the group could be opened."""
        raise NotImplementedError

    def release(self):
        """Ends all; the number of streams that did not end well."""
        raise NotImplementedError

    def wait_held(self, wanted, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.upstream.ask("held") >= wanted:
                return True
            time.sleep(0.02)
        return False


class HeldHttp1(Held):
    def open_group(self):
        client = Client(self.lab, self.server, self.body, self.step, total=self.step, events=1, spread=self.step / 8000,
                        warm=60, grace=60)
        self.groups.append(client)
        client.wait("mark")
        client.wait("open")
        return self.wait_held(len(self.groups) * self.step)

    def release(self):
        self.upstream.ask("release")
        return sum(self.step - group.finish()["done"] for group in self.groups)


class HeldHttp2(Held):
    STREAMS = 100

    def open_group(self):
        connections = max(1, self.step // self.STREAMS)
        command = [machine.find("h2load"), "-n", str(self.step), "-c", str(connections), "-m", str(self.STREAMS), "-d",
                   self.body, "-H", "content-type: application/json", "-N", "60s", "-T", "60s", self.server.url]
        self.groups.append(subprocess.Popen(machine.pinned(machine.OTHER_CORE, command), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return self.wait_held(len(self.groups) * self.step)

    def release(self):
        self.upstream.ask("release")
        lost = 0
        for group in self.groups:
            out, _ = group.communicate(timeout=90)
            codes = re.search(r"status codes: (\d+) 2xx", out)
            errored = re.search(r"(\d+) failed, (\d+) errored", out)
            good = int(codes.group(1)) if codes else 0
            bad = sum(map(int, errored.groups())) if errored else self.step
            lost += max(self.step - good, bad)
        return lost


def warm_up(lab, server):
    """A few requests, so that what a server sets up on first use does not count."""
    body = bodies.file(lab.folder, 100, {"size": 1024})
    if server.front == "h1":
        Client(lab, server, body, 8, total=200, warm=20).finish()
    else:
        h2load(lab, server, body, 200, 4, 8)
