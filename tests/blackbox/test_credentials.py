"""Stored logins in a running server: who waits for a renewal, who does not, and how many requests it takes."""
import contextlib
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import crowd  # noqa: E402
import formats  # noqa: E402
from crowd import Client, p99, post, run  # noqa: E402
from idp import Fault  # noqa: E402
from logins import BODY, PATH, Logins, error, health, state, wait_for  # noqa: E402
from server import SLOW, Server  # noqa: E402

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
AT_ONCE = "0s"  # refresh_before: renewed when it has ended, not before


def release():
    if not RELEASE:
        raise check.Skip("needs CCPROXY_RELEASE_BIN")
    return RELEASE


@contextlib.contextmanager
def clients(port, n):
    many = []
    try:
        for i in range(n):
            many.append(Client(port))
            if i % 100 == 99:
                time.sleep(0.05)  # the backlog of the listener
        yield many
    finally:
        for c in many:
            c.close()


def burst(many, port, path=PATH, seconds=60):
    """One request on each connection at the same time; their durations."""
    head, body = post(port, path, BODY)
    for c in many:
        c.send(head, body)
    run(many, seconds)
    return [c.seconds for c in many]


def statuses(many):
    return {s: sum(c.status == s for c in many) for s in {c.status for c in many}}


def until(unix_time):
    time.sleep(max(0.0, unix_time - time.time()))


def test_500_at_the_moment_of_expiry():
    """RFR-01: connections are open and warm; the token ends; 500 requests come in the same moment."""
    n, idp_time, added = 500, 0.3, []
    crowd.many_descriptors()
    with Logins(lifetime=8) as lab:
        lab.store(expires_in=6)
        lab.idp.always["refresh"] = Fault(delay=idp_time)
        with Server(lab.config(refresh_before=AT_ONCE), server="max_in_flight = 2000",
                    binary=release()) as server, clients(server.port, n) as many:
            while not added or (min(added) > idp_time + 0.05 and len(added) < 5):  # the best: this machine is shared
                ends, posts = lab.record()["expires_at"], lab.posts()
                usual = burst(many, server.port)
                assert statuses(many) == {200: n} and lab.posts() == posts, (statuses(many), lab.posts())
                assert time.time() < ends, "this machine is too slow for the figures"
                until(ends)
                seconds = burst(many, server.port)
                assert statuses(many) == {200: n}, statuses(many)
                assert lab.posts() == posts + 1 == lab.record()["generation"] - 1, lab.posts()
                assert min(seconds) > idp_time * 0.9, "somebody did not wait for the new token: %.3f s" % min(seconds)
                added.append(p99(seconds) - p99(usual))
        assert {c.status for c in lab.calls} == {200} and lab.idp.grants.reuses == 0
    added = min(added)
    assert added <= idp_time + 0.05, "p99 %.3f s, usual %.3f s" % (p99(seconds), p99(usual))
    check.figure("RFR-01", "%d requests at expiry: 1 POST, all 200; p99 +%.0f ms at an IdP of %.0f ms" % (
        n, added * 1e3, idp_time * 1e3))


def test_processes_share_a_login():
    """RFR-02, with whole servers: every expiry is met by requests to all of them at once."""
    processes, each, rounds = 8, 50, 200 if check.LONG else 4
    crowd.many_descriptors()
    with Logins(lifetime=2) as lab, contextlib.ExitStack() as stack:
        lab.store(expires_in=4)
        servers = [stack.enter_context(Server(lab.config(refresh_before=AT_ONCE), binary=release()))
                   for _ in range(processes)]
        groups = [(s.port, stack.enter_context(clients(s.port, each))) for s in servers]
        everybody, failed = [c for _, many in groups for c in many], {}
        for _ in range(rounds):
            until(lab.record()["expires_at"])
            for port, many in groups:
                head, body = post(port, PATH, BODY)
                for c in many:
                    c.send(head, body)
            run(everybody, 30)
            for status, count in statuses(everybody).items():
                failed[status] = failed.get(status, 0) + count * (status != 200)
        posts, generation, grants = lab.posts(), lab.record()["generation"], lab.idp.grants
        assert not sum(failed.values()), failed
        assert grants.reuses == 0 and grants.rotations == posts == generation - 1, (posts, grants.rotations, generation)
        assert rounds <= posts <= rounds * 2 + 2, "%d POSTs in %d rounds" % (posts, rounds)
        refused = sum(c.status == 401 for c in lab.calls)
    check.figure("RFR-02", "%d servers x %d requests x %d rounds: %d POSTs, %d new tokens, 0 reuses, 0 errors" % (
        processes, each, rounds, posts, generation - 1))
    assert refused == 0, "%d requests went up with a token that had ended" % refused


def test_401_for_100_at_once():
    """RFR-08: a token that is not expired is refused: one renewal, at most two calls for each request."""
    n = 100
    with Logins() as lab, Server(lab.config()) as server:
        lab.store()
        wait_for(lambda: state(server) == "ready", 5, "the login")
        lab.idp.faults["refresh"] = [Fault(delay=0.3)]
        lab.idp.grants.expire()
        with clients(server.port, n) as many:
            burst(many, server.port)
            assert statuses(many) == {200: n}, (statuses(many), many[0].body())
        assert lab.posts() == 1 and lab.idp.grants.reuses == 0, lab.posts()
        twice = len(lab.calls)
        assert sum(c.status == 200 for c in lab.calls) == n and twice <= 2 * n, twice
    check.figure("RFR-08", "%d refused with 401 at once: 1 POST, all 200, %.2f calls a request" % (n, twice / n))


def test_upstream_that_always_says_401():
    """RFR-08: renewing helps nothing; the API and the identity provider are not asked on and on."""
    with Logins() as lab:
        lab.accept = lambda token: False
        lab.store()
        with Server(lab.config()) as server, clients(server.port, 20) as many:
            kinds = set()
            for turn in range(5):
                burst(many, server.port)
                assert statuses(many) == {503: len(many)}, (statuses(many), many[0].body())
                kinds |= {error(Body(c))[0] for c in many}
            posts, calls = lab.posts(), len(lab.calls)
            text = error(Body(many[0]))[1]
    assert "acme" in text and "refuse" in text, text
    assert posts == 1, "%d POSTs for an API that refuses every token" % posts
    assert calls <= 2 * 5 * 20, calls
    check.figure("RFR-08", "an API that refuses all: %d requests get 503, %d POST, %.2f calls each" % (
        100, posts, calls / 100))


class Body:
    def __init__(self, client):
        self.body = crowd.dechunk(client)


def latencies(server, seconds, path="/health/live", body=None):
    """Durations of requests one after the other, on two connections for two workers."""
    out, end = [], time.monotonic() + seconds
    with server.connect() as a, server.connect() as b:
        while time.monotonic() < end:
            for c in (a, b):
                began = time.monotonic()
                response = c.request("POST" if body else "GET", path, body)
                out.append(time.monotonic() - began)
                assert response.status == 200, response.body
            time.sleep(0.002)
    return out


def test_a_wait_disturbs_nobody():
    """A renewal of 5 s: requests of other accounts and of no account go on as before."""
    with Logins() as lab:
        lab.store()
        lab.store(account="slow", expires_in=3)
        other = lab.provider("slow", account="slow")
        with Server(lab.config(refresh_before=AT_ONCE, account="default", more=other), binary=release()) as server:
            usual, usual_up = latencies(server, 1), latencies(server, 1, PATH, BODY)
            until(lab.record("slow")["expires_at"])
            lab.idp.faults["refresh"] = [Fault(delay=5)]
            with clients(server.port, 50) as many:
                head, body = post(server.port, "/slow/v1/messages", BODY)
                for c in many:
                    c.send(head, body)
                loader = threading.Thread(target=run, args=(many, 20))
                loader.start()
                time.sleep(0.3)
                during, during_up = latencies(server, 2), latencies(server, 2, PATH, BODY)
                waiting = sum(not c.done for c in many)
                loader.join()
                assert waiting == 50, "only %d of 50 were waiting meanwhile" % waiting
                assert statuses(many) == {200: 50} and lab.posts() == 1, (statuses(many), lab.posts())
                assert min(c.seconds for c in many) > 4
    assert p99(during) < max(0.02, 2 * p99(usual)), "loop: p99 %.1f ms, usually %.1f ms" % (
        p99(during) * 1e3, p99(usual) * 1e3)
    assert p99(during_up) < 2 * p99(usual_up) + 0.02, "others: p99 %.1f ms, usually %.1f ms" % (
        p99(during_up) * 1e3, p99(usual_up) * 1e3)
    check.figure("RFR-01", "50 wait 5 s for a token: loop p99 %.1f ms (else %.1f), others %.1f ms (else %.1f)" % (
        p99(during) * 1e3, p99(usual) * 1e3, p99(during_up) * 1e3, p99(usual_up) * 1e3))


def test_clients_that_leave_while_waiting():
    """40 wait and go; what they held is free again: the server ends at once and without a leak (sanitizers)."""
    with Logins() as lab:
        lab.store(expires_in=-10)
        lab.idp.always["refresh"] = Fault(delay=3)
        with Server(lab.config(), server='max_in_flight = 45\ndrain_timeout = "20s"') as server:
            wait_for(lambda: lab.posts() == 1, 5, "the renewal")
            for turn in range(3):
                with clients(server.port, 40) as many:
                    head, body = post(server.port, PATH, BODY)
                    for c in many:
                        c.send(head, body)
                    run(many, 0.3, until=lambda: False)
                    assert not any(c.done for c in many), (turn, statuses(many))
                time.sleep(0.1 * SLOW)  # else the gauge of in-flight requests would refuse the next ones
            response = lab.good(server, timeout=20)
            assert response.complete and lab.posts() == 1
            assert len(lab.calls) == 1, "%d requests went up for clients that had left" % (len(lab.calls) - 1)
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 5 * SLOW, "something was still in flight"


def test_stop_during_a_renewal():
    """The answer of a request that is out is the only copy of the next token: the stop waits for it."""
    with Logins() as lab:
        lab.store(expires_in=-10)
        lab.idp.faults["refresh"] = [Fault(late=1.5)]
        with Server(lab.config()) as server:
            wait_for(lambda: lab.posts() == 1, 5, "the renewal")
            server.process.send_signal(signal.SIGTERM)
            assert server.stop() == 0
        record = lab.record()
        assert record["generation"] == 2 and lab.idp.grants.usable(record["refresh_token"]), record["generation"]
        names = sorted(os.listdir(lab.directory))
        assert names == ["acme.default.json", "acme.default.lock"], names
        assert lab.posts() == 1 and lab.idp.grants.reuses == 0


def test_stop_at_once_with_requests_waiting():
    """Two signals: who waits gets an error, and the token is stored all the same."""
    with Logins() as lab:
        lab.store(expires_in=-10)
        lab.idp.faults["refresh"] = [Fault(late=2)]
        with Server(lab.config()) as server, clients(server.port, 10) as many:
            wait_for(lambda: lab.posts() == 1, 5, "the renewal")
            head, body = post(server.port, PATH, BODY)
            for c in many:
                c.send(head, body)
            run(many, 0.3, until=lambda: False)
            for _ in range(2):
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.1)
            run(many, 10)
            assert set(statuses(many)) <= {503, None}, statuses(many)
            assert server.stop() == 0
        assert lab.record()["generation"] == 2


def test_reload_while_waiting():
    """SIGHUP with requests parked: they end with the configuration they came with, new ones find the same login."""
    with Logins() as lab:
        lab.store(expires_in=-10)
        lab.idp.faults["refresh"] = [Fault(delay=2)]
        with Server(lab.config()) as server, clients(server.port, 20) as many:
            wait_for(lambda: lab.posts() == 1, 5, "the renewal")
            head, body = post(server.port, PATH, BODY)
            for c in many:
                c.send(head, body)
            run(many, 0.3, until=lambda: False)
            server.write(lab.config(more=lab.provider("second")))
            for turn in range(3):
                server.process.send_signal(signal.SIGHUP)
                server.wait_log('"reloaded', times=turn + 1)
            assert not any(c.done for c in many)
            with clients(server.port, 20) as new:
                head, body = post(server.port, "/second/v1/messages", BODY)
                for c in new:
                    c.send(head, body)
                run(many + new, 20)
                assert statuses(many + new) == {200: 40}, statuses(many + new)
        assert lab.posts() == 1 and lab.record()["generation"] == 2, lab.posts()


def test_a_removed_provider_is_no_longer_renewed():
    with Logins(lifetime=2) as lab:
        lab.store(expires_in=2)
        with Server(lab.config(refresh_before=AT_ONCE)) as server:
            wait_for(lambda: lab.posts() == 1, 5, "the renewal")
            server.write('[providers.plain]\nbase_url = "%s"\nformat = "anthropic"\nauth = "none"\n' % lab.up.url)
            server.process.send_signal(signal.SIGHUP)
            server.wait_log('"reloaded')
            time.sleep(0.2)  # one that was under way
            posts = lab.posts()
            time.sleep(3)
            assert lab.posts() == posts, "renewed %d times for nobody" % (lab.posts() - posts)
            server.write(lab.config(refresh_before=AT_ONCE))
            server.process.send_signal(signal.SIGHUP)
            server.wait_log('"reloaded', times=2)
            lab.good(server)


def test_accounts_by_label():
    """Two labels, and none: "default" comes first. Each provider sends its own account's token."""
    with Logins() as lab:
        tokens = {a: lab.store(account=a)["access_token"] for a in ("default", "home", "work")}
        more = lab.provider("at_home", account="home") + lab.provider("at_work", account="work")
        more += lab.provider("nobody", account="nobody")
        with Server(lab.config(more=more)) as server:
            for path, account in (("acme", "default"), ("at_home", "home"), ("at_work", "work")):
                lab.good(server, "/%s/v1/messages" % path)
                assert lab.calls[-1].token == tokens[account], path
            response = lab.ask(server, "/nobody/v1/messages")
            assert response.status == 503, response.status
            kind, text = error(response)
            assert "ccproxy auth login acme --account nobody" in text, text
            assert health(server, "at_work")[1]["login"]["account"] == "work"
            os.unlink(lab.path())
            wait_for(lambda: health(server)[1]["login"].get("account") == "home", 2.5, "the next account")
            lab.good(server)
            assert lab.calls[-1].token == tokens["home"]


def test_a_provider_without_login():
    """No file: 503 in each client's grammar, with the command to run; health says so; nothing goes up."""
    with Logins(make=False) as lab, Server(lab.config()) as server:
        for fmt in formats.ALL:
            for stream in (False, True):
                response = server.post(fmt.url(stream, "acme"), formats.small_body(fmt, stream))
                value = json.loads(response.body)
                assert response.status == 503 and "ccproxy auth login acme" in value["error"]["message"], response.body
                assert set(value) == {"type", "error"} | ({"request_id"} & set(value)) if fmt is formats.ANTHROPIC \
                    else set(value) == {"error"}, (fmt.name, value)
        code, found = health(server)
        assert code == 503 and found["status"] == "fail" and found["login"]["state"] == "absent", found
        assert "ccproxy auth login acme" in found["output"], found
        assert "ccproxy auth login acme" in server.output(), server.output()  # the banner
        assert not lab.calls and not os.path.exists(lab.directory)
        lab.store()
        took = wait_for(lambda: state(server) == "ready", 3, "the login that another process stored")
        lab.good(server)
        assert took <= 2, took
    check.figure("CRD-07", "a first login of another process (folder made by it, too): in use after %.1f s" % took)


if __name__ == "__main__":
    check.main(globals(), "blackbox/credentials")
