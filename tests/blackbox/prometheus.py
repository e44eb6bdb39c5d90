"""Debian's Prometheus, reading the server under test every second, and its HTTP API; promtool; the text formats.

    with Prometheus(server.port, key="…") as prometheus:
        prometheus.wait_scrapes(2)
        prometheus.value('sum(ccproxy_requests_total)')
"""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

import check
from server import free_port

PROGRAM = shutil.which("prometheus")
TOOL = shutil.which("promtool")

CONFIG = """global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: ccproxy
    metrics_path: /metrics
    authorization:
      credentials_file: %s
    static_configs:
      - targets: ["127.0.0.1:%d"]
"""


class Prometheus:
    def __init__(self, target, key):
        if not PROGRAM or not TOOL:
            raise check.Skip("needs Debian's package prometheus")
        self.port, self.folder = free_port(), tempfile.mkdtemp(prefix="ccp-prometheus-")
        key_file, config = os.path.join(self.folder, "key"), os.path.join(self.folder, "prometheus.yml")
        with open(key_file, "w") as out:
            out.write(key)
        with open(config, "w") as out:
            out.write(CONFIG % (key_file, target))
        checked = subprocess.run([TOOL, "check", "config", config], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "--config.file=" + config, "--storage.tsdb.path=" + os.path.join(self.folder, "data"),
             "--web.listen-address=127.0.0.1:%d" % self.port, "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, cwd=self.folder)

    def _get(self, path, **parameters):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path + "?" + urllib.parse.urlencode(parameters))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def query(self, expression):
        """[(labels, value)]; fails when Prometheus does not understand it."""
        answer = self._get("/api/v1/query", query=expression)
        assert answer["status"] == "success", "%s: %s" % (expression, answer.get("error"))
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def value(self, expression):
        """The one number of an expression; None when there is none."""
        rows = self.query(expression)
        assert len(rows) < 2, "%s has %d rows" % (expression, len(rows))
        return rows[0][1] if rows else None

    def target(self):
        """What Prometheus says of its one target: health, lastError, ..."""
        return self._get("/api/v1/targets")["data"]["activeTargets"][0]

    def wait(self, condition, what, seconds=20):
        """Until condition() holds; what it raises while Prometheus starts does not count."""
        end = time.monotonic() + seconds
        while True:
            assert self.process.poll() is None, "prometheus ended: " + self.said()
            try:
                if condition():
                    return
            except (OSError, ValueError, IndexError, http.client.HTTPException):
                pass
            assert time.monotonic() < end, "%s: not within %d s; %s" % (what, seconds, self.said())
            time.sleep(0.1)

    def wait_scrapes(self, n):
        """Until n scrapes that began after this call are there."""
        self.wait(lambda: self.value("time() - timestamp(up)") is not None, "the first scrape")
        for _ in range(n):
            since = time.time()
            self.wait(lambda: self.value("timestamp(up)") > since, "a scrape")
        assert self.target()["health"] == "up", self.target()

    def said(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()[-2000:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def promtool(text):
    """What `promtool check metrics` finds in a page; empty = clean."""
    if not TOOL:
        raise check.Skip("needs Debian's package prometheus")
    done = subprocess.run([TOOL, "check", "metrics"], input=text, capture_output=True, text=True)
    return (done.stdout + done.stderr + ("exit %d" % done.returncode if done.returncode else "")).strip()


SAMPLE = re.compile(r'^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def samples(text):
    """{(name, frozenset of labels): value}; fails on a line that is neither a comment nor a sample, and on two alike."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, "no sample: %r" % line
        key = (match[1], frozenset(LABEL.findall(match[2] or "")))
        assert key not in found, "twice: %r" % line
        found[key] = float(match[3])
    return found


def total(found, name, **labels):
    """Sum of the samples of a name that have these labels."""
    return sum(v for (n, have), v in found.items() if n == name and set(labels.items()) <= have)


def families(text):
    """{name: kind} by the TYPE lines."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
