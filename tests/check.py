"""A test runner of one page, shared by black-box tests, lint and client tests.

A test is a function `test_...()`; it fails by raising. A test that holds several checks of its own (one per row of a
table, one per line a client script prints) may be a generator that yields (name, problem or None).
One line per result on stdout, `ok|FAIL|skip NAME SECONDS`; what a failure has to say follows, indented.
"""
import os
import signal
import sys
import time
import traceback

LONG = os.environ.get("TEST_LONG") == "1"
LIMIT = int(os.environ.get("TEST_LIMIT", "900" if LONG else "120"))  # seconds a single test may take


class Skip(Exception):
    """Raised by a test that cannot run here; the text says what is missing."""


class Late(Exception):
    pass


def _late(_signum, _frame):
    raise Late("took longer than %d s" % LIMIT)


def figure(promise, text):
    """What this run measured for one of the promises of tests/reliability/promises.toml; ./test gathers it."""
    print("figure %s %s" % (promise, text), flush=True)


def _report(word, name, seconds, text=""):
    print("%s %s %.2f" % (word, name, seconds))
    for line in text.rstrip().splitlines():
        print("    " + line)
    sys.stdout.flush()


def _rows(name, result, started):
    for row, problem in result:
        full = "%s[%s]" % (name, row)
        _report("FAIL" if problem else "ok", full, time.time() - started, problem or "")


def _one(name, function):
    started = time.time()
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(LIMIT)
    try:
        result = function()
        if result is not None and hasattr(result, "__next__"):
            _rows(name, result, started)
        else:
            _report("ok", name, time.time() - started)
    except Skip as reason:
        _report("skip", name, time.time() - started, str(reason))
    except BaseException as problem:  # also Late and SystemExit: a test never ends the run
        if isinstance(problem, KeyboardInterrupt):
            raise
        _report("FAIL", name, time.time() - started, traceback.format_exc())
    finally:
        signal.alarm(0)


def main(names, area, before=None, after=None):
    """Runs the test functions of a module's globals(); argv may hold a part of a name."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    tests = [(n, f) for n, f in names.items() if n.startswith("test_") and callable(f)]
    chosen = [(n, f) for n, f in tests if wanted in "%s/%s" % (area, n[5:])]
    if not chosen:
        return
    if before:
        before()
    try:
        for name, function in chosen:
            _one("%s/%s" % (area, name[5:]), function)
    finally:
        if after:
            after()
