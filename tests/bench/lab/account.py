"""What a process has used: CPU in nanoseconds, resident memory, system calls, instructions.

CPU comes from the process's own CPU-time clock, which any process may read (clock_getcpuclockid(3)): nanoseconds, all
threads, those that have ended too. Where that fails, /proc/PID/task/*/schedstat is summed.
"""
import glob
import os
import re
import signal
import subprocess
import time

CPUCLOCK_SCHED = 2


def family(pid):
    """The process and its children: nginx works in a child."""
    out = [pid]
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        for child in open(path).read().split():
            out += family(int(child))
    return out


def cpu_ns(pids):
    return sum(one_cpu_ns(pid) for pid in pids)


def one_cpu_ns(pid):
    try:
        return time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
    except OSError:
        return sum(thread_cpu_ns(pid).values())


def thread_cpu_ns(pid):
    """Run time of each thread."""
    out = {}
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        try:
            out[path.split("/")[4]] = int(open(path).read().split()[0])
        except OSError:
            pass  # the thread has ended meanwhile
    return out


def rss_kb(pids):
    """Exact, page by page: the counters in /proc/PID/status lag behind by some dozen pages a thread."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as lines:
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
    return total


def peak_kb(pids):
    """Highest resident size since the start of each process."""
    return sum(int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % pid).read()).group(1)) for pid in pids)


def slope(points):
    """Least squares: y per x."""
    n = len(points)
    mx, my = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    square = sum((x - mx) ** 2 for x, _ in points)
    return sum((x - mx) * (y - my) for x, y in points) / square if square else 0.0


class Strace:
    """Counts the system calls of running processes between start and stop."""

    def __init__(self, pids, file):
        self.file = file
        command = ["strace", "-c", "-f", "-o", file]
        for pid in pids:
            command += ["-p", str(pid)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        for _ in pids:
            self.process.stderr.readline()  # "Process N attached"
        time.sleep(0.1)

    def stop(self):
        """{name: calls}"""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.process.stderr.close()
        calls = {}
        for line in open(self.file):
            fields = line.split()
            if len(fields) >= 5 and re.match(r"[\d.]+$", fields[0]) and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
        return calls


def callgrind_totals(file):
    """Instructions by object and by function, from the output file of callgrind: ({object: n}, {function: n})."""
    names, objects, functions = {}, {}, {}
    current, function, skip = "?", "?", False
    for line in open(file, errors="replace"):
        match = re.match(r"(ob|fn|cfn|cob|cfi|cfl|fl|fi|fe)=\((\d+)\)(?: (.*))?", line)
        if match:
            kind, number, name = match.groups()
            space = "ob" if kind in ("ob", "cob") else "fn" if kind in ("fn", "cfn") else "fl"
            if name:
                names[space, number] = name.strip()
            if kind == "ob":
                current = os.path.basename(names.get(("ob", number), "?"))
            elif kind == "fn":
                function = names.get(("fn", number), "?").split("'")[0]
        elif line.startswith("calls="):
            skip = True  # the next line is the cost of the callee
        elif line[:1] in "+-*0123456789" and line.strip():
            if not skip:
                cost = int(line.split()[1])
                objects[current] = objects.get(current, 0) + cost
                functions[current + ":" + function] = functions.get(current + ":" + function, 0) + cost
            skip = False
    return objects, functions
