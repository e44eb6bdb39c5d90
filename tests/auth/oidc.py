"""Starts oidc.mjs, the certified OpenID provider, and asks it things."""
import base64
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import check
from upstream import Upstream, reply

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.environ.get("CLIENTS", "")


def needed():
    """Skips the test where the packages are not installed (./test installs them)."""
    if not os.path.isdir(os.path.join(CLIENTS, "node_modules", "oidc-provider")):
        raise check.Skip("the client packages are not installed (CLIENTS names no folder with oidc-provider)")


class Oidc:
    def __init__(self):
        self.process = subprocess.Popen(
            ["node", os.path.join(HERE, "oidc.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"PATH": os.environ["PATH"], "CLIENTS": CLIENTS, "HOME": "/nonexistent"})
        line = self.process.stdout.readline()
        assert line.startswith("port "), "oidc-provider did not start: %r" % line
        self.port = int(line.split()[1])
        self.issuer = "http://127.0.0.1:%d" % self.port
        self.initial = self.control()["state"]

    def control(self, **change):
        body = json.dumps(change).encode() if change else None
        with urllib.request.urlopen(self.issuer + "/control", data=body, timeout=10) as answer:
            return json.load(answer)

    def reset(self, **change):
        """As it was at its start, but for what is given; grants stay."""
        self.control(reset=True, **{**self.initial, **change})

    def requests(self, path=None, grant=None):
        """Requests as they arrived: method, path, headers (lower case), parameters, body, at."""
        return [r for r in self.control()["requests"]
                if path in (None, r["path"]) and grant in (None, r["parameters"].get("grant_type"))]

    def tokens(self, grant=None):
        return self.requests("/token", grant)

    def fail(self, path, times=1, **how):
        self.control(fail=[{"path": path, "times": times, **how}])

    def introspect(self, token):
        """RFC 7662, as the API would ask: {"active": …, "sub", "client_id", "scope", …}."""
        secret = base64.b64encode(b"acme-api:api-SECRET-4711").decode()
        request = urllib.request.Request(self.issuer + "/token/introspection",
                                         data=urllib.parse.urlencode({"token": token}).encode(),
                                         headers={"Authorization": "Basic " + secret})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def active(self, token):
        return self.introspect(token)["active"]

    def refresh(self, token, client="acme-cli"):
        """(status, answer) of a refresh by somebody else than ccproxy."""
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client}
        try:
            with urllib.request.urlopen(self.issuer + "/token", data=urllib.parse.urlencode(form).encode()) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Api:
    """An API in OpenAI's Chat format that takes tokens which its provider calls active, and no others."""

    def __init__(self, provider):
        self.provider, self.up = provider, Upstream()
        self.url = self.up.url + "/v1"
        self.refuse, self.seen = set(), []  # tokens refused whatever the provider says; (token, status)
        self.up.answer = self._answer

    def _answer(self, request):
        token = (request.get("authorization") or "").removeprefix("Bearer ")
        good = bool(token) and token not in self.refuse and self.provider.introspect(token)
        status = 200 if good and good["active"] else 401
        self.seen.append((token, status))
        if status == 401:
            return reply({"error": {"message": "Incorrect token", "type": "invalid_request_error", "param": None,
                                    "code": "invalid_api_key"}}, status=401)
        return reply({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-1", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "for " + good["sub"]}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})

    def reset(self):
        self.refuse, self.seen = set(), []

    def close(self):
        self.up.close()
