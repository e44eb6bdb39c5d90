"""The SDK as an author has it: installed into a folder of its own, used from folders that know nothing of the tree."""
import os
import shutil
import subprocess
import tempfile

import server

RELEASE = os.path.abspath(os.environ.get("CCPROXY_RELEASE_BIN", "build/ccproxy"))
BUILD = os.path.dirname(RELEASE)
_folders = []


def folder(prefix="ccp-sdk-"):
    path = tempfile.mkdtemp(prefix=prefix)
    _folders.append(path)
    os.chmod(path, 0o755)
    return path


def clean():
    while _folders:
        shutil.rmtree(_folders.pop(), ignore_errors=True)


def do(*command, cwd=None, env=None, expect=0, timeout=110):
    """Runs a command without the caller's environment; its output when it ends as expected."""
    done = subprocess.run(command, cwd=cwd, env=server.environment(cwd or "/", env), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    assert done.returncode == expect, "%s ended with %d:\n%s" % (" ".join(command), done.returncode, done.stdout[-6000:])
    return done.stdout


_installed = None


def installed():
    """The prefix that `cmake --install` filled, once for each run; moved after it, for packages are."""
    global _installed
    if _installed is None:
        assert os.path.exists(os.path.join(BUILD, "libccproxy-testing.so")), "ninja -C %s ccproxy-testing" % BUILD
        first = os.path.join(folder(), "first")
        do("cmake", "--install", BUILD, "--prefix", first, "--component", "sdk")
        _installed = os.path.join(os.path.dirname(first), "moved")
        os.rename(first, _installed)
    return _installed


def scaffold(name, kind):
    """An empty folder with what `plugins scaffold` writes into it."""
    where = folder()
    printed = do(os.path.abspath(server.BINARY), "plugins", "scaffold", name, "--type", kind, cwd=where)
    return os.path.join(where, name), printed


def build(source, *options):
    """Configured and built out of tree with nothing but the installed package; returns the build's plugins folder."""
    out = os.path.join(source, "build")
    do("cmake", "-S", source, "-B", out, "-DCMAKE_PREFIX_PATH=" + installed(), "-DCMAKE_BUILD_TYPE=Release",
       "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers", *options, cwd=source)
    do("cmake", "--build", out, cwd=source)
    return os.path.join(out, "plugins")
