"""One run of the laboratory: what was asked for, the programs it builds, the servers it keeps up, what it says."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

from lab import cases, growth, inside, judge, load, machine, memory, servers

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(HERE))


class Profile:
    """How much of everything. warm, seconds, settle in seconds; scale multiplies the counts of the memory cases;
    counted is the number of requests for callgrind and strace, kinds how many kinds of exchange they look into."""

    def __init__(self, **values):
        self.__dict__.update(values)


PROFILES = {
    "smoke": Profile(rounds=1, paced_rounds=1, memory_rounds=1, worker_rounds=1, warm=0.03, seconds=0.1, streams=100,
                     paced_seconds=0.3, probes=200, scale=0.02, settle=0.03, wait_ms=300, counted=10, kinds=1,
                     growth_seconds=0.1, connections=(10, 100), routes=(1, 20), models=(1, 50)),
    "quick": Profile(rounds=3, paced_rounds=3, memory_rounds=1, worker_rounds=2, warm=0.1, seconds=0.45, streams=1000,
                     paced_seconds=1.2, probes=300, scale=1.0, settle=0.1, wait_ms=1500, counted=200, kinds=2,
                     growth_seconds=0.5, connections=(10, 1000, 10000), routes=(1, 100, 250), models=(1, 100, 1000)),
    "full": Profile(rounds=5, paced_rounds=3, memory_rounds=3, worker_rounds=5, warm=0.3, seconds=1.5, streams=1000,
                    paced_seconds=4.0, probes=300, scale=1.0, settle=0.3, wait_ms=3000, counted=500, kinds=4,
                    growth_seconds=2.0, connections=(10, 100, 1000, 2500, 5000, 10000), routes=(1, 10, 50, 100, 250),
                    models=(1, 10, 100, 1000, 10000)),
}
# Left out of a quick run: nothing that has a figure of its own in the ratios.
NOT_QUICK = ("HTTP/2 in clear, 10 KB", "HTTP/2 in clear, 1 MB", "HTTP/2 with TLS, 10 KB", "HTTP/2 with TLS, 100 KB",
             "HTTP/2 with TLS, 1 MB", "HTTP/1.1, TLS upstream, 10 KB", "open streams, HTTP/2 with TLS, TLS upstream",
             "growth, connections", "growth, routes", "growth, plugins", "growth, models", "CPU samples")


class Session:
    def __init__(self, options):
        self.options = options
        self.kind = "smoke" if options.smoke else "quick" if options.quick else "full"
        self.profile = PROFILES[self.kind]
        self.top, self.started = TOP, time.time()
        self.binary = os.environ.get("CCPROXY_RELEASE_BIN") or os.path.join(TOP, "build", "ccproxy")
        self.folder = tempfile.mkdtemp(prefix="ccp-bench-")
        os.chmod(self.folder, 0o755)
        self.count, self.kept, self.configs = 0, {}, {}

    def __enter__(self):
        try:
            self.certificate = servers.certificate(self.folder)
            self.client, program = os.path.join(self.folder, "client"), os.path.join(self.folder, "upstream")
            self.compile(self.client, [os.path.join(HERE, "client.c")])
            self.compile(program, [os.path.join(HERE, "upstream.c")], libraries=["-lssl", "-lcrypto"])
            self.upstream_program = program
            self.json_program = inside.json_program(self) if self.wanted("JSON pass") else None
            self.upstream = self.new_upstream()
            self.names = list(self.servers_here())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.kept.values():
            server.stop()
        if hasattr(self, "upstream"):
            self.upstream.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, text):
        print("%6.1f  %s" % (time.time() - self.started, text), file=sys.stderr, flush=True)

    def compile(self, program, sources, options=(), libraries=()):
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", *options, "-o", program, *sources, *libraries], check=True)

    def servers_here(self):
        yield "direct"
        for name in ("nginx", "haproxy"):
            if machine.find(name):
                yield name
            else:
                self.say("# %s is not installed, left out" % name)
        yield "ccproxy"
        if self.kind == "quick" and not self.options.case:
            return  # the other transport has no figure of its own
        shown = subprocess.run([self.binary, "config", "show"], capture_output=True, text=True, cwd=self.folder,
                               env={"PATH": machine.PATH, "HOME": self.folder})
        upstream = shown.stdout.partition("[upstream]")[2].partition("\n[")[0]
        if "\ntransport =" in upstream:
            yield "ccproxy (curl)"

    def new_folder(self, name):
        self.count += 1
        path = os.path.join(self.folder, "%03d-%s" % (self.count, name.split(" ")[0]))
        os.mkdir(path)
        return path

    def new_upstream(self):
        """For one measurement; the caller stops it."""
        return servers.Upstream(self.upstream_program, self.folder, self.certificate)

    def fresh(self, name, **how):
        """A server for one measurement; the caller stops it."""
        return servers.Server(self, name, **how)

    def server(self, name, front="h1", tls_upstream=False, many=False):
        """One that stays up for the whole run."""
        key = (name, front, tls_upstream, many and name.startswith("ccproxy"))
        if key not in self.kept:
            self.kept[key] = self.fresh(name, front=front, tls_upstream=tls_upstream, many=many)
            if name != "direct":
                label = "%s, %s%s%s" % (name, cases.FRONTS[front], ", TLS upstream" if tls_upstream else "",
                                        ", many streams" if key[3] else "")
                self.configs[label] = self.kept[key].config.replace(self.folder, "FOLDER")
        return self.kept[key]

    def attempt(self, measure, *what):
        """A sample, or what went wrong with it: one broken case does not take the other results with it."""
        try:
            return measure(*what)
        except (load.LoadFailed, RuntimeError, OSError, subprocess.SubprocessError) as problem:
            self.say("# failed: %s" % problem)
            return {"failed": 1, "problem": str(problem)[:500]}

    # What to run

    def wanted(self, name, figure=""):
        """By a part of its name or by the name of its figure."""
        asked = self.options.case
        if asked:
            return any(part.lower() in name.lower() or part == figure for part in asked)
        return self.kind != "quick" or name not in NOT_QUICK

    def chosen(self, list_of_cases):
        return [c for c in list_of_cases if self.wanted(c.name, c.figure)]


OTHER_NAMES = ("JSON pass", "instructions", "system calls", "CPU samples", "second worker", "growth, connections",
               "growth, routes", "growth, plugins", "growth, models")


def names():
    """{name: figure in the ratios, or nothing}"""
    listed = {c.name: c.figure for c in cases.everything() + memory.everything()}
    return dict(listed, **{name: "" for name in OTHER_NAMES})


def inside_rows(session):
    rows = []
    if session.wanted("JSON pass"):
        rows += inside.json_speed(session)
    for name in session.names[1:]:
        if "(" in name and session.kind != "full":
            continue
        counted = session.kind == "full" or name == judge.OURS
        if counted and session.wanted("instructions") and machine.find("valgrind"):
            rows += inside.instructions(session, name)
        if session.wanted("system calls") and machine.find("strace"):
            rows += inside.system_calls(session, name)
        if session.wanted("CPU samples") and (session.kind != "smoke" or name == judge.OURS):
            rows += inside.profile(session, name)
        if session.wanted("second worker") and (session.kind == "full" or name in (judge.OURS, judge.RIVAL)):
            rows.append(growth.second_worker(session, name))
    return rows


def run(session):
    """The whole report, ready to be written as JSON."""
    round_cases, memory_cases = session.chosen(cases.everything()), session.chosen(memory.everything())
    samples = cases.run(session, round_cases) if round_cases else []
    samples += memory.run(session, memory_cases) if memory_cases else []
    judge.add_latency(samples)
    ratios, others = judge.ratio_rows(samples, judge.plan_of(round_cases, memory_cases))
    report = {"machine": machine.describe(session.binary), "profile": session.kind, "date": time.strftime("%Y-%m-%d"),
              "rounds": session.profile.rounds, "seconds_per_sample": session.profile.seconds,
              "access_log": session.options.access_log, "ratios": ratios, "ratios_of_others": others,
              "rows": judge.medians(samples) + inside_rows(session), "growth": growth.run(session, session.wanted),
              "config": session.configs, "samples": samples}
    report["targets"] = judge.judge(report)
    report["seconds"] = round(time.time() - session.started)
    return report


def failures(report):
    rows = report["rows"] + [row for table in report["growth"].values() for row in table]
    return ["%s, %s: %d failed %s" % (r.get("case", "growth"), r["server"], r["failed"], r.get("problem", ""))
            for r in rows if r.get("failed")]
