"""`ccproxy auth login` at a certified OpenID provider, as a user without a terminal does it: through a browser, by
pasting, with a device code; what is stored, and what happens when somebody says no."""
import base64
import json
import os
import socket
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import acme  # noqa: E402
import check  # noqa: E402
from acme import after, before  # noqa: E402,F401
from browser import Browser  # noqa: E402
from cli import query  # noqa: E402
from server import SLOW, Server, free_port  # noqa: E402

NEEDS_CLIENTS = True  # ./test installs the npm packages for this file
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def loopback_port(url):
    return query(url)["redirect_uri"].split(":")[2].split("/")[0]


def is_loopback(url):
    """The redirect to ccproxy, which a browser elsewhere cannot follow."""
    return "/callback?" in url and url.startswith(("http://127.0.0.1:", "http://localhost:"))


def test_a_block_of_toml_is_a_provider():
    """Adding a provider: two tables, no code. It logs in, proxies, refreshes by itself."""
    acme.fresh(accessSeconds=3)
    with acme.user() as user:
        user.logged_in("acme")
        first = user.record("acme")
        with Server(user.config) as server:
            assert acme.said(acme.ask(server)) == "for alice"
            time.sleep(4)
            assert acme.said(acme.ask(server)) == "for alice"
        second = user.record("acme")
    assert first["access_token"] != second["access_token"] and second["generation"] > first["generation"]
    assert all(status == 200 for _, status in acme.api.seen), "the API saw an expired token"
    check.figure("OAU-19", "a provider of 2 TOML tables: login, 2 requests, %d refresh at oidc-provider 9.13.3" % len(
        acme.op.tokens("refresh_token")))


def test_loopback_requests_are_as_the_rfcs_say():
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        record = user.record("acme")
    asked = next(r for r in acme.op.requests("/auth"))["parameters"]
    token = acme.op.tokens("authorization_code")[0]
    sent = token["parameters"]
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256", asked
    assert len(asked["state"]) >= 43 and len(asked["code_challenge"]) == 43 and len(sent["code_verifier"]) == 43
    assert asked["redirect_uri"] == sent["redirect_uri"], "redirect_uri changed between the legs"
    assert token["headers"]["content-type"].startswith("application/x-www-form-urlencoded")
    assert record["refresh_token"] and record["scope"] and record["expires_at"] > time.time() + 3000, record
    assert set(asked["scope"].split()) == {"openid", "profile", "email", "offline_access"}
    check.figure("OAU-09", "oidc-provider: redirect_uri the same in both legs, byte for byte")


def test_what_is_stored():
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        record = user.record("acme")
        assert stat.S_IMODE(os.stat(user.path("acme")).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(user.store).st_mode) == 0o700
        token = acme.op.introspect(record["access_token"])
    assert token["active"] and token["sub"] == "alice" and token["client_id"] == "acme-cli", token
    assert record["origins"] == [acme.api.up.url], record["origins"]
    assert record["facts"].get("email") == "alice@acme.example", record["facts"]


def test_the_browser_is_started_with_the_url_as_one_argument():
    acme.fresh()
    with acme.user() as user:
        seen = os.path.join(user.folder, "seen")
        script = os.path.join(user.folder, "a browser.py")
        with open(script, "w") as out:
            out.write('#!%s\nimport json, sys\njson.dump(sys.argv[1:], open(%r, "w"))\n' % (sys.executable, seen))
        os.chmod(script, 0o755)
        link = os.path.join(user.folder, "browser")  # BROWSER may hold arguments: the path without a space
        os.symlink(script, link)
        running = user.start("login", "acme", env={"BROWSER": link})
        url = running.url("response_type=code")
        for _ in range(int(500 * SLOW)):
            if os.path.exists(seen) and os.path.getsize(seen):
                break
            time.sleep(0.01)
        with open(seen) as file:
            arguments = json.load(file)
        assert arguments == [url], arguments
        assert Browser().go(arguments[0]).status == 200
        assert running.end()[0] == 0


def test_manual_paste_of_the_url():
    """Nothing listens: the browser's last address is copied by hand, through a pipe."""
    acme.fresh()
    with acme.user() as user:
        running = user.start("login", "acme", "--manual", stdin=subprocess.PIPE)
        url = running.url("response_type=code")
        last = Browser().go(url, stop_before=is_loopback).url
        port = int(loopback_port(url))
        with open("/proc/net/tcp") as table:
            listening = {int(l.split()[1].split(":")[1], 16) for l in table.readlines()[1:] if l.split()[3] == "0A"}
        assert port not in listening, "--manual listens at port %d" % port
        running.type("  " + last + "  ")
        code, text = running.end()
        assert code == 0, text
        assert acme.op.active(user.record("acme")["access_token"])


def test_manual_paste_of_what_is_wrong_first():
    acme.fresh()
    with acme.user() as user:
        running = user.start("login", "acme", "--manual", stdin=subprocess.PIPE)
        last = Browser().go(running.url("response_type=code"), stop_before=is_loopback).url
        answer = query(last)
        running.type(answer["code"])  # no state
        running.until("state")
        running.type("%s#%s" % (answer["code"], "x" * len(answer["state"])))
        running.until("another login")
        assert not acme.op.tokens("authorization_code"), "a code went out with a wrong state"
        running.type(last)  # the whole address: this server names itself in it, and must be seen to
        code, text = running.end()
        assert code == 0, text


def test_manual_without_input():
    acme.fresh()
    with acme.user() as user:
        code, text = user.run("login", "acme", "--manual")
        assert code != 0 and user.record("acme") is None and not acme.op.tokens(), (code, text)


def test_device():
    acme.fresh(interval=1)
    with acme.user() as user:
        running = user.start("login", "acme", "--device", "--no-browser")
        page = running.url("/device")
        code = running.until(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b")[0]
        browser = Browser()
        browser.approve_device(acme.op.issuer + "/device", code)
        status, text = running.end(15)
        assert status == 0, text
        record = user.record("acme")
        assert acme.op.active(record["access_token"]) and page.startswith(acme.op.issuer), page
    begun = acme.op.requests("/device/auth")
    polls = acme.op.tokens(DEVICE)
    assert len(begun) == 1 and "client_secret" not in begun[0]["parameters"]
    gaps = [b["at"] - a["at"] for a, b in zip([begun[0], *polls], polls)]
    assert min(gaps) >= 0.99, "polled sooner than the interval: %s" % gaps


def test_device_slow_down():
    """The certified server never says slow_down; it is put in front of it."""
    acme.fresh(interval=1)
    acme.op.fail("/token", grant=DEVICE, status=400, body={"error": "slow_down"})
    with acme.user() as user:
        running = user.start("login", "acme", "--device", "--no-browser")
        Browser().approve_device(acme.op.issuer + "/device", running.until(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b")[0])
        status, text = running.end(20)
        assert status == 0, text
    polls = acme.op.tokens(DEVICE)
    gap = polls[1]["at"] - polls[0]["at"]
    assert len(polls) == 2 and 5.9 <= gap < 7.5, "after slow_down: %d polls, %.1f s" % (len(polls), gap)
    check.figure("OAU-14", "interval 1 s, after slow_down %.1f s (at oidc-provider)" % gap)


def test_device_refused():
    acme.fresh(interval=1)
    with acme.user() as user:
        running = user.start("login", "acme", "--device", "--no-browser")
        Browser().approve_device(acme.op.issuer + "/device", running.until(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b")[0],
                                 refuse=True)
        code, text = running.end(15)
        assert code == 77 and user.record("acme") is None, (code, text)


def test_the_user_says_no():
    acme.fresh(refuse=True)
    with acme.user() as user:
        code, text, page = user.login("acme")
        assert code == 77 and "access_denied" in text, (code, text)
        assert user.record("acme") is None and not acme.op.tokens()
        assert "<b>no</b>" not in page.text


def test_token_endpoint_is_down():
    """A login that could not be finished leaves the old one as it was, also on disk."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        with open(user.path("acme"), "rb") as file:
            old = file.read()
        acme.op.fail("/token", status=503, body={"error": "temporarily_unavailable"}, times=9)
        code, text, _ = user.login("acme", "--force")
        assert code in (1, 69) and "503" in text, (code, text)
        with open(user.path("acme"), "rb") as file:
            assert file.read() == old, "the stored login changed"
        assert acme.op.active(json.loads(old)["access_token"])


def test_a_new_login_does_not_use_the_old_one():
    """OAU-18 at the certified server: its old refresh token is not sent, the record is replaced."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        old = user.record("acme")
        acme.op.control(reset=True, user="bob")
        user.logged_in("acme", "--force")
        new = user.record("acme")
    sent = [p for r in acme.op.requests() for p in (r["body"], str(r["headers"]))]
    uses = sum(old["refresh_token"] in s for s in sent if s)
    revoked = sum(old["refresh_token"] in r["body"] for r in acme.op.requests("/token/revocation"))
    assert uses == revoked, "the old refresh token went out"
    assert new["generation"] == old["generation"] + 1 and new["facts"]["email"] == "bob@acme.example", new["facts"]
    check.figure("OAU-18", "fresh request, old refresh token sent %d times, record replaced (oidc-provider)" % uses)


def test_id_token_is_verified():
    """A key set that lacks the signer's key: the login ends, nothing is stored."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        assert acme.op.requests("/jwks"), "the keys of id_tokens were never asked for"
    other = {"keys": [{"kty": "RSA", "kid": "this-run", "alg": "RS256", "use": "sig", "e": "AQAB",
                       "n": base64.urlsafe_b64encode(os.urandom(255) + b"\x01").rstrip(b"=").decode()}]}
    acme.fresh()
    acme.op.fail("/jwks", status=200, body=other, times=3)
    with acme.user() as user:
        code, text, _ = user.login("acme")
        assert code not in (0, None) and user.record("acme") is None, (code, text)


def test_explicit_urls():
    """A provider without an issuer: nothing is discovered."""
    acme.fresh()
    with acme.user() as user:
        config = acme.block().replace('issuer = "%s"' % acme.op.issuer, (
            'authorize_url = "{0}/auth"\ntoken_url = "{0}/token"\nrevoke_url = "{0}/token/revocation"\n'
            'device_url = "{0}/device/auth"').format(acme.op.issuer))
        user.write(config)
        user.logged_in("acme")
        assert acme.op.active(user.record("acme")["access_token"])
        user.good("refresh", "acme")
        user.good("logout", "acme", "--yes")
    paths = {r["path"] for r in acme.op.requests()}
    assert not [p for p in paths if p.startswith("/.well-known")], paths
    assert len(acme.op.requests("/token/revocation")) == 1


def test_clients_with_a_secret_and_json():
    for client, secret in (("acme-basic", "basic-SECRET-4711"), ("acme-post", "post-SECRET-4711")):
        acme.fresh()
        with acme.user(client=client, more='client_secret = "%s"' % secret) as user:
            code, text, _ = user.login("acme")
            if code == 0:
                user.good("refresh", "acme")
            sent = acme.op.tokens()
            how = ["basic" if "authorization" in r["headers"] else "post" for r in sent]
            assert secret not in text
        yield client, None if code == 0 or set(how) != {client[5:]} else "exit %d: %s" % (code, text)
    acme.fresh(json=True)
    with acme.user(more='token_body = "json"') as user:
        code, text, _ = user.login("acme")
        problem = None if code == 0 and user.run("refresh", "acme")[0] == 0 else "exit %d: %s" % (code, text)
    kinds = {r["headers"]["content-type"].split(";")[0] for r in acme.op.tokens()}
    yield "json", problem or (None if kinds == {"application/json"} else str(kinds))


def test_a_port_that_is_taken():
    acme.fresh()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with acme.user(more="callback_port = %d" % port) as user:
            code, text = user.run("login", "acme", "--no-browser")
        assert code == 69 and str(port) in text, (code, text)
    port = free_port()
    with acme.user(more="callback_port = %d" % port) as user:
        user.logged_in("acme")
    assert ":%d/" % port in acme.op.tokens("authorization_code")[0]["parameters"]["redirect_uri"]


def test_unknown_name():
    acme.fresh()
    with acme.user() as user:
        code, text = user.run("login", "acmee", "--no-browser")
        assert code == 2 and "acme" in text, (code, text)


if __name__ == "__main__":
    check.main(globals(), "blackbox/login", before, after)
