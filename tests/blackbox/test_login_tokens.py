"""A stored login in use, at a certified OpenID provider: status, refresh, expiry under a running server, refusals
by the API, several accounts, reuse of a refresh token, logout."""
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import acme  # noqa: E402
import check  # noqa: E402
from acme import after, before  # noqa: E402,F401
from logins import wait_for  # noqa: E402
from server import SLOW, Server  # noqa: E402
from upstream import reply  # noqa: E402

NEEDS_CLIENTS = True


def refreshes():
    return acme.op.tokens("refresh_token")


def ready(server):
    return server.request("GET", "/health/ready").status


def test_status():
    acme.fresh()
    with acme.user() as user:
        assert user.run("status", "acme")[0] == 77
        code, none = user.json("status", "acme")
        assert code == 77, none
        user.logged_in("acme")
        record = user.record("acme")
        text = user.good("status", "acme")
        code, value = user.json("status", "acme")
    assert code == 0 and "alice@acme.example" in text, text
    whole = json.dumps([value, none]) + text
    assert "alice@acme.example" in whole and "default" in whole
    for name in ("access_token", "refresh_token", "id_token"):
        assert record[name] not in whole, "status shows the " + name


def test_status_of_what_is_over():
    """Expired and not to be refreshed: 77. Expired and refreshable: 0, status asks nobody."""
    acme.fresh(accessSeconds=1)
    with acme.user() as user:
        user.logged_in("acme")
        time.sleep(1.5)
        acme.op.control(reset=True)
        assert user.run("status", "acme")[0] == 0
        record = user.record("acme")
        del record["refresh_token"]
        with open(user.path("acme"), "w") as out:
            json.dump(record, out)
        code, text = user.run("status", "acme")
        assert code == 77 and "login" in text, (code, text)
    assert not acme.op.requests(), "status asked the provider"


def test_refresh_ten_times():
    """OAU-19: login, ten refreshes with rotation, revocation at an independent certified server."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        tokens, generation = [user.record("acme")["refresh_token"]], user.record("acme")["generation"]
        for _ in range(10):
            user.good("refresh", "acme")
            tokens.append(user.record("acme")["refresh_token"])
        record = user.record("acme")
        assert len(set(tokens)) == 11 and record["generation"] == generation + 10, record["generation"]
        assert acme.op.active(record["access_token"])
        user.good("logout", "acme", "--yes")
        assert not acme.op.active(record["access_token"]) and not acme.op.active(record["refresh_token"])
    sent = [r["parameters"]["refresh_token"] for r in refreshes()]
    assert sent == tokens[:10], "a refresh token was sent twice or out of turn"
    check.figure("OAU-19", "login, 10 refreshes, revocation: %d of 10 rotations, 0 reuse" % len(sent))


def test_refresh_fails_loudly():
    acme.fresh()
    with acme.user() as user:
        assert user.run("refresh", "acme")[0] == 77
        user.logged_in("acme")
        with open(user.path("acme"), "rb") as file:
            old = file.read()
        acme.op.fail("/token", status=503, body={"error": "temporarily_unavailable"}, times=20)
        code, text = user.run("refresh", "acme", seconds=40)
        assert code in (1, 69) and "503" in text, (code, text)
        with open(user.path("acme"), "rb") as file:
            assert file.read() == old, "a failed refresh changed the record"
        acme.op.control(fail=[])
        user.good("refresh", "acme")


def test_expiry_under_a_running_server():
    """Tokens of 4 s for 8 s of requests: the API never sees an old one, the client never a failure. Renewed 2 s before:
    the provider counts whole seconds, so what it calls 4 s may be 3."""
    acme.fresh(accessSeconds=4)
    with acme.user("2s") as user:
        user.logged_in("acme")
        with Server(user.config) as server:
            end, count = time.monotonic() + 8, 0
            while time.monotonic() < end:
                assert acme.said(acme.ask(server)) == "for alice"
                count += 1
                time.sleep(0.1)
    used = {token for token, _ in acme.api.seen}
    bad = sum(status != 200 for _, status in acme.api.seen)
    assert not bad and len(used) >= 3, "%d refusals, %d tokens" % (bad, len(used))
    assert len(refreshes()) <= 8, "%d refreshes" % len(refreshes())
    check.figure("OAU-19", "%d requests over 8 s of 4 s tokens: %d tokens used, 0 refused by the API" % (count,
                                                                                                      len(used)))


def test_upstream_refuses_a_good_token():
    """401 from the API: one refresh, one more try; ten requests at once share it."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        with Server(user.config) as server:
            acme.said(acme.ask(server))
            acme.api.refuse.add(user.record("acme")["access_token"])
            acme.api.seen.clear()
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(acme.ask(server))) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert [a.status for a in answers] == [200] * 10, [(a.status, a.body[:200]) for a in answers]
    assert len(refreshes()) == 1, "%d refreshes" % len(refreshes())
    refused = sum(status == 401 for _, status in acme.api.seen)
    assert refused <= 10 and len(acme.api.seen) <= 20
    check.figure("RFR-08", "oidc-provider: 10 requests with a refused token: 1 refresh, %d upstream calls, 10 answers" %
                 len(acme.api.seen))


def test_upstream_refuses_every_token():
    """One refresh, one more try, then the client is told what to do; no loop."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        with Server(user.config) as server:
            up = acme.api.up.answer
            acme.api.up.answer = lambda _: reply({"error": {"message": "no", "type": "x"}}, status=401)
            try:
                response = acme.ask(server)
            finally:
                acme.api.up.answer = up
    assert response.status == 503 and b"login_required" in response.body, (response.status, response.body)
    assert b"ccproxy auth login acme" in response.body and response.get("x-should-retry") == "false"
    assert len(refreshes()) == 1, "%d refreshes" % len(refreshes())


def test_login_while_the_server_runs():
    """Without a login: 503 and what to run. After it: noticed within 2 s; after logout likewise."""
    acme.fresh()
    alone = "[plugins.mock]\nenabled = false\n"
    with acme.user() as user, Server(user.config + alone) as server:
        response = acme.ask(server)
        assert response.status == 503 and b"ccproxy auth login acme" in response.body, response.body
        assert response.get("retry-after") is None and response.get("x-should-retry") == "false"
        assert ready(server) == 503
        user.logged_in("acme")
        took = wait_for(lambda: acme.ask(server).status == 200, 2 * SLOW, "the login")
        assert ready(server) == 200
        user.good("logout", "acme", "--yes")
        gone = wait_for(lambda: acme.ask(server).status == 503, 2 * SLOW, "the logout")
    assert took <= 2 and gone <= 2, "%.1f s, %.1f s" % (took, gone)
    check.figure("CRD-07", "login by the CLI noticed after %.2f s, logout after %.2f s" % (took, gone))


def test_logout_revokes():
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        record = user.record("acme")
        assert acme.op.active(record["access_token"])
        code, text = user.run("logout", "acme", "--yes")
        assert code == 0, text
        assert user.record("acme") is None
        assert not acme.op.active(record["access_token"]) and not acme.op.active(record["refresh_token"])
        assert user.run("status", "acme")[0] == 77
    revoked = acme.op.requests("/token/revocation")
    assert len(revoked) == 1 and revoked[0]["parameters"]["token"] == record["refresh_token"]
    check.figure("OAU-15", "oidc-provider: introspection says inactive for access and refresh token after logout")


def test_logout_when_revocation_fails():
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        acme.op.fail("/token/revocation", status=503, body="down", times=9)
        code, text = user.run("logout", "acme", "--yes")
        assert user.record("acme") is None, "the local copy is still there"
        assert "revo" in text, (code, text)


def test_two_accounts():
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme", "--account", "work")
        acme.op.control(user="bob")
        user.logged_in("acme", "--account", "home")
        assert user.record("acme", "work")["facts"]["email"] == "alice@acme.example"
        assert user.record("acme", "home")["facts"]["email"] == "bob@acme.example"
        more = acme.block().split("[providers.acme]")[1].replace('auth = "oauth"', 'auth = "oauth"\naccount = "home"')
        config = user.config.replace('auth = "oauth"', 'auth = "oauth"\naccount = "work"') + "[providers.second]" + more
        with Server(config) as server:
            assert acme.said(acme.ask(server)) == "for alice"
            assert acme.said(acme.ask(server, "second")) == "for bob"
        user.good("logout", "acme", "--account", "work", "--yes")
        assert user.record("acme", "work") is None and user.record("acme", "home")


def test_reuse_of_a_refresh_token():
    """Somebody else used the stored refresh token: the server revokes the grant. The user is told, nothing loops."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        stolen = user.record("acme")["refresh_token"]
        assert acme.op.refresh(stolen)[0] == 200
        acme.op.control(reset=True)
        code, text = user.run("refresh", "acme")
        assert code == 77 and "login" in text, (code, text)
        assert len(refreshes()) == 1
        code, text = user.run("status", "acme")
        assert code == 77 and "ccproxy auth login acme" in text, (code, text)
        with Server(user.config) as server:
            response = acme.ask(server)
            assert response.status == 503 and b"ccproxy auth login acme" in response.body, response.body
            time.sleep(1)
            assert len(refreshes()) == 1, "a dead grant was tried again"
            user.logged_in("acme", "--force")
            wait_for(lambda: acme.ask(server).status == 200, 2 * SLOW, "the new login")


def test_refresh_by_another_process():
    """The CLI renews while the server runs: the server adopts it and sends no refresh of its own."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        with Server(user.config) as server:
            acme.said(acme.ask(server))
            user.good("refresh", "acme")
            new = user.record("acme")["access_token"]
            wait_for(lambda: acme.ask(server).status == 200 and acme.api.seen[-1][0] == new, 2 * SLOW, "the new token")
    assert len(refreshes()) == 1
    check.figure("RFR-05", "refreshed by the CLI under a running server: adopted, 0 POSTs of its own")


def test_the_answer_of_a_refresh_is_lost():
    """The server has rotated, its answer never came: the token is sent at most once more. This server then ends the
    grant, so the user is told to log in; what was stored stays."""
    acme.fresh()
    with acme.user() as user:
        user.logged_in("acme")
        old = user.record("acme")["refresh_token"]
        acme.op.fail("/token", grant="refresh_token", lost=True)
        code, text = user.run("refresh", "acme", seconds=30)
        assert code == 77 and "ccproxy auth login acme" in text, (code, text)
        sent = [r["parameters"]["refresh_token"] for r in refreshes()]
        assert sent == [old, old], "%d refreshes" % len(sent)
        assert user.record("acme")["refresh_token"] == old
        assert user.run("status", "acme")[0] == 77
        code, text = user.run("refresh", "acme")
        assert len(refreshes()) == 2, "a grant that is known to be gone was asked again: exit %d: %s" % (code, text)
    check.figure("RFR-14", "oidc-provider: answer lost, 1 repeat, then needs_login; 0 further POSTs")


def test_health_tells_of_logins():
    """States and expiry, with a key; never a token."""
    acme.fresh()
    with acme.user() as user:
        key = 'token-of-this-test'
        with Server(user.config + '[security]\nauth_token = "%s"\n' % key) as server:
            mine = [("x-ccproxy-token", key)]
            before_login = server.request("GET", "/health/ready", None, mine).body
            user.logged_in("acme")
            record = user.record("acme")
            wait_for(lambda: acme.ask(server, headers=mine).status == 200, 2 * SLOW, "the login")
            texts = [server.request("GET", path, None, mine).body for path in ("/health", "/health/ready")]
            anyone = server.request("GET", "/health").body
            banner = server.output().encode()
    assert b"auth login acme" in before_login, before_login
    checks = json.loads(texts[1])["checks"]
    assert "auth login acme" not in json.dumps(checks) and "acme" in json.dumps(checks), checks
    for text in (*texts, anyone, banner):
        for name in ("access_token", "refresh_token", "id_token"):
            assert record[name].encode() not in text
    assert b"acme" not in anyone, anyone


def test_provider_is_down_at_expiry():
    """The token is over and the token endpoint says 503: the client is told to wait; when it is back, all is well."""
    acme.fresh(accessSeconds=2)
    with acme.user() as user:
        user.logged_in("acme")
        acme.op.fail("/token", status=503, body="<html>down</html>", times=1000)
        with Server(user.config) as server:
            time.sleep(2.5)
            response = acme.ask(server)
            assert response.status == 503, (response.status, response.body)
            assert b"auth login" not in response.body or b"503" in response.body, response.body
            assert user.record("acme")["refresh_token"]
            acme.op.control(fail=[], accessSeconds=600)
            took = wait_for(lambda: acme.ask(server).status == 200, 20, "recovery")
    check.figure("RFR-09", "503 HTML at oidc-provider: record kept, requests work %.1f s after it is back" % took)


if __name__ == "__main__":
    check.main(globals(), "blackbox/login_tokens", before, after)
