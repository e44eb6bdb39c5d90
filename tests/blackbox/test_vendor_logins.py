"""Plan accounts of the vendors: the built-in logins against strict doubles of their servers, then clients of three
formats through the proxy with the stored login. What a double found wrong fails the test even where it was masked."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import codex as codex_double  # noqa: E402
from browser import Browser  # noqa: E402
from claude import PASTE_PAGE  # noqa: E402
from cli import query  # noqa: E402
from codex import ACCOUNT  # noqa: E402
from formats import ANTHROPIC, CHAT, RESPONSES, events, is_success_end  # noqa: E402
from server import Server  # noqa: E402
from upstream import reply  # noqa: E402
from vendors import PATHS, body, claude, codex, copilot, text_of  # noqa: E402

def three_clients(server, prefix, model, formats=tuple(PATHS)):
    """(row, problem) for whole answers and streams of each format."""
    for fmt in formats:
        response = server.post("/%s%s" % (prefix, PATHS[fmt]), body(fmt, model))
        good = response.status == 200 and text_of(fmt, response) == "hello there"
        yield fmt.name, None if good else "%d: %s" % (response.status, response.body[:600])
        response = server.post("/%s%s" % (prefix, PATHS[fmt]), body(fmt, model, True))
        seen = events(response.body)
        good = response.status == 200 and seen and any(is_success_end(fmt, e) for e in seen)
        yield fmt.name + "-stream", None if good else "%d: %s" % (response.status, response.body[:600])


# -- Claude --

def test_claude_by_browser():
    with claude() as (double, user):
        text = user.logged_in("claude")
        record = user.record("claude-api")
        assert "term" in text.lower(), "no line about the terms: " + text
        assert record["access_token"] in double.access
        assert record["facts"]["email"] == "user@example.com", record["facts"]
        _, sent = double.requests("/v1/oauth/token")[0]
        assert sent["redirect_uri"].startswith("http://localhost:"), sent
        user.good("refresh", "claude-api")
        assert user.record("claude-api")["refresh_token"] != record["refresh_token"]
        code, status = user.json("status", "claude-api")
        assert code == 0 and "user@example.com" in json.dumps(status)


def test_claude_by_pasting():
    """The vendor's page shows code#state."""
    with claude() as (double, user):
        running = user.start("login", "claude-api", "--manual", "--no-browser", stdin=subprocess.PIPE)
        url = running.url("/oauth/authorize")
        page = Browser().go(url, stop_before=lambda u: u.startswith(PASTE_PAGE))
        shown = query(page.url)
        running.type("%s#%s" % (shown["code"], shown["state"]))
        code, text = running.end()
        assert code == 0, text
        _, sent = double.requests("/v1/oauth/token")[0]
        assert sent["redirect_uri"] == PASTE_PAGE and sent["state"] == shown["state"], sent


def test_claude_clients():
    with claude() as (double, user):
        user.logged_in("claude")
        with Server(user.config) as server:
            yield from three_clients(server, "claude", "claude-test-1")
            response = server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1"),
                                   [("anthropic-beta", "tool-examples-2025-10-29")])
            betas = double.requests("/v1/messages")[-1][0].get("anthropic-beta")
            good = response.status == 200 and "tool-examples-2025-10-29" in betas
            yield "beta-kept", None if good else "%d, %r" % (response.status, betas)
            double.expire()
            response = server.post("/claude/v1/messages", body(ANTHROPIC, "claude-test-1"))
            yield "expired-early", None if response.status == 200 else "%d: %s" % (response.status, response.body[:300])
            identity = [n for r, _ in double.requests("/v1/messages") for n, _ in r.headers
                        if n.lower() in ("x-app", "originator", "copilot-integration-id")]
            yield "nothing-imitated", str(identity) if identity else None


def test_claude_refresh_token_is_gone():
    with claude() as (double, user):
        user.logged_in("claude")
        for grant in double.grants:
            grant.alive = False
        code, text = user.run("refresh", "claude")
        assert code == 77 and "auth login claude-api" in text, (code, text)
        double.wrong.clear()


# -- ChatGPT, Codex --

def test_codex_by_browser():
    with codex() as (double, user):
        text = user.logged_in("codex")
        record = user.record("codex")
        assert record["facts"]["account_id"] == ACCOUNT and record["facts"]["plan"] == "plus", record["facts"]
        assert "term" in text.lower(), text
        assert abs(record["expires_at"] - time.time() - double.lifetime) < 30, "exp of the access token was not read"
        user.good("refresh", "codex")
        assert user.record("codex")["facts"]["account_id"] == ACCOUNT
        user.good("logout", "codex", "--yes")
        assert not double.grants[0].alive, "logout did not revoke"


def test_codex_by_device():
    with codex() as (double, user):
        running = user.start("login", "codex", "--device", "--no-browser")
        running.until("ABCD-0000")
        code, text = running.end(20)
        assert code == 0, text
        device = next(iter(double.devices.values()))
        gaps = [b - a for a, b in zip(device["polls"], device["polls"][1:])]
        assert len(device["polls"]) == 3 and min(gaps) >= 0.99, gaps
        assert user.record("codex")["facts"]["account_id"] == ACCOUNT


def test_codex_clients():
    with codex() as (double, user):
        user.logged_in("codex")
        with Server(user.config) as server:
            yield from three_clients(server, "codex", "gpt-codex")
            response = server.post("/codex/v1/messages", {**body(ANTHROPIC, "gpt-codex"), "system": "be brief"})
            yield "system", None if response.status == 200 else "%d: %s" % (response.status, response.body[:300])
            response = server.post("/codex/v1/responses", {
                **body(RESPONSES, "gpt-codex"), "input": [{"role": "system", "content": "be brief"},
                                                          {"role": "user", "content": "hi"}]})
            yield "system-item", None if response.status == 200 else "%d: %s" % (response.status, response.body[:300])
            yield "dropped-is-told", None if "max_output_tokens" in (response.get("x-ccproxy-dropped") or "") else (
                "x-ccproxy-dropped: %r" % response.get("x-ccproxy-dropped"))
            response = server.request("GET", "/codex/v1/models?client_version=0.169.0")
            good = response.status == 200 and b"gpt-codex" in response.body
            yield "models", None if good else "%d: %s" % (response.status, response.body[:300])
            double.expire()
            response = server.post("/codex/v1/responses", body(RESPONSES, "gpt-codex"))
            yield "expired-early", None if response.status == 200 else "%d: %s" % (response.status, response.body[:300])
            asked = [r for r, _ in double.requests("/backend-api/codex/responses")]
            wrong = {r.get("chatgpt-account-id") for r in asked} - {ACCOUNT}
            yield "account-header", str(wrong) if wrong else None
            identity = [n for r in asked for n, _ in r.headers
                        if n.lower() in ("originator", "version", "session_id", "session-id")]
            yield "nothing-imitated", str(identity) if identity else None


def test_codex_refresh_errors():
    """The three codes mean: log in again; a 500 does not."""
    for name in ("refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated", "server_error"):
        with codex() as (double, user):
            user.logged_in("codex")
            status, answer = codex_double.refresh_error(name)
            double.fail["/oauth/token"] = [reply(answer, status=500 if name == "server_error" else status)] * 9
            code, text = user.run("refresh", "codex", seconds=30)
            again = "auth login codex" in text
            problem = None if (code == 77 and again if name != "server_error" else code in (1, 69)) else (
                "exit %d: %s" % (code, text))
            kept = user.record("codex")["refresh_token"] == double.grants[0].refresh_token
            yield name, problem or (None if kept else "the stored tokens changed")


# -- Copilot --

def test_copilot_by_device():
    """Errors come with status 200; slow_down is obeyed."""
    with copilot() as (double, user):
        double.slow_down, double.approve_after = 1, 0
        running = user.start("login", "copilot", "--no-browser")
        running.until("ABCD-1234")
        code, text = running.end(30)
        assert code == 0, text
        polls = next(iter(double.devices.values()))
        assert polls[1] - polls[0] >= 5.99, "polled %.1f s after slow_down" % (polls[1] - polls[0])
        record = user.record("copilot")
        assert record["session"]["token"].startswith("tid=") and record["access_token"].startswith("gho_")
        assert record["facts"]["endpoint"] == double.api.url, record["facts"]


def log_into_copilot(double, user):
    double.approve_after = 0
    running = user.start("login", "copilot", "--no-browser")
    code, text = running.end(20)
    assert code == 0, text
    return text


def test_copilot_refused():
    with copilot() as (double, user):
        double.approve_after, double.user = 0, "nobody"
        code, text = user.start("login", "copilot", "--no-browser").end(20)
        assert code == 77 and user.record("copilot") is None, (code, text)


def test_copilot_without_a_subscription():
    with copilot() as (double, user):
        double.approve_after, double.subscribed = 0, False
        code, text = user.start("login", "copilot", "--no-browser").end(20)
        assert code in (1, 77) and "subscription" in text, (code, text)


def test_copilot_clients():
    with copilot() as (double, user):
        log_into_copilot(double, user)
        with Server(user.config) as server:
            for model in ("gpt-chat", "gpt-responses", "claude-both", "old-model"):
                for row, problem in three_clients(server, "copilot", model):
                    yield model + "-" + row, problem
            response = server.request("GET", "/copilot/v1/models")
            good = response.status == 200 and b"claude-both" in response.body
            yield "models", None if good else "%d: %s" % (response.status, response.body[:300])
            double.expire()
            response = server.post("/copilot/v1/chat/completions", body(CHAT, "gpt-chat"))
            yield "expired-early", None if response.status == 200 else "%d: %s" % (response.status, response.body[:300])


def test_copilot_session_is_renewed():
    """The second token lives 3 s: it is bought again with the first one, which itself is never sent to the API."""
    with copilot() as (double, user):
        double.session_lifetime, double.refresh_in = 3, 1
        log_into_copilot(double, user)
        with Server(user.config) as server:
            end = time.monotonic() + 4.5
            while time.monotonic() < end:
                response = server.post("/copilot/v1/chat/completions", body(CHAT, "gpt-chat"))
                assert response.status == 200, response.body[:300]
                time.sleep(0.2)
        assert 3 <= len(double.sessions) <= 9, len(double.sessions)
        sent = {r.get("authorization") for r, _ in double.requests("/chat/completions")}
        assert all(s.startswith("Bearer tid=") for s in sent) and len(sent) >= 3, len(sent)


def test_copilot_without_the_header():
    """Nothing is imitated: the error names the line that is missing."""
    with copilot(more="") as (double, user):
        log_into_copilot(double, user)
        with Server(user.config) as server:
            response = server.post("/copilot/v1/chat/completions", body(CHAT, "gpt-chat"))
            assert response.status >= 400 and b"copilot-integration-id" in response.body.lower(), response.body[:400]
            client = server.post("/copilot/v1/chat/completions", body(CHAT, "gpt-chat"),
                                 [("Copilot-Integration-Id", "vscode-chat")])
            assert client.status == 200, client.body[:300]


if __name__ == "__main__":
    check.main(globals(), "blackbox/vendor_logins")
