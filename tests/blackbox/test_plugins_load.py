"""Shared objects from the file to the loaded plugin: whose they are, what they are, and that nothing of a bad one
reaches the server."""
import os
import re
import shutil
import subprocess
import time

import check
import plugin_kit
import plugin_files
import server
import upstream

place = plugin_files.Place()


def good(name, text="hello", directory=None, **more):
    return plugin_kit.make(directory or place.path, name,
                           plugin_kit.manifest(name, ".routes = routes,", plugin_files.ANSWERS % text), **more)


def need_root():
    if os.geteuid() != 0:
        raise check.Skip("chown needs root")


# -- PLG-01: who could have written it --

def damaged(change, *words):
    """A sound plugin, changed: refused, and sound again it is not."""
    shutil.rmtree(place.path)
    os.mkdir(place.path, 0o755)
    path = os.path.join(place.path, "it", "it.so")
    shutil.copytree(os.path.join(place.root, "sound"), os.path.join(place.path, "it"))
    change(path)
    return plugin_files.refused(place, "it", *words)


def link_out(path):
    os.rename(path, os.path.join(place.root, "elsewhere.so"))
    os.symlink(os.path.join(place.root, "elsewhere.so"), path)


def link_folder(path):
    folder = os.path.dirname(path)
    shutil.rmtree(os.path.join(place.root, "moved"), ignore_errors=True)
    os.rename(folder, os.path.join(place.root, "moved"))
    os.symlink(os.path.join(place.root, "moved"), folder)


def link_about(path):
    about = os.path.join(os.path.dirname(path), "plugin.json")
    os.rename(about, os.path.join(place.root, "elsewhere.json"))
    os.symlink(os.path.join(place.root, "elsewhere.json"), about)


def fifo(path):
    os.unlink(path)
    os.mkfifo(path, 0o600)


def folder_instead(path):
    os.unlink(path)
    os.mkdir(path)


def unlinked(path):
    os.unlink(os.path.join(os.path.dirname(path), "plugin.json"))


def mode(bits, up=0, name=None):
    def change(path):
        for _ in range(up):
            path = os.path.dirname(path)
        os.chmod(os.path.join(path, name) if name else path, bits)
    return change


def owner(up=0):
    def change(path):
        for _ in range(up):
            path = os.path.dirname(path)
        os.chown(path, 12345, 12345)
    return change


def test_files_that_others_may_change():
    good("it")
    os.rename(os.path.join(place.path, "it"), os.path.join(place.root, "sound"))
    cases = [("so 0666", mode(0o666), ("everybody", "chmod go-w")), ("so 0664", mode(0o664), ("its group", "chmod")),
             ("so 0602", mode(0o602), ("everybody",)), ("folder 0777", mode(0o777, 1), ("everybody", "chmod")),
             ("folder 0775", mode(0o775, 1), ("its group",)), ("folder 1777", mode(0o1777, 1), ("everybody",)),
             ("plugin.json 0666", mode(0o666, 1, "plugin.json"), ("plugin.json", "chmod")),
             ("link out", link_out, ("symbolic link",)), ("link to folder", link_folder, ("symbolic link",)),
             ("link of plugin.json", link_about, ("symbolic link",)), ("fifo", fifo, ("not a regular file",)),
             ("folder as object", folder_instead, ("not a regular file",)),
             ("no plugin.json", unlinked, ("plugin.json is missing", "plugins check"))]
    if os.geteuid() == 0:
        cases += [("owner of so", owner(), ("belongs to user 12345", "chown")),
                  ("owner of folder", owner(1), ("belongs to user 12345", "chown"))]
    bad = 0
    for name, change, words in cases:
        problem = damaged(change, *words)
        bad += problem is not None
        yield name, problem
    assert damaged(lambda path: None) == "it is active, not failed\n"
    yield "as it was", None
    if not bad:
        check.figure("PLG-01", "%d of %d objects that others could change refused" % (len(cases), len(cases)))


def folders(change, *words, above=False):
    """The same for the directory itself: nothing is looked for, and that is said."""
    outer = os.path.join(place.root, "outer")
    inner = os.path.join(outer, "plugins")
    shutil.rmtree(outer, ignore_errors=True)
    os.makedirs(inner, mode=0o755)
    os.chmod(outer, 0o755)
    good("it", directory=inner)
    change(outer if above else inner)
    states, said = place.plugins(config=place.config(directories=[inner]))
    if "it" in states:
        return "it is listed"
    return None if all(w in said for w in ("no plugin is looked for in",) + words) else said


def test_directories_that_others_may_change():
    cases = [("0777", lambda p: os.chmod(p, 0o777), ("everybody", "chmod go-w"), False),
             ("0775", lambda p: os.chmod(p, 0o775), ("its group",), False),
             ("1777", lambda p: os.chmod(p, 0o1777), ("everybody",), False),
             ("above it 0777", lambda p: os.chmod(p, 0o777), ("everybody",), True),
             ("missing", shutil.rmtree, ("No such file",), False)]
    if os.geteuid() == 0:
        cases += [("owner", lambda p: os.chown(p, 12345, 0), ("12345",), False),
                  ("owner above, sticky", lambda p: (os.chmod(p, 0o1777), os.chown(p, 12345, 0)), ("12345",), True)]
    problems = []
    for name, change, words, above in cases:
        problems.append(folders(change, *words, above=above))
        yield name, problems[-1]
    # A sticky folder of root's above, and a directory that is named by a link: both fine.
    yield "above it 1777", None if folders(lambda p: os.chmod(p, 0o1777), above=True) == "it is listed" or \
        os.geteuid() != 0 else "a sticky folder of root's is refused"
    link = os.path.join(place.root, "link")
    os.symlink(os.path.join(place.root, "outer", "plugins"), link)
    states, said = place.plugins(config=place.config(directories=[link]))
    yield "by a link", None if states.get("it") == "active" else said
    if not any(problems):
        check.figure("PLG-01", "%d of %d unsafe directories are not looked into" % (len(cases), len(cases)))


def status_of(ccproxy, path="/plugins/it/it"):
    return ccproxy.request("GET", path).status


def fresh():
    shutil.rmtree(place.path, ignore_errors=True)
    os.mkdir(place.path, 0o755)


def test_replaced_between_check_and_load():
    fresh()
    good("it", "first")
    good("it", "second", directory=os.path.join(place.root, "later"))
    shutil.rmtree(place.cache, ignore_errors=True)
    later = os.path.join(place.root, "later", "it")
    with place.server(wait=False, env={"CCPROXY_FAULT": "plugin.load:1", "CCP_FAULT_BLOCK": "2500"}) as ccproxy:
        described = os.path.join(place.cache, "ccproxy", "plugins")
        end = time.monotonic() + 20
        while not (os.path.isdir(described) and any(n.endswith(".json") and n[0] != "." for n in os.listdir(described))):
            assert time.monotonic() < end, "it was never described: " + ccproxy.output()
            time.sleep(0.005)
        for name in ("it.so", "plugin.json"):
            os.rename(os.path.join(later, name), os.path.join(place.path, "it", name))
        ccproxy.wait_ready()
        ccproxy.wait_log("was changed since it was checked: reload")
        assert status_of(ccproxy) == 404
    with place.server() as ccproxy:
        assert ccproxy.request("GET", "/plugins/it/it").body == b"second"
    check.figure("PLG-01", "replaced between check and load: refused, named, the next start takes the new one")


def test_overwritten_while_loaded():
    fresh()
    path = good("it", "old")
    with place.server() as ccproxy:
        assert ccproxy.request("GET", "/plugins/it/it").body == b"old"
        with open(path, "r+b") as so:
            size = os.path.getsize(path)
            so.write(b"\xcc" * size)
            so.truncate(100)
        for _ in range(20):
            assert ccproxy.request("GET", "/plugins/it/it").body == b"old"
        os.kill(ccproxy.process.pid, 1)
        ccproxy.wait_log("plugin it is left out", seconds=20)
        end = time.monotonic() + 10
        while status_of(ccproxy) != 404:
            assert time.monotonic() < end, "still served after a reload without it"
        good("it", "new")
        os.kill(ccproxy.process.pid, 1)
        while status_of(ccproxy) != 200:
            assert time.monotonic() < end + 10, "not served after it was repaired"
        assert ccproxy.request("GET", "/plugins/it/it").body == b"new"
    check.figure("PLG-01", "overwritten and truncated while loaded: 20 of 20 answers, the loaded copy is memory")


# -- PLG-02: what it is --

def abi(text):
    return plugin_kit.manifest("%(n)s", "", "%(b)s").replace("CCP_ABI_HERE", text)


def constructor(body):
    return "#include <unistd.h>\n#include <signal.h>\n#include <sys/prctl.h>\n" \
        "__attribute__((constructor)) static void begin(void) { %s }" % body


BROKEN = {
    "major3": (".abi = {CCP_ABI_MAGIC, 3, 0, sizeof(struct ccp_plugin), &(const struct ccp_sizes)CCP_SIZES_HERE}", "",
               ("interface 3.0", "2.0", "another major")),
    "major1": (".abi = {CCP_ABI_MAGIC, 1, 7, sizeof(struct ccp_plugin), &(const struct ccp_sizes)CCP_SIZES_HERE}", "",
               ("interface 1.7", "2.0", "rebuild")),
    "minor": (".abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR + 9, sizeof(struct ccp_plugin), "
              "&(const struct ccp_sizes)CCP_SIZES_HERE}", "", ("interface 2.9", "2.0", "update ccproxy")),
    "magic": (".abi = {0x12345678, CCP_ABI_MAJOR, CCP_ABI_MINOR, sizeof(struct ccp_plugin), "
              "&(const struct ccp_sizes)CCP_SIZES_HERE}", "", ("plugin record", "CCP_ABI_HERE")),
    "larger": (".abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR, 100000, "
               "&(const struct ccp_sizes)CCP_SIZES_HERE}", "", ("size", "100000")),
    "smaller": (".abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR, 8, &(const struct ccp_sizes)CCP_SIZES_HERE}", "",
                ("size", "rebuild")),
    "sizeless": (".abi = {CCP_ABI_MAGIC, CCP_ABI_MAJOR, CCP_ABI_MINOR, sizeof(struct ccp_plugin), NULL}", "",
                 ("sizes", "CCP_ABI_HERE")),
    "exits": (None, "exit(0);", ("status 0", "must not call exit")),
    "exits3": (None, "_exit(3);", ("status 3", "must not call exit")),
    "aborts": (None, "abort();", ("signal 6", "Aborted")),
    "segv": (None, "*(volatile int *)8 = 1;", ("loading it ended",)),
    "kills": (None, "kill(getpid(), SIGKILL);", ("signal 9",)),
    "loops": (None, "for (;;) pause();", ("did not end within", "probe_timeout")),
    "spins": (None, "for (volatile int i = 0;; i++) { }", ("did not end within",)),
    "stops": (None, "raise(SIGSTOP);", ("did not end within",)),
    "floods": (None, "for (;;) write(2, \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\\n\", 40);", ("did not end within",)),
    "recurses": (None, "begin();", ("loading it ended",)),
}


def write_broken():
    for name, (record, body, _) in BROKEN.items():
        text = plugin_kit.manifest(name, "", constructor(body) if body else "")
        plugin_kit.make(place.path, name, text.replace("CCP_ABI_HERE", record) if record else text,
                        flags=("-Wno-infinite-recursion", "-Wno-array-bounds", "-Wno-unused-result"))
    plugin_kit.make(place.path, "other", plugin_kit.manifest("another", ""))
    plugin_kit.make(place.path, "speaks", plugin_kit.manifest("speaks", "", constructor(
        "puts(\"{\\\"manifest\\\": 1}\"); fflush(stdout); fputs(\"loud\\n\", stderr);")))
    plugin_kit.make(place.path, "forks", plugin_kit.manifest("forks", "", constructor(
        "if (fork() == 0) { prctl(PR_SET_NAME, \"ccp-orphan\"); for (;;) pause(); }")))


def orphans():
    found = []
    for pid in os.listdir("/proc"):
        try:
            if pid.isdigit() and open("/proc/%s/comm" % pid).read().strip() == "ccp-orphan" and \
                    open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()[0] != "Z":
                found.append(pid)
        except OSError:
            pass
    return found


def test_objects_that_are_no_plugins():
    """Seventeen that cannot be used, beside one that can: each refusal names cause and remedy."""
    fresh()
    write_broken()
    good("sound")
    limits = "probe_timeout = \"%dms\"" % (2500 if server.SLOW > 1 else 700)
    states, said = place.plugins(config=place.config(discovery=limits), timeout=110)
    bad = 0
    for name, (_, _, words) in BROKEN.items():
        line = plugin_files.about(said, name)
        ok = states.get(name) == "failed" and all(w in line for w in words)
        bad += not ok
        yield name, None if ok else "%s: %s" % (states.get(name), line)
    line = plugin_files.about(said, "other")
    yield "missing symbol", None if "no symbol ccp_plugin_other" in line and "CCP_PLUGIN(other)" in line else line
    for name in ("sound", "speaks", "forks"):
        yield name, None if states.get(name) == "active" else "%s\n%s" % (states.get(name), said)
    yield "what it forked is gone", None if not orphans() else "left: %s" % orphans()
    if not bad:
        check.figure("PLG-02", "%d of %d broken objects refused with cause and remedy, by a child that may die" % (
            len(BROKEN) + 1, len(BROKEN) + 1))


def test_server_lives_with_broken_objects():
    fresh()
    write_broken()
    for name in ("loops", "spins", "stops", "floods"):  # each costs the whole probe_timeout, see above
        shutil.rmtree(os.path.join(place.path, name))
    shutil.rmtree(os.path.join(place.path, "forks"))  # would fork in the server itself
    good("sound")
    with place.server() as ccproxy:
        assert ccproxy.request("GET", "/plugins/sound/it").body == b"hello"
        log = ccproxy.log_text() + ccproxy.output()
        for name in ("aborts", "segv", "major3", "exits"):
            assert "plugin %s is left out" % name in log, (name, log[-3000:])
        before = ccproxy.process.pid
        for _ in range(3):
            os.kill(before, 1)
        ccproxy.wait_log("reload", seconds=20)
        assert ccproxy.request("GET", "/plugins/sound/it").body == b"hello"


def test_wrong_machine_and_truncated():
    fresh()
    path = good("it")
    subprocess.run(["strip", path], check=True)
    whole = open(path, "rb").read()
    for name, offset, value, words in (("aarch64", 18, 183, "cannot be loaded"), ("32-bit class", 4, 1, "cannot be loaded"),
                                       ("not ELF", 0, 0x20, "cannot be loaded")):
        data = bytearray(whole)
        data[offset] = value
        put(path, data)
        yield name, plugin_files.refused(place, "it", words, "build it for this system")
    sizes = list(range(0, len(whole), 1024))
    states, problems = [], []
    for size in sizes:
        folder = os.path.join(place.path, "it%d" % size)
        os.mkdir(folder, 0o755)
        put(os.path.join(folder, "it%d.so" % size), whole[:size])
    shutil.rmtree(os.path.dirname(path))
    states, said = place.plugins()
    problems = [s for s in sizes if states.get("it%d" % s) != "failed" or not plugin_files.about(said, "it%d" % s)]
    yield "truncated", None if not problems else "not refused at %s: %s" % (problems, said)
    if not problems:
        check.figure("PLG-02", "truncated at each of %d KiB, wrong machine, wrong class, no ELF: refused" % len(sizes))


def put(path, data):
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, 0o755)
    plugin_kit.describe(path)


def test_descriptions_are_kept():
    """One child process per content: the second look reads the cache; a cache that others can write is not read."""
    fresh()
    marker = os.path.join(place.root, "marker")
    plugin_kit.make(place.path, "it", plugin_kit.manifest("it", "", constructor(
        "if (access(\"%s\", F_OK) == 0) abort();" % marker)))
    shutil.rmtree(place.cache, ignore_errors=True)
    assert place.plugins()[0]["it"] == "active"
    open(marker, "w").close()
    assert place.plugins()[0]["it"] == "active", "it was loaded again although nothing changed"
    folder = os.path.join(place.cache, "ccproxy", "plugins")
    files = os.listdir(folder)
    assert len(files) == 1 and len(files[0]) == 69, files
    file = os.path.join(folder, files[0])
    assert os.stat(folder).st_mode & 0o777 == 0o700 and os.stat(file).st_mode & 0o777 == 0o600
    text = open(file).read()
    for name, change in (("writable by others", lambda: os.chmod(file, 0o666)),
                         ("not JSON", lambda: put_text(file, text[:-9])), ("empty", lambda: put_text(file, "")),
                         ("of another version", lambda: put_text(file, text.replace('"ccproxy":"', '"ccproxy":"9'))),
                         ("of another format", lambda: put_text(file, text.replace('"format":1', '"format":2'))),
                         ("of another plugin", lambda: put_text(file, text.replace('"name":"it"', '"name":"xx"'))),
                         ("folder writable by others", lambda: os.chmod(folder, 0o777))):
        os.chmod(folder, 0o700)
        put_text(file, text)
        os.chmod(file, 0o600)
        change()
        state = place.plugins()[0]["it"]  # the object aborts by now, so a second load is a refusal
        yield name, None if state == "failed" else "%s: the cache was believed" % state
    os.unlink(marker)
    os.chmod(folder, 0o700)
    shutil.rmtree(place.cache)
    put_text(place.cache, "a file where the folder should be")
    yield "no place for it", None if place.plugins()[0]["it"] == "active" else "not usable without a cache"
    os.unlink(place.cache)


def put_text(path, text):
    with open(path, "w") as out:
        out.write(text)


# -- PLG-03: only these --

def test_allow_list():
    fresh()
    path = good("it")
    digest = plugin_kit.hashlib.sha256(open(path, "rb").read()).hexdigest()

    def allow(*sums):
        return place.config(discovery="allow = %s" % plugin_kit.json.dumps(list(sums)))

    yield "unlisted", plugin_files.refused(place, "it", digest, "plugin_discovery.allow", config=allow("0" * 64))
    states, said = place.plugins(config=allow("0" * 64, digest))
    yield "listed", None if states["it"] == "active" else said
    states, said = place.plugins(config=allow(digest.upper()))
    yield "in capitals", None if states["it"] == "active" else said
    whole = open(path, "rb").read()
    changed = 0
    for at in range(0, len(whole), max(1, len(whole) // 8)):
        data = bytearray(whole)
        data[at] ^= 1
        put(path, data)
        problem = plugin_files.refused(place, "it", "plugin_discovery.allow", config=allow(digest))
        changed += problem is None
        yield "bit of byte %d" % at, problem
    put(path, whole)
    with open(os.path.join(place.path, "it", "plugin.json"), "r+") as about:
        text = about.read().replace(digest[:8], "00000000")
        about.seek(0)
        about.write(text)
    yield "another sum in plugin.json", plugin_files.refused(place, "it", "plugin.json says", digest)
    check.figure("PLG-03", "unlisted refused; altered by 1 bit %d of %d refused; listed loaded" % (changed, changed))


# -- PLG-04: other libraries, other symbols --

CLASH = """
#include <curl/curl.h>
#include <openssl/evp.h>
static int taken;
__attribute__((visibility("default"))) void *arena_alloc(void *a, size_t n) { taken++; return NULL; }
__attribute__((visibility("default"))) void *arena_zalloc(void *a, size_t n) { taken++; return NULL; }
__attribute__((visibility("default"))) void runtime_unref(void *rt) { taken++; }
__attribute__((visibility("default"))) int h2o_accept(void) { taken++; return -1; }
__attribute__((visibility("default"))) void h2o_send(void) { taken++; }
__attribute__((visibility("default"))) void h2o_dispose_request(void) { taken++; }
__attribute__((visibility("default"))) CURLcode curl_easy_perform(CURL *c) { taken++; return CURLE_FAILED_INIT; }
__attribute__((visibility("default"))) CURLMcode curl_multi_add_handle(CURLM *m, CURL *c) { taken++; return 1; }
__attribute__((visibility("default"))) const EVP_MD *EVP_sha256(void) { taken++; return NULL; }
__attribute__((visibility("default"))) int malloc_trim(size_t n) { taken++; return 0; }
/* The server has it, too, from libzstd; this one is the plugin's. */
__attribute__((visibility("default"), noinline)) unsigned ZSTD_versionNumber(void) { return 7; }
static enum ccp_verdict serve(void *self, struct ccp_exchange *x)
{
    char text[200];
    CURL *own = curl_easy_init();
    curl_easy_cleanup(own);
    snprintf(text, sizeof(text), "%d %u %s", taken, ZSTD_versionNumber(), curl_version());
    return x->api->respond(x, 200, CCP_SPAN("text/plain"), ccp_span_z(text));
}
static const struct ccp_route routes[] = {{"GET", "/it", NULL, CCP_ACCESS_PUBLIC, .serve = serve}, {.methods = NULL}};
"""


def test_symbols_do_not_clash():
    fresh()
    plugin_kit.make(place.path, "it", plugin_kit.manifest("it", ".routes = routes,", CLASH),
                    flags=("-lcurl", "-lssl", "-lcrypto", "-Wno-builtin-declaration-mismatch"))
    vendor = upstream.Upstream()
    vendor.reset(upstream.Answer(b'{"id":"x","object":"chat.completion","choices":[]}'))
    more = '[upstream]\ntransport = "curl"\n[plugins.openai]\nbase_url = "http://127.0.0.1:%d/v1"\napi_key = "k"\n'
    with place.server(place.config(more % vendor.port)) as ccproxy:
        for _ in range(30):
            answer = ccproxy.post("/openai/v1/chat/completions", {"model": "gpt-x", "messages": []})
            assert answer.status == 200, answer.body
        for _ in range(2):
            os.kill(ccproxy.process.pid, 1)
        ccproxy.wait_log("reload", seconds=20)
        said = ccproxy.request("GET", "/plugins/it/it").body.decode()
    taken, its_own, version = said.split(" ", 2)
    assert its_own == "7", "the plugin got the server's function of that name: %s" % its_own
    assert taken == "0", "the core called %s functions of the plugin" % taken
    assert version.startswith("libcurl/"), version
    release = os.environ.get("CCPROXY_RELEASE_BIN") or server.BINARY
    done = subprocess.run(["nm", "-D", "--defined-only", release], capture_output=True, text=True)
    names = [l.split()[-1].split("@")[0] for l in done.stdout.splitlines() if l.split()[-2] in "TWi"]  # functions
    with open(os.path.join(plugin_kit.TOP, "proxy", "http", "guard.map")) as guard:
        wanted = set(re.findall(r"\w+", re.sub(r"#.*|/\*.*?\*/", "", guard.read())))
    odd = [n for n in names if n not in wanted and not n.startswith(("_Z", "_ITM", "__"))]
    assert names and (not odd or server.sanitized() and release == server.BINARY), "exported: %s" % odd[:20]
    check.figure("PLG-04", "10 names of core, h2o, curl and OpenSSL defined by a plugin: 0 calls went to it")


if __name__ == "__main__":
    check.main(globals(), "blackbox/plugins_load", after=lambda: place.__exit__())
