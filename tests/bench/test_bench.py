"""The laboratory itself works: a smoke run of every case, the page made from it, and that failures do not go unseen.

No figure is judged here: timing does not belong into a test that runs beside others.
"""
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree

import check

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lab import account, bodies, judge, session  # noqa: E402

FIGURES = ("cpu_per_request_small", "cpu_per_request_10k", "cpu_per_request_100k", "cpu_per_request_1m",
           "cpu_per_request_tls_upstream", "cpu_per_chunk", "rss_per_stream", "ttfb_added_p99")
RUN = [sys.executable, os.path.join(HERE, "run")]


def test_smoke_run_and_page():
    """Every case once, against every server; the report has the figures, the page has no gap."""
    for program in ("nginx", "haproxy", "h2load", "strace", "valgrind"):
        assert shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"), program + " is not installed"
    folder = tempfile.mkdtemp(prefix="ccp-bench-test-")
    try:
        file, page = os.path.join(folder, "report.json"), os.path.join(folder, "performance.md")
        result = subprocess.run(RUN + ["--smoke", "--json", file, "--markdown", page], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-6000:]
        with open(file) as text:
            report = json.load(text)
        whole(report)
        page_is_whole(page)
        with open(os.path.join(os.environ.get("TEST_LOGS", "/tmp"), "bench.md"), "w") as out:
            out.write(result.stdout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def whole(report):
    for figure in FIGURES:
        found = [r for r in report["ratios"] if r["figure"] == figure]
        assert found and all(math.isfinite(r["ratio_to_nginx"])
                             and r["ratio_to_nginx"] > 0 for r in found), (figure, found)
        assert all({"case", "figure", "ratio_to_nginx"} <= set(r) for r in found), found
    seen = [r["case"] for r in report["rows"]] + ["growth, " + name for name, rows in report["growth"].items() if rows]
    for name in session.names():
        optional = name == "CPU samples"  # perf is not everywhere
        assert optional or any(case.startswith(name) for case in seen), "no row of the case " + name
    bad = session.failures(report)
    assert not bad, bad
    mine = [r for r in report["rows"] if r["server"] == "ccproxy" and "cpu_us" in r]
    assert mine and all(r["cpu_us"]["median"] > 0 for r in mine), mine
    assert report["machine"]["cores"] > 0 and "worker_processes 1" in report["config"]["nginx, HTTP/1.1"]
    assert report["targets"]


def page_is_whole(page):
    with open(page) as file:
        text = file.read()
    assert "{{" not in text and "| CPU per request | HTTP/1.1, 0.1 KB |" in text, text[:2000]
    links = re.findall(r"!\[[^\]]+\]\((\S+)\)", text)
    assert len(links) >= 8, links
    for link in links:
        chart = os.path.join(os.path.dirname(page), link)
        xml.etree.ElementTree.parse(chart)
        assert os.path.getsize(chart) <= 20480, link


def answers(replies):
    """A server that gives each connection one of these answers, then closes it; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        for reply in replies:
            conn, _ = listener.accept()
            with conn:
                conn.recv(65536)
                conn.sendall(reply)
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def chunk(text):
    return b"%x\r\n%s\r\n" % (len(text), text)


def test_client_sees_failures():
    """A status, a cut, a missing event: each is counted, and a good answer is not."""
    stream = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    events = [chunk(b'data: {"t":"%d","x":1}\n\n' % n) for n in (1, 2)]
    replies = {"good": stream + b"".join(events) + b"0\r\n\r\n", "one event short": stream + events[0] + b"0\r\n\r\n",
               "cut": stream + b"".join(events), "cut in a chunk": stream + events[0] + events[1][:9],
               "status": b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
               "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"}
    with tempfile.TemporaryDirectory() as folder:
        client, body = os.path.join(folder, "client"), os.path.join(folder, "body")
        subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", client, os.path.join(HERE, "client.c")], check=True)
        with open(body, "wb") as out:
            out.write(bodies.text(200, {"events": 2}, stream=True))
        for name, reply in replies.items():
            command = [client, "-p", str(answers([reply])), "-b", body, "-c", "1", "-n", "1", "-e", "2", "-w", "5",
                       "-g", "1"]
            result = subprocess.run(command, capture_output=True, text=True, timeout=30)
            report = json.loads(result.stdout.strip().split("\n")[-1])
            good = name == "good"
            assert (report["done"], report["failed"]) == (int(good), int(not good)), (name, report)
            assert not good or report["events"] == 2, report


def test_bodies():
    """As long as asked for, JSON, and what the upstream is asked for comes early."""
    for size in (100, 10 << 10, 100 << 10, 1 << 20):
        text = bodies.text(size, {"size": 1024})
        value = json.loads(text)
        assert len(text) == size and text.index(b'"bench"') < 100 and value["messages"], (size, len(text))
        assert size < 5000 or (value["tools"] and any(m["role"] == "tool" for m in value["messages"])), size


def test_arithmetic():
    """Slope, medians, and ratios that are made within a round."""
    assert abs(account.slope([(0, 100), (1000, 17100), (2000, 34100)]) - 17) < 1e-9
    rows = [{"case": "c", "server": s, "round": n, "cpu_us": v, "failed": n} for s, values in
            (("nginx", (10, 40, 20)), ("ccproxy", (15, 60, 40))) for n, v in enumerate(values)]
    assert judge.medians(rows)[0] == {"case": "c", "server": "nginx", "rounds": 3, "failed": 3,
                                      "cpu_us": {"median": 20, "low": 10, "high": 40}}
    ours, others = judge.ratio_rows(rows, [("c", "f", "cpu_us", 0.0)])
    assert not others and [ours[0][k] for k in ("ratio_to_nginx", "low", "high")] == [1.5, 1.5, 2.0], ours
    slow = [dict(r, server="direct", ttfb_p99_us=5) for r in rows[:3]]
    assert judge.paired(slow, "c", "ttfb_p99_us", "direct", "direct", floor=1.0) == [1, 1, 1]


def test_cpu_clock():
    """The clock counts this process's own work, to much less than a tick of 10 ms."""
    before = account.cpu_ns([os.getpid()])
    sum(range(200000))
    used = account.cpu_ns([os.getpid()]) - before
    assert 100000 < used < 1000000000, used


if __name__ == "__main__":
    check.main(globals(), "bench/bench")
