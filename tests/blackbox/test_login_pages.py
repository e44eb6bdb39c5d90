"""The pages of the loopback listener in a real browser: hostile texts are shown, never run; the code does not stay."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import acme  # noqa: E402
import check  # noqa: E402
import oidc  # noqa: E402
from cli import query  # noqa: E402
from upstream import Answer, Upstream  # noqa: E402

NEEDS_CLIENTS = True
HOSTILE = {
    "script": '<script>window.ran=true;alert("ran")</script>',
    "image": '<img src=x onerror="window.ran=true;alert(1)">',
    "svg": '<svg onload="alert(1)"><script>document.title="ran"</script></svg>',
    "closing": '</blockquote></body></html><script>window.ran=true</script>',
    "attribute": '"><script>window.ran=true</script><a title="',
    "style": "</style><script>window.ran=true</script>",
    "frame": '<iframe srcdoc="<script>parent.ran=true</script>"></iframe><script src="/ran"></script>',
    "refresh": '<meta http-equiv="refresh" content="0;url=/ran"><base href="http://127.0.0.1:1/">',
    "entities": "&lt;script&gt;window.ran=true&lt;/script&gt;&#60;img src=x onerror=alert(1)&#62;",
    "utf7": "+ADw-script+AD4-window.ran=true+ADw-/script+AD4-",
    "controls": "\x1b[2J\x1b]0;ran\x07<script\x00>window.ran=true</script>\r\n\r\n<script>window.ran=true</script>",
    "bytes": "\xff\xfe<script>window.ran=true</script>",
    "long": "<script>window.ran=true</script>" * 60,
    "64k": "<script>window.ran=true</script>" * 2048,
}


class Chromium:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="ccp-browser-")
        self.process = subprocess.Popen(
            ["node", os.path.join(oidc.HERE, "pages.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
            env={"PATH": os.environ["PATH"], "CLIENTS": oidc.CLIENTS, "PROFILE": self.profile, "HOME": self.profile})
        assert json.loads(self.process.stdout.readline() or '{"ready": false}')["ready"], "chromium did not start"

    def open(self, url):
        self.process.stdin.write(json.dumps({"url": url}) + "\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline())
        assert "problem" not in result, result
        return result

    def close(self):
        """Ends the browser; what it wrote down about its visits stays until forget()."""
        self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        self.process.stdout.close()

    def visits(self):
        """(URL, is it listed) of its history file. A step of a redirect is kept there, but no list of visited pages
        shows it: those are made of the visits that end a chain."""
        with sqlite3.connect(os.path.join(self.profile, "Default", "History")) as database:
            return database.execute("select urls.url, max(transition & 0x20000000) from urls join visits "
                                    "on visits.url = urls.id group by urls.id").fetchall()

    def forget(self):
        shutil.rmtree(self.profile, ignore_errors=True)


chromium = None


def before():
    global chromium
    acme.before()
    if acme.op and shutil.which("chromium") and os.path.isdir(os.path.join(oidc.CLIENTS, "node_modules",
                                                                           "playwright-core")):
        chromium = Chromium()


def after():
    if chromium:
        if chromium.process.poll() is None:
            chromium.close()
        chromium.forget()
    acme.after()


def needed():
    acme.fresh()
    if not chromium:
        raise check.Skip("chromium or playwright-core is not installed")


def callback(url, **parameters):
    asked = query(url)
    values = {"state": asked["state"], "iss": acme.op.issuer, **parameters}
    return asked["redirect_uri"] + "?" + urllib.parse.urlencode(values, encoding="latin-1")


def test_the_browser_would_run_it():
    """The detector detects: the same texts on a careless page run."""
    needed()
    careless = Upstream()
    try:
        ran = 0
        for name in ("script", "image", "svg", "attribute", "style", "frame"):
            page = "<title>x</title><p>" + HOSTILE[name]
            careless.reset(Answer(page.encode(), content_type="text/html", end="fin"))
            ran += bool(chromium.open(careless.url + "/")["ran"])
        assert ran >= 5, "only %d of 6 hostile texts were noticed" % ran
    finally:
        careless.close()


def strangers(page, redirect):
    """Requests that a page made beyond itself and its icon."""
    own = redirect.rsplit("/", 1)[0]
    return [u for u in page["asked"] if not u.startswith((own + "/callback", own + "/done", own + "/favicon.ico"))]


def hostile_login(name, text):
    """One login that is answered with this text, by a page with a wrong state before: (script runs, problems)."""
    problems = []
    with acme.user() as user:
        running = user.start("login", "acme", "--no-browser")
        url = running.url("response_type=code")
        redirect = query(url)["redirect_uri"]
        pages = [chromium.open(callback(url, error=error, error_description=text, state=state)) for error, state in (
            ("access_denied", "x" * 43), (text if name == "script" else "access_denied", query(url)["state"]))]
        if name == "64k":  # no answer of a login is that long: refused, and the login goes on waiting
            assert running.process.poll() is None, running.text
            pages.append(chromium.open(callback(url, error="access_denied")))
        code, said = running.end()
    for page in pages:
        if page["ran"] or page["links"] or strangers(page, redirect):
            problems.append("%s: ran %s, %d elements, asked %s" % (page["url"], page["ran"], page["links"],
                                                                   strangers(page, redirect)))
    if code != 77 or "\x1b" in said or "\x00" in said or len(said) > 4096:
        problems.append("exit %d, %d bytes on the terminal: %r" % (code, len(said), said[:300]))
    return sum(len(p["ran"]) for p in pages), problems


def test_hostile_texts_are_shown():
    needed()
    ran = 0
    for name, text in HOSTILE.items():
        runs, problems = hostile_login(name, text)
        ran += runs
        yield name, "\n".join(problems) or None
    check.figure("OAU-07", "%d hostile texts in chromium, 2 pages each: %d script runs" % (len(HOSTILE), ran))


def test_the_code_does_not_stay():
    """OAU-08: the whole login in the browser; after it neither the page, its address, nor the tab has the code."""
    needed()
    with acme.user() as user:
        running = user.start("login", "acme", "--no-browser")
        url = running.url("response_type=code")
        page = chromium.open(url)
        code, said = running.end()
        assert code == 0, said
    secret = acme.op.tokens("authorization_code")[0]["parameters"]["code"]
    for what, value in (("code", secret), ("state", query(url)["state"])):
        for where in ("url", "text"):
            assert value not in page[where], "the %s is in the page's %s" % (what, where)
        assert what == "state" or value not in json.dumps(page["history"]), page["history"]
        assert what == "state" or value not in said
    assert page["links"] == 0 and not page["ran"]
    headers = page["headers"]
    assert "no-store" in headers["cache-control"] and headers["referrer-policy"] == "no-referrer", headers
    assert "default-src 'none'" in headers["content-security-policy"], headers
    chromium.close()
    visits = chromium.visits()
    shown = [u for u, listed in visits if secret in u and listed]
    assert any(listed for _, listed in visits) and not shown, "the browser's history shows %s" % shown
    check.figure("OAU-08", "chromium: code in page, address, tab history, list of visits: 0 of %d" % len(visits))


if __name__ == "__main__":
    check.main(globals(), "blackbox/login_pages", before, after)
