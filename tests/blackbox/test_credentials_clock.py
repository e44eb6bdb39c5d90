"""Stored logins and time: clocks that jump, the window in which renewing begins early, accounts that nobody uses."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
from clock import Clock  # noqa: E402
from crowd import p99  # noqa: E402
from idp import Fault  # noqa: E402
from logins import Logins, health, state, wait_for  # noqa: E402
from server import Server  # noqa: E402

RELEASE = os.environ.get("CCPROXY_RELEASE_BIN")
HOUR, DAY = 3600, 86400
YEARS = 3653 * DAY
JUMPS = (HOUR, -HOUR, DAY, -DAY, YEARS, -YEARS, -HOUR, HOUR, -DAY, DAY, -YEARS, YEARS)


def release():
    if not RELEASE:
        raise check.Skip("needs CCPROXY_RELEASE_BIN")
    return RELEASE


class Busy:
    """Requests all the time; those that failed are kept."""

    def __init__(self, lab, server):
        self.lab, self.server, self.failed, self.sent, self.stop = lab, server, [], 0, threading.Event()
        self.seconds = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stop.wait(0.01):
            began = time.monotonic()
            response = self.lab.ask(self.server, timeout=60)
            self.seconds.append(time.monotonic() - began)
            self.sent += 1
            if response.status != 200:
                self.failed.append((response.status, response.body[:300]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def test_clock_jumps():
    """FLT-20: the API ends tokens by real time. Each jump costs at most one renewal, and no request fails."""
    pause = 2.0 if check.LONG else 0.5
    with Clock() as clock, Logins(lifetime=3600) as lab:
        lab.store()
        worst = 0
        with Server(lab.config(), env=clock.env(release()), binary=release()) as server, Busy(lab, server) as busy:
            lab.good(server)
            assert lab.posts() == 0
            for jump in JUMPS:
                before = lab.posts()
                clock.jump(jump)
                time.sleep(pause)
                worst = max(worst, lab.posts() - before)
                assert lab.posts() - before <= 1, "%d POSTs after a jump of %d s" % (lab.posts() - before, jump)
            before = lab.posts()
            for i in range(20):  # back and forth
                clock.jump(DAY if i % 2 else -DAY)
                time.sleep(0.05)
            time.sleep(pause)
            storm = lab.posts() - before
            assert storm <= 20, "%d POSTs for 20 jumps" % storm
            before = lab.posts()
            time.sleep(pause)
            assert lab.posts() == before, "renewed on and on after the clock stands"
        assert not busy.failed, busy.failed[:3]
        assert lab.idp.grants.reuses == 0 and {c.status for c in lab.calls} == {200}
    check.figure("FLT-20", "%d jumps up to 10 years: <= %d POST each, %d for 20 fast ones, 0 of %d requests failed" % (
        len(JUMPS), worst, storm, busy.sent))


def test_clock_set_back_then_tokens_end():
    """With a clock that was set back a token seems to live long: the 401 of the API renews it, once for each end."""
    with Clock() as clock, Logins(lifetime=3600) as lab:
        lab.store()
        with Server(lab.config(), env=clock.env(release()), binary=release()) as server:
            lab.good(server)
            clock.jump(-DAY)
            lab.idp.grants.expire()
            lab.good(server)
            assert lab.posts() == 1 and len(lab.calls) == 3, (lab.posts(), len(lab.calls))
            lab.good(server)
            # a worker that hears of it a moment later finds out by a 401, too, and takes the same new token
            later = [c.status for c in lab.calls[3:]]
            assert lab.posts() == 1 and later in ([200], [401, 200]), (lab.posts(), later)
            assert abs(lab.record()["expires_at"] - clock.now() - 3600) < 5


def test_nobody_waits_in_the_early_window():
    """RFR-07, with a life of 60 s (margin 12 s, early window 36 to 12 s before the end): an identity provider that is
    slow delays nobody, and one that fails is not asked again before the margin, or for 60 s."""
    with Logins(lifetime=3600) as lab:
        lab.store(expires_in=23, lifetime=60)
        lab.idp.always["refresh"] = Fault(delay=1.5, status=503, body="down")
        with Server(lab.config(), binary=release()) as server, Busy(lab, server) as busy:
            wait_for(lambda: lab.posts() == 1, 5, "the attempt by the clock")
            time.sleep(5)
            posts, login = lab.posts(), health(server)[1]["login"]
            assert posts == 1 and "next_attempt_at" in login, (posts, login)
            time.sleep(0.2)
        assert not busy.failed and max(busy.seconds) < 1.0, (busy.failed[:3], max(busy.seconds))
    check.figure("RFR-07", "early window, slow failing IdP: 1 attempt until the margin; %d requests, p99 %.0f ms" % (
        busy.sent, p99(busy.seconds) * 1e3))


def test_early_renewal_is_spread():
    """RFR-07: servers that read the same record do not begin in the same second."""
    with Logins() as lab:
        lab.store()
        at = []
        for _ in range(6):
            with Server(lab.config()) as server:
                found = health(server)[1]["login"]
                at.append(time.mktime(time.strptime(found["next_attempt_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)
                end = lab.record()["expires_at"]
    before = [end - t for t in at]
    assert all(600 <= b <= 901 for b in before), before
    assert len(set(at)) >= 3, "no jitter: %r" % before
    check.figure("RFR-07", "renewing begins %d to %d s before the end, at %d different times in 6 starts" % (
        min(before), max(before), len(set(at))))


def test_idle_account():
    """RFR-12: without any request it is renewed all the same (a day of it: unit/auth/test_service)."""
    with Logins(lifetime=2) as lab:
        lab.store(expires_in=2)
        with Server(lab.config()) as server:
            time.sleep(6)
            posts = lab.posts()
            assert 2 <= posts <= 14, posts
            lab.idp.always["refresh"] = Fault(status=503, body="down for repair")
            wait_for(lambda: state(server) == "later", 10, "the failure in health")
            found = health(server)[1]
            assert "503" in found["output"] and "next_attempt_at" in found["login"], found
            del lab.idp.always["refresh"]
            wait_for(lambda: state(server) == "ready", 10, "the recovery")
        assert not lab.calls and lab.idp.grants.reuses == 0
    check.figure("RFR-12", "no request: %d renewals in 6 s of 2 s tokens; error and next attempt in health" % posts)


if __name__ == "__main__":
    check.main(globals(), "blackbox/credentials_clock")
