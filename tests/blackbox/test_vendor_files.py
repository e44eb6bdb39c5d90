"""Logins that the vendors' own programs have made: copied by --import, or used in place and renewed there."""
import json
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
from codex import ACCOUNT  # noqa: E402
from double import fixture, jwt  # noqa: E402
from formats import ANTHROPIC, RESPONSES  # noqa: E402
from server import SLOW, Server  # noqa: E402
from vendors import body, claude, codex  # noqa: E402


def put(path, value):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as out:
        json.dump(value, out)
    return path


def get(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def claude_file(double, user, seconds=3600):
    """What Claude Code keeps, with a login that the double knows."""
    grant = double.new_grant("user:inference user:profile")
    access, refresh = double.secret("sk-ant-oat01-"), double.secret("sk-ant-ort01-")
    double.issue(grant, access, refresh)
    value = fixture("claude-credentials")
    value["claudeAiOauth"].update(accessToken=access, refreshToken=refresh,
                                  expiresAt=int((time.time() + seconds) * 1000))
    return put(os.path.join(user.folder, ".claude", ".credentials.json"), value)


def codex_file(double, user):
    grant = double.new_grant("openid")
    value = fixture("codex-auth")
    access, refresh = jwt(double.claims("user-1", aud=["https://api.openai.com/v1"])), double.secret("rt_")
    double.issue(grant, access, refresh)
    value["tokens"].update(access_token=access, refresh_token=refresh, account_id=ACCOUNT,
                           id_token=jwt(double.claims("user-1")))
    return put(os.path.join(user.folder, ".codex", "auth.json"), value)


def test_import_from_claude_code():
    with claude() as (double, user):
        path = claude_file(double, user)
        before = get(path)
        text = user.good("login", "claude", "--import")
        assert "warning" in text and "ends the other's" in text, "no warning: " + text
        record = user.record("claude-api")
        assert record["access_token"] == before["claudeAiOauth"]["accessToken"]
        with Server(user.config) as server:
            assert server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1")).status == 200
        user.good("refresh", "claude")
        assert get(path) == before, "the source was changed"


def test_import_from_codex():
    with codex() as (double, user):
        path = codex_file(double, user)
        before = get(path)
        user.good("login", "codex", "--import")
        assert user.record("codex")["facts"]["account_id"] == ACCOUNT
        with Server(user.config) as server:
            response = server.post("/codex/v1/responses", body(RESPONSES, "gpt-codex"))
            assert response.status == 200, response.body[:300]
        assert get(path) == before


def test_import_of_nothing():
    with claude() as (_, user):
        code, text = user.run("login", "claude", "--import")
        assert code != 0 and ".credentials.json" in text and user.record("claude-api") is None, (code, text)
        code, text = user.run("login", "claude", "--import", "--file", put(user.folder + "/x.json", {"a": 1}))
        assert code != 0 and user.record("claude-api") is None, (code, text)


def test_claude_codes_file_in_place():
    """Renewed in place in its own layout; what ccproxy does not know stays; a newer content is adopted."""
    with claude() as (double, user):
        path = claude_file(double, user)
        user.write('refresh_before = "1s"\n' + double.config('auth_file = "%s"' % path))
        with Server(user.config) as server:
            assert server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1")).status == 200
            double.expire()
            assert server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1")).status == 200
            now = get(path)
            assert now["claudeAiOauth"]["refreshToken"] == double.grants[0].refresh_token, "not written back"
            assert now["mcpOAuth"] == {"other": "must be preserved"} and "subscriptionType" in now["claudeAiOauth"]
            assert os.stat(path).st_mode & 0o777 == 0o600
            for _ in range(10):  # Claude Code logs in anew: the same file, the same size, perhaps the same moment
                claude_file(double, user)
                newer = get(path)["claudeAiOauth"]["accessToken"]
                end, used = time.monotonic() + 2 * SLOW, None
                while used != "Bearer " + newer and time.monotonic() < end:
                    server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1"))
                    used = double.requests("/v1/messages")[-1][0].get("authorization")
                assert used == "Bearer " + newer, "the newer content was not adopted"
        refreshes = [s for _, s in double.requests("/v1/oauth/token")]
        assert len(refreshes) == 1, "%d refreshes" % len(refreshes)


def test_a_refusal_while_the_file_changes():
    """Somebody touches the record all the time: a request that waits for its renewal is not answered by that news."""
    stop = threading.Event()
    with claude() as (double, user):
        user.logged_in("claude")
        double.newest_only = True

        def touch():
            while not stop.wait(0.001):
                os.utime(user.path("claude-api"))
        thread = threading.Thread(target=touch)
        thread.start()
        try:
            statuses = []
            for _ in range(30 if check.LONG else 7):  # one early refusal for each server: the next would look like a loop
                with Server(user.config) as server:
                    assert server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1")).status == 200
                    double.expire()
                    statuses.append(server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1")).status)
        finally:
            stop.set()
            thread.join()
    assert set(statuses) == {200}, statuses


def test_codexs_file_in_place():
    with codex() as (double, user):
        path = codex_file(double, user)
        before = get(path)
        port = user.config.split("callback_port = ")[1].split("\n")[0]
        user.write('refresh_before = "1s"\n' + double.config(port, 'auth_file = "%s"' % path))
        with Server(user.config) as server:
            for _ in range(2):
                response = server.post("/codex/v1/responses", body(RESPONSES, "gpt-codex"))
                assert response.status == 200, response.body[:300]
                double.expire()
        now = get(path)
        assert now["tokens"]["refresh_token"] == double.grants[0].refresh_token
        assert now["last_refresh"] > before["last_refresh"] and now["auth_mode"] == "chatgpt"
        assert now["tokens"]["account_id"] == ACCOUNT and "OPENAI_API_KEY" in now


if __name__ == "__main__":
    check.main(globals(), "blackbox/vendor_files")
