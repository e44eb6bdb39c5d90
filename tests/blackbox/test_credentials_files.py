"""Records of logins that others write while a server runs: people with editors, other processes, the vendors' own
programs. What is whole is taken up within 2 s, what is not is left alone."""
import base64
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
from idp import Fault  # noqa: E402
from logins import Logins, error, health, state, wait_for, write  # noqa: E402
from server import Server  # noqa: E402

seen = {}


def replaced(lab, server, record, way):
    """Seconds until the token of a record that was put there in this way is sent up."""
    path, data = lab.path(), (json.dumps(record) + "\n").encode()
    began = time.monotonic()
    if way == "rename":
        write(path, data)
    elif way == "in place":
        with open(path, "r+b") as f:
            f.write(data)
            f.truncate()
    elif way == "removed and made anew":
        os.unlink(path)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
            f.write(data)
    else:
        half = len(data) // 2
        with open(path, "r+b") as f:
            f.truncate(0)
            f.write(data[:half])
            f.flush()
            time.sleep(0.7)
            lab.good(server)
            assert lab.calls[-1].token != record["access_token"], "a half-written file was used"
            f.write(data[half:])
        began = time.monotonic()

    def new():
        if way != "removed and made anew":  # for a moment there is no login
            lab.good(server)
        return lab.ask(server).status == 200 and lab.calls[-1].token == record["access_token"]

    return wait_for(new, 5, "the new token (%s)" % way)


def test_record_edited_by_hand():
    """CRD-07"""
    took = {}
    with Logins() as lab:
        lab.store()
        with Server(lab.config()) as server:
            lab.good(server)
            for i, way in enumerate(("rename", "in place", "removed and made anew", "half, then whole")):
                took[way] = replaced(lab, server, lab.fresh(generation=i + 2), way)
                assert took[way] <= 2, took
            wait_for(lambda: state(server) == "ready" and health(server)[1]["status"] == "pass", 1, "good health")
        assert lab.posts() == 0
    check.figure("CRD-07", "record replaced in %d ways: used after %s s; half of one ignored" % (
        len(took), ", ".join("%.2f" % t for t in took.values())))


def test_broken_record_is_left_alone():
    """Half a file, an empty one, another thing: the token in memory goes on, health warns, nothing is written."""
    with Logins() as lab:
        token = lab.store()["access_token"]
        with open(lab.path(), "rb") as f:
            whole = f.read()
        with Server(lab.config()) as server:
            lab.good(server)
            for broken in (whole[:100], b"", b"[]", b'{"version":99}', whole.replace(b"access_token", b"access_tokem")):
                with open(lab.path(), "wb") as f:
                    f.write(broken)
                wait_for(lambda: health(server)[1]["status"] == "warn", 3, lambda: "the warning for %r" % broken[:20])
                lab.good(server)
                assert lab.calls[-1].token == token
                with open(lab.path(), "rb") as f:
                    assert f.read() == broken, "somebody wrote over it"
                with open(lab.path(), "wb") as f:
                    f.write(whole)
                wait_for(lambda: health(server)[1]["status"] == "pass", 3, "the end of the warning")
            text = server.output() + server.log_text()
        assert lab.posts() == 0 and not any(t in text for t in lab.tokens), "a token in the log"


def test_unsafe_record():
    """A record of another user is not used; made right again it is, without a restart."""
    if os.getuid() != 0:
        raise check.Skip("needs root, to give a file away")
    with Logins() as lab:
        lab.store()
        os.chown(lab.path(), 12345, 12345)
        with Server(lab.config()) as server:
            response = lab.ask(server)
            kind, text = error(response)
            assert response.status == 503 and lab.path() in text, response.body
            os.chown(lab.path(), 0, 0)
            took = wait_for(lambda: lab.ask(server).status == 200, 4, "the use of the file")
            assert took <= 2, took


def test_logout_by_another_process():
    with Logins() as lab:
        lab.store()
        with Server(lab.config()) as server:
            lab.good(server)
            os.unlink(lab.path())
            took = wait_for(lambda: lab.ask(server).status == 503, 4, "the logout")
            assert took <= 2 and "ccproxy auth login acme" in error(lab.ask(server))[1]
            lab.store()
            took = wait_for(lambda: lab.ask(server).status == 200, 4, "the login")
            assert took <= 2, took


def test_origins_edited_by_hand():
    """The same token, another address allowed: the change counts though nothing else changed."""
    with Logins() as lab:
        record = lab.store(origins=["https://elsewhere.example"])
        with Server(lab.config()) as server:
            assert lab.ask(server).status == 503
            write(lab.path(), {**record, "origins": [lab.up.url]})
            wait_for(lambda: lab.ask(server).status == 200, 2, "the new address")
            write(lab.path(), record)
            wait_for(lambda: lab.ask(server).status == 503, 2, "the old address")


# -- vendors' own files --

def jwt(expires_at, **claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return "%s.%s.%s" % (part({"alg": "none"}), part({"exp": int(expires_at), **claims}), "c2ln")


def in_place(lab, name, lifetime):
    """(path, configuration, URL path, function that makes the file's value out of a token answer)"""
    top = os.path.join(lab.top, "vendor-" + name)
    os.mkdir(top, 0o700)
    oauth = '[plugins.mock]\nenabled = false\n[auth]\ndirectory = "%s"\nrefresh_before = "0s"\n[oauth.%s]\n' \
            'client_id = "test-client"\ntoken_url = "%s/token"\nauthorize_url = "%s/authorize"\n' \
            'token_body = "form"\n' % (lab.directory, name, lab.idp.url, lab.idp.url)
    path = os.path.join(top, ".credentials.json")
    plugin = '[plugins.claude_api]\nbase_url = "%s"\nauth = "oauth"\nauth_file = "%s"\n' % (lab.up.url, path)

    def value(token):
        return {"before": {"a": [1, 2.50]}, "claudeAiOauth": {
            "accessToken": token["access_token"], "refreshToken": token["refresh_token"],
            "expiresAt": int((time.time() + lifetime) * 1000), "scopes": ["user:inference"], "subscriptionType": "max",
            "rateLimitTier": "x", "unknown": None}, "mcpOAuth": {"keep": "\u00e9"}}

    return path, oauth + plugin, "/claude/v1/messages", value


def test_claude_file_in_place():
    """Renewed where it stands: unknown members stay, the vendor's newer token is adopted, a logout is respected."""
    with Logins(lifetime=3600) as lab:
        path, config, url, value = in_place(lab, "claude-api", 3)
        first = lab.idp.grants.begin(client_id="test-client")
        old = value(first)
        write(path, old)
        with Server(config) as server:
            lab.good(server, url)
            assert lab.calls[-1].token == first["access_token"]
            wait_for(lambda: lab.posts() == 1, 8, "the renewal")

            def stored():
                with open(path) as f:
                    return json.load(f)
            wait_for(lambda: stored()["claudeAiOauth"]["accessToken"] != first["access_token"], 3, "the new file")
            new = stored()
            lab.good(server, url)
            assert lab.calls[-1].token == new["claudeAiOauth"]["accessToken"]
            assert abs(new["claudeAiOauth"]["expiresAt"] / 1000 - time.time() - 3600) < 10
            for where in (old, new):
                for name in ("accessToken", "refreshToken", "expiresAt"):
                    del where["claudeAiOauth"][name]
            assert old == new, "other members changed: %r" % new
            assert os.stat(path).st_mode & 0o777 == 0o600
            other = lab.idp.grants.begin(client_id="test-client")  # Claude Code logs in anew, or renews it itself
            write(path, value(other))

            def adopted():
                lab.good(server, url)
                return lab.calls[-1].token == other["access_token"]
            took = wait_for(adopted, 4, "the vendor's newer token")
            assert took <= 2 and lab.posts() <= 2
            os.unlink(path)
            wait_for(lambda: lab.ask(server, url).status == 503, 3, "the vendor's logout")
            time.sleep(0.5)
            assert not os.path.exists(path), "the file of a login that was ended came back"
            names = os.listdir(lab.directory)
            assert not [n for n in names if n.endswith(".json")], names
        assert lab.idp.grants.reuses == 0
    check.figure("RFR-05", "Claude Code's file: renewed in place, other members kept; newer token in %.1f s" % took)


def test_codex_file_in_place():
    """The access token is a JWT that says when it ends; a new one of the server does not: it is used until a 401."""
    with Logins() as lab:
        path = os.path.join(lab.top, "auth.json")
        config = '[plugins.mock]\nenabled = false\n[auth]\ndirectory = "%s"\nrefresh_before = "0s"\n' \
                 '[oauth.codex]\nclient_id = "test-client"\ntoken_url = "%s/token"\n' \
                 '[plugins.codex]\nbase_url = "%s"\nauth = "oauth"\nauth_file = "%s"\n' % (
                     lab.directory, lab.idp.url, lab.up.url, path)
        grant = lab.idp.grants.begin(client_id="test-client")
        access = jwt(time.time() + 3)
        lab.accept = lambda token: token == access or lab.idp.active(token)
        old = {"OPENAI_API_KEY": None, "auth_mode": "chatgpt", "tokens": {
            "id_token": jwt(time.time() + 3600, email="me@example.com"), "access_token": access,
            "refresh_token": grant["refresh_token"], "account_id": "acc-1"}, "last_refresh": "2026-01-01T00:00:00Z"}
        write(path, old)

        def stored():
            with open(path) as f:
                return json.load(f)

        def sent():
            lab.ask(server, "/codex/v1/responses", b'{"model":"m-1","input":"hi","stream":true}')
            return lab.calls[-1].token

        with Server(config) as server:
            assert sent() == access
            wait_for(lambda: lab.posts() == 1, 8, "the renewal")
            wait_for(lambda: stored()["tokens"]["access_token"] != access, 3, "the new file")
            new = stored()
            assert sent() == new["tokens"]["access_token"] and lab.idp.grants.usable(new["tokens"]["refresh_token"])
            assert set(new) == set(old) and set(new["tokens"]) == set(old["tokens"]), new
            assert new["last_refresh"] > "2026-01-02"
            assert (new["OPENAI_API_KEY"], new["auth_mode"], new["tokens"]["account_id"]) == (None, "chatgpt", "acc-1")
            lab.idp.grants.expire()
            assert sent() == stored()["tokens"]["access_token"] != new["tokens"]["access_token"]
            assert lab.posts() == 2 and lab.idp.grants.reuses == 0, lab.posts()


def test_vendor_renews_first():
    """RFR-05: the server's token is refused as the vendor's program renewed it in the same file: re-read, no POST."""
    with Logins() as lab:
        path, config, url, value = in_place(lab, "claude-api", 3600)
        first = lab.idp.grants.begin(client_id="test-client")
        write(path, value(first))
        with Server(config) as server:
            lab.good(server, url)
            lab.idp.always["refresh"] = Fault(delay=0.2)
            for _ in range(5):
                renewed = lab.idp.grants.renew(first["refresh_token"], "test-client")
                lab.idp.grants.expire(first["access_token"])
                write(path, value(renewed))
                lab.good(server, url)
                assert lab.calls[-1].token == renewed["access_token"]
                first = renewed
        assert lab.posts() == 0 and lab.idp.grants.reuses == 0, lab.posts()
    check.figure("RFR-05", "vendor's program renewed the file 5 times under a server: adopted each time, 0 POSTs")


def test_vendor_file_behind_a_link():
    """dotfiles: the file is a link into another folder; a change behind it is taken up, and the link stays."""
    with Logins() as lab:
        path, config, url, value = in_place(lab, "claude-api", 3600)
        real = os.path.join(lab.top, "dotfiles")
        os.mkdir(real, 0o700)
        os.symlink(os.path.join(real, "c.json"), path)
        write(os.path.join(real, "c.json"), value(lab.idp.grants.begin(client_id="test-client")))
        with Server(config) as server:
            lab.good(server, url)
            other = lab.idp.grants.begin(client_id="test-client")
            write(os.path.join(real, "c.json"), value(other))

            def adopted():
                lab.good(server, url)
                return lab.calls[-1].token == other["access_token"]
            took = wait_for(adopted, 5, "the change behind the link")
            assert took <= 2, took
            lab.idp.grants.expire()
            lab.good(server, url)
            assert lab.posts() == 1 and os.path.islink(path)
            with open(path) as f:
                assert json.load(f)["claudeAiOauth"]["accessToken"] == lab.calls[-1].token


if __name__ == "__main__":
    check.main(globals(), "blackbox/credentials_files")
