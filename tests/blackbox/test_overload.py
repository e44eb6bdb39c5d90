"""More than the server can take: connections, descriptors, requests, one key against others."""
import json
import multiprocessing
import os
import resource
import time

import check
import crowd
import formats
from crowd import Client, Vendor, cpu, once, p99, plan_body, post, run
from server import Server

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN", "build/ccproxy")
CHAT, MESSAGES = "/openai/v1/chat/completions", "/claude/v1/messages"
vendor = None


def before():
    global vendor
    crowd.many_descriptors()
    vendor = Vendor()


def after():
    vendor.close()


def release(server="", config="", auth="none"):
    return Server(formats.config(vendor.url, auth=auth) + config, server=server, binary=RELEASE)


def get(port, path):
    return ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (path, port)).encode()


def idle_clients(server, n):
    """Connections that have been served once, so that they are the server's and not the backlog's."""
    clients = [Client(server.port) for _ in range(n)]
    for at in range(0, n, 256):
        for c in clients[at:at + 256]:
            c.send(get(server.port, "/health/live"))
        run(clients[at:at + 256])
    assert all(c.status == 200 for c in clients), "some connections were not served"
    return clients


def test_connections_over_the_limit_wait():
    limit, more = 4096, 500
    with release("max_connections = %d" % limit) as server:
        pid = server.process.pid
        clients = idle_clients(server, limit)
        extra = [Client(server.port) for _ in range(more)]
        for c in extra:
            c.send(get(server.port, "/health/live"))
        run(extra, 0.5, until=lambda: False)
        assert not any(c.done for c in extra), "a connection over the limit was served or refused"
        open_now, (most, _) = crowd.descriptors(pid), resource.prlimit(pid, resource.RLIMIT_NOFILE)
        assert most - open_now >= 64, "%d of %d descriptors are open" % (open_now, most)
        times = []
        for i in range(200):
            clients[i].send(get(server.port, "/health/live"))
            run([clients[i]])
            times.append(clients[i].seconds)
        for c in clients[:more]:
            c.close()
        run(extra, 10)
        assert all(c.status == 200 for c in extra), "a waiting connection was not served when there was room"
        late = p99(times) * 1000
        assert late <= 50, "/health p99 %.1f ms" % late
        check.figure("OVL-01", "%d idle, %d more wait and are served later; /health p99 %.1f ms; %d fds left" % (
            limit, more, late, most - open_now))
        for c in clients + extra:
            c.close()


def test_no_descriptors_left():
    seconds = 10 if check.LONG else 3
    with release() as server:
        pid = server.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (256, hard))
        clients = [Client(server.port) for _ in range(400)]
        server.wait_log("accept: ")
        time.sleep(0.3)
        began, spent = time.monotonic(), cpu(pid)
        time.sleep(seconds)
        share = (cpu(pid) - spent) / (time.monotonic() - began) * 100
        lines = server.log_text().count("accept: ")
        assert share <= 5, "%.1f %% CPU while no descriptor is left" % share
        assert lines <= 2 * (2 + seconds // 10), "%d lines in the log" % lines
        for c in clients:
            c.close()
        freed = time.monotonic()
        c = Client(server.port)
        c.send(get(server.port, "/health/live"))
        run([c], 5)
        recovered = time.monotonic() - freed
        assert c.status == 200 and recovered <= 1, "served again after %.2f s: %s" % (recovered, c.status)
        c.close()
        check.figure("OVL-02", "256 fds, 400 clients: %.1f %% CPU over %d s, %d log lines, back after %.0f ms" % (
            share, seconds, lines, recovered * 1000))


def test_requests_over_the_limit_are_refused():
    limit, more = 1000, 200
    with release("max_in_flight = %d" % limit) as server:
        clients = [Client(server.port) for _ in range(limit)]
        for c in clients:
            c.send(*post(server.port, CHAT, plan_body("hold")))
        run(clients, 30, until=lambda: not any(c.out for c in clients))
        vendor.wait_held(limit)
        extra = idle_clients(server, more)
        for i, c in enumerate(extra):
            c.send(*post(server.port, MESSAGES if i % 2 else CHAT, plan_body("now")))
            run([c], 5)
        worst = max(c.seconds for c in extra) * 1000
        for i, c in enumerate(extra):
            assert c.status == (529 if i % 2 else 503), "status %s" % c.status
            assert int(c.header("retry-after")) >= 1, "no Retry-After"
            error = json.loads(c.body())["error"]
            assert not i % 2 or error["type"] == "overloaded_error", error
        vendor.release()
        run(clients, 30)
        lost = sum(c.status != 200 for c in clients)
        assert lost == 0, "%d of the requests in flight were lost" % lost
        assert p99([c.seconds for c in extra]) <= 0.02, "a refusal took %.1f ms" % worst
        assert once(server.port, "now").status == 200
        check.figure("OVL-07", "%d in flight, %d more: all 503 or 529 with Retry-After, worst %.1f ms; %d lost" % (
            limit, more, worst, lost))
        for c in clients + extra:
            c.close()


# ---- one key against ten others ------------------------------------------------------------------------------

KEYS = ["key-%02d-0123456789abcdef0123456789" % i for i in range(11)]


def keys_config():
    return "".join('[[security.keys]]\nname = "k%d"\ntoken = "%s"\n' % (i, k) for i, k in enumerate(KEYS))


def flood(port, connections, pipe):
    """300 requests in flight all the time, in a process of its own, until told to stop. Reports its answers."""
    crowd.many_descriptors()
    clients, answers = [Client(port) for _ in range(connections)], {}
    bearer = [("Authorization", "Bearer " + KEYS[0])]
    requests = [post(port, CHAT, plan_body("wait:%.2f" % (0.5 + i / connections)), bearer) for i in range(connections)]
    while not pipe.poll():
        for c, request in zip(clients, requests):
            if c.done:
                answers[c.status] = answers.get(c.status, 0) + 1
                c.send(*request)
        run(clients, 0.05, until=lambda: any(c.done for c in clients))
    answers.pop(None, None)
    pipe.send(answers)


def probe(port, seconds):
    """Ten keys, one request a second each, evenly spread; (latencies, failures)."""
    clients = [Client(port) for _ in range(10)]
    times, failed, began = [], 0, time.monotonic()
    for n in range(seconds * 10):
        time.sleep(max(0, began + n / 10 - time.monotonic()))
        c = clients[n % 10]
        c.send(*post(port, CHAT, plan_body("now"), [("Authorization", "Bearer " + KEYS[1 + n % 10])]))
        run([c], 10)
        times.append(c.seconds)
        failed += c.status != 200
    for c in clients:
        c.close()
    return times, failed


def test_one_key_floods():
    seconds = 30 if check.LONG else 4
    with release(config=keys_config()) as server:
        probe(server.port, 1)
        quiet, failed = probe(server.port, seconds)
        assert failed == 0
        ours, theirs = multiprocessing.Pipe()
        flooder = multiprocessing.get_context("fork").Process(target=flood, args=(server.port, 300, theirs))
        flooder.start()
        time.sleep(1.5)
        busy, failed = probe(server.port, seconds)
        ours.send("stop")
        answers = ours.recv()
        flooder.join()
        before_ms, with_ms = p99(quiet) * 1000, p99(busy) * 1000
        assert answers.get(200, 0) >= 300, answers
        assert failed == 0, "%d requests of other keys failed" % failed
        check.figure("OVL-13", "300 in flight of one key: ten others p99 %.1f ms (alone %.1f ms), %d errors" % (
            with_ms, before_ms, failed))
        assert with_ms <= 3 * max(before_ms, 5), "p99 %.1f ms against %.1f ms alone" % (with_ms, before_ms)


if __name__ == "__main__":
    check.main(globals(), "blackbox/overload", before, after)
