"""`ccproxy doctor`: what it finds, what it says to do, its exit codes, and that it changes and betrays nothing."""
import email.utils
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time

import certs
import check
import panel
import server
import tls_upstream
import upstream

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOCK = 'enabled_plugins = ["mock"]\n'
CANARY = "canary-0123456789abcdef-SECRET"


class Home:
    """A home folder with a configuration; run() is one doctor, offline unless told otherwise."""

    def __init__(self, config=MOCK, port=None):
        self.folder = tempfile.mkdtemp(prefix="ccp-doctor-")
        self.port = port if port is not None else server.free_port()
        self.file = self.path("config.toml")
        self.store = self.path("credentials")
        self.write(config)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, config, more="", name="config.toml", mode=0o600):
        """Top-level keys come first in TOML, so `config` begins with them and the tables follow."""
        with open(self.path(name), "w") as out:
            out.write('%s\n[server]\nhost = "127.0.0.1"\nport = %d\n%s\n[auth]\ndirectory = "%s"\n' % (
                config, self.port, more, self.store))
        os.chmod(self.path(name), mode)

    def raw(self, *arguments, env=None, cwd=None, config=True):
        named = ["-c", self.file] if config else []
        return subprocess.run([os.path.abspath(server.BINARY), "doctor", *named, *arguments], cwd=cwd or self.folder,
                              env=server.environment(self.folder, env), capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)

    def run(self, *arguments, offline=True, **more):
        """(exit code, checks); every answer is looked through for secrets and for its own arithmetic."""
        done = self.raw("--json", *(["--offline"] if offline else []), *arguments, **more)
        assert "Sanitizer" not in done.stderr and CANARY not in done.stdout + done.stderr, done.stdout + done.stderr
        report = json.loads(done.stdout)
        marks = [c["status"] for c in report["checks"]]
        assert report["counts"] == {m: marks.count(m) for m in ("ok", "warn", "fail")}, report["counts"]
        assert report["exit"] == done.returncode and report["ok"] == ("fail" not in marks), report
        assert (done.returncode == 0) == report["ok"], report
        return done.returncode, report["checks"]

    def record(self, name="acme", label="default", mode=0o600, **members):
        os.makedirs(self.store, mode=0o700, exist_ok=True)
        now = int(time.time())
        value = {"version": 1, "provider": name, "account": label, "generation": 3, "access_token": CANARY + "-access",
                 "refresh_token": CANARY + "-refresh", "token_type": "Bearer", "obtained_at": now - 60,
                 "expires_in": 3660, "expires_at": now + 3600, "token_url": "https://login.acme.test/token",
                 "client_id": "ccproxy", "origins": ["https://api.acme.test"]}
        value.update(members)
        path = os.path.join(self.store, "%s.%s.json" % (name, label))
        with open(path, "w") as out:
            json.dump({k: v for k, v in value.items() if v is not None}, out)
        os.chmod(path, mode)
        return path

    def snapshot(self):
        """Everything below the home: kind, mode, owner, content, and when it changed."""
        found = {}
        for folder, _, names in os.walk(self.folder):
            for name in [""] + names:
                path = os.path.normpath(os.path.join(folder, name))
                at = os.lstat(path)
                content = open(path, "rb").read() if stat.S_ISREG(at.st_mode) else b""
                found[path] = (oct(at.st_mode), at.st_uid, at.st_nlink, content, at.st_mtime_ns, at.st_ctime_ns)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)


def only(checks, part, status=None):
    return [c for c in checks if c["check"] == part and (status is None or c["status"] == status)]


def said(checks, part, status, *words):
    """The one finding of this part and mark that has all the words; its remedy counts as text."""
    hits = [c for c in only(checks, part, status)
            if all(w in "%s | %s" % (c["text"], c["remedy"] or "") for w in words)]
    assert len(hits) == 1, "%s %s %s: %d in\n%s" % (part, status, words, len(hits), json.dumps(checks, indent=1))
    return hits[0]


ACME = MOCK + """
[oauth.acme]
authorize_url = "https://login.acme.test/authorize"
token_url = "https://login.acme.test/token"
client_id = "ccproxy"

[providers.acme]
base_url = "https://api.acme.test/v1"
auth = "oauth"
"""


def test_fresh_machine():
    """Nothing configured beside the mock: all is well, nothing is made, and people read the same as programs."""
    with Home() as h:
        before = h.snapshot()
        code, checks = h.run()
        assert code == 0 and not only(checks, "network"), checks
        assert {c["check"] for c in checks} >= {"configuration", "system", "ports", "files", "trust", "environment",
                                                "clock"}, checks
        said(checks, "system", "ok", "libh2o-evloop", "guard")
        said(checks, "files", "ok", "is not there yet", "ccproxy auth login")
        said(checks, "trust", "ok", "the system trusts")
        assert int(re.search(r"(\d+) authorities", said(checks, "trust", "ok", "system")["text"]).group(1)) > 50
        text = h.raw("--offline")
        assert h.snapshot() == before, "doctor changed something"
    lines = text.stdout.splitlines()
    assert text.returncode == 0 and re.fullmatch(r"\d+ ok, \d+ to look at, 0 failed", lines[-1]), text.stdout
    for line in lines[:-1]:
        assert re.match(r"(ok  |warn|fail)  [a-z]+ +\S|      to do: \S", line), repr(line)
    assert [l.split()[1] for l in lines[:-1] if not l.startswith(" ")] == [c["check"] for c in checks], text.stdout


def test_configuration():
    with Home() as h:
        h.write(MOCK, more="prot = 1")
        code, checks = h.run()
        assert code == 78, checks
        said(checks, "configuration", "fail", "config.toml:", "prot", "port")
        assert only(checks, "system") and only(checks, "trust") and not only(checks, "ports"), checks
        assert "what needs a configuration was left out" in h.raw().stdout

        h.write(MOCK, mode=0o662)
        code, checks = h.run()
        assert code == 0, checks
        said(checks, "configuration", "warn", "others may change it", "chmod go-w " + h.file)

        h.write(MOCK + '\n[security]\nauth_token = "%s"\n' % CANARY, mode=0o644)
        said(h.run()[1], "configuration", "warn", "this file holds a secret")

        h.write(MOCK)
        os.chmod(h.folder, 0o777)
        said(h.run()[1], "configuration", "warn", "the folder " + h.folder, "others may change it")
        os.chmod(h.folder, 0o1777)  # sticky: nobody can replace what is ours
        assert not only(h.run()[1], "configuration", "warn")


def test_file_of_the_current_folder():
    """`serve` would read it; doctor does not trust it either, so it says so and looks elsewhere."""
    with Home() as h:
        os.makedirs(h.path(".config", "ccproxy"))
        shutil.copy(h.file, h.path(".config", "ccproxy", "config.toml"))
        os.makedirs(h.path("cloned"))
        with open(h.path("cloned", "ccproxy.toml"), "w") as out:
            out.write("[server]\nprot = 1\n")
        code, checks = h.run(config=False, cwd=h.path("cloned"))
        assert code == 0, checks
        hit = said(checks, "configuration", "warn", "ccproxy.toml: a server that is started in this folder")
        assert hit["remedy"] == "ccproxy doctor --config ccproxy.toml" and ".config/ccproxy/config.toml" in hit["text"]
        assert not only(h.run(cwd=h.path("cloned"))[1], "configuration", "warn"), "with --config it does not matter"


def test_certificate():
    with Home() as h:
        cert, key = certs.self_signed(h.folder)
        h.write(MOCK, more='tls_cert = "%s"\ntls_key = "%s"' % (cert, key))
        said(h.run()[1], "configuration", "ok", "certificate " + cert)
        other = certs.Authority(h.folder, "other").leaf()[1]
        h.write(MOCK, more='tls_cert = "%s"\ntls_key = "%s"' % (cert, other))
        code, checks = h.run()
        assert code == 78 and said(checks, "configuration", "fail", "key"), checks


def test_ports():
    with Home() as h:
        said(h.run()[1], "ports", "ok", "127.0.0.1:%d is free" % h.port)
        with socket.socket() as taken:  # bound and not listening: a connection is refused at once
            taken.bind(("127.0.0.1", h.port))
            code, checks = h.run()
        assert code == 69, checks
        said(checks, "ports", "fail", "127.0.0.1:%d is in use" % h.port, "server.port")
        h.write(MOCK, more='unix_socket = "%s"' % h.path("sock"))
        said(h.run()[1], "ports", "ok", "unix socket", "is free")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(h.path("sock"))
        said(h.run()[1], "ports", "ok", "was left behind")
        os.unlink(h.path("sock"))
        open(h.path("sock"), "w").close()
        code, checks = h.run()
        assert code == 69 and said(checks, "ports", "fail", "exists and is not a socket"), checks


def test_a_server_is_running():
    """The port is taken by a ccproxy: it is asked how it is, with the key of the configuration."""
    key = '[security]\nauth_token = "%s"\n' % CANARY
    with server.Server("[plugins.mock]\nenabled = true\n" + key) as s, Home(port=s.port) as h:
        h.write(MOCK + key)
        code, checks = h.run()
        assert code == 0, checks
        said(checks, "ports", "ok", "127.0.0.1:%d: a ccproxy" % s.port)
        said(checks, "ports", "ok", "it says provider:mock: pass")
        h.write(MOCK + key.replace(CANARY, "another"))
        said(h.run()[1], "ports", "warn", "it does not tell more", "--config")


def test_a_stranger_gets_no_key():
    """Whoever answers on the port without being a ccproxy is not shown the key."""
    up = upstream.Upstream()
    try:
        up.answer = upstream.reply({"name": "somebody"})
        with Home(port=up.port) as h:
            h.write(MOCK + '\n[security]\nauth_token = "%s"\n' % CANARY)
            code, checks = h.run()
        assert code == 69 and said(checks, "ports", "fail", "is in use, and not by a ccproxy"), checks
        assert up.requests and not any(CANARY in v for r in up.requests for _, v in r.headers), up.requests
    finally:
        up.close()


def test_callback_ports():
    with Home() as h, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        block = ACME.replace('client_id = "ccproxy"', 'client_id = "ccproxy"\ncallback_port = %d')
        h.write(block % taken.getsockname()[1])
        said(h.run()[1], "callbacks", "warn", "login acme", str(taken.getsockname()[1]), "--manual")
        h.write(block % server.free_port())
        said(h.run()[1], "callbacks", "ok", "login acme")


def test_files():
    """Modes, owners, second names: told, and left as they are."""
    with Home() as h:
        h.write(ACME)
        path = h.record()
        code, checks = h.run()
        assert code == 0 and said(checks, "files", "ok", "1 login, private"), checks
        os.chmod(path, 0o644)
        os.chmod(h.store, 0o755)
        before = h.snapshot()
        code, checks = h.run()
        assert code == 0, checks
        said(checks, "files", "warn", "the login " + path, "others may read it", "chmod go-rwx " + path)
        said(checks, "files", "warn", "the folder " + h.store, "others may read it")
        said(checks, "logins", "warn", "not read, since its file has mode 0644", "chmod 600 " + path)
        os.chmod(h.store, 0o777)  # reading through the store would mend this one
        before[h.store] = h.snapshot()[h.store]
        said(h.run()[1], "logins", "warn", "was not looked at")
        assert h.snapshot() == before, "doctor changed something"
        os.chmod(h.store, 0o700)
        os.chmod(path, 0o600)
        os.link(path, h.path("second"))
        code, checks = h.run()
        assert code == 1 and said(checks, "files", "fail", path, "second name"), checks
        os.unlink(h.path("second"))
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
            code, checks = h.run()
            assert code == 1 and said(checks, "files", "fail", path, "another user (65534)", "chown 0"), checks


def test_encryption_key():
    with Home() as h:
        h.write(ACME)
        with open(h.file, "a") as out:
            out.write('encryption = "key_file"\nkey_file = "%s"\n' % h.path("key"))
        code, checks = h.run()
        assert code == 1 and said(checks, "files", "fail", h.path("key")), checks
        with open(h.path("key"), "w") as out:
            out.write(hashlib.sha256(CANARY.encode()).hexdigest())
        os.chmod(h.path("key"), 0o600)
        said(h.run()[1], "files", "ok", "logins are encrypted", h.path("key"))


def test_logins():
    """Each state of a stored login, in the words of its remedy."""
    now = int(time.time())
    again = "ccproxy auth login acme"
    rows = {
        "fresh": ({}, 0, "ok", ["expires in", "is renewed before"]),
        "old": ({"expires_at": now - 7200}, 0, "ok", ["expired 2 h", "is renewed at its next use"]),
        "final": ({"expires_at": now - 7200, "refresh_token": None}, 1, "fail", ["cannot be renewed", again]),
        "ending": ({"refresh_token": None}, 0, "warn", ["expires in", "cannot be renewed", again]),
        "timeless": ({"expires_at": None, "expires_in": None}, 0, "ok", ["does not expire"]),
        "elsewhere": ({"origins": ["https://other.test"]}, 1, "fail", ["was not made for https://api.acme.test", again]),
        "other-client": ({"client_id": "other"}, 0, "warn", ["another client_id", again]),
        "future": ({"version": 99}, 1, "fail", ["newer version"]),
    }
    with Home() as h:
        h.write(ACME)
        code, checks = h.run()
        assert code == 1 and said(checks, "logins", "fail", "acme", "there is none", again), checks
        for name, (members, expected, mark, words) in rows.items():
            h.record(**members)
            code, checks = h.run()
            problem = None
            try:
                assert code == expected, (code, checks)
                said(checks, "logins", mark, "acme", *words)
            except AssertionError as e:
                problem = str(e)
            yield name, problem


def test_login_needed():
    """The reason that a renewal left behind, for the account that the provider names."""
    with Home() as h:
        h.write(ACME.replace('auth = "oauth"', 'auth = "oauth"\naccount = "work"'))
        h.record(label="work", expires_at=int(time.time()) - 5)
        with open(os.path.join(h.store, "acme.work.state"), "w") as out:
            json.dump({"generation": 3, "refresh_hash": hashlib.sha256((CANARY + "-refresh").encode()).hexdigest(),
                       "at": int(time.time()), "reason": "the server no longer accepts it"}, out)
        os.chmod(out.name, 0o600)
        code, checks = h.run()
        assert code == 1, checks
        said(checks, "logins", "fail", "the server no longer accepts it", "ccproxy auth login acme --account work")


def test_no_credential():
    """A provider that nobody has set up is not an error: the mock serves."""
    with Home() as h:
        h.write('enabled_plugins = ["mock", "openai"]\n')
        code, checks = h.run()
        assert code == 0 and said(checks, "logins", "warn", "openai", "answers 503", "plugins.openai.api_key"), checks


def test_imports():
    with Home() as h:
        os.makedirs(h.path("vendor"), mode=0o700)
        with open(h.path("vendor", "auth.json"), "w") as out:
            json.dump({"tokens": {"access_token": CANARY, "refresh_token": CANARY}}, out)
        assert not only(h.run()[1], "imports"), "it is not where Codex keeps it"
        said(h.run(env={"CODEX_HOME": h.path("vendor")})[1], "imports", "ok", h.path("vendor", "auth.json"),
             "ccproxy auth login codex --import")
        os.chmod(h.path("vendor", "auth.json"), 0o600)
        before = h.snapshot()
        h.write('enabled_plugins = ["mock", "codex"]\n[plugins.codex]\nauth_file = "%s"' % h.path("vendor", "auth.json"))
        _, checks = h.run(env={"CODEX_HOME": h.path("vendor")})
        assert not only(checks, "imports"), checks
        said(checks, "logins", "ok", "codex: login codex (%s)" % h.path("vendor", "auth.json"))
        assert h.snapshot()[out.name] == before[out.name]


def test_trust_and_environment():
    with Home() as h:
        with open(h.path("ca.pem"), "w") as out:
            out.write("no certificate\n")
        h.write(MOCK + '\n[upstream]\nca_file = "%s"\n' % h.path("ca.pem"))
        code, checks = h.run()
        assert code == 78 and said(checks, "trust", "fail", "upstream.ca_file", h.path("ca.pem")), checks
        authority = certs.Authority(h.folder, "own")
        h.write(MOCK + '\n[upstream]\nca_file = "%s"\n' % authority.file)
        checks = h.run()[1]
        counts = [int(re.search(r"(\d+) authorities", c["text"]).group(1)) for c in only(checks, "trust", "ok")]
        assert counts[1] == counts[0] + 1, checks
        h.write(MOCK)
        _, checks = h.run(env={"HTTPS_PROXY": "http://user:%s@proxy.test:3128" % CANARY, "SSL_CERT_FILE": "/x"})
        said(checks, "environment", "warn", "HTTPS_PROXY", "[upstream] proxy")
        said(checks, "environment", "warn", "SSL_CERT_FILE", "ca_file")


def net(up, key="", more=""):
    return MOCK + '\n[providers.local]\nbase_url = "%s/v1"\n%s\n%s' % (up, key, more)


def test_network():
    """Any answer will do, no credential is sent; only what somebody uses is a failure."""
    key = 'api_key = "%s"' % CANARY
    up = upstream.Upstream()
    try:
        up.answer = upstream.Answer(b"nobody", status=404)
        with Home() as h:
            h.write(net(up.url, key, '[oauth.local]\ntoken_url = "%s/token"\nauthorize_url = "%s/authorize"\n'
                                     'client_id = "c"\n' % (up.url, up.url)))
            code, checks = h.run(offline=False)
            assert code == 0, checks
            said(checks, "network", "ok", "local: %s/v1 answers (404" % up.url)
            said(checks, "network", "ok", "login local: %s/token answers" % up.url)
            assert [r.target for r in up.requests] == ["/v1", "/token"], up.requests
            for r in up.requests:
                assert r.method == "GET" and r.get("authorization") is None and CANARY not in str(r.headers), r.headers
            dead = "http://127.0.0.1:%d" % server.free_port()
            h.write(net(dead, key))
            code, checks = h.run(offline=False)
            assert code == 69 and said(checks, "network", "fail", dead, "refused"), checks
            h.write(net(dead))
            code, checks = h.run(offline=False)
            assert code == 0 and said(checks, "network", "warn", dead, "no credential needs it yet"), checks
            h.write(net("https://nowhere.invalid", key))
            code, checks = h.run(offline=False)
            assert code == 69 and said(checks, "network", "fail", "https://nowhere.invalid", "name"), checks
    finally:
        up.close()


def test_network_tls():
    """An authority that nobody trusts is named as such; with ca_file it is fine."""
    with Home() as h:
        authority = certs.Authority(h.folder, "own")
        up = tls_upstream.TlsUpstream(*authority.leaf())
        try:
            url, key = "https://127.0.0.1:%d" % up.port, 'api_key = "%s"' % CANARY
            h.write(net(url, key))
            code, checks = h.run(offline=False)
            assert code == 69 and said(checks, "network", "fail", url, "TLS", "certificate", "ca_file"), checks
            h.write(net(url, key + '\nca_file = "%s"' % authority.file))
            code, checks = h.run(offline=False)
            assert code == 0 and said(checks, "network", "ok", url, "answers"), checks
        finally:
            up.close()


def test_clock():
    up = upstream.Upstream()
    try:
        with Home() as h:
            h.write(net(up.url))
            for shift, expected, mark, word in ((0, 0, "ok", "agrees"), (3600, 1, "fail", "behind"),
                                                (-3600, 1, "fail", "ahead of"), (200, 0, "ok", "agrees")):
                date = email.utils.formatdate(time.time() + shift, usegmt=True)
                up.answer = upstream.Answer(b"{}", headers=[("Date", date)])
                code, checks = h.run(offline=False)
                assert code == expected and said(checks, "clock", mark, word), (shift, checks)
            up.answer = upstream.Answer(b"{}", headers=[("Date", "yesterday")])
            assert said(h.run(offline=False)[1], "clock", "ok", "plausible")
    finally:
        up.close()


def test_hostile_answers():
    """Texts of others reach a terminal without control bytes."""
    up = upstream.Upstream()
    try:
        up.answer = upstream.reply({"name": "ccproxy", "version": "\x1b]0;x\x07", "status": "pass",
                                    "checks": {"a\x1b[2J": [{"status": "warn", "output": "b\r\nfail  ports"}]}})
        with Home(port=up.port) as h:
            text = h.raw("--offline").stdout
        assert "a ccproxy" in text and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), repr(text)
        assert not re.search(r"^fail  ports", text, re.M), text
    finally:
        up.close()


def test_memory():
    """The n-th allocation fails: an answer or a refusal, never a crash, and never "all is well" with a part missing."""
    with Home() as h:
        h.write(ACME)
        h.record()
        counter = panel.Panel()
        whole = h.raw("--offline", env=counter.env)
        total = counter.passed()["alloc"]
        counter.close()
        assert whole.returncode == 0 and total > 100, (total, whole.stderr)
        points = range(1, total + 1) if check.LONG else [*range(1, total - 20, total // 20), *range(total - 20, total + 1)]
        for n in points:
            done = h.raw("--offline", env={"CCPROXY_FAULT": "alloc:%d" % n})
            if done.returncode == 0:
                fine = done.stdout.count("\n") >= whole.stdout.count("\n")
            else:
                fine = done.returncode in (1, 69, 78) and (done.stderr.strip() or "\nfail  " in "\n" + done.stdout)
            if not fine or "Sanitizer" in done.stderr or "runtime error" in done.stderr or CANARY in done.stdout:
                yield "alloc-%d" % n, "exit %d of %d\n%s%s" % (done.returncode, total, done.stdout, done.stderr[-1500:])
        yield "all", None


def blocks(name, language):
    with open(os.path.join(ROOT, "docs", name)) as f:
        return re.findall(r"^```%s\n(.*?)^```" % language, f.read(), re.M | re.S)


def test_documented_configuration():
    """Every piece of TOML in the two documents is a configuration that ccproxy takes."""
    with tempfile.TemporaryDirectory() as folder:
        secret, path = os.path.join(folder, "secret"), os.path.join(folder, "c.toml")
        with open(secret, "w") as out:
            out.write("x" * 32)
        os.chmod(secret, 0o600)
        for name in ("authentication.md", "oauth-providers.md"):
            found = blocks(name, "toml")
            assert len(found) >= 2, name
            for i, text in enumerate(found):
                with open(path, "w") as out:
                    out.write(re.sub(r"file:/[^\"]+", "file:" + secret, text))
                os.chmod(path, 0o600)
                done = server.run("config", "check", path, env={"CCPROXY_KEY": "k" * 32})
                yield "%s-%d" % (name, i + 1), None if done.returncode == 0 else done.stderr + text


def test_documented_plugin():
    """The example in C compiles with the warnings of the build."""
    text = next(b for b in blocks("oauth-providers.md", "c") if "CCP_PLUGIN" in b)
    done = subprocess.run(["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers",
                           "-DCCP_VERSION=\"0\"", "-I" + os.path.join(ROOT, "proxy", "sdk"), "-fsyntax-only", "-x",
                           "c", "-"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    check.main(globals(), "blackbox/doctor")
