"""A second client agrees: openid-client makes the same logins at the same certified server, and what both sent is
compared request by request. Values of one attempt (codes, verifiers) are compared by their form."""
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import acme  # noqa: E402
import check  # noqa: E402
import oidc  # noqa: E402
from acme import after, before  # noqa: E402,F401
from browser import Browser  # noqa: E402

NEEDS_CLIENTS = True
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
STEPS = {"authorize": ("/auth", None), "code": ("/token", "authorization_code"), "refresh": ("/token", "refresh_token"),
         "revoke": ("/token/revocation", None), "device": ("/device/auth", None), "poll": ("/token", DEVICE)}
# Forms of values that cannot be equal. A verifier and what is derived from it: 32 bytes in base64url.
B64 = r"[A-Za-z0-9_-]{43}"
FORMS = {"state": B64, "nonce": B64, "code_challenge": B64, "code_verifier": B64, "code": r"\S{20,}",
         "refresh_token": r"\S{20,}", "token": r"\S{20,}", "device_code": r"\S{20,}",
         "redirect_uri": r"http://127\.0\.0\.1:\d+/callback"}
# Where the two may differ, and why that is right. Everything else must be the same.
ALLOWED = {
    ("poll", "count"): "each asks as often as it takes until the user is done",
    ("revoke", "json"): "openid-client takes any type there, since the answer has no body that counts (RFC 7009)",
}


def third_party():
    """The same steps by openid-client."""
    process = subprocess.Popen(
        ["node", os.path.join(oidc.HERE, "openid_client.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"], "CLIENTS": oidc.CLIENTS,
                                               "ISSUER": acme.op.issuer, "CLIENT": "acme-cli",
                                               "REDIRECT": "http://127.0.0.1:39999/callback"})
    try:
        for line in process.stdout:
            step = json.loads(line)
            if "visit" in step:
                last = Browser().go(step["visit"], stop_before=lambda u: "/callback?" in u).url
                process.stdin.write(last + "\n")
                process.stdin.flush()
            elif "device" in step:
                Browser().approve_device(step["device"]["verification_uri"], step["device"]["user_code"])
            else:
                return step["done"]
        raise AssertionError("openid-client failed: " + process.stderr.read())
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def ours():
    with acme.user() as user:
        user.logged_in("acme")
        user.good("refresh", "acme")
        user.good("logout", "acme", "--yes")
        running = user.start("login", "acme", "--device", "--no-browser")
        Browser().approve_device(acme.op.issuer + "/device", running.until(r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b")[0])
        assert running.end(20)[0] == 0


def recorded():
    return {name: [r for r in acme.op.requests(path, grant) if (r["method"] == "GET") == (name == "authorize")]
            for name, (path, grant) in STEPS.items()}


def form_of(request):
    """What is compared: parameters by value or by form, and the headers that matter."""
    values = {}
    for name, value in request["parameters"].items():
        pattern = FORMS.get(name)
        values[name] = value if not pattern else "good form" if re.fullmatch(pattern, value) else "bad form: " + value
    if "scope" in values:
        values["scope"] = " ".join(sorted(values["scope"].split()))
    headers = request["headers"]
    kind = headers.get("content-type", "").split(";")[0]
    return {"parameters": values, "content-type": kind, "authorization": "authorization" in headers,
            "cookie": "cookie" in headers if request["path"] != "/auth" else False,
            "json": "application/json" in headers.get("accept", "") if request["method"] == "POST" else None}


def difference(name, mine, theirs):
    if not mine or not theirs:
        return "%d requests of ours, %d of theirs" % (len(mine), len(theirs))
    if len(mine) != len(theirs) and (name, "count") not in ALLOWED:
        return "%d requests instead of %d" % (len(mine), len(theirs))
    a, b = form_of(mine[0]), form_of(theirs[0])
    if a == b:
        return None
    return "\n".join("%s: ccproxy %r, openid-client %r" % (key, a[key], b[key]) for key in a
                     if a[key] != b[key] and (name, key) not in ALLOWED) or None


def test_the_same_requests():
    acme.fresh(interval=1)
    done = third_party()
    assert done == {"sub": "alice", "refreshed": True, "device": True}, done
    theirs = recorded()
    acme.fresh(interval=1)
    ours()
    mine = recorded()
    problems = {name: difference(name, mine[name], theirs[name]) for name in STEPS}
    equal = sum(not p for p in problems.values())
    check.figure("OAU-19", "openid-client 6.8.9 sends the same in %d of %d kinds of requests" % (equal, len(STEPS)))
    yield from problems.items()


if __name__ == "__main__":
    check.main(globals(), "blackbox/login_agreement", before, after)
