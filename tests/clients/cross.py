"""What the Python scripts for the strict upstream share; the counterpart of cross.mjs, with the same environment."""
import itertools
import json
import os
import time
import traceback
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "scenes.json"), encoding="utf-8") as _file:
    DATA = json.load(_file)
TARGETS = [t.split("=", 1) for t in os.environ["TARGETS"].split(",")]
BARE = os.environ.get("BARE") == "1"
NEW, OLD = "judge-new", "judge-old"
FUNCTIONS = {"add": lambda a, b: a + b, "multiply": lambda a, b: a * b, "now": lambda: "12:00"}
ERRORS = ("400", "401", "403", "404", "429", "500", "overloaded", "context")
_count = itertools.count()


def scene(name):
    """(name under which the upstream remembers the conversation, its first text)"""
    nonce = "p%dx%d" % (os.getpid(), next(_count))
    return nonce, "[scene %s #%s] %s" % (name, nonce, DATA["ask"])


def text(name):
    return scene(name)[1]


def tools(*names):
    return [t for t in DATA["tools"] if t["name"] in names]


def same(value, wanted, what):
    assert value == wanted, "%s: %r is not %r" % (what, value, wanted)


def status(overloaded, kind):
    return {"overloaded": overloaded, "context": 400, "401": 401 if BARE else 503}.get(kind) or int(kind)


def run(name, arguments):
    return str(FUNCTIONS[name](**(json.loads(arguments) if isinstance(arguments, str) else arguments)))


def left_early(nonce):
    for _ in range(100):
        with urllib.request.urlopen(os.environ["CONTROL"] + "/judge/seen?nonce=" + nonce) as answer:
            seen = json.load(answer)
        if seen and seen[0]["gone"]:
            return
        time.sleep(0.03)
    raise AssertionError("the upstream never saw that the client left")


def thrown(call, *kinds):
    try:
        call()
    except AssertionError:
        raise
    except kinds or Exception as error:  # pylint: disable=broad-except
        return error
    raise AssertionError("nothing was thrown")


def run_all(make):
    """`make(vendor, address)` gives {name: check} for one place."""
    for vendor, address in TARGETS:
        for name, check in make(vendor.split("~")[0], address).items():
            if os.environ.get("ONLY", "") not in "%s-%s" % (vendor, name):
                continue
            started, word, said = time.time(), "ok", ""
            try:
                check()
            except Exception:  # pylint: disable=broad-except
                word, said = "FAIL", traceback.format_exc()
            print("%s %s-%s %.2f" % (word, vendor, name, time.time() - started), flush=True)
            for line in said.splitlines()[-8:]:
                print("    " + line)


def later(function, *values):
    """A check with its values bound now, not when it runs."""
    return lambda: function(*values)
