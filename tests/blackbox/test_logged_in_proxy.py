"""Real agents through the proxy with a stored login: the access token ends twice in the middle of a session with
tools, once because upstream no longer takes it and once by the clock, and the agent notices nothing."""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import oidc  # noqa: E402
from claude import Claude  # noqa: E402
from cli import User  # noqa: E402
from codex import Codex  # noqa: E402
from server import Server, free_port  # noqa: E402

NEEDS_CLIENTS = True
MODULES = os.path.join(oidc.CLIENTS, "node_modules")
LIFETIME = 4


def find(package, name):
    oidc.needed()
    for folder, _, files in os.walk(os.path.join(MODULES, package)):
        if name in files and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise check.Skip("%s is not installed" % package)


def agent(command, **env):
    with tempfile.TemporaryDirectory() as home:
        result = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=check.LIMIT - 10,
                                stdin=subprocess.DEVNULL,
                                env={"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "NO_COLOR": "1",
                                     **{k: v.replace("HOME", home) for k, v in env.items()}})
    return result.returncode, result.stdout, result.stderr


class Session:
    """What the model says in a session of three tool calls, and what happens to the token meanwhile."""

    def __init__(self, double, tool, argument):
        self.double, self.tool, self.argument = double, tool, argument
        self.turns, self.outputs, self.ended = 0, [], []
        double.newest_only, double.said = True, self.say

    def say(self, body):
        items = body.get("messages") or body["input"]
        text = json.dumps(items)
        done = [n for n in (1, 2, 3) if "MARKER-RAN-%d" % (40 + n) in text]
        if "tools" not in body or not body["tools"]:
            return "a title"  # agents ask for one beside the session
        self.turns += 1
        if len(done) == 3:
            return "the loop is closed"
        number = len(done) + 1
        if number == 2 and not self.ended:
            self.double.expire()  # upstream takes it no longer, long before its time
            self.double.lifetime = LIFETIME
            self.ended.append("refused")
        wait = "sleep %d; " % (LIFETIME + 1) if number == 3 else ""
        return [{"kind": "call", "name": self.tool,
                 "args": {self.argument: "%secho MARKER-RAN-$((40+%d))" % (wait, number),
                          **({"description": "print a marker"} if self.tool == "Bash" else {})}}]


def judge(name, session, path, code, out, err, began):
    """The agent ended well, the tools ran, and upstream saw old tokens only where it had just ended them."""
    double = session.double
    assert code == 0 and "the loop is closed" in out, "exit %d: %s\n%s" % (code, out[-2000:], err[-2000:])
    tokens = [r.get("authorization") for r, _ in double.requests(path)]
    distinct = list(dict.fromkeys(tokens))
    refreshes = [s for _, s in double.requests(double.token_path) if s.get("grant_type") == "refresh_token"]
    assert len(distinct) >= 3, "the token ended fewer than two times: %d" % len(distinct)
    assert len(refreshes) == len(distinct) - 1, "%d refreshes for %d tokens" % (len(refreshes), len(distinct))
    assert not double.wrong, double.wrong
    assert "401" not in out + err and "retry" not in (out + err).lower(), out + err
    check.figure("OAU-19", "%s: %d turns in %.0f s, token ended %d times, %d refreshes, agent saw 0 errors" % (
        name, session.turns, time.monotonic() - began, len(distinct) - 1, len(refreshes)))


def test_claude_code():
    program = find("@anthropic-ai/claude-code-linux-x64", "claude")
    double = Claude()
    double.token_path = "/v1/oauth/token"
    session = Session(double, "Bash", "command")
    try:
        with User('refresh_before = "1s"\n' + double.config()) as user:
            user.logged_in("claude")
            with Server(user.config) as server:
                began = time.monotonic()
                code, out, err = agent(
                    [program, "-p", "run the marker commands", "--output-format", "json", "--allowedTools", "Bash"],
                    ANTHROPIC_BASE_URL="http://127.0.0.1:%d/claude" % server.port, ANTHROPIC_API_KEY="sk-dummy",
                    IS_SANDBOX="1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", DISABLE_AUTOUPDATER="1",
                    CLAUDE_CODE_MAX_RETRIES="0")
                judge("Claude Code 2.1.329", session, "/v1/messages", code, out, err, began)
                assert json.loads(out)["is_error"] is False
                headers = double.requests("/v1/messages")[0][0]
                assert "claude-cli/" in headers.get("user-agent") and headers.get("x-app") == "cli"
    finally:
        double.close()


def test_codex():
    program = find("@openai/codex-linux-x64", "codex")
    double = Codex()
    double.token_path = "/oauth/token"
    session = Session(double, "exec_command", "cmd")
    config = ('model = "gpt-codex"\nmodel_provider = "proxy"\n[model_providers.proxy]\nname = "proxy"\n'
              'base_url = "http://127.0.0.1:%d/codex/v1"\nenv_key = "PROXY_KEY"\nwire_api = "responses"\n'
              'request_max_retries = 0\nstream_max_retries = 0\n')
    try:
        with tempfile.TemporaryDirectory() as home, User(
                'refresh_before = "1s"\n' + double.config(free_port())) as user:
            user.logged_in("codex")
            with Server(user.config) as server:
                with open(os.path.join(home, "config.toml"), "w") as out:
                    out.write(config % server.port)
                began = time.monotonic()
                code, out, err = agent([program, "exec", "--skip-git-repo-check",
                                        "--dangerously-bypass-approvals-and-sandbox", "run the marker commands"],
                                       CODEX_HOME=home, PROXY_KEY="sk-dummy")
                judge("Codex 0.169.0", session, "/backend-api/codex/responses", code, out, err, began)
                headers = double.requests("/backend-api/codex/responses")[0][0]
                assert headers.get("originator") == "codex_exec", "the client's own headers did not pass"
    finally:
        double.close()


if __name__ == "__main__":
    check.main(globals(), "blackbox/logged_in_proxy")
