"""What happens inside: instructions by callgrind, system calls by strace, CPU samples by perf, the JSON pass.

Instructions and system calls do not depend on noise; they say why a CPU figure is what it is. Each is a difference: a
server runs once with N and once with 2 N requests, and what both runs share (start, first connections) cancels out.
"""
import concurrent.futures
import glob
import os
import re
import subprocess

from lab import account, bodies, load, machine

class Kind:
    """An exchange to look into. units: events in it, or 1; share: how much of the profile's count it gets."""

    def __init__(self, label, size, bench, units=1, share=1.0, clients=16):
        self.label, self.size, self.bench, self.units = label, size, bench, units
        self.share, self.clients = share, clients

    def body(self, lab):
        return bodies.file(lab.folder, self.size, self.bench, stream=self.units > 1)

    def count(self, lab):
        return max(16, int(lab.profile.counted * self.share))


KINDS = (Kind("request, 0.1 KB", 100, {"size": 1024}), Kind("request, 100 KB", 100 << 10, {"size": 1024}, share=0.1),
         Kind("chunk of a paced stream", 190, {"events": 100, "gap_ms": 5}, 100, share=0.1, clients=400),
         Kind("chunk of an unpaced stream", 190, {"events": 200}, 200, share=0.25))


def instructions(lab, name):
    """[{case, server, instructions, objects, functions}]"""
    out = []
    for kind in KINDS[:lab.profile.kinds]:
        n = kind.count(lab)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:  # counts do not depend on who else runs
            runs = [pool.submit(callgrind_run, lab, name, kind, *how)
                    for how in ((n, machine.PROXY_CORE), (2 * n, machine.OTHER_CORE))]
        totals = [run.result() for run in runs]
        if None in totals:
            continue
        objects, functions = [[(key, (b.get(key, 0) - a.get(key, 0)) / (n * kind.units)) for key in b]
                              for a, b in zip(totals[0], totals[1])]
        row = {"case": "instructions per " + kind.label, "server": name, "failed": 0,
               "instructions": sum(v for _, v in objects), "objects": top(objects, 8), "functions": top(functions, 15)}
        out.append(row)
        lab.say("%s | %s | %.0f" % (row["case"], name, row["instructions"]))
    return out


def top(pairs, n):
    return [[k, round(v)] for k, v in sorted(pairs, key=lambda p: -p[1])[:n] if v >= 0.5]


def callgrind_run(lab, name, kind, count, core):
    """The totals of one run from start to stop, or None when it could not be counted."""
    folder, body = lab.new_folder("callgrind"), kind.body(lab)
    wrap = [machine.find("valgrind"), "--tool=callgrind", "--callgrind-out-file=%s/out.%%p" % folder]
    with lab.fresh(name, wrap=wrap, single=True, core=core) as server:
        report = load.Client(lab, server, body, 4, total=count, warm=120, grace=60).finish()
    files = [f for f in glob.glob(folder + "/out.*") if os.path.getsize(f) > 1000]
    if len(files) != 1 or report["done"] != count:
        lab.say("# callgrind with %s: %d files, %d of %d requests" % (name, len(files), report["done"], count))
        return None
    return account.callgrind_totals(files[0])


def system_calls(lab, name):
    out = []
    for kind in KINDS if lab.profile.kinds > 1 else KINDS[:2]:
        n = kind.count(lab)
        counts = [strace_run(lab, name, kind.body(lab), total) for total in (n, 2 * n)]
        each = [(call, (counts[1].get(call, 0) - counts[0].get(call, 0)) / (n * kind.units)) for call in counts[1]]
        row = {"case": "system calls per " + kind.label, "server": name, "failed": 0, "calls": sum(v for _, v in each),
               "by_name": [[k, round(v, 2)] for k, v in sorted(each, key=lambda p: -p[1]) if v >= 0.005]}
        out.append(row)
        lab.say("%s | %s | %.2f" % (row["case"], name, row["calls"]))
    return out


def strace_run(lab, name, body, total):
    server = lab.server(name)
    load.warm_up(lab, server)
    trace = account.Strace(server.pids, os.path.join(lab.folder, "strace.out"))
    load.Client(lab, server, body, 16, total=total, warm=30).finish()
    return trace.stop()


def profile(lab, name):
    """Where the CPU goes, in the kernel too: perf's clock samples by object and by function."""
    if not machine.find("perf"):
        return []
    out = []
    for kind in KINDS[:lab.profile.kinds]:
        server, data = lab.server(name), os.path.join(lab.folder, "perf.data")
        command = [machine.find("perf"), "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", data, "-p",
                   ",".join(map(str, server.pids))]
        recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        load.closed_loop(lab, server, kind.body(lab), kind.clients, warm=0.7, seconds=lab.profile.seconds)
        recorder.terminate()
        recorder.wait()
        row = {"case": "CPU samples, " + kind.label, "server": name, "failed": 0,
               "objects": samples(data, "dso", 8), "functions": samples(data, "dso,symbol", 20)}
        if row["objects"]:
            out.append(row)
            lab.say("%s | %s | %s" % (row["case"], name, row["objects"][:3]))
    return out


def samples(data, keys, n):
    result = subprocess.run([machine.find("perf"), "report", "-q", "--stdio", "-i", data, "-s", keys, "-g", "none"],
                            capture_output=True, text=True)
    found = re.findall(r"^\s*([\d.]+)%\s+(.*?)\s*$", result.stdout, re.M)
    return [[re.sub(r"\s+", " ", re.sub(r"(\s+-)+$", "", name)), float(share)] for share, name in found[:n]]


def json_program(lab):
    """Compiled from the tree with the options of a release build."""
    program, tree = os.path.join(lab.folder, "json_speed"), lab.top
    sources = glob.glob(tree + "/proxy/wire/json_*.c") + glob.glob(tree + "/proxy/base/*.c")
    lab.compile(program, [os.path.join(tree, "tests/bench/json_speed.c"), *sources],
                ["-O3", "-DNDEBUG", '-DCCP_VERSION="bench"', "-fno-strict-aliasing", "-I" + tree + "/proxy",
                 "-I" + tree + "/proxy/sdk", "-include", tree + "/proxy/base/banned.h", "-pthread"])
    return program


def json_speed(lab):
    """MB/s of the scan that every same-format request gets, and of the parser that hooks may ask for."""
    folder, program = lab.folder, lab.json_program
    files = [bodies.file(folder, size, {"size": 1024}) for size in (100 << 10, 1 << 20)]
    result = subprocess.run(machine.pinned(machine.PROXY_CORE, [program, *files]), stdout=subprocess.PIPE, text=True,
                            check=True)
    rows = []
    for label, line in zip(("100 KB", "1 MB"), result.stdout.strip().split("\n")):
        _, scan, parse = map(float, line.split())
        rows.append({"case": "JSON pass, agent request of " + label, "server": "ccproxy", "failed": 0,
                     "scan_mb_s": scan, "parse_mb_s": parse})
        lab.say("%s | scan %.0f MB/s, parse %.0f MB/s" % (rows[-1]["case"], scan, parse))
    return rows
