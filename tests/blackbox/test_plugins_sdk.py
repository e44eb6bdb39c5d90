"""What an author of a plugin gets: the installed SDK, `plugins scaffold`, the examples, the guide.

Everything here builds as an author would, from folders that know nothing of this tree, and runs in the server under
test.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess

import check
import sdk_kit
import server
from sdk_kit import do
from server import Server

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(server.BINARY))  # the build of the server under test
SANITIZE = "-DCMAKE_C_FLAGS=-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Werror -g" + (
    " -fsanitize=address,undefined" if server.sanitized() else "")


def ccproxy(*arguments, cwd=None, expect=0):
    return do(os.path.abspath(server.BINARY), *arguments, cwd=cwd, expect=expect)


def finds(directory):
    return '[plugin_discovery]\ndirectories = ["%s"]\n' % directory


def plugin_of(s, name):
    """What the server says of it; in the list of states and by itself alike."""
    states = json.loads(s.request("GET", "/plugins/status").body)["plugins"]
    about = json.loads(s.request("GET", "/plugins/" + name).body)
    assert states.get(name) == about["status"], (states, about)
    return about


# -- the package --

def test_install():
    prefix = sdk_kit.installed()
    headers = sorted(os.listdir(os.path.join(prefix, "include", "ccproxy")))
    ours = sorted(n for n in os.listdir(os.path.join(TOP, "proxy", "sdk", "ccproxy")) if n.endswith((".h", ".def")))
    assert headers == ours, headers
    assert not os.path.exists(os.path.join(prefix, "bin")), "the component sdk brings a program"
    pc = {"PKG_CONFIG_PATH": os.path.join(prefix, "lib", "pkgconfig")}
    flags = do("pkg-config", "--cflags", "ccproxy", env=pc).split()
    assert [os.path.realpath(f[2:]) for f in flags] == [os.path.join(prefix, "include")], flags
    where = do("pkg-config", "--variable=plugindir", "ccproxy", env=pc).strip()
    assert os.path.normpath(where) == os.path.join(prefix, "lib/ccproxy/plugins"), where
    for name in headers:
        if name.endswith(".h"):
            do("gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c", *flags,
               os.path.join(prefix, "include", "ccproxy", name))


def test_install_destdir_and_server_alone():
    stage = sdk_kit.folder()
    do("cmake", "--install", sdk_kit.BUILD, "--prefix", "/usr", "--component", "sdk", env={"DESTDIR": stage})
    assert sorted(os.listdir(stage)) == ["usr"] and sorted(os.listdir(stage + "/usr")) == ["include", "lib"]
    alone = sdk_kit.folder()
    do("cmake", "--install", sdk_kit.BUILD, "--prefix", alone, "--component", "server")
    found = [os.path.relpath(os.path.join(d, f), alone) for d, _, files in os.walk(alone) for f in files]
    assert found == ["bin/ccproxy"], found
    assert "ccproxy " in do(os.path.join(alone, "bin", "ccproxy"), "version")


def test_kit_shows_its_own_functions_only():
    kit = os.path.join(sdk_kit.installed(), "lib", "libccproxy-testing.so")
    names = {l.split()[-1].split("@")[0] for l in do("nm", "-D", "--defined-only", kit).splitlines()}
    declared = set(re.findall(r"\b(ccp_test_\w+)\(", open(os.path.join(TOP, "proxy/sdk/ccproxy/testing.h")).read()))
    assert names == declared, "only in the library: %s; only in the header: %s" % (names - declared, declared - names)


def test_package_refuses_another_major_version():
    source = sdk_kit.folder()
    for wanted, fine in (("2.0", True), ("2", True), ("1.0", False), ("3.0", False), ("2.9", False)):
        with open(os.path.join(source, "CMakeLists.txt"), "w") as out:
            out.write("cmake_minimum_required(VERSION 3.20)\nproject(x LANGUAGES C)\nfind_package(ccproxy %s REQUIRED)\n"
                      % wanted)
        done = subprocess.run(["cmake", "-S", source, "-B", os.path.join(source, "build-" + wanted),
                               "-DCMAKE_PREFIX_PATH=" + sdk_kit.installed()], capture_output=True, text=True)
        assert (done.returncode == 0) == fine, (wanted, done.stderr)


# -- scaffold --

def test_scaffold_refuses():
    where = sdk_kit.folder()
    os.mkdir(os.path.join(where, "there"))
    for name, kind, code, says in (
            ("Upper", "system", 2, "lower case"), ("", "system", 2, "lower case"), ("../x", "system", 2, "lower case"),
            ("1x", "system", 2, "lower case"), ("x" * 65, "system", 2, "64"), ("a.b", "system", 2, "lower case"),
            ("mock", "system", 2, "built-in"), ("claude", "provider", 2, "built-in"), ("health", "system", 2, "itself"),
            ("test", "system", 2, "itself"), ("fine", "other", 2, "--type"), ("there", "system", 1, "overwritten")):
        said = ccproxy("plugins", "scaffold", name, "--type", kind, cwd=where, expect=code)
        yield "%s %s" % (name or "(empty)", kind), None if says in said else said
    yield "no type", None if "--type" in ccproxy("plugins", "scaffold", "fine", cwd=where, expect=2) else "accepted"
    said = ccproxy("plugins", "scaffold", "fine", "--type", "system", "--path", where + "/none", expect=1)
    yield "no such folder", None if "No such file" in said else said
    yield "nothing was written", None if os.listdir(where) == ["there"] and not os.listdir(where + "/there") else where


def test_scaffold_leaves_nothing_half():
    where = sdk_kit.folder()
    if b"scaffold.write" not in open(server.BINARY, "rb").read():
        raise check.Skip("a build without fault points")
    for number in (1, 4):
        said = do(os.path.abspath(server.BINARY), "plugins", "scaffold", "half", "--type", "system", cwd=where, expect=1,
                  env={"CCPROXY_FAULT": "scaffold.write:%d" % number})
        assert "No space left" in said and os.listdir(where) == [], (said, os.listdir(where))


def test_scaffold_system():
    source, printed = sdk_kit.scaffold("my-plugin", "system")
    assert "cd my-plugin" in printed and "cmake -S . -B build" in printed, printed
    plugins = sdk_kit.build(source, SANITIZE)
    do("ctest", "--test-dir", os.path.join(source, "build"), "--output-on-failure")
    about = json.load(open(plugins + "/my-plugin/plugin.json"))
    content = open(plugins + "/my-plugin/my-plugin.so", "rb").read()
    assert about == {"name": "my-plugin", "version": "0.1.0", "abi": "2.0",
                     "sha256": hashlib.sha256(content).hexdigest()}, about
    assert "SYMBOLIC" in do("readelf", "-d", plugins + "/my-plugin/my-plugin.so"), "its own names may be the server's"
    assert "my-plugin" in ccproxy("plugins", "check", plugins + "/my-plugin/my-plugin.so")
    with Server(finds(plugins) + '[plugins.my-plugin]\nmark = "here"\n') as s:
        assert plugin_of(s, "my-plugin")["status"] == "active"
        assert s.request("GET", "/health/live").get("x-my-plugin") == "here"
        reached = s.request("GET", "/plugins/my-plugin/count")
        assert reached.status == 200 and "count" in json.loads(reached.body), reached.body
        order = json.loads(ccproxy("plugins", "order", "--json", "-c", s.file))["middlewares"]
        assert [m["owner"] for m in order].count("my-plugin") == 1, order
        s.write(finds(plugins) + '[plugins.my-plugin]\nmark = "there"\n')
        s.process.send_signal(1)
        server_says(s, "x-my-plugin", "there")
        s.write(finds(plugins) + "[plugins.my-plugin]\nenabled = false\n")
        s.process.send_signal(1)
        server_says(s, "x-my-plugin", None)
        assert s.request("GET", "/plugins/my-plugin/count").status == 404
        s.write(finds(plugins) + "[plugins.my-plugin]\nmost = 0\n")
        refused = ccproxy("config", "check", s.file, expect=78)
        line = open(s.file).read().split("\n").index("most = 0") + 1
        assert "%s:%d: plugins.my-plugin.most" % (s.file, line) in refused, refused
    assert "nothing is overwritten" in ccproxy("plugins", "scaffold", "my-plugin", "--type", "system", expect=1,
                                               cwd=os.path.dirname(source))


def server_says(s, header, wanted, seconds=10):
    import time
    end = time.monotonic() + seconds
    while s.request("GET", "/health/live").get(header) != wanted:
        assert time.monotonic() < end, "%s never became %s:\n%s" % (header, wanted, s.log_text()[-2000:])
        time.sleep(0.02)


def test_scaffold_provider():
    import upstream
    source, _ = sdk_kit.scaffold("acme", "provider")
    plugins = sdk_kit.build(source, SANITIZE)
    do("ctest", "--test-dir", os.path.join(source, "build"), "--output-on-failure")
    up = upstream.Upstream()
    try:
        up.reset(upstream.Answer(b'{"id":"c","object":"chat.completion"}'))
        settings = '[plugins.acme]\nproject = "p1"\napi_key = "k-example"\nbase_url = "http://127.0.0.1:%d/v1"\n' % up.port
        with Server(finds(plugins) + settings) as s:
            assert plugin_of(s, "acme")["type"] == "provider"
            got = s.post("/acme/v1/chat/completions", {"model": "m", "messages": [], "logit_bias": {}})
            assert got.status == 200 and got.get("x-ccproxy-dropped") == "logit_bias", got
            sent = up.last()
            assert sent.get("x-project") == "p1" and sent.get("authorization") == "Bearer k-example"
            assert b"logit_bias" not in sent.body
    finally:
        up.close()


def test_plugin_installs_with_its_description():
    source, _ = sdk_kit.scaffold("shipped", "system")
    sdk_kit.build(source)
    stage = sdk_kit.folder()
    do("cmake", "--install", source + "/build", "--prefix", "/usr", "--strip", env={"DESTDIR": stage})
    there = stage + "/usr/lib/ccproxy/plugins/shipped"
    assert sorted(os.listdir(there)) == ["plugin.json", "shipped.so"]
    assert "shipped" in ccproxy("plugins", "check", there + "/shipped.so")
    with Server(finds(os.path.dirname(there))) as s:
        assert plugin_of(s, "shipped")["version"] == "0.1.0"


def test_a_prefix_of_ones_own():
    """The program finds what is installed beside it, wherever that is."""
    source, _ = sdk_kit.scaffold("beside", "system")
    sdk_kit.build(source)
    prefix = sdk_kit.folder()
    os.mkdir(prefix + "/bin")
    shutil.copy(os.path.abspath(server.BINARY), prefix + "/bin/ccproxy")
    do("cmake", "--install", source + "/build", "--prefix", prefix)
    listed = do(prefix + "/bin/ccproxy", "plugins", "show", "beside")
    assert prefix + "/lib/ccproxy/plugins/beside/beside.so" in listed, listed
    elsewhere = prefix + "/ccproxy"  # no bin: nothing is looked for around it
    os.rename(prefix + "/bin/ccproxy", elsewhere)
    do(elsewhere, "plugins", "show", "beside", expect=1)


# -- examples: the same source as an object and built in --

ASK = {"model": "parrot", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}


def exercise(config, binary=None):
    config += "[plugins.words]\nforbidden = [\"swordfish\"]\n"
    with Server(config, binary=binary) as s:
        for name in ("parrot", "words", "tally"):
            assert plugin_of(s, name)["status"] == "active", name
        got = s.post("/parrot/v1/chat/completions", ASK)
        assert got.status == 200 and b"polly wants a cracker" in got.body, got.body
        got = s.post("/parrot/v1/messages", ASK)
        assert got.status == 200 and json.loads(got.body)["content"][0]["text"] == "polly wants a cracker", got.body
        s.wait_log("an answer of 4 words", times=2)
        ask = dict(ASK, model="mock-echo", stream=True)
        ask["messages"] = [{"role": "user", "content": "the password is swordfish indeed"}]
        cut = s.post("/mock/v1/chat/completions", ask)
        assert b"indeed" not in cut.body and b"not allowed here" in cut.body, cut.body
        count = json.loads(s.request("GET", "/plugins/tally/count").body)["requests"]
        assert count >= 3, count
        return count


def test_examples_as_objects():
    assert os.path.exists(HERE + "/plugins/words/words.so"), "ninja examples was not run in " + HERE
    exercise(finds(HERE + "/plugins"))


def test_examples_built_in():
    exercise(finds("/nonexistent"), binary=HERE + "/ccproxy-examples")


def test_examples_are_short():
    for name in ("parrot", "words", "tally"):
        lines = open(os.path.join(TOP, "proxy/sdk/examples", name + ".c")).read().count("\n")
        assert lines <= 80, "%s.c has %d lines" % (name, lines)


# -- the guide --

def guide():
    return open(os.path.join(TOP, "docs", "plugins.md")).read()


def test_guide_compiles():
    """Each block marked c stands alone or behind the fragments' usual surroundings."""
    flags = ["-I" + os.path.join(sdk_kit.installed(), "include")]
    around = '#include <ccproxy/ccproxy.h>\n#include <stddef.h>\n#include <stdlib.h>\n'
    blocks = re.findall(r"^```c\n(.*?)^```", guide(), re.M | re.S)
    assert len(blocks) >= 10, "only %d examples" % len(blocks)
    for number, block in enumerate(blocks, 1):
        source = block if "#include <ccproxy/" in block else around + block
        done = subprocess.run(["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-x", "c",
                               "-Wno-unused-parameter", "-Wno-missing-field-initializers", "-Wno-unused-variable",
                               "-Wno-unused-const-variable", "-Wno-unused-function", '-DCCP_PLUGIN_VERSION="1"', *flags, "-"],
                              input=source, capture_output=True, text=True)
        yield "example %d" % number, done.stderr[:1500] if done.returncode else None


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_sdk", after=sdk_kit.clean)
