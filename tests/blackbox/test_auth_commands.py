"""`ccproxy auth …` at its edges: hostile metadata and the browser that is started, logins that meet each other, bad
ends, imports, terminals, status in words, keys, revocation. What is stored stays as it was unless the end was good."""
import json
import os
import re
import resource
import select
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import idp  # noqa: E402
from browser import Browser  # noqa: E402
from cli import User  # noqa: E402
from server import BINARY, SLOW  # noqa: E402
from waiting import Login, Terminal, Witness, answered, block  # noqa: E402


HOSTILE_URLS = ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "vscode://x", "ftp://127.0.0.1/",
                "http://example.com/authorize", "http://127.0.0.1.example.com/", "https://user:pass@example.com/",
                "https://example.com/$(touch MARK)", "https://example.com/`touch MARK`",
                "https://example.com/;touch MARK",
                "https://example.com/a b", "https://example.com/\ntouch MARK", "https://example.com/\x1b[2J",
                "-https://example.com/", "--help", "", "https:", "//example.com/", "https://example.com/#x",
                "https://example.com/'\"|&touch MARK&", "https://example.com/$(touch${IFS}MARK)",
                "https://example.com/;touch${IFS}MARK;&touch${IFS}MARK&", "https://example.com/?a=$(id)&b=%0aid"]


def test_hostile_metadata():
    """authorization_endpoint of a server that wants more than a login: never opened, printed or run."""
    with idp.Idp() as server, User(block(server, endpoints=("client_id", "issuer"))) as user:
        witness = Witness(user)
        opened = 0
        mark = os.path.join(user.folder, "MARK")
        for url in HOSTILE_URLS:
            url = url.replace("MARK", mark)
            server.metadata = lambda found, url=url: {**found, "authorization_endpoint": url}
            running = user.start("login", "acme", env={"BROWSER": witness.program})
            end = time.monotonic() + 10 * SLOW
            while running.process.poll() is None and "response_type=code" not in running.text:
                assert time.monotonic() < end, "neither refused nor opened: %r" % url
                time.sleep(0.01)
            if running.process.poll() is None:  # a strange https URL is one all the same
                assert url.startswith("https://") and not re.search(r"[\s\x1b]", url), url
                opened += 1
                end = time.monotonic() + 5 * SLOW
                while len(witness.starts()) < opened:
                    assert time.monotonic() < end, "not opened: %r" % url
                    time.sleep(0.01)
                running.process.send_signal(signal.SIGINT)
            code, text = running.end()
            assert code != 0 and "\x1b" not in text and not os.path.exists(mark), (url, code, text)
        for start in witness.starts():
            assert len(start["argv"]) == 1 and start["argv"][0].startswith("https://example.com/"), start["argv"]
        time.sleep(0.2)
        assert opened == 3 and not server.posts() and not os.path.exists(mark)
    check.figure("OAU-11", "%d hostile authorization URLs: 0 commands run, %d https ones opened as one argument"
                 % (len(HOSTILE_URLS), opened))


def test_browser_child():
    """What the browser inherits: ten names at most, /dev/null three times, init for a parent; no secret."""
    secret = {"OPENAI_API_KEY": "sk-canary-1", "ANTHROPIC_API_KEY": "sk-canary-2", "LD_PRELOAD_NOT": "1", "FOO": "bar"}
    screen = {"DISPLAY": ":9", "WAYLAND_DISPLAY": "w", "XAUTHORITY": "/x", "XDG_RUNTIME_DIR": "/r",
              "DBUS_SESSION_BUS_ADDRESS": "unix:path=/b", "XDG_CURRENT_DESKTOP": "d"}
    with idp.Idp() as server, User(block(server)) as user:
        witness = Witness(user)
        running = user.start("login", "acme", env={**secret, **screen, "BROWSER": witness.program + " --new:other"})
        url = running.url("response_type=code")
        start, = witness.starts(5)
        assert start["argv"] == ["--new", url], start["argv"]
        names = set(start["env"]) - {"LC_CTYPE"}  # Python's own
        assert len(names) <= 10 and not names & set(secret), names
        inherited = {k: v for k, v in start["fds"].items() if not v.startswith("/proc/")}  # its own look at them
        assert inherited == {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null"}, start["fds"]
        assert start["parent"] != running.process.pid and start["session"] != os.getsid(0)
        with open("/proc/%d/task/%d/children" % (running.process.pid, running.process.pid), encoding="ascii") as file:
            assert file.read().strip() == "", "a child is left"
        Browser().go(url)
        assert running.end()[0] == 0
        os.symlink(witness.program, os.path.join(user.folder, "xdg-open"))
        path = {"PATH": user.folder + ":" + os.environ["PATH"]}
        for more, opened in (({"DISPLAY": ":9", "SSH_CONNECTION": "a"}, False), ({}, False), ({"DISPLAY": ":9"}, True),
                             ({"WAYLAND_DISPLAY": "w"}, True), ({"BROWSER": "/nowhere/browser"}, False)):
            running = user.start("login", "acme", "--force", env={**path, **more})
            running.url("response_type=code")
            assert ("A browser is opened" in running.text) == opened, (more, running.text)
            running.kill()


def test_two_at_once():
    """Two logins of one account, and one while a refresh runs: all end well, each counts one on."""
    with idp.Idp() as server, User(block(server)) as user:
        one, two = Login(user), Login(user)
        one.finish()
        two.finish()
        last = user.record("acme")
        assert last["generation"] == 2 and server.active(last["access_token"])
        rounds = 5 if check.LONG else 2
        for i in range(rounds):
            server.faults["refresh"] = [idp.Fault(late=0.7)]
            login = Login(user, "acme", "--force")
            refresh = user.start("refresh", "acme")
            while len(server.posts("refresh")) <= i:
                time.sleep(0.01)
            login.finish()
            code, text = refresh.end(20)
            assert code == 0, (code, text)
            record = user.record("acme")
            assert record["generation"] == 4 + 2 * i and server.active(record["access_token"]), record["generation"]
            assert record["access_token"] == [p for p in server.posts("code")][-1].answer["access_token"]
    check.figure("OAU-17", "2 logins at once: generation 2, last wins; %d during a refresh: +1 each, 0 lost" % rounds)


def test_stale_grant():
    """A new login asks anew: the old refresh token is never sent, its record replaced, what is unknown in it kept."""
    with idp.Idp() as server, User(block(server)) as user:
        user.logged_in("acme")
        old = user.record("acme")
        with open(user.path("acme"), "w", encoding="utf-8") as out:
            json.dump({**old, "expires_at": 1, "from_the_future": {"a": [1, 2.50]}}, out)
        code, text = user.run("login", "acme")
        assert code == 0 and "logged in already" in text, (code, text)
        user.logged_in("acme", "--force")
        new = user.record("acme")
        assert new["generation"] == old["generation"] + 1 and new["from_the_future"] == {"a": [1, 2.50]}
        assert new["refresh_token"] != old["refresh_token"] and new["expires_at"] > time.time()
        assert not server.posts("refresh"), "the old grant was used"
        assert all(old["refresh_token"] not in str(p.parameters) for p in server.token_posts)
        for kind in ("intent", "state"):
            assert not os.path.exists(user.path("acme", kind=kind))
    check.figure("OAU-18", "stale grant: fresh authorization, 0 refreshes, record replaced, unknown members kept")


def test_bad_ends():
    """What the server says to the code; nothing is stored and the exit status tells whose turn it is."""
    rows = [("html", idp.HTML, 69), ("hang up", idp.Fault(cut=20), 69),
            ("refused", idp.Fault(status=400, body={"error": "invalid_grant"}), 77),
            ("no token", idp.Fault(body={"token_type": "bearer"}, status=200), None),
            ("client", idp.Fault(status=401, body={"error": "invalid_client", "error_description": "\x1b[31m"}), 77)]
    with idp.Idp() as server, User(block(server)) as user:
        for name, fault, expected in rows:
            server.faults["code"] = [fault]
            code, text, page = user.login("acme")
            assert code == expected or (expected is None and code != 0), (name, code, text)
            assert user.record("acme") is None and "did not work" in page.text and "\x1b" not in text, (name, text)
        server.device_script = ["access_denied"]
        code, text = user.run("login", "acme", "--device")
        assert code == 77, (code, text)


def test_usage():
    with idp.Idp() as server, User(block(server)) as user:
        for arguments, code, part in ((("login",), 2, "acme"), (("login", "acmee"), 2, "acme"),
                                      (("login", "acme", "--file", "x"), 2, "--import"),
                                      (("login", "acme", "--manual", "--device"), 2, "only one"),
                                      (("login", "acme", "--import"), 1, "import"),
                                      (("login", "acme", "--account", "../x"), 2, "--account"),
                                      (("status", "acme"), 77, "not logged in"),
                                      (("refresh", "acme"), 77, "auth login"),
                                      (("logout", "acme", "--yes"), 77, "not logged in"),
                                      (("status",), 77, "no login is stored"), (("providers",), 0, "copilot")):
            got, text = user.run(*arguments)
            assert got == code and part in text, (arguments, got, text)
        for name in ("claude", "claude_api", "openai", "copilot"):
            code, found = user.json("status", name)
            assert code == 77 and found["logins"][0]["state"] == "none", (name, found)
        for command in ("providers", "login", "status", "refresh", "logout", "rekey"):
            code, text = user.run(command, "--help")
            assert code == 0 and "usage: ccproxy auth " + command in text, text


def vendor_file(user, mode=0o600, **more):
    folder = os.path.join(user.folder, ".claude")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, ".credentials.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"claudeAiOauth": {"accessToken": "sk-ant-oat01-x", "refreshToken": "sk-ant-ort01-y",
                                     "expiresAt": int(time.time() * 1000) + 3600000, "scopes": ["user:inference"],
                                     "subscriptionType": "max", **more}, "mcpOAuth": {"keep": 1}}, out)
    os.chmod(path, mode)
    return path


def test_import():
    with User("") as user:
        user.write('\n[plugins.claude_api]\nauth = "oauth"\n')
        code, text = user.run("login", "claude", "--import")
        assert code == 77 and ".claude/.credentials.json" in text, (code, text)
        path = vendor_file(user)
        with open(path, "rb") as file:
            before = file.read()
        text = user.good("login", "claude", "--import")
        record = user.record("claude-api")
        assert record["access_token"] == "sk-ant-oat01-x" and record["refresh_token"] == "sk-ant-ort01-y", record
        assert abs(record["expires_at"] - time.time() - 3600) < 60 and record["facts"]["plan"] == "max", record
        assert "warning" in text and "Claude Code" in text and "sk-ant" not in text, text
        with open(path, "rb") as file:
            assert file.read() == before
        user.good("login", "claude", "--import", "--file", path, "--account", "second")
        code, text = user.run("logout", "claude")
        assert code == 2, (code, text)
        assert stat.S_IMODE(os.stat(user.path("claude-api", "second")).st_mode) == 0o600
        user.write('\n[plugins.claude_api]\nauth = "oauth"\naccount = "desk"\nauth_file = "%s"\n' % path)
        code, found = user.json("status", "claude", "--account", "desk")
        assert code == 0 and found["logins"][0]["file"] == path and found["logins"][0]["state"] == "ready", found
        code, text = user.run("logout", "claude", "--account", "desk", "--yes")
        assert code == 1 and "Claude Code" in text and os.path.exists(path), (code, text)
        elsewhere = os.path.join(user.folder, "elsewhere")
        os.rename(os.path.join(user.folder, ".claude"), elsewhere)
        user.env["CLAUDE_CONFIG_DIR"] = elsewhere
        user.good("login", "claude", "--import", "--account", "third")
        with open(os.path.join(elsewhere, ".credentials.json"), "w", encoding="utf-8") as out:
            out.write("{")
        code, text = user.run("login", "claude", "--import", "--force")
        assert code == 1 and user.record("claude-api") == record, (code, text)


def test_terminal():
    """QR code, paste while the listener waits (a browser elsewhere), spinner, and the question before a logout."""
    with idp.Idp() as server, User(block(server)) as user:
        t = Terminal(user, "login", "acme", "--no-browser")
        url = t.until(r"https?://\S*response_type=code\S*")[0]
        t.until("\u2580|\u2584")
        t.until("paste")
        t.type("http://127.0.0.1/callback?code=x&state=wrong")
        t.until("cannot be used")
        t.type(answered(url))
        assert t.end() == 0, t.seen
        assert len(server.posts("code")) == 1
        witness = Witness(user)
        t = Terminal(user, "login", "acme", "--force", env={"BROWSER": witness.program})
        t.until(r"[|/\\-] waiting for the browser")
        Browser().go(t.until(r"https?://\S*response_type=code\S*")[0])
        assert t.end() == 0, t.seen
        t = Terminal(user, "logout", "acme")
        t.until(r"\[y/N\]")
        t.type("n")
        assert t.end() == 1 and user.record("acme") is not None
        t = Terminal(user, "logout", "acme")
        t.until(r"\[y/N\]")
        t.type("y")
        assert t.end() == 0 and user.record("acme") is None, t.seen


def edit(user, **members):
    record = {**user.record("acme"), **members}
    with open(user.path("acme"), "w", encoding="utf-8") as out:
        json.dump({k: v for k, v in record.items() if v is not None}, out)


def test_status():
    """What is stored, in words and as JSON; the exit status tells whether it can be used."""
    with idp.Idp() as server, User(block(server) + block(server, "other")) as user:
        user.logged_in("acme")
        user.logged_in("acme", "--account", "work")
        code, found = user.json("status")
        assert code == 0 and [(l["account"], l["state"]) for l in found["logins"]] == [
            ("default", "ready"), ("work", "ready")], found
        one = found["logins"][0]
        assert one["scopes"] == ["openid", "a"] and one["refreshable"] and one["file"] == user.path("acme"), one
        assert 3500 < one["expires_in"] <= 3600 and one["generation"] == 1, one
        code, found = user.json("status", "--all")
        assert code == 0 and {"other", "copilot"} <= {l["provider"] for l in found["logins"]}
        now = int(time.time())
        for at, words in ((now + 3 * 3600 + 1210, "in 3 hours 20 minutes"), (now + 86400 * 2 + 100, "in 2 days"),
                          (now - 7200, "expired    2 hours ago"), (None, "not by the clock")):
            edit(user, expires_at=at, expires_in=None)
            code, text = user.run("status", "acme", "--account", "default")
            assert code == 0 and words in text, (words, text)
        edit(user, expires_at=now - 10, refresh_token=None)
        code, found = user.json("status", "acme", "--account", "default")
        assert code == 77 and found["logins"][0]["state"] == "expired" and "auth login" in found["logins"][0]["reason"]
        assert user.run("status", "acme", "--account", "work")[0] == 0
        assert user.run("status")[0] == 77
        with open(user.path("acme"), "w", encoding="utf-8") as out:
            out.write('{"version":1,')
        code, found = user.json("status", "acme", "--account", "default")
        assert code == 77 and found["logins"][0]["state"] == "unreadable", found
        text = user.logged_in("acme", "--force")  # a broken record is replaced
        assert user.run("status", "acme")[0] == 0, text
        code, text = user.run("refresh", "acme", "--account", "work")
        assert code == 0 and user.record("acme", "work")["generation"] == 2, text
        server.grants.revoke(user.record("acme", "work")["refresh_token"])
        code, text = user.run("refresh", "acme", "--account", "work")
        assert code == 77 and "ccproxy auth login acme" in text and "--account work" in text, (code, text)
        code, found = user.json("status", "acme", "--account", "work")
        assert code == 77 and found["logins"][0]["state"] == "needs_login" and found["logins"][0]["reason"], found


def test_rekey():
    """From plain text to a key, to a passphrase, and back; at each step only the right key opens the login."""
    with idp.Idp() as server, User(block(server)) as user:
        user.logged_in("acme")
        token = user.record("acme")["access_token"]
        key, phrase = os.path.join(user.folder, "key"), os.path.join(user.folder, "phrase")
        for path, content in ((key, os.urandom(32).hex()), (phrase, "correct horse battery staple\n")):
            with open(path, "w", encoding="ascii") as out:
                out.write(content)
            os.chmod(path, 0o600)
        plain, steps = block(server), (('encryption = "key_file"\nkey_file = "%s"' % key, ()),
                                       ('encryption = "passphrase_file"\npassphrase_file = "%s"' % phrase,
                                        ("--old-key-file", key)),
                                       ('encryption = "none"', ("--old-passphrase-file", phrase)))
        for settings, old in steps:
            with open(user.file, "w", encoding="utf-8") as out:
                out.write('[auth]\ndirectory = "%s"\n%s\n%s' % (user.store, settings, plain))
            if old:
                code, text = user.run("login", "acme", "--no-browser")
                assert code == 78 and user.run("status", "acme")[0] == 77, (settings, code, text)
            text = user.good("rekey", *old)
            assert text.startswith("1 rewritten"), text
            user.good("status", "acme")
            with open(user.path("acme"), "rb") as file:
                assert (token.encode() in file.read()) == ("none" in settings), settings


def test_revocation():
    """Whatever the server says: gone here within 2 s; a server that fails is asked three times more."""
    worst = 0
    with idp.Idp() as server, User(block(server)) as user:
        for status in (200, 400, 503, "hang"):
            user.logged_in("acme", "--force")
            server.revoke_status = status if status != "hang" else 200
            server.always.pop("revoke", None)
            if status == "hang":
                server.always["revoke"] = idp.Fault(hang=True)
            asked, start = len(server.revoked), time.monotonic()
            code, text = user.run("logout", "acme", "--yes")
            took = time.monotonic() - start
            assert code == 0 and user.record("acme") is None, (status, code, text)
            assert took < 2 * (1 if SLOW == 1 else 2), (status, took)
            worst = max(worst, took)
            assert ("revoked." in text) == (status == 200), text
            if status == 503:
                end = time.monotonic() + (40 if check.LONG else 6)
                wanted = 4 if check.LONG else 2
                while len(server.revoked) - asked < wanted:
                    assert time.monotonic() < end, "asked %d times" % (len(server.revoked) - asked)
                    time.sleep(0.1)
    check.figure("OAU-15", "200, 400, 503, hang: gone after %.1f s at most; 503 asked %d times more%s"
                 % (worst, wanted - 1, "" if check.LONG else " within 6 s (all 3 with --long)"))


def test_store_that_cannot_be_read():
    """It does not pass for an empty one: each command says what is wrong and ends with 78."""
    with idp.Idp() as server, User(block(server)) as user:
        with open(user.store, "w", encoding="utf-8") as file:
            file.write("not a folder")
        for command in (("status",), ("status", "acme"), ("providers",), ("refresh", "acme"),
                        ("logout", "acme", "--yes"), ("login", "acme", "--no-browser")):
            code, text = user.run(*command)
            assert code == 78 and "is not a folder" in text, (command, code, text)
        assert not server.revoked


def test_files_may_not_grow():
    """`ulimit -f`: a write that fails and says so, before anything is asked; not the end by a signal."""
    with idp.Idp() as server, User(block(server)) as user:
        user.logged_in("acme")
        before = user.record("acme")
        command = [os.path.abspath(BINARY), "auth", "refresh", "acme", "-c", user.file]
        done = subprocess.run(command, cwd=user.folder, env=user.env, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=30 * SLOW, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 1 and "cannot be written" in said, (done.returncode, said)
        assert user.record("acme") == before
        user.good("refresh", "acme")  # its refresh token was not used


def test_without_standard_streams():
    """Closed ones are not taken by a file of the store, which would get what is written to them."""
    with idp.Idp() as server, User(block(server)) as user:
        user.logged_in("acme")
        for n in range(4):
            with open("%s.ccproxy-%016x" % (user.path("acme"), n), "w", encoding="utf-8"):
                pass  # what a crash left: its removal is logged
        command = [os.path.abspath(BINARY), "auth", "refresh", "acme", "-c", user.file]
        process = subprocess.Popen(command, cwd=user.folder, env=user.env,
                                   preexec_fn=lambda: [os.close(fd) for fd in (0, 1, 2)])
        process.wait(30 * SLOW)
        assert user.record("acme")["generation"] == 2
        assert sorted(os.listdir(user.store)) == ["acme.default.json", "acme.default.lock"]
        assert os.stat(user.path("acme", kind="lock")).st_size == 0


def test_revocation_holds_nothing():
    """What goes on in the background keeps no descriptor that the command was started with: nobody waits for it."""
    with idp.Idp() as server, User(block(server)) as user:
        user.logged_in("acme", "--force")
        server.always["revoke"] = idp.Fault(hang=True)
        reader, writer = os.pipe()
        command = [os.path.abspath(BINARY), "auth", "logout", "acme", "--yes", "-c", user.file]
        process = subprocess.Popen(command, cwd=user.folder, env=user.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(writer,))
        os.close(writer)
        said, _ = process.communicate(timeout=10 * SLOW)
        assert process.returncode == 0 and b"in the background" in said, said
        ready, _, _ = select.select([reader], [], [], 1 * SLOW)
        assert ready and os.read(reader, 1) == b"", "the pipe is still open"
        os.close(reader)


if __name__ == "__main__":
    check.main(globals(), "blackbox/auth_commands")
