"""A plugin built against the first SDK works with a core whose structs have grown since; one built against a later SDK
is refused, with both versions.

The later core is today's source with an SDK of which every struct that may grow has grown (grow.py). It is built once,
without optimisation, beside the tested binary and again only where something changed.
"""
import json
import os
import re
import subprocess
import time

import check
import plugin_files
import plugin_kit
import server
import upstream

import grow

HERE = os.path.dirname(os.path.abspath(__file__))
FIRST = os.path.join(HERE, "sdk-2.0")
BUILD = os.path.join(os.path.dirname(os.path.abspath(server.BINARY)), "abi-grown")
LATER = os.path.join(BUILD, "build", "ccproxy")
place = plugin_files.Place()


def old_plugin(sdk, directory):
    with open(os.path.join(HERE, "old_plugin.c")) as source:
        text = source.read()
    folder = os.path.join(directory, "old")
    os.makedirs(folder, mode=0o755, exist_ok=True)
    path = os.path.join(folder, "old.so")
    plugin_kit.compile_so(text, path, includes=(sdk,))
    os.chmod(path, 0o755)
    plugin_kit.describe(path)
    return path


def build():
    """The later core; before the tests, for it may take longer than a test may. What goes wrong is in the log."""
    grow.shadow(plugin_kit.TOP, os.path.join(BUILD, "source"))
    steps = [["cmake", "-S", os.path.join(BUILD, "source"), "-B", os.path.join(BUILD, "build"), "-G", "Ninja",
              "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0", "-DCMAKE_CXX_FLAGS_DEBUG=-O0", "-DCCP_WERROR=OFF"],
             ["ninja", "-C", os.path.join(BUILD, "build"), "ccproxy"]]
    if os.path.exists(LATER):
        os.unlink(LATER)  # made again by linking; an old one must not be taken for a new one
    with open(os.path.join(BUILD, "build.log"), "w") as out:
        for step in steps:
            if subprocess.run(step, stdout=out, stderr=subprocess.STDOUT).returncode:
                return


def later_core():
    if not os.path.exists(LATER):
        with open(os.path.join(BUILD, "build.log"), errors="replace") as text:
            raise AssertionError("the later core does not build:\n" + text.read()[-4000:])
    return LATER


def manifest_of(binary, path):
    done = subprocess.run([binary, "plugins", "check", path, "--json"], capture_output=True, text=True,
                          env=server.environment(place.root))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_sizes_have_grown():
    """The test would prove nothing if the later SDK were the same."""
    grow.grow(os.path.join(plugin_kit.TOP, "proxy", "sdk"), os.path.join(BUILD, "sdk"))
    program = '#include <ccproxy/ccproxy.h>\n#include <stdio.h>\nint main(void) { printf("%s\\n"%s, 0); return 0; }' % (
        " ".join("%s=%%zu" % s for s in grow.GROWS), "".join(", sizeof(struct %s)" % s for s in grow.GROWS))
    sizes = []
    for sdk in (FIRST, os.path.join(BUILD, "sdk")):
        binary = os.path.join(place.root, "sizes")
        subprocess.run(["gcc", "-std=gnu11", "-w", "-I" + sdk, "-x", "c", "-", "-o", binary], input=program.encode(),
                       check=True)
        sizes.append(dict(p.split("=") for p in subprocess.run([binary], capture_output=True, text=True).stdout.split()))
    same = [s for s in grow.GROWS if int(sizes[0][s]) >= int(sizes[1][s])]
    assert not same, "not larger in the later SDK: %s" % same
    print("    %d structs have grown, struct ccp_plugin from %s to %s bytes" % (
        len(sizes[0]), sizes[0]["ccp_plugin"], sizes[1]["ccp_plugin"]))


def test_old_plugin_in_a_later_core():
    later = later_core()
    path = old_plugin(FIRST, place.path)
    today, tomorrow = manifest_of(server.BINARY, path), manifest_of(later, path)
    assert today["manifest"] == tomorrow["manifest"], "read differently:\n%s\n%s" % (today, tomorrow)
    assert tomorrow["abi"] == "2.0", tomorrow["abi"]
    for key, n in (("config", 4), ("middleware", 2), ("hooks", 2), ("routes", 3), ("tasks", 2), ("provides", 2),
                   ("actions", 2), ("commands", 2), ("flags", 2)):
        assert len(tomorrow["manifest"][key]) == n, (key, tomorrow["manifest"][key])
    vendor = upstream.Upstream()
    vendor.reset(upstream.Answer(b'{"id":"x","object":"chat.completion","choices":[]}'))
    config = place.config("""[plugins.old]
base_url = "%s/v1"
first = 8
mode = "fast"
[[plugins.old.items]]
name = "a"
weight = 2
[[plugins.old.items.parts]]
of = "x"
[[plugins.old.items.parts]]
of = "y"
whole = false
[[plugins.old.items]]
name = "b"
""" % vendor.url)
    with place.server(config, binary=later) as ccproxy:
        settings = ccproxy.request("GET", "/plugins/old/settings")
        assert settings.body == b"8 two 1 a=2/x:1/y:0 b=1", settings.body
        assert (settings.get("x-old-one"), settings.get("x-old-two")) == ("1", "2"), settings.headers
        assert ccproxy.request("GET", "/old-own").body == b"own"
        answer = ccproxy.post("/old/v1/chat/completions", {"model": "old-1", "messages": [], "logit_bias": {}, "store": True})
        assert answer.status == 200, answer.body
        sent = vendor.last()
        body = json.loads(sent.body)
        assert "logit_bias" not in body and body["store"] is False and body["user"] == "old", body
        assert (sent.get("x-vendor"), sent.get("x-vendor-two")) == ("old", "older"), sent.headers
        end = time.monotonic() + 10
        while True:
            counts = [int(n) for n in ccproxy.request("GET", "/plugins/old/counts").body.split()]
            if min(counts) >= 3:
                break
            assert time.monotonic() < end, "started, completed, tick, tock: %s" % counts
            time.sleep(0.05)
        assert ccproxy.post("/plugins/old/counts", b"").status == 200
        listed = ccproxy.request("GET", "/old/v1/models").body
        assert b"old-1" in listed or vendor.last().method == "GET", listed
    check.figure("PLG-15", "plugin of SDK 2.0 in a core with %d grown structs: loads, every list works" % len(grow.GROWS))


def test_later_plugin_in_todays_core():
    grow.grow(os.path.join(plugin_kit.TOP, "proxy", "sdk"), os.path.join(BUILD, "sdk"))
    with open(os.path.join(plugin_kit.SDK, "ccproxy", "plugin.h")) as header:
        minor = int(re.search(r"#define CCP_ABI_MINOR (\d+)", header.read()).group(1))
    directory = os.path.join(place.root, "later")
    os.mkdir(directory, 0o755)
    path = old_plugin(os.path.join(BUILD, "sdk"), directory)
    plugin_kit.describe(path, abi="2.%d" % (minor + 1))
    problem = plugin_files.refused(place, "old", "interface 2.%d" % (minor + 1), "2.%d" % minor, "update ccproxy",
                                   config=place.config(directories=[directory]))
    assert problem is None, problem
    check.figure("PLG-15", "plugin of a later minor SDK: refused, both versions named")


def test_first_sdk_is_still_the_beginning_of_todays():
    """What was promised with the first SDK: no struct, enumeration or event of it changed but at its end."""
    with open(os.path.join(FIRST, "ccproxy", "event.def")) as old, \
            open(os.path.join(plugin_kit.SDK, "ccproxy", "event.def")) as new:
        events = [re.findall(r"^X\((\w+), \"([^\"]+)\"", f.read(), re.M) for f in (old, new)]
    assert events[1][:len(events[0])] == events[0], "event.def changed before its end"
    wrong, seen = [], 0
    for header in sorted(os.listdir(os.path.join(FIRST, "ccproxy"))):
        if header == "testing.h":
            continue  # the test kit is compiled with a plugin's tests, never loaded with another version
        now = structs(os.path.join(plugin_kit.SDK, "ccproxy", header))
        for name, members in structs(os.path.join(FIRST, "ccproxy", header)).items():
            seen += 1
            if now.get(name, [])[:len(members)] != members:
                wrong.append("%s of %s: was %s, is %s" % (name, header, members, now.get(name)))
    assert seen > 40 and not wrong, "\n".join(wrong)


def test_every_member_is_in_the_table():
    """A member that describe_shape.c does not list would be lost on the way through the description."""
    with open(os.path.join(plugin_kit.TOP, "proxy", "plugin", "describe_shape.c")) as table:
        text = table.read()
    missing, seen = [], 0
    for struct in grow.GROWS[:grow.GROWS.index("ccp_sizes")]:
        [body] = [m["struct " + struct] for m in (structs(os.path.join(plugin_kit.SDK, "ccproxy", h)) for h in
                                                  sorted(os.listdir(os.path.join(plugin_kit.SDK, "ccproxy"))))
                  if "struct " + struct in m]
        part = text[text.index("#define T struct %s\n" % struct):]
        part = part[:part.index("#undef T")]
        for declaration in body:
            names = re.findall(r"\(\*(\w+)\)\(", declaration)[:1] or \
                [re.sub(r"\[.*", "", d).split()[-1].lstrip("*") for d in declaration.split(",")]
            for name in names:
                seen += 1
                if name != "abi" and not re.search(r"F\(%s,|OF\(%s," % (name, name), part):
                    missing.append("%s.%s" % (struct, name))
    assert seen > 150 and not missing, "%d members, not listed: %s" % (seen, missing)


def structs(path):
    """name -> declarations of its members, or the names of an enumeration, without comments and layout."""
    with open(path) as header:
        text = re.sub(r"/\*.*?\*/", "", header.read(), flags=re.S)
    found = {}
    for kind, name, body in re.findall(r"\n(struct|enum) (\w+) \{\n(.*?)\n\};", text, re.S):
        body = re.sub(r"\s+", " ", body)
        parts = [p.strip() for p in body.split(";" if kind == "struct" else ",") if p.strip()]
        found[kind + " " + name] = [p for p in parts if not p.startswith("#")]
    return found


if __name__ == "__main__":
    check.main(globals(), "abi/abi", before=build, after=lambda: place.__exit__())
