"""Many of the same: a million short requests, a hundred thousand cancels. Counts are scaled down without --long."""
import asyncio
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import check
import formats
from formats import CHAT
from nginx import Nginx
from server import Server

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
BODY = formats.small_body(CHAT).decode()
SCRIPT = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[%s]]\n' % BODY


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise check.Skip(program + " is not installed")


def provider(url, more=""):
    return '[plugins.openai]\nbase_url = "%s/v1"\napi_key = "%s"\n%s' % (url, formats.KEY, more)


def wrk(server, script, seconds):
    """(requests, p99 in ms); anything but 200 fails."""
    url = "http://127.0.0.1:%d/openai/v1/chat/completions" % server.port
    out = subprocess.run(["wrk", "-t1", "-c16", "-d%ds" % seconds, "--latency", "-s", script, url], capture_output=True,
                         text=True, check=True).stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    return int(re.search(r"(\d+) requests in", out)[1]), float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def test_short_requests():
    """SOA-02: memory from the first tenth on, and p99 of the last tenth against the first one after it."""
    need("wrk", "nginx")
    wanted = 1000000 if check.LONG else 100000
    with Nginx(1) as nginx, tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        with Server(provider(nginx.url + "/small"), binary=RELEASE) as server:
            done, slices, start = 0, [], None
            while done < wanted or len(slices) < 4:  # on a fast machine two slices may be all it takes
                n, late = wrk(server, script.name, 5 if check.LONG else 1)
                done += n
                if start is None and done >= wanted / 10:
                    start = server.rss()
                elif start is not None:
                    slices.append(late)
            grown = server.rss() - start
    tenth = max(2, len(slices) // 10)
    first, last = sorted(slices[:tenth])[tenth // 2], sorted(slices[-tenth:])[tenth // 2]
    check.figure("SOA-02", "%d requests: RSS %+.1f MiB after the first tenth; p99 %.2f ms first, %.2f ms last" % (
        done, grown / (1 << 20), first, last))
    assert grown <= 5 << 20, grown
    # A shared machine moves p99 by itself; a drift of the program would go on growing.
    assert last <= max(first * 1.1, first + 5), (first, last)


async def cancel(port, request, wait):
    """Reads a little, lets the stream pile up until it is paused, and leaves by a reset."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(s, ("127.0.0.1", port))
    await loop.sock_sendall(s, request)
    data = await asyncio.wait_for(loop.sock_recv(s, 1024), 20)
    await asyncio.sleep(wait)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    return data.startswith(b"HTTP/1.1 200")


async def cancels(port, count, at_once=80, wait=0.04):
    request = (b"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY.encode()))
    good = 0
    for _ in range(0, count, at_once):
        good += sum(await asyncio.gather(*(cancel(port, request, wait) for _ in range(at_once))))
    return good


def test_cancels_while_paused():
    """SOA-03: streams that share one HTTP/2 upstream connection, and the same over HTTP/1.1."""
    need("nginx")
    count = 100000 if check.LONG else 2000
    with Nginx() as nginx:
        rows = {"http2": provider(nginx.secure_url + "/large", 'http2 = true\nca_file = "%s"\n' % nginx.ca),
                "http1": provider(nginx.url + "/large")}
        for name, config in rows.items():
            with Server(config, binary=RELEASE) as server:
                start = 0
                for _ in range(3):  # as many at once as ever; what the allocator keeps of it varies from round to round
                    asyncio.run(cancels(server.port, 1600))
                    start = max(start, server.rss())
                good = asyncio.run(cancels(server.port, count))
                grown = server.rss() - start
                after = server.post("/openai/v1/chat/completions", BODY.encode(), timeout=20)
            check.figure("SOA-03", "%s: %d cancels while paused (%d streams had begun): RSS %+.1f MiB" % (
                name, count, good, grown / (1 << 20)))
            problem = None
            if grown > 10 << 20:
                problem = "RSS grew by %d KiB" % (grown // 1024)
            elif good < count * 0.99:
                problem = "only %d of %d streams began" % (good, count)
            elif after is None or after.status != 200 or not after.complete:
                problem = "no whole answer afterwards: %s" % (after and after.status)
            yield name, problem


if __name__ == "__main__":
    check.main(globals(), "blackbox/soak")
