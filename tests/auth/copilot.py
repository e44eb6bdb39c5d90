"""GitHub's device login, Copilot's second token, and Copilot's API at an address that only the second token tells.

Errors of the device login come with status 200. The API has no /v1 in front of Chat and Responses, refuses requests
without copilot-integration-id, and tells per model which endpoints it has.
"""
import json
import time

from double import FORM, JSON, Double, Refused, fixture
from upstream import Upstream, reply

CLIENT = "Iv1.b507a08c87ecfe98"
MODELS = {"gpt-chat": ["/chat/completions"], "gpt-responses": ["/responses"],
          "claude-both": ["/chat/completions", "/v1/messages"], "old-model": None}


class Copilot(Double):
    def __init__(self):
        super().__init__()
        self.devices, self.approve_after, self.slow_down, self.interval = {}, 2, 0, 1
        self.sessions = {}  # token -> when it expires
        self.session_lifetime, self.refresh_in = 1800, 1500
        self.subscribed = True
        self.api = Upstream()  # another address than the one in the configuration
        self.api.answer = self._answer
        self.routes = {("POST", "/login/device/code"): self.device, ("POST", "/login/oauth/access_token"): self.token,
                       ("GET", "/copilot_internal/v2/token"): self.session, ("GET", "/models"): self.models,
                       ("POST", "/chat/completions"): self.asked_in("chat", "/chat/completions"),
                       ("POST", "/responses"): self.asked_in("responses", "/responses"),
                       ("POST", "/v1/messages"): self.asked_in("anthropic", "/v1/messages")}

    def close(self):
        self.api.close()
        super().close()

    def config(self, more='headers = { "copilot-integration-id" = "test-chat" }'):
        return ('[oauth.copilot]\ndevice_url = "{0}/login/device/code"\ntoken_url = "{0}/login/oauth/access_token"\n'
                'session_url = "{0}/copilot_internal/v2/token"\n'
                '[plugins.copilot]\nauth = "oauth"\n{1}\n').format(self.url, more)

    def device(self, request, sent):
        sent.update(self.body_of(request, [FORM, JSON]))
        self.exactly(sent, ["client_id", "scope"])
        self.note("application/json" in (request.get("accept") or ""), "accept %r: would be answered as a form",
                  request.get("accept"))
        device = self.secret("dc-")
        self.devices[device] = []
        return reply({"device_code": device, "user_code": "ABCD-1234", "verification_uri": self.url + "/login/device",
                      "expires_in": 900, "interval": self.interval})

    def token(self, request, sent):
        sent.update(self.body_of(request, [FORM, JSON]))
        self.note("application/json" in (request.get("accept") or ""), "accept %r", request.get("accept"))
        self.exactly(sent, ["client_id", "device_code", "grant_type"])
        self.note(sent["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code", "grant %(grant_type)r" % sent)
        polls = self.devices.get(sent["device_code"])
        if polls is None:
            return reply({"error": "incorrect_device_code"})
        polls.append(time.monotonic())
        if len(polls) <= self.slow_down:
            return reply({"error": "slow_down", "error_description": "x", "interval": self.interval + 5 * len(polls)})
        if len(polls) <= self.slow_down + self.approve_after:
            return reply({"error": "authorization_pending", "error_description": "x", "error_uri": "https://x.example"})
        if self.user == "nobody":
            return reply({"error": "access_denied", "error_description": "The authorization request was denied."})
        token = self.secret("gho_")
        self.issue(self.new_grant("read:user"), token, None)
        self.access[token] = (self.grants[-1], time.time() + 1e9)  # GitHub's own does not expire
        return reply({"access_token": token, "token_type": "bearer", "scope": "read:user"})

    def session(self, request, _sent):
        header = request.get("authorization") or ""
        grant, _ = self.access.get(header.removeprefix("token "), (None, 0))
        if not header.startswith("token ") or not grant or not grant.alive:
            raise Refused(401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest",
                                "status": "401"})
        if not self.subscribed:
            raise Refused(403, {"error_details": {"message": "No Copilot subscription for this account.",
                                                  "url": "https://github.com/settings/copilot", "title": "Sign up"}})
        answer = fixture("copilot-token")
        until = int(time.time()) + self.session_lifetime
        answer.update(token="tid=%s;exp=%d;sku=test;8kp=1:%s" % (self.secret(""), until, self.secret("")),
                      expires_at=until, refresh_in=self.refresh_in)
        answer["endpoints"].update(api=self.api.url)
        self.secrets.append(answer["token"])
        self.sessions[answer["token"]] = until
        return reply(answer)

    def expire(self):
        self.sessions = {token: 0 for token in self.sessions}

    # -- the API --

    def authorized(self, request):
        self.note(request.get("host") == self.api.url.removeprefix("http://"), "an API request to %r",
                  request.get("host"))
        token = (request.get("authorization") or "").removeprefix("Bearer ")
        if time.time() >= self.sessions.get(token, 0):
            raise Refused(401, "unauthorized: token expired\n")
        if not request.get("copilot-integration-id"):
            raise Refused(400, "missing required Copilot-Integration-Id header\n")

    def models(self, request, _sent):
        self.authorized(request)
        return reply({"data": [{"id": name, "name": name, "vendor": "Test", "version": "1", "object": "model",
                                "model_picker_enabled": True, "preview": False,
                                "capabilities": {"family": name, "type": "chat", "limits": {}, "supports": {}},
                                **({"supported_endpoints": ends} if ends else {})} for name, ends in MODELS.items()]})

    def asked_in(self, fmt, path):
        def answer(request, _sent):
            self.authorized(request)
            body = json.loads(request.body)
            if body.get("model") not in MODELS:
                raise Refused(400, "model_not_supported\n")
            if path not in (MODELS[body["model"]] or ["/chat/completions"]):
                raise Refused(400, 'model "%s" is not accessible via the %s endpoint\n' % (body["model"], path))
            return self.speak(fmt, body)
        return answer
