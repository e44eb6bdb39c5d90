"""What tests of logins at the certified provider share: the provider, an API behind it, and their configuration."""
import json

import oidc
from cli import User

op = api = None
SCOPES = '["openid", "profile", "email", "offline_access"]'


def before():
    """Without the packages nothing is started, and every test says so."""
    global op, api
    try:
        oidc.needed()
    except oidc.check.Skip:
        return
    op = oidc.Oidc()
    api = oidc.Api(op)


def after():
    if op:
        api.close()
        op.stop()


def fresh(**state):
    """Everything as at the start; skips without the packages."""
    oidc.needed()
    op.reset(**state)
    api.reset()


def block(client="acme-cli", more="", name="acme"):
    """All that is needed to add a provider with a login: two tables."""
    return """
[oauth.%s]
issuer = "%s"
client_id = "%s"
scopes = %s
%s
[providers.%s]
base_url = "%s"
format = "openai-chat"
auth = "oauth"
oauth = "%s"
""" % (name, op.issuer, client, SCOPES, more, name, api.url, name)


def user(refresh_before="1s", **more):
    return User('refresh_before = "%s"\n%s' % (refresh_before, block(**more)))


def ask(server, prefix="acme", **more):
    return server.post("/%s/v1/chat/completions" % prefix,
                       {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}, **more)


def said(response):
    assert response.status == 200, "%d: %s" % (response.status, response.body[:600])
    return json.loads(response.body)["choices"][0]["message"]["content"]
