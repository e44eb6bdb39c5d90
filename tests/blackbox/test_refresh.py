"""Renewing a stored login against servers that misbehave, with files of vendors, and on disks that refuse.

Driven through tests/auth/refresher.c, like test_refresh_races.py.
"""
import concurrent.futures
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "auth"))
import check  # noqa: E402
import idp  # noqa: E402
import panel  # noqa: E402
from logins import wait_for  # noqa: E402
from renewals import Lab, rotate_by_hand, vendor_file  # noqa: E402
from server import SLOW  # noqa: E402


# ---- servers that misbehave (RFR-09, RFR-10, RFR-14) ---------------------------------------------------------------

def _unchanged(lab, name, fault, results, text="", posts=None, **more):
    before, sent = lab.identity(), lab.posts()
    lab.idp.faults["refresh"] = list(fault)
    got = lab.once("--force", "--total", "700", **more)
    lab.idp.faults["refresh"] = []
    problem = None
    if got.result not in results or text not in got.text:
        problem = "%s, not %s with %r" % (got.raw, results, text)
    elif lab.identity() != before:
        problem = "the stored file was touched"
    elif posts is not None and lab.posts() - sent != posts:
        problem = "%d POSTs" % (lab.posts() - sent)
    return name, problem, got


def test_bad_answers():
    def answer(status, body, content_type="application/json", **more):
        return [idp.Fault(status=status, body=body, content_type=content_type, **more)]

    rows = (("500", answer(500, {"error": "server_error"}), ("retry",), 1),
            ("502 HTML", [idp.HTML], ("retry",), 1),
            ("503 empty", answer(503, ""), ("retry",), 1),
            ("429", answer(429, {"error": "rate_limited"}, headers=[("Retry-After", "7")]), ("retry",), 1),
            ("timeout", [idp.Fault(hang=True)] * 2, ("retry",), 2),
            ("reset before", [idp.Fault(reset=True)] * 2, ("retry",), 2),
            ("200 HTML", answer(200, "<html>welcome</html>", "text/html"), ("retry",), 1),
            ("200 without token", answer(200, {"token_type": "Bearer", "expires_in": 5}), ("retry",), 1),
            ("200 null token", answer(200, {"access_token": None, "token_type": "Bearer"}), ("retry",), 1),
            ("204", answer(204, ""), ("retry",), 1),
            ("302", answer(302, "", headers=[("Location", "http://127.0.0.1:1/")]), ("retry",), 1),
            ("70 KB", answer(200, "x" * 70000), ("retry",), 1),
            ("client refused", answer(401, {"error": "invalid_client"}), ("config",), 1))
    good = 0
    for name, fault, results, posts in rows:
        with Lab() as lab:
            row, problem, got = _unchanged(lab, name, fault, results, posts=posts)
            if name == "429" and not problem and got.retry_after_ms != 7000:
                problem = "Retry-After was not taken: %s" % got.raw
            open_intent = lab.note("intent") is not None
            if not problem and open_intent != (name.startswith("2") or name in ("timeout", "reset before", "70 KB")):
                problem = "the intent is %s" % ("open" if open_intent else "closed")
            if not problem and lab.once("--force").result != "done":
                problem = "not renewed afterwards"
            good += problem is None
            yield row, problem
    cut, size = _cuts()
    check.figure("RFR-09", "%d of %d bad answers and %d resets (answer of %d bytes): stored file never touched"
                 % (good, len(rows), cut, size))


def _cuts():
    """The answer reset after each byte. No grace: the refresh token of the file is not taken any more."""
    with Lab(grace=1000) as lab:
        size = len(idp.Reply(lab.idp.grants.begin(client_id="test-client")).head()) + len(
            json.dumps(lab.idp.grants.begin(client_id="test-client")))
        places = list(range(0, size, 1 if check.LONG else 9)) + [size - 1]
        before = lab.identity()
        lab.idp.faults["refresh"] = [idp.Fault(cut=k) for k in [places[0]] + places]
        results = lab.several("--force", "--hurry", "--times", str(len(places)))
        assert lab.identity() == before, "the stored file was touched"
        others = [r.raw for r in results if r.result != "retry"]
        assert len(results) == len(places) and not others, others[:3]
        assert lab.posts() == len(places) + 1 and lab.note("intent")["sent"] == lab.posts()
        assert lab.once("--force").result == "done" and lab.note("intent") is None
    return len(places), size


def test_refused_grant():
    with Lab(accounts=("default", "work")) as lab:
        lab.idp.grants.revoke(lab.record()["refresh_token"])
        before = lab.identity()
        got = lab.once("--force")
        assert got.result == "needs_login" and "ccproxy auth login test" in got.text, got.raw
        assert "--account" not in got.text and "invalid_grant" in got.text, got.text
        assert lab.identity() == before and lab.posts() == 1
        note = lab.note("state")
        assert note["generation"] == 1 and note["reason"] == got.text and lab.note("intent") is None
        again = lab.several("--force", "--times", "20")
        assert {r.result for r in again} == {"needs_login"} and again[0].text == got.text and lab.posts() == 1
        assert "state known 1" in lab.tool("state").process.communicate()[0]
        assert lab.once("--force", account="work").result == "done", "another account must not suffer"
        asked = lab.once("--force", "--insist")
        assert asked.result == "needs_login" and lab.posts() == 3
        lab.login(generation=2)
        assert "state known 0" in lab.tool("state").process.communicate()[0]
        assert lab.once("--force").result == "done" and lab.note("state") is None
        check.figure("RFR-10", "1 POST, file kept byte for byte, 20 further calls 0 POSTs; other account renewed")


def test_refused_grant_names_the_account():
    with Lab(accounts=("work@home",)) as lab:
        lab.idp.grants.revoke(lab.record("work@home")["refresh_token"])
        got = lab.once("--force", account="work@home")
        assert "account work@home" in got.text and "ccproxy auth login test --account work@home" in got.text, got.text


def _lost_answer(grace, cut, answer):
    """Seconds between the two sendings."""
    with Lab(grace=grace) as lab:
        lab.idp.grants.grace_answer = answer
        lab.idp.faults["refresh"] = [idp.Fault(cut=cut)]
        before, got = lab.identity(), lab.once("--force")
        assert lab.posts() == 2, "%d POSTs" % lab.posts()
        first, second = lab.idp.posts("refresh")
        assert first.parameters["refresh_token"] == second.parameters["refresh_token"]
        if grace:
            assert got.result == "done" and lab.alive() and lab.idp.active(got.token) and lab.note("intent") is None
        else:
            assert got.result == "needs_login" and "interrupted" in got.text and lab.identity() == before, got.raw
            assert lab.once("--force").result == "needs_login" and lab.posts() == 2
        return second.at - first.at


def test_lost_answer():
    rows = [(grace, cut, answer) for grace, cut in ((10, 0), (10, 120), (0, 0)) for answer in ("same", "new")]
    with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:
        seconds = list(pool.map(lambda row: _lost_answer(*row), rows))
    assert max(seconds) <= 5, seconds
    check.figure("RFR-14", "2 POSTs with the same token, %.1f s apart; renewed with grace, else needs_login, no third"
                 % max(seconds))


def test_process_dies_between_two_sendings():
    with Lab(grace=10) as lab:
        lab.idp.faults["refresh"] = [idp.Fault(cut=0), idp.Fault(cut=0), idp.Fault(cut=0)]
        assert lab.once("--force").result == "retry" and lab.posts() == 2 and lab.note("intent")["sent"] == 2
        assert lab.once("--force").result == "retry" and lab.posts() == 3, "an open intent is sent once per call"
        assert lab.once("--force").result == "done" and lab.posts() == 4 and lab.note("intent") is None


# ---- what may be sent where, and what cannot be renewed ------------------------------------------------------------

def test_refresh_token_stays_with_its_server():
    rows = (("token_url", {"token_url": "http://127.0.0.1:1/token"}, "token_url"),
            ("no token_url", {"token_url": None}, "token_url"),
            ("client_id", {"client_id": "another"}, "client_id"))
    for name, change, text in rows:
        with Lab() as lab:
            lab.login(**change)
            row, problem, _ = _unchanged(lab, name, [], ("needs_login",), text, posts=0)
            problem = problem or (lab.note("state") and "noted for good, although the configuration may change back")
            yield row, problem


def test_no_refresh_token():
    with Lab() as lab:
        lab.login(refresh_token=None, expires_in=-5)
        got = lab.once()
        assert got.result == "needs_login" and "has expired and cannot be renewed" in got.text and lab.posts() == 0
        lab.login(refresh_token=None, generation=3)
        got = lab.once("--force")
        assert got.result == "needs_login" and "was refused and cannot be renewed" in got.text and lab.posts() == 0


def test_no_such_login():
    with Lab() as lab:
        got = lab.once(account="nobody")
        assert got.result == "missing" and "nobody" in got.text and lab.posts() == 0
        assert not os.path.exists(lab.path("nobody", "lock")), "a lock for what is not there"


def test_answer_without_refresh_token_keeps_the_old_one():
    with Lab() as lab:
        lab.idp.grants.rotate = False
        old = lab.record()["refresh_token"]
        results = lab.several("--force", "--times", "3")
        assert [r.result for r in results] == ["done"] * 3 and results[-1].generation == 4
        assert lab.record()["refresh_token"] == old and lab.note("intent") is None


def test_broken_files():
    for name, content in (("not JSON", b"{"), ("empty", b""), ("no token", b'{"version":1}'),
                          ("from the future", b'{"version":9,"access_token":"a"}')):
        with Lab() as lab:
            with open(lab.path(), "wb") as f:
                f.write(content)
            row, problem, _ = _unchanged(lab, name, [], ("storage",), posts=0)
            yield row, problem


# ---- a vendor's own file --------------------------------------------------------------------------------------------

def test_vendor_file():
    with Lab() as lab:
        path = vendor_file(lab)
        for i in range(3):
            assert lab.once("--force", "--file", path).result == "done"
        with open(path) as f:
            value = json.load(f)
        assert value["mcp"] == {"other": [1, 2.5]} and value["vendorOauth"]["tier"] == "keep"
        assert lab.idp.grants.usable(value["vendorOauth"]["refreshToken"]) and os.stat(path).st_mode & 0o777 == 0o600
        assert abs(value["vendorOauth"]["expiresAt"] / 1000 - time.time() - 3600) < 30
        assert not os.path.exists(lab.path("default", "intent"))


def _during_request(lab, path, what, late=0.5, options=("--force",)):
    """Runs `what` while the server takes its time; the result."""
    lab.idp.faults["refresh"] = [idp.Fault(late=late)]
    with lab.tool("once", *options, "--file", path) as tool:
        assert tool.next("request")
        wait_for(lambda: lab.idp.grants.rotations == 1, what="the rotation")
        what()
        return tool.results()[-1]


def test_vendor_edits_its_file_meanwhile():
    with Lab() as lab:
        path = vendor_file(lab)

        def edit():
            with open(path) as f:
                value = json.load(f)
            value["later"] = "kept"
            lab.store(path, value)

        assert _during_request(lab, path, edit).result == "done"
        with open(path) as f:
            value = json.load(f)
        assert value["later"] == "kept" and lab.idp.grants.usable(value["vendorOauth"]["refreshToken"])


def test_vendor_logs_out_meanwhile():
    with Lab() as lab:
        path = vendor_file(lab)
        got = _during_request(lab, path, lambda: os.unlink(path))
        assert got.result == "missing" and not os.path.exists(path), got.raw


def test_vendor_rotates_meanwhile():
    """Ours is refused because the vendor's program was faster: its token is adopted, nobody is told to log in."""
    with Lab() as lab:
        path = vendor_file(lab)
        lab.idp.faults["refresh"] = [idp.Fault(delay=0.5, status=400, body={"error": "invalid_grant"})]
        with lab.tool("once", "--force", "--file", path) as tool:
            assert tool.next("request")
            newer = rotate_by_hand(lab, path, "foreign")
            got = tool.results()[-1]
        assert got.result == "adopted" and got.token == newer and lab.posts() == 1, got.raw


def test_vendor_login_ends():
    with Lab() as lab:
        path = vendor_file(lab)
        with open(path) as f:
            lab.idp.grants.revoke(json.load(f)["vendorOauth"]["refreshToken"])
        got = lab.once("--force", "--file", path)
        assert got.result == "needs_login" and "log in with Vendor CLI again" in got.text, got.raw
        assert lab.once("--force", "--file", path).result == "needs_login" and lab.posts() == 1
        vendor_file(lab)
        assert lab.once("--force", "--file", path).result == "done", "a new login of the vendor's program counts"


# ---- sessions (a second token) --------------------------------------------------------------------------------------

def test_session():
    with Lab() as lab:
        lab.login(refresh_token=None)
        got = lab.once("--session", "yes")
        record = lab.record()
        assert got.result == "done" and got.token == record["session"]["token"] and lab.idp.active(got.token), got.raw
        assert record["facts"]["endpoint"] == lab.idp.url and record["generation"] == 1 and lab.posts() == 0
        assert lab.note("intent") is None
        lab.idp.session_status = 503
        before = lab.identity()
        assert lab.once("--session", "yes", "--force").result == "retry" and lab.identity() == before
        lab.idp.session_status = 403
        got = lab.once("--session", "yes", "--force")
        assert got.result == "needs_login" and lab.identity() == before and "ccproxy auth login" in got.text, got.raw
        asked = len(lab.idp.requests)
        assert lab.once("--session", "yes", "--force").result == "needs_login" and len(lab.idp.requests) == asked


def test_session_of_an_expired_login():
    with Lab() as lab:
        lab.login(expires_in=-5)
        got = lab.once("--session", "yes")
        assert got.result == "done" and lab.idp.active(got.token) and lab.posts() == 1, got.raw
        assert lab.record()["generation"] == 2 and lab.alive()


# ---- disks that refuse ----------------------------------------------------------------------------------------------

def test_disk_refuses():
    """In the service the token waits for the disk; the CLI gives up after 10 s and says so. Nobody uses it before."""
    with Lab(grace=60) as lab:
        lab.login("cli")
        with lab.tool("once", "--force", account="cli", env={"CCPROXY_FAULT": "refresh.write:*"}) as cli:
            arms = panel.Panel()
            arms.arm("refresh.write:*")
            before, seen = lab.identity(), lab.record()["access_token"]
            with lab.tool("once", "--force", "--wait-for-disk", env=arms.env) as service:
                assert "waits for the disk" in service.next("blocked").text
                assert lab.identity() == before and lab.note("intent")["sent"] == 1
                arms.arm("")
                got = service.results()[-1]
            assert got.result == "done" and lab.posts() == 2 and lab.alive() and got.token != seen, got.raw
            arms.close()
            got = cli.results()[-1]
            assert got.result == "storage" and got.unsaved and "NEW TOKEN" in got.text, got.raw
            assert 9 < got.at - cli.lines[0].at < 14 * SLOW
        assert lab.record("cli")["generation"] == 1 and lab.note("intent", "cli")
        assert lab.once("--force", account="cli").result == "done", "with grace the next call heals it"


def test_intent_refused():
    """Nothing is sent when the intent cannot be written first."""
    with Lab() as lab:
        row = _unchanged(lab, "", [], ("storage",), posts=0, env={"CCPROXY_FAULT": "refresh.intent:1"})
        assert row[1] is None, row[1]


if __name__ == "__main__":
    check.main(globals(), "blackbox/refresh")
