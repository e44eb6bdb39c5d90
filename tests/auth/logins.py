"""Logins on disk for a server under test: a folder of records, the identity provider that gave them, and an API that
takes only tokens that are live there.

    with Logins() as lab:
        lab.store(expires_in=3)                     # as `auth login` would leave it; account="work", lifetime=… too
        with Server(lab.config()) as server:
            lab.ask(server)                         # an Anthropic request through the login
            lab.posts(), lab.idp.grants.reuses, lab.calls
"""
import fcntl
import json
import os
import shutil
import struct
import tempfile
import time

import idp
from upstream import Upstream, reply

BODY = b'{"model":"m-1","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
ANSWER = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "stop_reason": "end_turn",
          "stop_sequence": None, "content": [{"type": "text", "text": "hello"}],
          "usage": {"input_tokens": 3, "output_tokens": 5}}
REFUSED = {"type": "error", "error": {"type": "authentication_error", "message": "the access token is not live"}}
PATH = "/acme/v1/messages"


def wait_for(condition, seconds=10.0, what="it"):
    """How long it took until condition() held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "%s did not happen within %g s" % (
            what() if callable(what) else what, seconds)
        time.sleep(0.005)
    return time.monotonic() - began


def write(path, data, mode=0o600):
    """As a careful program does it: the old file or the new one, never half of it."""
    if not isinstance(data, bytes):
        data = (json.dumps(data) + "\n").encode()
    with os.fdopen(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(data)
    os.rename(path + ".new", path)


class Call:
    """What the API saw."""

    def __init__(self, token, status):
        self.token, self.status, self.at = token, status, time.monotonic()


class Logins:
    def __init__(self, lifetime=3600, grace=0.0, make=True):
        self.top = tempfile.mkdtemp(prefix="ccp-logins-")
        self.directory = os.path.join(self.top, "logins")
        if make:
            os.mkdir(self.directory, 0o700)
        self.idp, self.up = idp.Idp(), Upstream()
        self.idp.grants.access_lifetime, self.idp.grants.grace = lifetime, grace
        self.up.answer = self._answer
        self.calls, self.accept, self.wait = [], self.idp.active, 0
        self.tokens = []  # all that may not be seen anywhere

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.idp.close()
        self.up.close()
        shutil.rmtree(self.top, ignore_errors=True)

    def _answer(self, request):
        token = (request.get("authorization") or "").partition(" ")[2]
        good = self.accept(token)
        self.calls.append(Call(token, 200 if good else 401))
        return reply(ANSWER if good else REFUSED, status=200 if good else 401, head_delay=self.wait)

    # -- configuration --

    def config(self, refresh_before="300s", more="", names=("acme",), token_url=None, account="", base_url=None,
               login="", auth=""):
        """`login`: more lines of [oauth.acme]; `more`: further tables."""
        out = '[plugins.mock]\nenabled = false\n'
        out += '[auth]\ndirectory = "%s"\nrefresh_before = "%s"\n%s\n' % (self.directory, refresh_before, auth)
        for name in names:
            out += '[oauth.%s]\nclient_id = "test-client"\nauthorize_url = "%s/authorize"\ntoken_url = "%s"\n%s\n' % (
                name, self.idp.url, token_url or self.idp.url + "/token", login)
            out += '[providers.%s]\nbase_url = "%s"\nformat = "anthropic"\nauth = "oauth"\noauth = "%s"\n%s\n' % (
                name, base_url or self.up.url, name, 'account = "%s"\n' % account if account else "")
        return out + more

    def provider(self, name, account="", login="acme", **more):
        """One more provider that uses a login."""
        lines = "".join('%s = "%s"\n' % row for row in more.items())
        return '[providers.%s]\nbase_url = "%s"\nformat = "anthropic"\nauth = "oauth"\noauth = "%s"\n%s%s\n' % (
            name, self.up.url, login, 'account = "%s"\n' % account if account else "", lines)

    # -- what is stored --

    def path(self, account="default", kind="json", name="acme"):
        return os.path.join(self.directory, "%s.%s.%s" % (name, account, kind))

    def fresh(self, account="default", name="acme", expires_in=3600, lifetime=None, generation=1, **more):
        """A record with a grant of its own; without `refresh_token=None` it can be renewed."""
        token, now = self.idp.grants.begin(client_id="test-client"), int(time.time())
        self.tokens += [token["access_token"], token["refresh_token"]]
        record = {"version": 1, "provider": name, "account": account, "generation": generation,
                  "access_token": token["access_token"], "refresh_token": token["refresh_token"],
                  "token_type": "Bearer", "scope": "", "obtained_at": now + expires_in - (lifetime or 3600),
                  "expires_at": now + expires_in, "token_url": self.idp.url + "/token", "client_id": "test-client",
                  "origins": [self.up.url], **more}
        return {k: v for k, v in record.items() if v is not None}

    def store(self, account="default", name="acme", **more):
        record = self.fresh(account, name, **more)
        os.makedirs(self.directory, 0o700, exist_ok=True)
        write(self.path(account, name=name), record)
        return record

    def record(self, account="default", name="acme"):
        with open(self.path(account, name=name), "rb") as f:
            return json.loads(f.read())

    def lock(self, account="default", name="acme"):
        """Holds the account's kernel lock as another process would, until the file is closed."""
        fd = os.open(self.path(account, "lock", name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        file = os.fdopen(fd, "r+b")
        fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))  # F_OFD_SETLK
        return file

    # -- what happened --

    def posts(self):
        return len(self.idp.posts("refresh"))

    def ask(self, server, path=PATH, body=BODY, **more):
        return server.request("POST", path, body, [("anthropic-version", "2023-06-01")], **more)

    def good(self, server, path=PATH, **more):
        response = self.ask(server, path, **more)
        assert response is not None and response.status == 200, "%s %s" % (
            response and response.status, response and response.body[:600])
        return response


def health(server, provider="acme"):
    """(status code of /health/ready, the check of this provider)"""
    response = server.request("GET", "/health/ready")
    return response.status, json.loads(response.body)["checks"]["provider:" + provider][0]


def state(server, provider="acme"):
    """What all workers say; "mixed" while one was told and another was not yet."""
    found = {health(server, provider)[1]["login"]["state"] for _ in range(8)}
    return found.pop() if len(found) == 1 else "mixed"


def error(response):
    """(type, message) of an error in Anthropic's grammar."""
    value = json.loads(response.body)["error"]
    return value["type"], value["message"]
