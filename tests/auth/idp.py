"""A mock identity provider: authorization code with PKCE, rotating refresh tokens, device flow, revocation, a second
(session) token, discovery, and an API that takes only live access tokens. For tests, in a thread of theirs:

    with idp.Idp() as server:
        server.grants.access_lifetime = 2          # seconds
        server.grants.grace = 10                   # the last used refresh token is answered again for that long
        server.faults["refresh"] = [idp.Fault(cut=17)]   # the next refresh; see idp_http.Fault; taken one by one
        server.always["refresh"] = idp.HTML              # every one until it is removed
        token = server.grants.begin(client_id="test-client")   # a login without a browser: the token answer
        server.posts("refresh")                    # Post objects of /token, also those that were spoiled
        server.grants.reuses, server.grants.rotations, server.active(access_token)

or by hand: `python3 idp.py [--port N] [--lifetime S] [--grace S]` prints its URL and a line per request.

Refresh tokens are used up; an old one that comes back counts as `reuses` and revokes its family (idp_grants.py).

Endpoints, and the attributes that change what they do:

/authorize   approves at once: 302 to redirect_uri with code, state, iss. `refuse`: an error code instead; `callback`: a
             function that edits the parameters of the redirect. What came is in `authorizations`
/token       authorization_code (S256 is verified unless `pkce` is False; a code works once), refresh_token and
             device_code; a form or JSON (`body` = "form" or "json" refuses the other); `client_id`, `client_secret`
/device      RFC 8628. `device_script`: errors that polls get before the approval ("authorization_pending",
             "slow_down", "access_denied", "expired_token"); `device_interval`
/revoke      RFC 7009. `revoke_status`: 200, 400, 503; what came is in `revoked`
/session     GET with `Authorization: token ACCESS`: a second token in Copilot's shape; `session_status`,
             `session_lifetime`
/jwks        the key of the id_tokens, which are given when the scope has "openid"
/.well-known/oauth-authorization-server, openid-configuration: `metadata` is a function that edits them
/v1/messages, /v1/responses, /v1/chat/completions (with any prefix): the API. A text that names the model, whole or as
             SSE; 401 in the vendor's shape when the bearer is not live. What came is in `calls`, with `refused`

Faults are named by what is asked: "code", "refresh", "device", "device_token", "revoke", "session", "authorize",
"discovery", "jwks", "api".
"""
import argparse
import hashlib
import json
import secrets
import socket
import time
import urllib.parse

from idp_grants import Grants, Refused, b64
from idp_http import HTML, Fault, Listener, Reply, Request, drop  # noqa: F401 (for users of this module)

GRANTS = {"authorization_code": "code", "refresh_token": "refresh",
          "urn:ietf:params:oauth:grant-type:device_code": "device_token"}
ANTHROPIC, RESPONSES, CHAT = "/v1/messages", "/v1/responses", "/v1/chat/completions"


class Post:
    """One request to /token as it arrived."""

    def __init__(self, request):
        self.at, self.parameters, self.body_kind, self.headers = (request.at, request.parameters, request.kind,
                                                                  request.headers)
        self.kind = GRANTS.get(request.parameters.get("grant_type"), "unknown")
        self.answer = None  # dict once it was carried out; "error" in it when refused


class Idp:
    def __init__(self, port=0, issuer=None):
        self.grants = Grants()
        self.faults, self.always = {}, {}
        self.client_id, self.client_secret, self.account = "test-client", None, "user@example.com"
        self.pkce, self.body, self.refuse, self.callback, self.metadata = True, "any", None, None, None
        self.authorizations, self.token_posts, self.revoked, self.calls, self.requests = [], [], [], [], []
        self.codes, self.devices, self.sessions = {}, {}, {}
        self.device_script, self.device_interval = [], 1
        self.revoke_status, self.session_status, self.session_lifetime = 200, 200, 1800
        self.verbose = False
        self._listener = Listener(self._handle, self._fault, port)
        self.url = "http://127.0.0.1:%d" % self._listener.port
        self.issuer = self.grants.issuer = issuer or self.url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._listener.close()

    def active(self, token):
        return self.grants.active(token) or self.sessions.get(token, 0) > time.time()

    def settle(self, seconds=10):
        """Waits until everything that was sent before is carried out, also by clients that are dead. Connections are
        accepted in order, so one of our own comes behind them all."""
        with socket.create_connection(("127.0.0.1", self._listener.port)) as last:
            last.sendall(b"GET /settle HTTP/1.1\r\nHost: x\r\n\r\n")
            last.recv(1)
        end = time.monotonic() + seconds
        while self._listener.open and time.monotonic() < end:
            time.sleep(0.001)
        assert not self._listener.open, "the server is still at work"

    def posts(self, kind=None):
        return [p for p in list(self.token_posts) if kind in (None, p.kind)]

    def endpoints(self):
        """What a login of ccproxy is configured with."""
        return {"issuer": self.issuer, "client_id": self.client_id, "authorize_url": self.url + "/authorize",
                "token_url": self.url + "/token", "revoke_url": self.url + "/revoke",
                "device_url": self.url + "/device", "session_url": self.url + "/session"}

    # -- requests --

    def _kind(self, request):
        if request.path == "/token":
            return GRANTS.get(request.parameters.get("grant_type"), "unknown")
        if request.path.startswith("/.well-known/"):
            return "discovery"
        name = request.path.strip("/")
        return name if name in ("authorize", "device", "revoke", "session", "jwks") else "api"

    def _fault(self, request):
        kind = self._kind(request)
        self.requests.append(request)
        if request.path == "/token":
            request.post = Post(request)
            self.token_posts.append(request.post)
        if self.verbose:
            print("%s %s %s" % (request.method, request.path, kind), flush=True)
        with self.grants.lock:
            waiting = self.faults.get(kind)
            return waiting.pop(0) if waiting else self.always.get(kind)

    def _handle(self, request):
        kind = self._kind(request)
        try:
            if kind == "discovery":
                return self._discovery(request)
            if kind == "api":
                return self._api(request)
            if request.path == "/token":
                return self._token(request)
            return getattr(self, "_" + kind)(request)
        except Refused as problem:
            answer = {"error": problem.error, "error_description": problem.description}
            if request.path == "/token":
                request.post.answer = answer
            return Reply(answer, problem.status)

    def _authorize(self, request):
        q = request.query
        self.authorizations.append(q)
        if q.get("client_id") != self.client_id or q.get("response_type") != "code" or "redirect_uri" not in q:
            raise Refused("invalid_request", "client_id, response_type or redirect_uri")
        if self.pkce and (q.get("code_challenge_method") != "S256" or len(q.get("code_challenge", "")) != 43):
            raise Refused("invalid_request", "PKCE with S256 is required")
        code = "code-" + secrets.token_urlsafe(16)
        self.codes[code] = q
        back = {"code": code, "iss": self.issuer} if not self.refuse else {"error": self.refuse, "iss": self.issuer}
        if "state" in q:
            back["state"] = q["state"]
        back = self.callback(back) if self.callback else back
        glue = "&" if "?" in q["redirect_uri"] else "?"
        return Reply("", 302, [("Location", q["redirect_uri"] + glue + urllib.parse.urlencode(back))])

    def _client(self, request):
        p = request.parameters
        if request.method != "POST":
            raise Refused("invalid_request", "POST it", 405)
        if self.body != "any" and request.kind != self.body:
            raise Refused("invalid_request", "the body must be " + self.body)
        if p.get("client_id") != self.client_id:
            raise Refused("invalid_client", "unknown client", 401)
        if self.client_secret is not None and p.get("client_secret") != self.client_secret:
            raise Refused("invalid_client", "wrong secret", 401)

    def _token(self, request):
        self._client(request)
        kind, p = request.post.kind, request.parameters
        if kind == "unknown":
            raise Refused("unsupported_grant_type", str(p.get("grant_type"))[:40])
        answer = getattr(self, "_grant_" + kind)(p)
        request.post.answer = answer
        return Reply(answer)

    def _grant_refresh(self, p):
        return self.grants.renew(p.get("refresh_token", ""), self.client_id)

    def _grant_code(self, p):
        asked = self.codes.pop(p.get("code", ""), None)
        if asked is None:
            raise Refused("invalid_grant", "the code is unknown or was used")
        if p.get("redirect_uri") != asked["redirect_uri"]:
            raise Refused("invalid_grant", "another redirect_uri")
        verifier = str(p.get("code_verifier", "")).encode()
        if self.pkce and b64(hashlib.sha256(verifier).digest()) != asked["code_challenge"]:
            raise Refused("invalid_grant", "the code_verifier does not match")
        return self.grants.begin(self.account, asked.get("scope", ""), self.client_id, asked.get("nonce"))

    def _grant_device_token(self, p):
        device = self.devices.get(p.get("device_code", ""))
        if device is None:
            raise Refused("invalid_grant", "no such device_code")
        now, early = time.monotonic(), time.monotonic() - device["polled"] < device["interval"] * 0.9
        device["polls"].append(now)
        device["polled"] = now
        if early:
            raise Refused("slow_down", "asked too early")
        if self.device_script:
            error = self.device_script.pop(0)
            device["interval"] += 5 if error == "slow_down" else 0
            raise Refused(error)
        del self.devices[p["device_code"]]
        return self.grants.begin(self.account, device["scope"], self.client_id)

    def _device(self, request):
        self._client(request)
        code = "dc-" + secrets.token_urlsafe(16)
        self.devices[code] = {"polled": time.monotonic(), "interval": self.device_interval, "polls": [],
                              "scope": request.parameters.get("scope", "")}
        return Reply({"device_code": code, "user_code": "ABCD-1234", "verification_uri": self.url + "/activate",
                      "verification_uri_complete": self.url + "/activate?user_code=ABCD-1234", "expires_in": 900,
                      "interval": self.device_interval})

    def _revoke(self, request):
        self.revoked.append(request.parameters)
        if self.revoke_status == 200:
            self.grants.revoke(request.parameters.get("token", ""))
            return Reply("")
        raise Refused("unsupported_token_type" if self.revoke_status == 400 else "temporarily_unavailable",
                      status=self.revoke_status)

    def _session(self, request):
        if self.session_status != 200 or not self.grants.active(request.bearer()):
            status = 401 if self.session_status == 200 else self.session_status
            return Reply({"error_details": {"message": "no seat for this account", "url": self.url}}, status)
        token, end = "tid=%s;8kp=1:0" % secrets.token_hex(8), int(time.time()) + self.session_lifetime
        self.sessions[token] = end
        return Reply({"token": token, "expires_at": end, "refresh_in": max(1, self.session_lifetime - 300),
                      "chat_enabled": True, "sku": "test", "individual": True, "endpoints": {"api": self.url}})

    def _jwks(self, _request):
        return Reply(self.grants.signing_key().jwks())

    def _discovery(self, _request):
        found = {"issuer": self.issuer, "authorization_endpoint": self.url + "/authorize",
                 "token_endpoint": self.url + "/token", "revocation_endpoint": self.url + "/revoke",
                 "device_authorization_endpoint": self.url + "/device", "jwks_uri": self.url + "/jwks",
                 "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                 "authorization_response_iss_parameter_supported": True}
        return Reply(self.metadata(found) if self.metadata else found)

    # -- the API behind the login --

    def _api(self, request):
        path = next((p for p in (ANTHROPIC, RESPONSES, CHAT) if request.path.endswith(p[3:])), None)
        self.calls.append(request)
        if not self.active(request.bearer()):
            message = "the access token is not live"
            request.refused = True
            if path == ANTHROPIC:
                return Reply({"type": "error", "error": {"type": "authentication_error", "message": message}}, 401)
            return Reply({"error": {"message": message, "type": "invalid_request_error", "code": "token_expired"}}, 401)
        request.refused = False
        if path is None:
            return Reply({"error": {"message": "no such path"}}, 404)
        asked = request.parameters if request.kind == "json" else {}
        model = str(asked.get("model", "none"))
        return _events(path, model) if asked.get("stream") else Reply(_whole(path, model))


def _whole(path, model):
    text = "hello from " + model
    if path == ANTHROPIC:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
                "stop_sequence": None, "content": [{"type": "text", "text": text}],
                "usage": {"input_tokens": 3, "output_tokens": 5}}
    if path == CHAT:
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
                "choices": [{"index": 0, "finish_reason": "stop",
                             "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": model,
            "output": [{"type": "message", "id": "item_1", "role": "assistant", "status": "completed",
                        "content": [{"type": "output_text", "text": text, "annotations": []}]}],
            "usage": {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8}}


def _event(value, named=True):
    name = "event: %s\n" % value["type"] if named else ""
    return (name + "data: " + json.dumps(value) + "\n\n").encode()


def _events(path, model):
    text, whole = "hello from " + model, _whole(path, model)
    if path == ANTHROPIC:
        begun = {**whole, "content": [], "stop_reason": None}
        pieces = [_event(v) for v in (
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": 5}},
            {"type": "message_stop"})]
    elif path == CHAT:
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        pieces = [_event({**base, "choices": [c]}, False) for c in (
            {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None},
            {"index": 0, "delta": {}, "finish_reason": "stop"})] + [b"data: [DONE]\n\n"]
    else:
        item = whole["output"][0]
        values = [{"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}},
                  {"type": "response.output_item.added", "output_index": 0,
                   "item": {**item, "status": "in_progress", "content": []}},
                  {"type": "response.content_part.added", "item_id": "item_1", "output_index": 0, "content_index": 0,
                   "part": {"type": "output_text", "text": "", "annotations": []}},
                  {"type": "response.output_text.delta", "item_id": "item_1", "output_index": 0, "content_index": 0,
                   "delta": text},
                  {"type": "response.output_text.done", "item_id": "item_1", "output_index": 0, "content_index": 0,
                   "text": text},
                  {"type": "response.content_part.done", "item_id": "item_1", "output_index": 0, "content_index": 0,
                   "part": item["content"][0]},
                  {"type": "response.output_item.done", "output_index": 0, "item": item},
                  {"type": "response.completed", "response": whole}]
        pieces = [_event({**v, "sequence_number": i}) for i, v in enumerate(values)]
    return Reply(pieces, content_type="text/event-stream")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--lifetime", type=int, default=3600)
    options.add_argument("--grace", type=float, default=0.0)
    given = options.parse_args()
    with Idp(given.port) as server:
        server.verbose = True
        server.grants.access_lifetime, server.grants.grace = given.lifetime, given.grace
        print(server.url, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
