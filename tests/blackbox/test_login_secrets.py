"""No secret of a login is written down: tokens, codes, verifiers, client secrets. At debug level, against servers
that repeat in their errors whatever they were sent; and from a process that nobody may look into (CRD-10, CRD-12)."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
from browser import Browser  # noqa: E402
from canaries import canary, found  # noqa: E402
from claude import Claude  # noqa: E402
from cli import User  # noqa: E402
from codex import Codex  # noqa: E402
from copilot import Copilot  # noqa: E402
from double import FORM, Double, Refused  # noqa: E402
from server import Server, free_port  # noqa: E402
from upstream import reply  # noqa: E402

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN", "build/ccproxy")
NOBODY = 65534


class Corp(Double):
    """A company's server of its own: a client secret, tokens of its own making, and errors that repeat the request."""

    def __init__(self):
        super().__init__()
        self.client_secret, self.repeat = canary("client-secret"), None
        self.routes = {("GET", "/authorize"): self.authorize, ("POST", "/token"): self.token,
                       ("POST", "/revoke"): self.revoke, ("POST", "/v1/chat/completions"): self.chat}

    def config(self):
        return ('[oauth.corp]\nauthorize_url = "{0}/authorize"\ntoken_url = "{0}/token"\nrevoke_url = "{0}/revoke"\n'
                'client_id = "corp-cli"\nclient_secret = "${{CORP_SECRET}}"\nscopes = ["chat"]\n'
                '[providers.corp]\nbase_url = "{0}/v1"\nformat = "openai-chat"\nauth = "oauth"\noauth = "corp"\n'
                ).format(self.url)

    def authorize(self, _request, sent):
        return self.code_page(sent)

    def echo(self, request):
        """The error of a careless server: the whole request, its headers too."""
        if self.repeat:
            raise Refused(self.repeat, {"error": "server_error" if self.repeat > 499 else "invalid_request",
                                        "error_description": "cannot take %s %s" % (request.body.decode(),
                                                                                    request.get("authorization"))})

    def token(self, request, sent):
        sent.update(self.body_of(request, [FORM]))
        self.echo(request)
        if sent["grant_type"] == "authorization_code":
            self.pkce(sent["code"], sent, {"error": "invalid_grant"})
            grant = self.new_grant("chat")
        else:
            gone = (400, {"error": "invalid_grant"})
            grant = self.rotate(sent["refresh_token"], gone, gone)
        access, refresh = self.secret("corp-at."), self.secret("corp-rt.")
        self.issue(grant, access, refresh)
        return reply({"access_token": access, "refresh_token": refresh, "token_type": "Bearer",
                      "expires_in": self.lifetime, "hint": self.secret("unknown-member.")})

    def revoke(self, request, sent):
        sent.update(self.body_of(request, [FORM]))
        raise Refused(400, {"error": "invalid_request", "error_description": "what is " + request.body.decode()})

    def chat(self, request, _sent):
        self.bearer(request, {"error": {"message": "who is %s" % request.get("authorization"), "type": "x"}})
        return self.speak("chat", json.loads(request.body))


class Watch:
    """Everything that commands and servers said and left behind."""

    def __init__(self):
        self.texts = {}

    def process(self, name, pid):
        for part in ("cmdline", "environ", "maps", "status"):
            with open("/proc/%d/%s" % (pid, part), "rb") as file:
                self.texts["%s /proc/%s" % (name, part)] = file.read()
        links = []
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                links.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
            except OSError:
                pass
        self.texts[name + " /proc/fd"] = "\n".join(links).encode()

    def said(self, user):
        for number, running in enumerate(user.running):
            name = "command %d" % number
            for stream, data in running.pieces.items():
                self.texts["%s %s" % (name, stream)] = data

    def files(self, user, since):
        """Files of this run: in the user's folder but for the store itself, and in /tmp."""
        for folder, _, names in [*os.walk(user.folder), ("/tmp", [], os.listdir("/tmp"))]:
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if folder != user.store and os.path.isfile(path) and os.stat(path).st_mtime >= since - 1:
                        with open(path, "rb") as file:
                            self.texts[path] = file.read(1 << 24)
                except OSError:
                    pass
        for name in os.listdir(user.store):
            if not name.endswith(".json"):
                with open(os.path.join(user.store, name), "rb") as file:
                    self.texts["store " + name] = file.read()


def secrets_of(doubles):
    """Everything secret that went over the wire in either direction, by name."""
    out = {"client secret": doubles[0].client_secret}
    for double in doubles:
        kind = type(double).__name__
        for number, value in enumerate(double.secrets):
            out["%s issued %d" % (kind, number)] = value
        for number, (path, _, sent) in enumerate(double.asked):
            for name in ("code", "code_verifier", "refresh_token", "device_code", "device_auth_id", "token"):
                if path != "/oauth/authorize" and len(sent.get(name) or "") > 15:
                    out["%s %s %d" % (kind, name, number)] = sent[name]
    return out


def login(user, name, watch):
    running = user.start("login", name, "--no-browser")
    url = running.url("response_type=code")
    watch.process("login " + name, running.process.pid)
    Browser().go(url)
    return running.end()


def drive(user, doubles, watch):
    """Logins, renewals, failures, requests, logouts; every answer is kept."""
    corp, claude, codex, copilot = doubles
    corp.repeat = 503
    assert login(user, "corp", watch)[0] != 0
    corp.repeat = 400
    assert login(user, "corp", watch)[0] != 0
    corp.repeat = None
    for name in ("corp", "claude", "codex"):
        code, text = login(user, name, watch)
        assert code == 0, text
    copilot.approve_after = 0
    user.good("login", "copilot", "--no-browser", seconds=20)
    running = user.start("login", "codex", "--device", "--no-browser", "--account", "second")
    running.until("ABCD-0000")
    assert running.end(20)[0] == 0
    for name in ("corp", "claude", "codex"):
        user.good("refresh", name, "--account", "default")
    for status in (400, 503):
        corp.repeat = status
        user.run("refresh", "corp", seconds=30)
    corp.repeat = None
    for command in (("status",), ("status", "--json"), ("providers",), ("providers", "--json")):
        user.run(*command)


CHAT = {"model": "gpt-chat", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def proxy(user, doubles, watch):
    heard = []

    def ask(server, path, **more):
        response = server.post(path, CHAT, **more) if path.startswith("/c") else server.request("GET", path)
        heard.append(response.status)
        watch.texts["answer %d" % len(watch.texts)] = response.raw
    env = {"CORP_SECRET": doubles[0].client_secret}
    with Server(user.config, env=env, arguments=["--log-level", "debug"]) as server:
        for _ in range(2):
            for prefix in ("corp", "claude", "codex", "copilot"):
                ask(server, "/%s/v1/chat/completions" % prefix)
            for path in ("/health", "/health/ready", "/plugins", "/plugins/status", "/plugins/codex/health",
                         "/plugins/claude_api/health", "/plugins/copilot/health"):
                ask(server, path)
            for double in doubles:
                double.expire()
        doubles[0].repeat = 503
        ask(server, "/corp/v1/chat/completions")
        doubles[0].expire()
        ask(server, "/corp/v1/chat/completions")
        doubles[0].repeat = 400
        server.process.send_signal(signal.SIGHUP)
        server.wait_log("reloaded", 10)
        ask(server, "/corp/v1/chat/completions")
        for name in ("corp", "claude", "codex", "copilot"):
            user.run("logout", name, "--yes", "--account", "default", seconds=20)
        time.sleep(2.5)
        ask(server, "/codex/v1/chat/completions")
        watch.process("server", server.process.pid)
        watch.texts["log"] = server.log_text().encode()
        watch.texts["banner"] = server.output().encode()
    return heard


def test_no_secret_is_written_down():
    """LOG-01 for logins."""
    doubles = [Corp(), Claude(), Codex(), Copilot()]
    began, watch = time.time(), Watch()
    port = free_port()
    config = 'refresh_before = "1s"\n[logging]\nlevel = "debug"\n' + "".join(
        d.config(port) if isinstance(d, Codex) else d.config() for d in doubles)
    try:
        with User(config, env={"CORP_SECRET": doubles[0].client_secret}) as user:
            drive(user, doubles, watch)
            user.config = user.config.replace('[logging]\nlevel = "debug"\n', "")
            heard = proxy(user, doubles, watch)
            watch.said(user)
            watch.files(user, began)
            secret = secrets_of(doubles)
    finally:
        for double in doubles:
            double.close()
    assert heard[:4] == [200] * 4, heard
    watch.texts.pop(os.path.join(user.folder, "config.toml"), None)
    hits = found(secret, watch.texts)
    assert len(secret) >= 40 and len(watch.texts["log"]) > 5000, (len(secret), len(watch.texts["log"]))
    proof = found({"x": "corp-cli"}, watch.texts)
    assert proof, "the search cannot find what is there"
    check.figure("LOG-01", "logins: %d tokens, codes, verifiers; %d texts (log, terminal, /proc, answers): %d hits" % (
        len(secret), len(watch.texts), len(hits)))
    assert not hits, sorted(set(hits))[:20]


# -- CRD-10, CRD-12: nobody looks into the process --

PEEK = r"""
import ctypes, json, os, resource, signal, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.environ["HOME"] = os.getcwd()
out = []
for command, wait in json.load(sys.stdin):
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if wait:
        said = b""
        while wait.encode() not in said:
            more = os.read(child.stdout.fileno(), 65536)
            if not more:
                break
            said += more
    else:
        time.sleep(0.3)
    row = {"alive": child.poll() is None, "owner": os.stat("/proc/%d/environ" % child.pid).st_uid}
    try:
        row["environ"] = len(open("/proc/%d/environ" % child.pid, "rb").read())
    except OSError as error:
        row["environ"] = error.strerror
    row["attached"] = libc.ptrace(16, child.pid, None, None) == 0  # PTRACE_ATTACH; its parent, so Yama would let it
    if row["attached"]:
        os.waitpid(child.pid, 0)
        libc.ptrace(17, child.pid, None, None)
    try:
        open("/proc/%d/mem" % child.pid, "rb")
        row["mem"] = True
    except OSError:
        row["mem"] = False
    row["core_limit"] = [l for l in open("/proc/%d/limits" % child.pid) if "core" in l][0].split()[4]
    os.kill(child.pid, signal.SIGABRT if wait else signal.SIGSEGV)
    _, status = os.waitpid(child.pid, 0)
    row["signal"], row["core"] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, os.WCOREDUMP(status)
    out.append(row)
print(json.dumps(out))
"""


def test_nobody_looks_into_the_process():
    """As an ordinary user: core dumps, /proc/PID/{environ,mem}, ptrace; a plain process for comparison allows them."""
    if os.geteuid() != 0:
        raise check.Skip("needs root, to become nobody")
    double = Codex()
    folder = tempfile.mkdtemp(prefix="ccp-peek-")
    try:
        program = os.path.join(folder, "ccproxy")
        subprocess.run(["cp", RELEASE, program], check=True)
        config = os.path.join(folder, "config.toml")
        with open(config, "w") as out:
            out.write('[server]\nhost = "127.0.0.1"\nport = %d\nworkers = 1\n[auth]\ndirectory = "%s/logins"\n%s' % (
                free_port(), folder, double.config(free_port())))
        for path in (folder, program, config):
            os.chown(path, NOBODY, NOBODY)
        commands = [(["sleep", "60"], ""), ([program, "serve", "-c", config], "http://"),
                    ([program, "auth", "login", "codex", "--no-browser", "-c", config], "response_type=code")]
        result = subprocess.run([sys.executable, "-c", PEEK], input=json.dumps(commands), cwd=folder, timeout=60,
                                capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
        assert result.returncode == 0, result.stderr
        plain, server, cli = json.loads(result.stdout)
    finally:
        double.close()
        subprocess.run(["rm", "-rf", folder], check=True)
    assert plain["owner"] == NOBODY and plain["attached"] and plain["mem"], "the comparison does not work: %r" % plain
    for name, row in (("server", server), ("auth login", cli)):
        assert row["alive"], "%s was not running" % name
        assert row["owner"] == 0 and not row["attached"] and not row["mem"], (name, row)
        assert isinstance(row["environ"], str), "%s: environ can be read" % name
        assert not row["core"] and row["core_limit"] == "0" and row["signal"] in (6, 11), (name, row)
    check.figure("CRD-10", "server, auth login: no core (plain process: %s), dumpable 0, ptrace and mem refused" % (
        "dumped" if plain["core"] else "no dump here either"))


def test_children_and_environment():
    """CRD-12: what a started browser gets, and what /proc shows of the parents."""
    secret = {"client secret": canary("client-secret"), "api key": canary("api-key"), "token": canary("server-token")}
    double = Corp()
    double.client_secret = secret["client secret"]
    env = {"CORP_SECRET": secret["client secret"], "OPENAI_API_KEY": secret["api key"],
           "SECURITY__AUTH_TOKEN": secret["token"]}
    watch = Watch()
    try:
        with User(double.config(), env=env) as user:
            seen = os.path.join(user.folder, "seen")
            script = os.path.join(user.folder, "browser")
            with open(script, "w") as out:
                out.write("#!/bin/sh\ncat /proc/self/environ > %s.part; mv %s.part %s\n" % (seen, seen, seen))
            os.chmod(script, 0o755)
            running = user.start("login", "corp", env={"BROWSER": script})
            url = running.url("response_type=code")
            watch.process("login", running.process.pid)
            end = time.monotonic() + 10
            while not os.path.exists(seen) and time.monotonic() < end:
                time.sleep(0.02)
            with open(seen, "rb") as file:
                watch.texts["browser's environment"] = file.read()
            Browser().go(url)
            assert running.end()[0] == 0
            with Server(user.config, env=env) as server:
                watch.process("server", server.process.pid)
    finally:
        double.close()
    hits = found({**secret, **secrets_of([double])}, watch.texts)
    check.figure("CRD-12", "%d secrets in environ, cmdline, maps, fd of server, login, browser: %d hits" % (
        len(secret) + len(double.secrets), len(hits)))
    assert not hits, hits


if __name__ == "__main__":
    check.main(globals(), "blackbox/login_secrets")
