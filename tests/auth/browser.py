"""The user's browser, as far as a login needs one: follows redirects, keeps cookies, sends the forms of pages."""
import html.parser
import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request


class Stop(urllib.request.HTTPRedirectHandler):
    """Redirects are followed by hand, so that each stop can be seen."""

    def redirect_request(self, *_):
        return None


class Page:
    def __init__(self, url, status, headers, body):
        self.url, self.status, self.headers, self.body = url, status, headers, body
        self.text = body.decode("utf-8", "replace")


class Forms(html.parser.HTMLParser):
    """Forms with their hidden fields and buttons; a button may stand outside and name its form."""

    def __init__(self, text):
        super().__init__()
        self.forms, self.buttons = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "form":
            self.forms.append({"action": a.get("action"), "fields": {}})
        elif tag == "input" and self.forms and a.get("name") and a.get("type") != "submit":
            self.forms[-1]["fields"][a["name"]] = a.get("value", "")
        elif tag == "button" and a.get("name"):
            self.buttons.append((a["name"], a.get("value", "")))


class Browser:
    def __init__(self):
        self.visited = []  # every URL, in order
        self._opener = urllib.request.build_opener(
            Stop, urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def _ask(self, url, form=None):
        self.visited.append(url)
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with self._opener.open(urllib.request.Request(url, data=data), timeout=10) as answer:
                return Page(url, answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Page(url, error.code, error.headers, error.read())

    def go(self, url, form=None, stop_before=None):
        """The page at the end of all redirects; or, with stop_before(url) true, a Page of status 0 that was not asked
        for: a browser whose last stop cannot be reached shows its URL all the same."""
        page = self._ask(url, form)
        for _ in range(20):
            if page.status not in (301, 302, 303, 307, 308):
                return page
            url = urllib.parse.urljoin(page.url, page.headers["Location"])
            if stop_before and stop_before(url):
                return Page(url, 0, {}, b"")
            page = self._ask(url)
        raise AssertionError("too many redirects, last to %s" % url)

    def submit(self, page, press=None, **fields):
        """Sends the page's form; `press` names a button."""
        found = Forms(page.text)
        assert found.forms, "no form on %s: %s" % (page.url, page.text[:500])
        form = found.forms[0]
        values = {**form["fields"], **fields}
        if press:
            values.update(b for b in found.buttons if b[0] == press)
        return self.go(urllib.parse.urljoin(page.url, form["action"]), values)

    def approve_device(self, url, code=None, refuse=False):
        """Steps of a device login: the code (already in a complete URL), then the confirmation."""
        page = self.go(url)
        page = self.submit(page, user_code=code) if code else self.submit(page)  # that page sends itself
        return self.submit(page, press="abort" if refuse else None)
