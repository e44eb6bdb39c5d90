"""Anthropic's login for plan accounts and the part of its API that such a login opens.

Deviates from the RFCs where the vendor does: JSON bodies at the token endpoint, `state` repeated there, a page that
shows code#state for pasting. Strict about every parameter.
"""
import json

from double import JSON, Double, Refused, fixture
from upstream import reply

CLIENT = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
PASTE_PAGE = "https://platform.claude.com/oauth/code/callback"
SCOPES = {"org:create_api_key", "user:profile", "user:inference", "user:sessions:claude_code", "user:mcp_servers",
          "user:file_upload"}
REFUSED = {"type": "error", "error": {"type": "authentication_error", "message": "OAuth token has expired."}}


def grant_error(text):
    return (400, {"error": "invalid_grant", "error_description": text})


class Claude(Double):
    def __init__(self):
        super().__init__()
        self.routes = {("GET", "/oauth/authorize"): self.authorize, ("POST", "/v1/oauth/token"): self.token,
                       ("POST", "/v1/messages"): self.messages, ("HEAD", "/"): self.hello}

    def config(self, more=""):
        """Tables that point the built-in login and its provider here."""
        return ('[oauth.claude-api]\nauthorize_url = "%s/oauth/authorize"\ntoken_url = "%s/v1/oauth/token"\n'
                '[plugins.claude_api]\nbase_url = "%s"\nauth = "oauth"\n%s\n' % (self.url, self.url, self.url, more))

    def authorize(self, _request, sent):
        self.exactly(sent, ["code", "client_id", "response_type", "redirect_uri", "scope", "code_challenge",
                            "code_challenge_method", "state"])
        self.note(sent["code"] == "true" and sent["response_type"] == "code", "code=%(code)s" % sent)
        self.note(sent["client_id"] == CLIENT, "client_id %r", sent["client_id"])
        scopes = sent["scope"].split(" ")
        self.note("user:inference" in scopes and set(scopes) <= SCOPES, "scope %r", sent["scope"])
        host, _, rest = sent["redirect_uri"].partition("http://localhost:")[2].partition("/")
        self.note(sent["redirect_uri"] == PASTE_PAGE or (host.isdigit() and rest == "callback"), "redirect_uri %r",
                  sent["redirect_uri"])
        self.challenge_is_sane(sent)
        return self.code_page(sent)

    def token(self, request, sent):
        sent.update(self.body_of(request, [JSON]))
        kind = sent.get("grant_type")
        if kind == "authorization_code":
            self.exactly(sent, ["grant_type", "code", "redirect_uri", "client_id", "code_verifier", "state"])
            known = self.pkce(sent["code"], sent, grant_error("Invalid 'code' in request.")[1])
            self.note(sent["state"] == known["state"], "the token request has another state")
            grant = self.new_grant(known["scope"])
        else:
            self.note(kind == "refresh_token", "grant_type %r", kind)
            self.exactly(sent, ["grant_type", "refresh_token", "client_id"], ["scope"])
            gone = grant_error("Refresh token not found or invalid")
            grant = self.rotate(sent["refresh_token"], gone, gone)
        self.note(sent["client_id"] == CLIENT, "client_id %r", sent["client_id"])
        answer = fixture("claude-token-response")
        answer.update(access_token=self.secret("sk-ant-oat01-"), refresh_token=self.secret("sk-ant-ort01-"),
                      expires_in=self.lifetime, scope=grant.scope)
        self.issue(grant, answer["access_token"], answer["refresh_token"])
        return reply(answer)

    @staticmethod
    def hello(_request, _sent):
        raise Refused(404, "")

    def messages(self, request, _sent):
        self.bearer(request, REFUSED)
        betas = [b.strip() for b in (request.get("anthropic-beta") or "").split(",")]
        if "oauth-2025-04-20" not in betas:
            self.wrong.append("no oauth beta in %r" % request.get("anthropic-beta"))
            raise Refused(401, {"type": "error", "error": {
                "type": "authentication_error", "message": "OAuth authentication is currently not supported."}})
        self.note(request.get("x-api-key") is None, "an x-api-key beside the login")
        self.note(request.get("anthropic-version") == "2023-06-01", "anthropic-version %r",
                  request.get("anthropic-version"))
        return self.speak("anthropic", json.loads(request.body))
