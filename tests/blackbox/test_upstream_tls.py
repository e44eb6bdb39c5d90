"""TLS towards providers: certificates that must be refused, redirects and environments that must not lead elsewhere."""
import os
import re
import shutil
import signal
import ssl
import tempfile

import certs
import check
import formats
from formats import ALL, ANTHROPIC
from server import Server, free_port
from tls_upstream import TlsUpstream, Trap
from upstream import Answer, Upstream

BODY = formats.small_body(ANTHROPIC)
folder = authority = other = None


def before():
    global folder, authority, other
    folder = tempfile.mkdtemp(prefix="ccp-certs-")
    authority, other = certs.Authority(folder, "good"), certs.Authority(folder, "other")


def after():
    shutil.rmtree(folder)


def config(port, ca_file=None, host="127.0.0.1", more=""):
    trust = 'ca_file = "%s"\n' % ca_file if ca_file else ""
    return '[plugins.claude_api]\nbase_url = "https://%s:%d"\nauth = "api_key"\napi_key = "%s"\n%s%s\n' % (
        host, port, formats.KEY, trust, more)


def post(server, fmt=ANTHROPIC):
    return server.post(fmt.url(), formats.small_body(fmt), timeout=20)


def refusal(vendor, response, cause):
    """None when the request was refused for this cause and no byte of it left."""
    problem = formats.error_problem(ANTHROPIC, response, 502)
    if problem:
        return problem
    words = response.body.decode()
    if "TLS" not in words or not re.search(cause, words):
        return "the cause %r is not named: %s" % (cause, words)
    if formats.KEY in words:
        return "the key is in the error"
    if not vendor.connections:
        return "nothing was tried"
    return "bytes left: %r" % vendor.received[:200] if vendor.received else None


def test_certificates():
    """TLS-05, and the good certificate as a control of each."""
    rows = {
        "expired": (authority.leaf(start="20200101000000Z", end="20210101000000Z"), None, "expired"),
        "self-signed": (certs.self_signed(folder), None, "self.signed"),
        "wrong-name": (authority.leaf(names=["DNS:other.example", "IP:127.0.0.2"]), None, "name|match|IP address"),
        "sha1": (authority.leaf(digest="sha1"), None, "md too weak|digest|weak"),
        "tls1.1": (authority.leaf(), ssl.TLSVersion.TLSv1_1, "version|protocol"),
    }
    refused = 0
    for name, (files, newest, cause) in rows.items():
        vendor = TlsUpstream(*files, newest=newest)
        with Server(config(vendor.port, authority.file)) as server:
            problem = refusal(vendor, post(server), cause)
        vendor.close()
        refused += problem is None
        yield name, problem
    problem = removed_authority()
    refused += problem is None
    yield "authority-removed-by-reload", problem
    check.figure("TLS-05", "%d of 6 refused, the cause named, 0 request bytes sent" % refused)


def removed_authority():
    """A certificate that was good: after the reload neither a new connection nor the kept one serves a request."""
    vendor = TlsUpstream(*authority.leaf())
    ca_file = os.path.join(folder, "current.pem")
    shutil.copy(authority.file, ca_file)
    try:
        with Server(config(vendor.port, ca_file)) as server:
            for _ in range(8):  # both workers have a connection that could be kept
                response = post(server)
                if response.status != 200 or not vendor.received:
                    return "the control failed: %r" % response.raw
            shutil.copy(other.file, ca_file)
            server.process.send_signal(signal.SIGHUP)
            server.wait_log("reloaded")
            vendor.received, vendor.connections = b"", 0
            problems = [refusal(vendor, post(server), "issuer|self.signed") for _ in range(8)]
            return next((p for p in problems if p), None)
    finally:
        vendor.close()


def test_good_certificates_by_name_and_address():
    vendor = TlsUpstream(*authority.leaf())
    for host in ("127.0.0.1", "localhost", "LOCALHOST"):
        with Server(config(vendor.port, authority.file, host)) as server:
            response = post(server)
            yield host, None if response.status == 200 else "%r" % response.raw
    vendor.close()


def test_redirects_are_never_followed():
    """TLS-06: nobody else is asked, wherever the vendor points to; the credential stays."""
    first, second, count = Upstream(), Trap(), 0
    names = ["http://127.0.0.1:%d/x", "http://localhost:%d/x", "//127.0.0.1:%d/x", "https://127.0.0.1:%d/x",
             "http://user@127.0.0.1:%d/", "http://2130706433:%d/", "http://[::ffff:127.0.0.1]:%d/"]
    with Server(formats.config(first.url)) as server:
        for status in (301, 302, 303, 307, 308):
            problems = []
            for where in names + ["/elsewhere"]:
                for fmt in ALL:
                    location = where % second.port if "%d" in where else where
                    first.reset(Answer(b'{"error":{"message":"moved"}}', status=status,
                                       headers=[("Location", location), ("Refresh", "0; url=" + location)]))
                    response = post(server, fmt)
                    count += 1
                    if response.status not in (status, 502) or len(first.requests) != 1:
                        problems.append("%s %s: %s after %d requests" % (fmt.name, location, response.status,
                                                                         len(first.requests)))
            yield str(status), "; ".join(problems[:3]) or None
    yield "second-host", "%d connections: %r" % (second.connections, second.received) if second.connections else None
    check.figure("TLS-06", "%d redirects, 0 followed: %d connections, %d credentials at the second host" % (
        count, second.connections, second.received.count(formats.KEY.encode())))
    first.close()
    second.close()


def hostile_environment(home, trap, evil):
    """Everything curl, OpenSSL and their tools are known to read."""
    with open(os.path.join(home, ".netrc"), "w") as out:
        out.write("machine 127.0.0.1 login thief password taken\ndefault login thief password taken\n")
    with open(os.path.join(home, ".curlrc"), "w") as out:
        out.write('proxy = "http://127.0.0.1:%d"\ninsecure\n' % trap.port)
    proxies = {name: "http://127.0.0.1:%d" % trap.port
               for low in ("http_proxy", "https_proxy", "all_proxy") for name in (low, low.upper())}
    return dict(proxies, SSL_CERT_FILE=evil.file, CURL_CA_BUNDLE=evil.file, SSL_CERT_DIR=os.path.dirname(evil.file),
                SSLKEYLOGFILE=os.path.join(home, "keylog"), NETRC=os.path.join(home, ".netrc"), CURL_HOME=home,
                no_proxy="", NO_PROXY="")


def test_environment_has_no_say():
    """TLS-07: variables and files of the home folder that lead to a trap and to an authority nobody configured."""
    trap, plain = Trap(), Upstream()
    evil_vendor, good_vendor = TlsUpstream(*other.leaf()), TlsUpstream(*authority.leaf())
    home = tempfile.mkdtemp(prefix="ccp-evil-home-")
    env = hostile_environment(home, trap, other)
    env["HOME"] = home
    rows = {}
    try:
        with Server(config(evil_vendor.port), env=env) as server:
            rows["authority"] = refusal(evil_vendor, post(server), "issuer|self.signed")
        with Server(config(good_vendor.port, authority.file), env=env) as server:
            response = post(server)
            rows["configured"] = None if response.status == 200 else "%r" % response.raw
            rows["netrc-tls"] = "thief came along" if b"thief" in good_vendor.received or \
                b"uthorization: Basic" in good_vendor.received else None
        with Server('[plugins.claude_api]\nbase_url = "%s"\nauth = "none"\n' % plain.url, env=env) as server:
            response = post(server)
            rows["plain"] = None if response.status == 200 else "%r" % response.raw
            rows["netrc"] = None if plain.last().get("authorization") is None else "%r" % plain.last().headers
        rows["key-log"] = "written" if os.path.exists(os.path.join(home, "keylog")) else None
        rows["proxy"] = "%d connections" % trap.connections if trap.connections else None
        proxied = 'proxy = "${HTTPS_PROXY:-}"\n'
        with Server(config(good_vendor.port, authority.file, more=proxied), env=env) as server:
            post(server)
            rows["set-in-config"] = None if trap.connections else "the proxy of the configuration is not used"
    finally:
        shutil.rmtree(home)
        for end in (trap, plain, evil_vendor, good_vendor):
            end.close()
    yield from rows.items()
    check.figure("TLS-07", "%d hostile variables, 2 files: %d of %d checks hold, 0 used unless configured" % (
        len(env), sum(not p for p in rows.values()), len(rows)))


def test_no_tls_at_all():
    """Control: what is no TLS at all is told apart from what TLS refuses."""
    plain = Trap()
    with Server(config(plain.port, authority.file)) as server:
        response = post(server)
        assert response.status == 502 and b"TLS" in response.body, response.raw
    with Server(config(free_port(), authority.file)) as server:
        response = post(server)
        assert response.status == 502 and b"refused" in response.body, response.raw
    plain.close()


if __name__ == "__main__":
    check.main(globals(), "blackbox/upstream_tls", before, after)
