"""ChatGPT's login and the Codex backend behind it.

The login takes forms (a refresh may be JSON), has a device login of its own kind (403 or 404 mean "not yet", the
interval is text), and tells the account in the id_token's claims only. Answers have no expires_in: the access token is
a JWT with exp. The backend takes streams only, stores nothing, and refuses what it does not know with {"detail": …}.
"""
import hashlib
import json
import time

from double import FORM, JSON, Double, Refused, base64url, jwt
from upstream import reply

CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"
SCOPES = {"openid", "profile", "email", "offline_access", "api.connectors.read", "api.connectors.invoke"}
MEMBERS = {"model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "store",
           "stream", "include", "prompt_cache_key", "text", "service_tier", "client_metadata"}
ACCOUNT = "00000000-aaaa-4000-8000-00000000acc1"
PAGE = "/deviceauth/callback"


def refresh_error(code):
    return (401, {"error": {"code": code, "message": "Your refresh token cannot be used: " + code, "type": "x"}})


def detail(text):
    return Refused(400, {"detail": text})


class Codex(Double):
    def __init__(self):
        super().__init__()
        self.devices, self.approve_after = {}, 2  # polls that say "not yet"
        self.pending = [403, 404]
        self.interval = "1"
        api = "/api/accounts/deviceauth"
        self.routes = {("GET", "/oauth/authorize"): self.authorize, ("POST", "/oauth/token"): self.token,
                       ("POST", "/oauth/revoke"): self.revoke, ("POST", api + "/usercode"): self.usercode,
                       ("POST", api + "/token"): self.device_token,
                       ("POST", "/backend-api/codex/responses"): self.responses,
                       ("GET", "/backend-api/codex/models"): self.models}

    def config(self, port, more=""):
        return ('[oauth.codex]\nissuer = "{0}"\nauthorize_url = "{0}/oauth/authorize"\ncallback_port = {1}\n'
                'token_url = "{0}/oauth/token"\nrevoke_url = "{0}/oauth/revoke"\n'
                'device_url = "{0}/api/accounts/deviceauth/usercode"\n'
                '[plugins.codex]\nbase_url = "{0}/backend-api/codex"\nauth = "oauth"\n{2}\n').format(
                    self.url, port, more)

    def authorize(self, _request, sent):
        self.exactly(sent, ["response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge",
                            "code_challenge_method", "id_token_add_organizations", "codex_cli_simplified_flow"],
                     ["originator", "nonce"])
        self.note(sent["response_type"] == "code" and sent["client_id"] == CLIENT, "client_id %r", sent["client_id"])
        self.note(sent["id_token_add_organizations"] == sent["codex_cli_simplified_flow"] == "true", "flags")
        self.note({"openid", "offline_access"} <= set(sent["scope"].split(" ")) <= SCOPES, "scope %r", sent["scope"])
        host, _, rest = sent["redirect_uri"].partition("http://localhost:")[2].partition("/")
        self.note(host.isdigit() and rest == "auth/callback", "redirect_uri %r", sent["redirect_uri"])
        self.challenge_is_sane(sent)
        return self.code_page(sent)

    def claims(self, user, **more):
        now = int(time.time())
        return {"iss": self.url, "iat": now, "exp": now + self.lifetime, "email": user + "@example.com",
                "https://api.openai.com/auth": {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "plus",
                                                "chatgpt_user_id": user, "user_id": user, "organizations": []},
                "https://api.openai.com/profile": {"email": user + "@example.com"}, **more}

    def token(self, request, sent):
        sent.update(self.body_of(request, [FORM, JSON]))
        kind = sent.get("grant_type")
        if kind == "authorization_code":
            self.note((request.get("content-type") or "").startswith(FORM), "a code exchange that is no form")
            self.exactly(sent, ["grant_type", "code", "redirect_uri", "client_id", "code_verifier"])
            known = self.pkce(sent["code"], sent, {"error": {"code": "invalid_grant", "message": "no such code"}})
            grant = self.new_grant(known["scope"])
            grant.nonce = known.get("nonce")
        else:
            self.note(kind == "refresh_token", "grant_type %r", kind)
            self.exactly(sent, ["grant_type", "refresh_token", "client_id"], ["scope"])
            self.note(sent.get("scope") in (None, "openid profile email"), "scope %r", sent.get("scope"))
            grant = self.rotate(sent["refresh_token"], refresh_error("refresh_token_reused"),
                                refresh_error("refresh_token_invalidated"))
        self.note(sent["client_id"] == CLIENT, "client_id %r", sent["client_id"])
        access = jwt(self.claims(grant.user, aud=["https://api.openai.com/v1"], jti=self.secret("jti-")))
        more = {"nonce": grant.nonce} if kind == "authorization_code" and grant.nonce else {}
        answer = {"access_token": access, "refresh_token": self.secret("rt_"),
                  "id_token": jwt(self.claims(grant.user, aud=[CLIENT], **more))}
        self.secrets += [access, answer["id_token"]]
        self.issue(grant, access, answer["refresh_token"])
        return reply(answer)

    def revoke(self, request, sent):
        sent.update(self.body_of(request, [FORM, JSON]))
        self.exactly(sent, ["token", "client_id"], ["token_type_hint"])
        for grant in self.grants:
            if sent["token"] in (grant.refresh_token, *grant.used):
                grant.alive = False
        return reply({})

    def usercode(self, request, sent):
        sent.update(self.body_of(request, [JSON]))
        self.exactly(sent, ["client_id"])
        device, code = self.secret("deviceauth_"), "ABCD-%04d" % len(self.devices)
        self.devices[device] = {"user_code": code, "polls": [], "verifier": self.secret("verifier-", 20)}
        return reply({"device_auth_id": device, "user_code": code, "interval": self.interval})

    def device_token(self, request, sent):
        sent.update(self.body_of(request, [JSON]))
        self.exactly(sent, ["device_auth_id", "user_code"])
        device = self.devices.get(sent["device_auth_id"])
        self.note(device and device["user_code"] == sent["user_code"], "an unknown device")
        device["polls"].append(time.monotonic())
        if len(device["polls"]) <= self.approve_after:
            raise Refused(self.pending[len(device["polls"]) % 2],
                          {"error": {"code": "deviceauth_authorization_unknown"}})
        challenge = base64url(hashlib.sha256(device["verifier"].encode()).digest())
        code = self.secret("code-")
        self.codes[code] = {"code_challenge": challenge, "redirect_uri": self.url + PAGE, "scope": "openid"}
        return reply({"authorization_code": code, "code_challenge": challenge, "code_verifier": device["verifier"]})

    # -- the backend --

    def models(self, request, sent):
        self.authorized(request)
        self.note("client_version" in sent, "no client_version")
        return reply({"models": [{"slug": "gpt-codex", "display_name": "GPT Codex", "visibility": "list",
                                  "supported_reasoning_levels": [], "priority": 1}]})

    def authorized(self, request):
        grant = self.bearer(request, {"detail": "Unauthorized"})
        if request.get("chatgpt-account-id") != ACCOUNT:
            self.wrong.append("chatgpt-account-id %r" % request.get("chatgpt-account-id"))
            raise Refused(403, {"detail": "Forbidden"})
        return grant

    def responses(self, request, _sent):
        self.authorized(request)
        body = json.loads(request.body)
        for name in body:
            if name not in MEMBERS:
                raise detail("Unsupported parameter: " + name)
        if body.get("stream") is not True:
            raise detail("Stream must be set to true")
        if body.get("store") is not False:
            raise detail("Store must be set to false")
        if not isinstance(body.get("instructions"), str):
            raise detail("Instructions are required")
        if not isinstance(body.get("input"), list):
            raise detail("Input must be a list")
        for item in body["input"]:
            if item.get("role") == "system":
                raise detail("System messages are not allowed")
        if body.get("service_tier") not in (None, "priority"):
            raise detail("Unsupported service_tier: " + str(body["service_tier"]))
        return self.speak("responses", body)
