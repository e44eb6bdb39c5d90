"""Shared objects for tests: compiled from C text against the SDK's headers, laid out as ccproxy looks for them."""
import hashlib
import json
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SDK = os.path.join(TOP, "proxy", "sdk")


def compile_so(source, out, includes=(SDK,), flags=()):
    """C text into a shared object; the compiler's complaint is the failure's text."""
    command = [os.environ.get("CC", "gcc"), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
               "-Wno-missing-field-initializers", "-O1", "-g", "-fPIC", "-shared", "-fvisibility=hidden",
               "-Wl,-Bsymbolic", *["-I" + i for i in includes], *flags, "-x", "c", "-", "-o", out]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError("the test's plugin does not compile:\n" + done.stderr)


def describe(path, **other):
    """plugin.json beside an object: what its author says it is."""
    name = os.path.basename(path)[:-3]
    about = {"name": name, "version": "1.0.0", "abi": "2.0",
             "sha256": hashlib.sha256(open(path, "rb").read()).hexdigest()}
    about.update(other)
    with open(os.path.join(os.path.dirname(path), "plugin.json"), "w") as out:
        json.dump({k: v for k, v in about.items() if v is not None}, out)


def make(directory, name, source, flags=(), **described):
    """<directory>/<name>/<name>.so with its plugin.json; returns the path. `described` replaces members of that file."""
    folder = os.path.join(directory, name)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    os.chmod(folder, 0o755)
    path = os.path.join(folder, name + ".so")
    compile_so(source, path + ".new", flags=flags)
    os.chmod(path + ".new", 0o755)
    os.replace(path + ".new", path)
    describe(path, **described)
    return path


def manifest(name, members, before="", version="1.0.0"):
    """C text of a system plugin: `before` holds its functions and tables, `members` what the record says of them."""
    return """#include <ccproxy/ccproxy.h>
#include <stdlib.h>
#include <stdio.h>
%s
CCP_PLUGIN(%s) = {
    CCP_ABI_HERE, .name = "%s", .version = "%s", .summary = "a plugin of the tests", .kind = CCP_PLUGIN_SYSTEM,
    %s
};
""" % (before, name.replace("-", "_"), name, version, members)
