"""Name servers that fail, hang, give nothing or change their mind: one request gets an error, nobody else notices."""
import os
import socket
import threading
import time

import check
import formats
import rawhttp
from formats import ANTHROPIC
from names import Names
from server import SLOW, Server
from upstream import Answer, Upstream

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
BODY = formats.small_body(ANTHROPIC)
CONNECT = 1.0  # seconds; [upstream] connect_timeout
SLACK = 0.25 * SLOW
THREADS = 16  # lookups at once, as resolve.h promises

up = None


def before():
    global up
    up = Upstream()


def after():
    up.close()


def provider(name, scheme="http", port=None, more="allow_private = true"):
    return ('[providers.%s]\nformat = "anthropic"\nbase_url = "%s://%s.test:%d"\nauth = "none"\n%s\n'
            % (name, scheme, name, port or up.port, more))


def config(*providers, connect=CONNECT):
    return '[upstream]\nconnect_timeout = "%dms"\n%s' % (connect * 1000, "".join(providers))


def post(server, name, **more):
    """(response, seconds)"""
    started = time.monotonic()
    response = server.post("/%s/v1/messages" % name, BODY, **more)
    return response, time.monotonic() - started


def resolver_threads(server):
    found = 0
    for task in os.listdir("/proc/%d/task" % server.process.pid):
        try:
            with open("/proc/%d/task/%s/comm" % (server.process.pid, task)) as f:
                found += f.read().strip() == "resolver"
        except OSError:
            pass
    return found


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
            return True
    except OSError:
        return False


def tunnel_from_v6(port):
    """[::1]:p, handing each connection's bytes to 127.0.0.1:port; returns p."""
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)

    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve():
        while True:
            a, b = listener.accept()[0], socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=copy, args=(a, b), daemon=True).start()
            threading.Thread(target=copy, args=(b, a), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_answers_of_every_kind():
    """Each kind of trouble ends as an error in the client's grammar, and not later than the connect timeout."""
    rows = [("servfail", "servfail", 502, "name lookup failed"), ("nxdomain", "nxdomain", 502, "no such host"),
            ("empty", "empty", 502, "no such host"), ("wait60", "wait:60 127.0.0.1", 504, "within the connect timeout"),
            ("gone6", "2001:db8::1", None, ""), ("second", "127.0.0.9 127.0.0.1", 200, "")]
    names = Names({name + ".test": words for name, words, _, _ in rows})
    text = [provider(name) for name, _, _, _ in rows]
    if has_ipv6():
        rows.append(("only6", "::1", 200, ""))
        names.set("only6.test", "::1")
        text.append(provider("only6", port=tunnel_from_v6(up.port)))
    longest = 0
    with Server(config(*text), env=names.env()) as server:
        for name, _, status, words in rows:
            up.reset(Answer(b'{"ok":1}'))
            response, took = post(server, name, timeout=CONNECT + 20)
            if status == 200:
                good = response is not None and response.status == 200
                problem = None if good else "no success: %r" % (response and response.raw)
            else:
                problem = formats.error_problem(ANTHROPIC, response, status)
                longest = max(longest, took)
            if not problem and words not in response.body.decode():
                problem = "%r does not say %r" % (response.body, words)
            if not problem and took > CONNECT + SLACK:
                problem = "after %.2f s" % took
            yield name, problem
        strangers = [c for c in names.calls() if c[0] != "resolver" and c[1].endswith(".test")]
        yield "off-the-loop", "looked up elsewhere: %s" % strangers if strangers else None
    names.close()
    check.figure("FLT-05", "%d kinds of answers, the last error after %.2f s (connect timeout %.1f s)" % (
        len(rows), longest, CONNECT))


def test_slow_name_delays_only_its_own():
    """4 s for one name: its request succeeds late, those to other names do not wait for it."""
    names = Names({"late.test": "wait:4 127.0.0.1", "quick.test": "127.0.0.1"})
    with Server(config(provider("late"), provider("quick"), connect=10), env=names.env()) as server:
        late = []
        thread = threading.Thread(target=lambda: late.append(post(server, "late", timeout=20)))
        thread.start()
        time.sleep(0.1)
        longest = max(post(server, "quick")[1] for _ in range(50))
        assert not late, "the slow name was not slow"
        thread.join()
        response, took = late[0]
        assert response.status == 200 and 3.9 <= took < 4.5 + SLACK, (response.status, took)
        assert longest < 0.25 + SLACK, "a request to another name took %.3f s" % longest
        post(server, "late")
        assert len(names.calls("late.test")) == 1 and len(names.calls("quick.test")) == 1, names.calls()
    names.close()


def test_lookups_are_joined_and_bounded():
    """One name: one lookup for all who ask. Many names that hang: a bounded number of threads, then a clear error."""
    hanging = ["h%d" % i for i in range(THREADS + 8)]
    names = Names({"one.test": "wait:1 127.0.0.1"})
    for name in hanging:
        names.set(name + ".test", "wait:60 127.0.0.1")
    with Server(config(provider("one"), *map(provider, hanging), connect=2), env=names.env()) as server:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(post(server, "one", timeout=20))) for _ in range(40)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert [r.status for r, _ in answers] == [200] * 40, [r.status for r, _ in answers]
        assert len(names.calls("one.test")) == 1, "%d lookups" % len(names.calls("one.test"))
        connections = [server.connect(timeout=20) for _ in hanging]
        for connection, name in zip(connections, hanging):
            connection.send(rawhttp.encode("POST", "/%s/v1/messages" % name, BODY))
        time.sleep(0.8)
        most = resolver_threads(server)
        for connection in connections:
            problem = formats.error_problem(ANTHROPIC, connection.response(), 504)
            assert not problem, problem
            connection.close()
        assert most == THREADS, "%d threads for %d names" % (most, len(hanging))
        started = time.monotonic()
        server.process.terminate()
        server.process.wait(20)
        ended = time.monotonic() - started
        assert ended < 1 + 2 * SLACK, "SIGTERM took %.2f s while %d lookups hung" % (ended, most)
    names.close()
    check.figure("FLT-05", "40 requests, 1 lookup; %d names hang in %d threads; SIGTERM then ends in %.2f s" % (
        len(hanging), most, ended))


def test_client_that_leaves_during_a_lookup():
    names = Names({"hang.test": "wait:60 127.0.0.1", "quick.test": "127.0.0.1"})
    with Server(config(provider("hang"), provider("quick"), connect=30), env=names.env()) as server:
        for _ in range(30):
            with server.connect() as connection:
                connection.send(rawhttp.encode("POST", "/hang/v1/messages", BODY))
                time.sleep(0.01)
        response, took = post(server, "quick")
        assert response.status == 200 and took < 1 + SLACK
        assert len(names.calls("hang.test")) == 1
        connection = server.connect()  # and one that is still there: a drain waits for it, a second signal does not
        connection.send(rawhttp.encode("POST", "/hang/v1/messages", BODY))
        time.sleep(0.2)
        started = time.monotonic()
        server.process.terminate()
        time.sleep(0.2)
        server.process.terminate()
        server.process.wait(20)
        assert time.monotonic() - started < 2 + 2 * SLACK, "took %.2f s" % (time.monotonic() - started)
        connection.close()
    names.close()


def test_flip_to_loopback_is_refused():
    """What counts is the address of each connection: a name that turns to a private one is refused, and heals."""
    names = Names({"flip.test": "nxdomain", "mixed.test": "192.0.2.1 127.0.0.1 ::1"})
    strict = 'allow_private = false'
    providers = provider("flip", "https", more=strict), provider("mixed", "https", more=strict)
    with Server(config(*providers), env=names.env()) as server:
        seen = up.connections
        response, _ = post(server, "flip")
        formats.expect_error(ANTHROPIC, response, 502, "no such host")
        turns = ["127.0.0.1", "169.254.169.254"] if check.LONG else ["127.0.0.1"]
        for turn in turns:
            names.set("flip.test", turn)
            end, words = time.monotonic() + 90, ""
            while turn not in words:
                assert time.monotonic() < end, "%s was never tried: %s" % (turn, words)
                time.sleep(0.25)
                response, _ = post(server, "flip")
                assert response.status in (502, 504), response.raw
                words = response.body.decode()
            assert "private" in words, words
        response, took = post(server, "mixed", timeout=20)
        assert response.status in (502, 504) and took < CONNECT + SLACK, (response.status, took)
        assert up.connections == seen, "the upstream on 127.0.0.1 saw a connection"
    names.close()
    check.figure("FLT-05", "a name flips to %s: refused, 0 connections; mixed answer: 0" % ", ".join(turns))


class Pinger(threading.Thread):
    """Asks another endpoint again and again over one connection and keeps the longest time."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.connection, self.going, self.longest, self.count = server.connect(), True, 0, 0
        self.start()

    def run(self):
        while self.going:
            started = time.monotonic()
            assert self.connection.request("GET", "/health/live").status == 200
            self.longest = max(self.longest, time.monotonic() - started)
            self.count += 1
            time.sleep(0.002)

    def end(self):
        self.going = False
        self.join(10)
        assert not self.is_alive() and self.count > 20, "the loop does not answer"
        return self.longest


def stall(server, name, connect):
    """Longest time of another endpoint while requests to `name` start, are left by clients and time out."""
    pinger = Pinger(server)
    connections = [server.connect(timeout=10) for _ in range(6)]
    for connection in connections:
        connection.send(rawhttp.encode("POST", "/%s/v1/messages" % name, BODY))
    time.sleep(0.1)
    for connection in connections[:3]:
        connection.close()
    for connection in connections[3:]:
        connection.response()
        connection.close()
    time.sleep(0.05)
    return pinger.end()


def test_loop_never_stalls():
    """One worker. The best of some rounds counts: this machine is shared, and a stall of the loop is in each."""
    if not RELEASE or not os.path.exists(RELEASE):
        raise check.Skip("needs CCPROXY_RELEASE_BIN")
    kinds = {"servfail": "servfail", "nxdomain": "nxdomain", "wait4": "wait:4 127.0.0.1", "wait60": "wait:60 127.0.0.1",
             "empty": "empty", "only6": "2001:db8::1", "flip": "127.0.0.1"}
    rounds, worst = 6, {}
    names = Names()
    for kind, words in kinds.items():
        text = []
        for turn in range(rounds):
            name = "%s-%d" % (kind, turn)
            names.set(name + ".test", words)
            text.append(provider(name, "https", more="allow_private = false") if kind == "flip" else provider(name))
        with Server(config(*text, connect=0.4), arguments=("--workers", "1"), env=names.env(RELEASE),
                    binary=RELEASE) as server:
            worst[kind] = 9.0
            for turn in range(rounds):
                worst[kind] = min(worst[kind], stall(server, "%s-%d" % (kind, turn), 0.4))
                if worst[kind] <= 0.010:
                    break
    names.close()
    check.figure("FLT-05", "loop stall at most %.1f ms over %d kinds of answers (limit 20 ms)" % (
        max(worst.values()) * 1000, len(kinds)))
    late = {k: "%.1f ms" % (v * 1000) for k, v in worst.items() if v > 0.020}
    assert not late, late


if __name__ == "__main__":
    check.main(globals(), "blackbox/dns", before, after)
