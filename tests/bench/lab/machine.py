"""The machine the figures belong to, and where on it each process runs."""
import os
import platform
import re
import resource
import shutil
import subprocess

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, OTHER_CORE = str(CORES[0]), str(CORES[-1])
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
VERSIONS = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"], "h2load": ["h2load", "--version"],
            "OpenSSL": ["openssl", "version"], "gcc": ["gcc", "--version"], "clang": ["clang", "--version"],
            "valgrind": ["valgrind", "--version"], "strace": ["strace", "--version"], "perf": ["perf", "--version"]}


def find(program):
    return shutil.which(program, path=PATH + os.pathsep + os.environ.get("PATH", ""))


def first_line(command):
    if not find(command[0]):
        return "not installed"
    result = subprocess.run([find(command[0]), *command[1:]], capture_output=True, text=True)
    return (result.stdout + result.stderr).strip().split("\n")[0]


def package(name):
    result = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return result.stdout or "unknown"


def describe(binary):
    cpu = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    memory = re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read())
    governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    out = {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": len(CORES),
           "memory_mb": int(memory.group(1)) // 1024, "kernel": platform.release(),
           "frequency_governor": open(governor).read().strip() if os.path.exists(governor) else "not visible",
           "load_before": os.getloadavg()[0], "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
           "system": first_line(["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]),
           "ccproxy": first_line([binary, "version"]) if os.path.exists(binary) else "not built",
           "h2o": package("libh2o-evloop0.13"), "libcurl": package("libcurl4")}
    out.update({name: first_line(command) for name, command in VERSIONS.items()})
    return out


def pinned(core, command):
    """On one core, and not longer than this process: a run that is killed leaves nothing behind."""
    return [find("setpriv"), "--pdeathsig", "TERM", find("taskset"), "-c", core, *command]
