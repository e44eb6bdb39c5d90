"""What the vendors' doubles share: an HTTP server that is strict about what it is asked, issues tokens and remembers.

A double refuses as its vendor does and notes why in `wrong`, so that a test can also fail where the product would have
masked the refusal. Tokens are made here and checked here: nobody else can know a good one.
"""
import base64
import hashlib
import json
import os
import secrets
import sys
import time
import types
import urllib.parse

from upstream import Answer, Upstream, reply, sse

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(os.path.dirname(HERE), "fixtures", "auth")
sys.path.append(os.path.join(os.path.dirname(HERE), "clients"))
import vendor_wire  # noqa: E402  pylint: disable=wrong-import-position

USAGE = {"uncached": 11, "cached": 0, "output": 7, "reasoning": 0}
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def fixture(name):
    with open(os.path.join(FIXTURES, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


class Refused(Exception):
    """The vendor's refusal: status and body (a value, or text that is no JSON)."""

    def __init__(self, status, body, why=None):
        super().__init__(why or str(body))
        self.status, self.body = status, body


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims):
    """A token in JWT's shape. Nobody holds the key of its signature: these servers publish none."""
    head = base64url(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "k1"}).encode())
    return "%s.%s.%s" % (head, base64url(json.dumps(claims).encode()), secrets.token_urlsafe(64))


class Grant:
    """What one login gave: whose it is, and which of its tokens are good now."""

    def __init__(self, user, scope):
        self.user, self.scope = user, scope
        self.refresh_token, self.alive, self.used = None, True, set()


class Double:
    """A subclass fills `routes` {(method, path): function of (request, parameters)} and reads `self.url`."""

    def __init__(self):
        self.up = Upstream()
        self.url = self.up.url
        self.up.answer = self._answer
        self.routes = {}
        self.access = {}  # access token -> (grant, when it expires)
        self.grants, self.codes = [], {}
        self.lifetime, self.user = 3600, "user-1"
        self.wrong, self.secrets, self.asked = [], [], []  # asked: (path, request, parameters) of known routes
        self.fail = {}  # path -> answers that come first
        self.newest_only = False  # an access token is over as soon as its grant has another
        # What the model says: a text, parts, or a function of the request's body that gives one of them.
        self.said = "hello there"
        self.spent = 0

    def close(self):
        self.up.close()

    def requests(self, path):
        return [(r, p) for where, r, p in self.asked if where == path]

    # -- tokens --

    def secret(self, prefix, size=24):
        value = prefix + secrets.token_hex(size)
        self.secrets.append(value)
        return value

    def expire(self):
        """Every access token is over now, as if its time had come."""
        for token, (grant, _) in self.access.items():
            self.access[token] = (grant, 0)

    def new_grant(self, scope):
        self.grants.append(Grant(self.user, scope))
        return self.grants[-1]

    def issue(self, grant, access, refresh):
        """The pair; an earlier refresh token of the grant is used up."""
        if grant.refresh_token:
            grant.used.add(grant.refresh_token)
        grant.refresh_token = refresh
        if self.newest_only:
            self.access = {t: a for t, a in self.access.items() if a[0] is not grant}
        self.access[access] = (grant, time.time() + self.lifetime)

    def rotate(self, token, reused, unknown):
        """The grant of a refresh token; one that was used before ends its grant. The two texts are the errors."""
        for grant in self.grants:
            if token in grant.used:
                grant.alive = False
                raise Refused(*reused, why="a refresh token came twice")
            if token == grant.refresh_token and grant.alive:
                return grant
        raise Refused(*unknown, why="an unknown refresh token")

    def bearer(self, request, refusal):
        """The grant whose fresh token the request has."""
        header = request.get("authorization") or ""
        grant, until = self.access.get(header.removeprefix("Bearer "), (None, 0))
        if not header.startswith("Bearer ") or not grant or not grant.alive or time.time() >= until:
            raise Refused(401, refusal)
        return grant

    # -- requests --

    def note(self, good, text, *values):
        if not good:
            self.wrong.append(text % values if values else text)
            raise Refused(400, {"error": "invalid_request", "error_description": self.wrong[-1]})

    def exactly(self, sent, names, optional=()):
        """The parameters that must be there, and those that may; nothing else, nothing empty."""
        have, must = set(sent), set(names)
        self.note(must <= have <= must | set(optional), "parameters %s instead of %s", sorted(have), sorted(must))
        odd = sorted(k for k, v in sent.items() if not isinstance(v, str) or not v)
        self.note(not odd, "empty, or no text: %s", odd)

    def body_of(self, request, kinds):
        """Parameters of a body of one of these types; a form may name each one once."""
        kind = (request.get("content-type") or "").split(";")[0]
        self.note(kind in kinds, "content-type %r instead of %s", kind, kinds)
        if kind == JSON:
            return json.loads(request.body)
        pairs = urllib.parse.parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        self.note(len(dict(pairs)) == len(pairs), "a parameter came twice")
        return dict(pairs)

    def pkce(self, code, sent, grant_error):
        """Takes a code, once, with its verifier and its redirect_uri."""
        known = self.codes.pop(sent["code"], None)
        if not known:
            raise Refused(400, grant_error, "an unknown or used code")
        challenge = base64url(hashlib.sha256(sent["code_verifier"].encode()).digest())
        self.note(challenge == known["code_challenge"], "the verifier does not fit the challenge")
        self.note(43 <= len(sent["code_verifier"]) <= 128, "a verifier of %d characters", len(sent["code_verifier"]))
        self.note(sent["redirect_uri"] == known["redirect_uri"], "redirect_uri changed to %r", sent["redirect_uri"])
        return known

    def code_page(self, sent):
        """Consent is given at once: a redirect with a code."""
        code = self.secret("code-")
        self.codes[code] = dict(sent, user=self.user)
        mark = "&" if "?" in sent["redirect_uri"] else "?"
        where = sent["redirect_uri"] + mark + urllib.parse.urlencode({"code": code, "state": sent["state"]})
        return Answer(b"", status=302, headers=[("Location", where)], content_type=None)

    def challenge_is_sane(self, sent):
        self.note(sent["code_challenge_method"] == "S256", "challenge method %r", sent["code_challenge_method"])
        self.note(len(sent["code_challenge"]) == 43, "a challenge of %d characters", len(sent["code_challenge"]))
        self.note(len(sent["state"]) >= 22, "a state of %d characters", len(sent["state"]))

    def _answer(self, request):
        url = urllib.parse.urlsplit(request.target)
        route = self.routes.get((request.method, url.path))
        if not route:
            self.wrong.append("no such route: %s %s" % (request.method, request.target))
            return reply({"error": "not_found"}, status=404)
        if self.fail.get(url.path):
            return self.fail[url.path].pop(0)
        sent = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        try:
            self.asked.append((url.path, request, sent))
            return route(request, sent)
        except Refused as no:
            if isinstance(no.body, str):
                return Answer(no.body.encode(), status=no.status, content_type="text/plain")
            return reply(no.body, status=no.status)
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append("cannot read %s: %r" % (request.target, error))
            return reply({"error": "server_error"}, status=500)

    # -- the model --

    def speak(self, fmt, body):
        """The next thing to say, in this format, as a stream or whole."""
        said = self.said(body) if callable(self.said) else self.said
        self.spent += 1
        parts = [{"kind": "text", "text": said}] if isinstance(said, str) else said
        stream, options = bool(body.get("stream")), body.get("stream_options") or {}
        ask = types.SimpleNamespace(format=fmt, model=body["model"], old=False, stream=stream, show=False,
                                    encrypted=False, usage=bool(options.get("include_usage")))
        stop = "tool" if any(p["kind"] == "call" for p in parts) else "end"
        answer = vendor_wire.Answer(ask, parts, stop, USAGE, "d%d" % self.spent, self.spent, {})
        if not stream:
            return reply(vendor_wire.WHOLE[fmt](answer))
        return sse(b"".join(vendor_wire.STREAM[fmt](answer)), cuts=[301, 902])
