"""Stored logins in a running server while something is broken: a lock that is held, a grant that is gone, an identity
provider that fails, a disk that is full or read-only. What is still good is used, and what is not says why."""
import concurrent.futures
import os
import shutil
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
from crowd import Client, post, run  # noqa: E402
from disks import Full, Weak  # noqa: E402
from idp import HTML, Fault, drop  # noqa: E402
from logins import BODY, PATH, Logins, error, health, state, wait_for  # noqa: E402
from server import SLOW, Server  # noqa: E402


def several(server, n, seconds=30):
    """n requests at once: (status, message or None, seconds) of each."""
    many = [Client(server.port) for _ in range(n)]
    try:
        head, body = post(server.port, PATH, BODY)
        for c in many:
            c.send(head, body)
        run(many, seconds)
        return [(c.status, c.body().decode(), c.seconds) for c in many]
    finally:
        for c in many:
            c.close()


def all_workers(server, status):
    """Each worker is told by a message of its own: within a moment all say so, whoever answers."""
    wait_for(lambda: {health(server)[1]["status"] for _ in range(12)} == {status}, 2, "health " + status)


def together(*actions):
    """Tests that mostly wait, at the same time; (name, problem or None) of each."""
    with concurrent.futures.ThreadPoolExecutor(len(actions)) as pool:
        yield from zip([name for name, _ in actions], pool.map(lambda a: problem(a[1]), actions))


def problem(action):
    try:
        action()
    except Exception:
        return traceback.format_exc()
    return None


def test_lock_held_or_server_failing():
    """RFR-04: another process holds the account's lock, as a stopped one does. RFR-09: whatever the identity provider
    answers, the old token serves until its end, and the record stays as it was."""
    faults = {"500": Fault(status=500, body="oops"), "502 HTML": HTML,
              "429": Fault(status=429, headers=[("Retry-After", "2")], body={"error": "slow"}),
              "200 without a token": Fault(edit=drop("access_token"), commit=False, body={"token_type": "Bearer"}),
              "reset": Fault(reset=True), "a late reset": Fault(reset=True, delay=0.3)}
    yield from together(("lock, token expired", lock_and_an_old_token), ("lock, token good", lock_and_a_good_token),
                        *((name, lambda f=fault: one_failing(f)) for name, fault in faults.items()))


def test_grants_and_disks():
    yield from together(("back-off", back_off), ("Retry-After", retry_after_is_kept), ("invalid_grant", grant_is_gone),
                        ("full before", full_disk_before_a_renewal), ("full after", full_disk_after_a_renewal))


def lock_and_an_old_token():
    """Requests wait at most 15 s, get 503 with the cause, nothing is posted; then all is well again."""
    with Logins() as lab:
        lab.store(expires_in=-10)
        lock = lab.lock()
        with Server(lab.config()) as server:
            got = several(server, 8)
            assert {s for s, _, _ in got} == {503}, got[0]
            assert all("lock" in text for _, text, _ in got), got[0]
            longest = max(seconds for _, _, seconds in got)
            assert longest < 15 + 1.5 * SLOW and lab.posts() == 0 and not lab.calls, (longest, lab.posts())
            code, found = health(server)
            assert found["login"]["state"] == "later" and "next_attempt_at" in found["login"], found
            lock.close()
            took = wait_for(lambda: lab.ask(server).status == 200, 20, "the recovery")
            assert lab.posts() == 1
    check.figure("RFR-04", "lock held: 8 of 8 got 503 with the cause in %.1f s, 0 POSTs; well %.1f s later" % (
        longest, took))


def lock_and_a_good_token():
    """Within the last margin a request waits for the renewal for a while, then goes with what there is; later ones do not
    wait for the same one."""
    with Logins() as lab:
        lab.store(expires_in=600, lifetime=3600)
        lock = lab.lock()
        with Server(lab.config(refresh_before="700s")) as server:  # in its last 700 s of 3600: wait
            began = time.monotonic()
            got = several(server, 4)
            assert {s for s, _, _ in got} == {200}, got[0]
            assert 4.5 < time.monotonic() - began < 5 + 1.5 * SLOW
            for _ in range(6):  # whichever worker takes it has waited enough, or does now
                began = time.monotonic()
                lab.good(server)
            assert time.monotonic() - began < 1 * SLOW, "a request waited again for a renewal that takes long"
            assert lab.posts() == 0
            lock.close()


def one_failing(fault):
    with Logins() as lab:
        lab.store(expires_in=8, lifetime=40)  # margin 8 s: at once due
        with open(lab.path(), "rb") as f:
            old = f.read()
        lab.idp.always["refresh"] = fault
        with Server(lab.config()) as server:
            wait_for(lambda: health(server)[1]["status"] == "warn", 10, "the warning")
            assert lab.posts() >= 1
            for _ in range(3):
                lab.good(server)
            code, found = health(server)
            assert code == 200 and found["login"]["state"] == "ready" and found["output"], found
            assert "next_attempt_at" in found["login"], found
            with open(lab.path(), "rb") as f:
                assert f.read() == old, "a failed renewal changed the record"
            before = lab.posts()
            wait_for(lambda: time.time() >= lab.record()["expires_at"], 12, "the end")
            assert lab.posts() - before <= 6, "%d attempts in 8 s" % (lab.posts() - before)
            response = lab.ask(server, timeout=40)
            assert response.status == 503 and "could not be renewed" in error(response)[1], response.body
            assert {c.status for c in lab.calls} == {200}
            del lab.idp.always["refresh"]
            wait_for(lambda: lab.ask(server, timeout=40).status == 200, 15, "the recovery")
            all_workers(server, "pass")


def back_off():
    """RFR-09: attempts grow apart, 1 s to 300 s, each at random in the second half of its span."""
    seconds = 60 if check.LONG else 8
    with Logins() as lab:
        lab.store(expires_in=-5)
        lab.idp.always["refresh"] = Fault(status=503, body="down")
        with Server(lab.config()) as server:
            end = time.monotonic() + seconds
            while time.monotonic() < end:  # requests do not make it faster
                assert lab.ask(server, timeout=10).status == 503
                time.sleep(0.1)
        at = [p.at for p in lab.idp.posts("refresh")]
    gaps = [b - a for a, b in zip(at, at[1:])]
    for i, gap in enumerate(gaps):
        most = min(2 ** i, 300)
        assert most / 2 - 0.1 <= gap <= most + 1.5 * SLOW, "attempt %d after %.2f s: %r" % (i + 2, gap, gaps)
    assert len(gaps) >= 3, gaps
    check.figure("RFR-09", "failing IdP: gaps of %s s between attempts, whatever is asked" % (
        ", ".join("%.1f" % g for g in gaps)))


def retry_after_is_kept():
    with Logins() as lab:
        lab.store(expires_in=-5)
        lab.idp.faults["refresh"] = [Fault(status=429, headers=[("Retry-After", "4")], body={"error": "slow"})]
        with Server(lab.config()) as server:
            wait_for(lambda: lab.posts() == 1, 5, "the first attempt")
            response = lab.ask(server)
            assert response.status == 503, response.status
            wait_for(lambda: lab.posts() == 2, 8, "the second attempt")
            at = [p.at for p in lab.idp.posts("refresh")]
            assert 3.9 <= at[1] - at[0] <= 5 + SLOW, at[1] - at[0]
            wait_for(lambda: lab.ask(server).status == 200, 5, "the recovery")


def grant_is_gone():
    """RFR-10: one POST, `needs_login` with the reason, tokens kept, the old token used to its end, others serve."""
    with Logins() as lab:
        record = lab.store(expires_in=6, lifetime=40)
        lab.store(account="work")
        for family in lab.idp.grants.families[:1]:
            family.revoked = True
        lab.accept = lambda token: token in (record["access_token"], lab.record("work")["access_token"])
        more = lab.provider("office", account="work")
        with Server(lab.config(account="default", more=more)) as server:
            wait_for(lambda: health(server)[1]["status"] == "warn", 10, "the warning")
            lab.good(server)
            found = health(server)[1]
            assert "ccproxy auth login acme" in found["output"] and "invalid_grant" in found["output"], found
            wait_for(lambda: time.time() > record["expires_at"] + 0.1, 8, "the end")
            for _ in range(20):
                response = lab.ask(server)
                kind, text = error(response)
                assert response.status == 503 and "ccproxy auth login acme" in text, response.body
                lab.good(server, "/office/v1/messages")
            wait_for(lambda: state(server) == "needs_login", 3, "the state")
            code, found = health(server)
            assert code == 200 and found["status"] == "fail" and "invalid_grant" in found["output"], (code, found)
            assert lab.posts() == 1, lab.posts()
            with open(lab.path()) as f:
                assert record["refresh_token"] in f.read(), "the tokens were thrown away"
            text = server.output() + server.log_text()
        assert not any(t in text for t in lab.tokens)
        with Server(lab.config(account="default", more=more)) as server:  # a new process knows it, too
            assert state(server) == "needs_login" and "invalid_grant" in health(server)[1]["output"]
            lab.good(server, "/office/v1/messages")
            assert "ccproxy auth login acme" in server.output()
            assert lab.posts() == 1, "asked again after a restart"
            new = lab.store(generation=2)
            took = wait_for(lambda: state(server) == "ready", 3, "the new login")
            lab.accept = lambda token: token == new["access_token"]
            lab.good(server)
    check.figure("RFR-10", "invalid_grant: 1 POST, reason in health, other account serves; new login in %.1f s" % took)


def test_login_for_another_address():
    """base_url changed after the login: the token does not go there."""
    with Logins() as lab:
        lab.store(origins=["https://elsewhere.example"])
        with Server(lab.config()) as server:
            for _ in range(2):
                response = lab.ask(server)
                kind, text = error(response)
                assert response.status == 503 and "--force" in text and "base_url" in text, response.body
            code, found = health(server)
            assert code == 503 and found["status"] == "fail" and "base_url" in found["output"], found
        assert not lab.up.requests, "something was sent there"


# -- disks --

def full_disk_before_a_renewal():
    """FLT-10: without room for the intent nothing is sent; the old token serves, health tells; it heals."""
    with Logins(lifetime=30) as lab:
        full = Full(lab)
        try:
            old = lab.store(expires_in=7, lifetime=40)["access_token"]
            with Server(lab.config(refresh_before="1s")) as server:
                full.fill(server)
                wait_for(lambda: health(server)[1]["status"] == "warn", 10, "the warning")
                assert lab.posts() == 0, "the refresh token was sent without an intent on disk"
                lab.good(server)
                assert lab.calls[-1].token == old
                code, found = health(server)
                assert code == 200 and found["status"] == "warn" and found["output"], found
                full.heal(server)
                took = wait_for(lambda: health(server)[1]["status"] == "pass", 12, "the healing")
                lab.good(server)
                assert lab.posts() == 1 and lab.record()["generation"] == 2
                assert took <= 10, took
        finally:
            full.close()


def full_disk_after_a_renewal():
    """FLT-10: the disk fills up while the request is out: the new token waits in memory and is not used before it is
    stored; the old one serves, then requests get 503 with the cause; everything heals within 10 s."""
    with Logins(lifetime=30) as lab:
        full = Full(lab)
        try:
            old = lab.store(expires_in=7, lifetime=40)["access_token"]
            lab.idp.faults["refresh"] = [Fault(delay=1)]
            with Server(lab.config()) as server:
                wait_for(lambda: lab.posts() == 1, 5, "the renewal")
                full.fill(server)
                wait_for(lambda: health(server)[1]["status"] == "warn", 10, "the warning")
                found = health(server)[1]
                assert found["login"]["state"] == "ready" and "disk" in found["output"], found
                lab.good(server, timeout=20)
                assert lab.calls[-1].token == old
                wait_for(lambda: time.time() > lab.record()["expires_at"] + 0.2, 10, "the end of the old token")
                began = time.monotonic()
                response = lab.ask(server, timeout=30)
                waited = time.monotonic() - began
                assert response.status == 503 and "disk" in error(response)[1], response.body
                assert waited <= 6, "the request waited %.1f s for the disk" % waited
                full.heal(server)
                took = wait_for(lambda: lab.ask(server, timeout=20).status == 200, 12, "the healing")
                assert took <= 10 and lab.posts() == 1 and lab.record()["generation"] == 2, (took, lab.posts())
                assert lab.calls[-1].token == lab.record()["access_token"] and lab.idp.grants.reuses == 0
                all_workers(server, "pass")
            kind = "tmpfs of 64 KiB" if full.mounted else "RLIMIT_FSIZE"
        finally:
            full.close()
    check.figure("FLT-10", "%s full: old token, then 503 with the cause; heals in %.1f s, 1 POST, 0 lost" % (
        kind, took))


def test_read_only_directory():
    """FLT-11: nothing is sent, nothing is written elsewhere, the old token serves; then it may be written again."""
    with Logins(lifetime=30) as lab:
        old = lab.store(expires_in=8, lifetime=40)["access_token"]
        lab.lock().close()
        os.chmod(lab.directory, 0o500)
        try:
            with Weak(lab.config()) as server:
                wait_for(lambda: health(server)[1]["status"] == "warn", 10, "the warning")
                found = health(server)[1]
                assert lab.directory in found["output"] and found["login"]["state"] == "ready", found
                lab.good(server)
                assert lab.calls[-1].token == old and lab.posts() == 0
                seen = os.listdir(lab.directory), os.listdir(lab.top)
                os.chmod(lab.directory, 0o700)
                took = wait_for(lambda: health(server)[1]["status"] == "pass", 15, "the healing")
                lab.good(server)
                assert lab.posts() == 1
        finally:
            os.chmod(lab.directory, 0o700)
        assert sorted(seen[0]) == ["acme.default.json", "acme.default.lock"] and seen[1] == ["logins"], seen
    check.figure("FLT-11", "folder read-only: 0 POSTs, old token serves, health names it; heals in %.1f s" % took)


def test_directory_removed_while_running():
    """FLT-11: it counts as a logout, as the folder is gone: 503 that says what to run; a new login is taken up."""
    with Logins() as lab:
        lab.store()
        with Server(lab.config()) as server:
            lab.good(server)
            shutil.rmtree(lab.directory)
            gone = wait_for(lambda: state(server) == "absent", 3, "the logout")
            response = lab.ask(server)
            assert response.status == 503 and "ccproxy auth login acme" in error(response)[1], response.body
            time.sleep(0.5)
            assert os.listdir(lab.top) == [], "the folder was made again by nobody's login"
            lab.store()
            back = wait_for(lambda: state(server) == "ready", 3, "the login")
            lab.good(server)
            os.rename(lab.directory, lab.directory + ".old")
            wait_for(lambda: state(server) == "absent", 3, "the second logout")
            os.rename(lab.directory + ".old", lab.directory)
            wait_for(lambda: state(server) == "ready", 3, "the second login")
            lab.good(server)
        assert gone <= 2 and back <= 2, (gone, back)
    check.figure("FLT-11", "folder removed: 503 with the command after %.1f s, new login after %.1f s" % (
        gone, back))


def test_directory_removed_during_a_renewal():
    """The answer comes when there is no folder any more: no crash, one POST, an answer for everybody."""
    with Logins() as lab:
        lab.store(expires_in=-10)
        lab.idp.faults["refresh"] = [Fault(delay=1)]
        with Server(lab.config()) as server:
            wait_for(lambda: lab.posts() == 1, 5, "the renewal")
            shutil.rmtree(lab.directory)
            response = lab.ask(server, timeout=30)
            assert response.status in (200, 503), response.status
            server.stop()
        assert lab.posts() == 1


if __name__ == "__main__":
    check.main(globals(), "blackbox/credentials_faults")
