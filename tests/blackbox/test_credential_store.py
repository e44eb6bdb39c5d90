"""The credential store under crashes, failing calls, other processes, loose modes, links and lost power.

One small program (tests/auth/credentials.c) does what a refresh does to a record; here it is traced, stopped between
any two of its calls, killed, made to fail at each of them, and run fifty times at once. What is asked each time: the
file holds the old login or the new one, whole, with mode 0600, and what was told to be saved is saved.
"""
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import time

import check
from credentials import (BROKEN, IO, MISSING, NOBODY, SEALED, TOOL, UNSAFE, Folder, Shim, at_each_stop, content,
                         environment, mode, trace, traced, write)

SCALE = 1 if check.LONG else 20  # of the full counts a default run does a twentieth
RECORD = "p.a.json"
NEEDED = ("write", "fsync", "renameat")  # a save whose call of these failed must not be told to be saved
VENDOR = b'{\n  "claudeAiOauth": {\n    "accessToken": "vendor-FIXTURE",\n    "refreshToken": "vr-FIXTURE",\n' \
         b'    "expiresAt": 1760028800000,\n    "scopes": ["a", "b"]\n  },\n  "mcpOAuth": {"x":  [1,2 , 3]}\n}\n'
shim = None


def before():
    global shim
    shim = Shim()


def after():
    shim.close()


def saved_by(word, access, refresh):
    """Both tokens of one save, by its number; None when they do not belong together."""
    match = re.match(r"at-%s-(\d+)$" % word, access)
    return int(match.group(1)) if match and refresh == "rt-%s-%s" % (word, match.group(1)) else None


# ---- the order of a save ----

def saves_of(calls, name):
    """Per save: the calls from the temporary file's open to the fsync of its directory."""
    found = []
    for i, (call, arguments, result) in enumerate(calls):
        if call != "openat" or not re.search(r'"%s\.ccproxy-[0-9a-f]{16}"' % re.escape(name), arguments):
            continue
        found.append(calls[i:i + 6])
    return found


def in_order(save, name, directories):
    """What is wrong with one save, or None."""
    (call, arguments, fd), rest = save[0], save[1:]
    match = re.match(r'(\d+), "([^"]+)", (\S+), (\d+)$', arguments)
    if not match or match.group(4) != "0600":
        return "opened as %s" % arguments
    missing = {"O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC"} - set(match.group(3).split("|"))
    directory, temporary = match.group(1), match.group(2)
    want = [("write", r"%d, .*" % fd), ("fsync", "%d" % fd), ("close", "%d" % fd),
            ("renameat", r'%s, "%s", %s, "%s"' % (directory, re.escape(temporary), directory, re.escape(name))),
            ("fsync", directory)]
    for (call, pattern), (did, how, result) in zip(want, rest):
        if call != did or not re.fullmatch(pattern, how, re.S) or result < 0:
            return "%s(%s) = %d where %s(%s) belongs" % (did, how[:80], result, call, pattern)
    directories.append(temporary)
    return "without %s" % missing if missing else None


def test_order_of_a_save():
    with Folder() as f:
        f.good("save", "p", "a", "1", "old")
        calls = trace(f, "save", "p", "a", "40", "w")
        names, saves = [], saves_of(calls, RECORD)
        wrong = [w for w in (in_order(s, RECORD, names) for s in saves) if w]
        written = [c for c in calls if c[0] == "openat" and re.search("O_WRONLY|O_RDWR", c[1])
                   and not re.search(r"\.lock|/dev/|/proc/", c[1])]
        assert not wrong and len(saves) == 40 and len(written) == 40, (wrong[:3], len(saves), written[:3])
        assert len(set(names)) == 40, "temporary names repeat"
    check.figure("CRD-01", "%d of %d saves: open 0600 O_EXCL, write, fsync, rename, fsync folder; %d names"
                 % (len(saves), len(saves), len(set(names))))


def states_after(events, survives):
    """The record after a power cut: `survives` says which of the operations that were not synced reached the disk.
    Data of a file is whole only if it was synced or its bit is set; a rename is there if the directory was synced after
    it or its bit is set. Either may reach the disk without the other."""
    data, named, bits = {}, "old", iter(survives)
    for kind, synced, what in events:
        reached = synced or next(bits)
        if kind == "data":
            data[what[0]] = what[1] if reached else b"torn"
        elif reached:
            named = what
    return b"old" if named == "old" else data.get(named, b"empty")


def cut_points(save, skip=()):
    """[(finished calls, events so far)] of one traced save; `skip` leaves syncs out, to see that the model finds it."""
    fd, temporary = save[0][2], re.search(r'"([^"]+)"', save[0][1]).group(1)
    events, points = [], [(0, [])]
    for done, (call, arguments, _) in enumerate(save[1:], 1):
        if call == "write":
            events.append(["data", False, (temporary, re.search(r'"(.*)"', arguments, re.S).group(1).encode())])
        elif call == "fsync" and "%s:%s" % (call, "file" if arguments == str(fd) else "folder") not in skip:
            kind = "data" if arguments == str(fd) else "name"
            for event in events:
                event[1] = event[1] or event[0] == kind
        elif call == "renameat":
            events.append(["name", False, temporary])
        points.append((done, [tuple(e) for e in events]))
    return points


def torn_states(save, new, skip=()):
    """(states looked at, those that are neither old nor new or that lose a save that was told to be done)"""
    looked, bad = 0, []
    points = cut_points(save, skip)
    for done, events in points:
        loose = sum(not synced for _, synced, _ in events)
        for survives in itertools.product((False, True), repeat=loose):
            state = states_after(events, survives)
            looked += 1
            if state not in (b"old", new) or (done == len(points) - 1 and state != new):
                bad.append((done, survives, state[:20]))
    return looked, bad


def test_power_cut():
    with Folder() as f:
        f.good("save", "p", "a", "1", "old")
        calls = trace(f, "save", "p", "a", "5", "w")
        looked = points = 0
        for save in saves_of(calls, RECORD):
            new = re.search(r'"(.*)"', save[1][1], re.S).group(1).encode()
            json.loads(new)
            count, bad = torn_states(save, new)
            assert not bad, bad
            looked, points = looked + count, points + len(save)
            # The model can fail: without either sync it finds the loss.
            assert torn_states(save, new, ("fsync:file",))[1] and torn_states(save, new, ("fsync:folder",))[1]
        assert points >= 30 and new == content(f.path(RECORD))
    check.figure("CRD-08", "%d cut points, %d disk states: old or new at each; without either fsync: lost"
                 % (points, looked))


# ---- modes ----

def test_umask():
    seen = 0
    for umask in (0o000, 0o022, 0o077, 0o777):
        with Folder() as f:
            bad = []

            def look(_n):
                nonlocal seen
                seen += 1
                for where, _, files in os.walk(f.top):
                    if where == f.store and mode(where) != 0o700:
                        bad.append((where, oct(mode(where))))
                    # Nothing is ever in a temporary file while its mode could be another one.
                    bad.extend((n, oct(mode(os.path.join(where, n)))) for n in files
                               if mode(os.path.join(where, n)) != 0o600
                               and not (umask == 0o777 and os.path.getsize(os.path.join(where, n)) == 0))
            if umask == 0o777:
                os.mkdir(f.store, 0o700)
            stops, code, said = at_each_stop(f.command("save", "p", "a", "2", "w"), shim.env(SYSCALLS_STOP=1), look,
                                             umask=umask)
            assert code == 0 and stops > 40, (code, stops, said)
            assert not bad, bad[:5]
            assert mode(f.path(RECORD)) == 0o600 and mode(f.path("p.a.lock")) == 0o600 and mode(f.store) == 0o700
    check.figure("CRD-02", "umask 000, 022, 077, 777: at %d instants every file 0600, the folder 0700" % seen)


def warned(done):
    return done.stderr.count(" had mode ")


def test_modes_are_tightened():
    fixed = 0
    for loose in (0o644, 0o640, 0o660, 0o666, 0o601, 0o4600):
        with Folder() as f:
            f.good("save", "p", "a", "1", "w")
            os.chmod(f.path(RECORD), loose)
            first, second = f.good("read", "p", "a"), f.good("read", "p", "a")
            assert warned(first) == 1 and warned(second) == 0 and mode(f.path(RECORD)) == 0o600, first.stderr
            assert "at-w-1" not in first.stderr
            fixed += 1
    for loose in (0o770, 0o777, 0o722, 0o2700, 0o2755):
        with Folder() as f:
            f.good("save", "p", "a", "1", "w")
            os.chmod(f.store, loose)
            first, second = f.good("save", "p", "a", "1", "v"), f.good("read", "p", "a")
            assert warned(first) == 1 and warned(second) == 0, (oct(loose), first.stderr)
            assert mode(f.store) & 0o7022 == 0
            fixed += 1
    check.figure("CRD-04", "%d loose modes of files and folder: tightened, warned once" % fixed)


def test_others_files_are_refused():
    refused = 0
    with Folder() as f:
        f.good("save", "p", "a", "1", "w")
        old = content(f.path(RECORD))

        def both(what):
            nonlocal refused
            for command in (("read", "p", "a"), ("save", "p", "a", "1", "v")):
                said = f.fails(UNSAFE, *command)
                assert f.store in said and what in said and "at-w" not in said, said
                refused += 1
        if os.geteuid() == 0:
            os.chown(f.path(RECORD), NOBODY, NOBODY)
            both("belongs to user %d" % NOBODY)
            os.chown(f.path(RECORD), 0, 0)
            os.chown(f.store, NOBODY, NOBODY)
            both("belongs to user %d" % NOBODY)
            os.chown(f.store, 0, 0)
            os.chown(f.path("p.a.lock"), NOBODY, NOBODY)
            assert "lock" in f.fails(UNSAFE, "save", "p", "a", "1", "v")
            os.chown(f.path("p.a.lock"), 0, 0)
        os.link(f.path(RECORD), f.outside("other-name"))
        both("hard link")
        os.chmod(f.store, 0o1777)
        both("for everybody")
        assert mode(f.store) == 0o1777
        os.chmod(f.store, 0o700)
        os.unlink(f.outside("other-name"))
        assert content(f.path(RECORD)) == old and f.record()[1] == "at-w-1"
        os.rename(f.path(RECORD), f.outside("aside"))
        os.mkfifo(f.path(RECORD), 0o600)
        both("not a plain file")
        os.unlink(f.path(RECORD))
        os.mkdir(f.path(RECORD))
        both("not a plain file")
        os.rmdir(f.path(RECORD))
        os.unlink(f.path("p.a.lock"))
        os.symlink(f.outside("other-lock", b""), f.path("p.a.lock"))
        f.fails(UNSAFE, "save", "p", "a", "1", "v")
    check.figure("CRD-04", "%d uses of another's file or folder, a hard link, FIFO, folder: refused, file untouched"
                 % refused)


# ---- links ----

def test_links():
    kept = refused = 0
    with Folder() as f:
        f.good("save", "p", "a", "1", "w")
        for target in (f.outside("kept") + "/tokens.json", "../kept/tokens.json", "../by/../kept/tokens.json"):
            shutil.rmtree(f.outside("kept"), ignore_errors=True)
            os.makedirs(f.outside("kept"), 0o700)
            os.makedirs(f.outside("by"), 0o700, exist_ok=True)
            f.good("save", "p", "a", "1", "w")
            os.rename(f.path(RECORD), f.outside("kept/tokens.json"))
            os.symlink(target, f.path(RECORD))
            f.good("save", "p", "a", "2", "linked")
            assert os.readlink(f.path(RECORD)) == target and f.record()[1] == "at-linked-2"
            real = f.outside("kept/tokens.json")
            assert b"at-linked-2" in content(real) and mode(real) == 0o600 and not f.leftovers()
            kept += 1
            os.unlink(f.path(RECORD))
        two = f.outside("two")  # a link to a link
        os.symlink("kept/tokens.json", two)
        os.symlink("../two", f.path(RECORD))
        f.good("save", "p", "a", "1", "twice")
        assert os.path.islink(two) and os.path.islink(f.path(RECORD)) and f.record()[1] == "at-twice-1"
        f.good("remove", "p", "a")
        assert not os.path.lexists(f.path(RECORD)) and not os.path.exists(f.outside("kept/tokens.json"))
        kept += 1

        def refuse(target, prepare=None):
            nonlocal refused
            for command in (("read", "p", "a"), ("save", "p", "a", "1", "v")):
                if os.path.lexists(f.path(RECORD)):
                    os.unlink(f.path(RECORD))
                os.symlink(target, f.path(RECORD))
                if prepare:
                    prepare()
                f.fails(UNSAFE, *command)
                assert os.readlink(f.path(RECORD)) == target
                refused += 1
        refuse(f.outside("nowhere"))
        refuse("../no/such/folder/x.json")
        assert not os.path.exists(f.outside("nowhere"))
        refuse(RECORD)  # itself
        refuse("..")
        open_to_all = f.outside("tmp")
        os.mkdir(open_to_all)
        os.chmod(open_to_all, 0o1777)
        write(os.path.join(open_to_all, "x.json"), b"{}")
        refuse(os.path.join(open_to_all, "x.json"))
        in_tmp = "/tmp/ccp-link-%d.json" % os.getpid()
        write(in_tmp, b"{}")
        try:
            refuse(in_tmp)
            assert content(in_tmp) == b"{}"
        finally:
            os.unlink(in_tmp)
        public = f.outside("public", b"no login", 0o644)  # ours, and not a login: its mode is not our business
        for command in (("read", "p", "a"), ("save", "p", "a", "1", "v")):
            os.unlink(f.path(RECORD))
            os.symlink(public, f.path(RECORD))
            f.fails(BROKEN, *command)
            assert mode(public) == 0o644 and content(public) == b"no login"
            refused += 1
        if os.geteuid() == 0:
            theirs = f.outside("theirs", b"{}")
            os.chown(theirs, NOBODY, NOBODY)
            refuse(theirs)
            mine = f.outside("mine", b"{}")
            refuse(mine, lambda: os.lchown(f.path(RECORD), NOBODY, NOBODY))
            assert content(theirs) == content(mine) == b"{}"
    check.figure("CRD-03", "%d links to own files written through and kept; %d uses of bad links refused"
                 % (kept, refused))


# ---- many processes ----

def test_crowd():
    crowd, times = 50, max(1, 100 // SCALE)
    with Folder() as f:
        script = "t() { %s %s save p $2 %d $1 || exit 9; }; t $1 $2; t $1 $3" % (TOOL, f.store, times)
        started = time.time()
        labels = [["shared", "own%d" % n][::1 if n % 2 else -1] for n in range(crowd)]
        processes = [subprocess.Popen(["sh", "-c", script, "sh", str(n), *labels[n]], env=environment(),
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for n in range(crowd)]
        errors = [p.communicate()[1] for p in processes]
        assert all(p.returncode == 0 for p in processes), [e for e in errors if e][:3]
        took = time.time() - started
        shared = f.record("p", "shared")
        own = [f.record("p", "own%d" % n) for n in range(crowd)]
        lost = crowd * times - shared[0] + sum(times - o[0] for o in own)
        labels = f.good("list", "p").stdout.split()
        assert lost == 0 and len(labels) == crowd + 1 and not f.leftovers(), (shared, lost, labels, f.leftovers())
        assert all(saved_by(str(n), *o[1:]) == times for n, o in enumerate(own))
    check.figure("CRD-05", "%d processes, %d saves of one account and %d of their own: 0 lost, 0 temp files, %.1f s"
                 % (crowd, crowd * times, crowd * times, took))


def test_lock_excludes_and_ends_with_its_holder():
    with Folder() as f:
        f.good("save", "p", "a", "1", "w")
        holder = subprocess.Popen(f.command("lock", "p", "a", "1000"), env=traced(), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        assert holder.stdout.readline() == b"locked\n"
        began = time.time()
        said = f.fails(5, "lock", "p", "a", "300")
        assert 0.3 <= time.time() - began < 10 and "held the lock" in said
        waiting = subprocess.Popen(f.command("save", "p", "a", "1", "v"), env=environment(), stdout=subprocess.PIPE)
        time.sleep(0.2)
        assert waiting.poll() is None and f.record()[1] == "at-w-1"
        holder.kill()
        began = time.time()
        assert waiting.communicate(timeout=20)[0] == b"saved 2\n" and time.time() - began < 5
        holder.wait()
        holder.stdin.close(), holder.stdout.close()
        assert f.record()[1] == "at-v-1"


# ---- what is in the file ----

UNKNOWN = ('"x_new":{ "nested" : [1, 2.50, -0e+1,  "\\u00e4\\/" ],\t"t":true}',
           '"x_big":123456789012345678901234567890',
           '"z":"\\ud83d\\ude00 \\u2028 é"', '"empty":{}')


def with_unknown(text, *members):
    return text.rstrip()[:-1].encode() + b"," + ",".join(members).encode() + b"}\n"


def test_unknown_members():
    with Folder() as f:
        f.good("save", "p", "a", "1", "w")
        big = '"big":"%s"' % ("x" * (1024 * 1024 - 2000))
        base = content(f.path(RECORD)).decode()
        write(f.path(RECORD), with_unknown(base, *UNKNOWN, big))
        f.good("save", "p", "a", "100", "v")
        text = content(f.path(RECORD)).decode()
        assert all(member in text for member in UNKNOWN + (big,)) and f.record()[:2] == (101, "at-v-100")
        assert len(text) > 1024 * 1024 - 2000 and json.loads(text)["x_new"]["t"] is True
        refused = 0
        bad = [b'{"a":"\xff\xfe"}', base.encode().replace(b'"provider":"p"', b'"provider":"\xc3("'), b"", b"{", b"[]",
               with_unknown(base, '"big":"%s"' % ("x" * 1024 * 1024)), with_unknown(base, '"provider":"p"'),
               base.encode().replace(b'"version":1', b'"version":2'), base.encode() + b"{}",
               base.encode().replace(b"at-w-1", b"at\\nw"), b'{"version":1,"provider":"p","account":"a"}']
        for wrong in bad:
            write(f.path(RECORD), wrong)
            for command in (("read", "p", "a"), ("save", "p", "a", "1", "u")):
                said = f.fails(BROKEN, *command)
                assert f.path(RECORD) in said and content(f.path(RECORD)) == wrong, said
                refused += 1
        write(f.path(RECORD), base.encode().replace(b'"account":"a"', b'"account":"b"'))
        assert "another account" in f.fails(BROKEN, "read", "p", "a")
    check.figure("CRD-06", "%d unknown members and one of 1 MiB byte-identical after 100 saves; %d bad files refused"
                 % (len(UNKNOWN), refused))


def test_vendor_file_in_place():
    """Everything of the vendor's but the login stays, layout included, also what it writes while we are at work."""
    with Folder() as f:
        path = f.outside("vendor.json", VENDOR, 0o644)
        first = f.good("read", "p", "a", options=("--file", path))
        assert "vendor-FIXTURE" in first.stdout and warned(first) == 1 and mode(path) == 0o600
        f.good("save", "p", "a", "100", "v", options=("--file", path))
        want = VENDOR.replace(b"vendor-FIXTURE", b"at-v-100").replace(b"vr-FIXTURE", b"rt-v-100")
        assert content(path) == want, content(path)
        later = want.replace(b"[1,2 , 3]", b'{"fresh":true}')

        def look(_n):
            if content(path) == want:
                write(path, later)
        os.remove(path)
        write(path, want)
        calls = shim.calls(f, "keep", "p", "a", "1", options=("--file", path))
        write(path, want)
        reads = [i for i, c in enumerate(calls, 1) if c == "read"]
        stops, code, said = at_each_stop(f.command("save", "p", "a", "1", "z", options=("--file", path)),
                                         shim.env(SYSCALLS_STOP=1), lambda n: look(n) if n == reads[1] + 1 else None)
        assert code == 0 and content(path) == later.replace(b"v-100", b"z-1"), (stops, said, content(path))
        assert not f.leftovers() and sorted(os.listdir(f.top)) == ["auth", "vendor.json"]
        # Of its temporary files only old ones are taken for a crash's: another store may be at work on the same file.
        young, old = path + ".ccproxy-0123456789abcdef", path + ".ccproxy-fedcba9876543210"
        write(young, b""), write(old, b"")
        os.utime(old, (time.time() - 100, time.time() - 100))
        f.good("keep", "p", "a", "1", options=("--file", path))
        assert os.path.exists(young) and not os.path.exists(old)
        side = {n.rsplit(".", 1)[0] for n in os.listdir(f.store)}
        assert len(side) == 1 and re.fullmatch(r"foreign\.[0-9a-f]{16}", side.pop()), os.listdir(f.store)


# ---- encryption ----

def test_encryption():
    with Folder() as f:
        key, other = f.outside("key", os.urandom(32)), f.outside("other", os.urandom(32).hex().encode() + b"\n")
        phrase = f.outside("phrase", b"correct horse FIXTURE\nsecond line\n")
        sealed = ("--key", key)
        for label in "ab":
            f.good("save", "p", label, "3", "secretword", options=sealed)
        checked = 0
        for label in "ab":
            text = content(f.path("p.%s.json" % label))
            assert b"secretword" not in text and json.loads(text)["cipher"] == "aes-256-gcm"
        assert f.record(options=sealed)[1] == "at-secretword-3"

        def refused(status, options, words):
            nonlocal checked
            old = content(f.path(RECORD))
            for command in (("read", "p", "a"), ("save", "p", "a", "1", "x")):
                said = f.fails(status, *command, options=options)
                assert words in said and content(f.path(RECORD)) == old, said
                checked += 1
        refused(SEALED, (), "there is no key")
        refused(SEALED, ("--key", other), "cannot be decrypted")
        refused(SEALED, ("--passphrase", phrase), "cannot be decrypted")
        refused(SEALED, ("--key", f.outside("none")), "cannot be read")
        refused(SEALED, ("--key", f.outside("short", b"0123456789")), "is no key")
        refused(SEALED, ("--key", f.outside("zero", bytes(32))), "same byte")
        refused(UNSAFE, ("--key", f.outside("loose", os.urandom(32), 0o644)), "chmod 0600")
        good = content(f.path(RECORD))
        write(f.path(RECORD), content(f.path("p.b.json")))  # swapped
        refused(SEALED, sealed, "changed or renamed")
        turned = json.loads(good)
        for member in ("nonce", "data"):
            value = turned[member]
            changed = dict(turned, **{member: value[:5] + ("A" if value[5] != "A" else "B") + value[6:]})
            write(f.path(RECORD), json.dumps(changed).encode())
            refused(SEALED, sealed, "cannot be decrypted")
        for changes in ({"cipher": "null"}, {"kdf": "scrypt", "n": 1 << 30, "r": 8, "p": 1, "salt": "AAAA"},
                        {"nonce": ""}, {"data": "AAAA"}, {"ccproxy_sealed": 2}):
            write(f.path(RECORD), json.dumps(dict(turned, **changes)).encode())
            refused(BROKEN, sealed, "encrypted")
        write(f.path(RECORD), good)

        # Rotation: key to passphrase to plain, each record once, and a repetition has nothing to do.
        steps = [(("--passphrase", phrase), ("--old-key", key)), (("--key", other), ("--old-passphrase", phrase)),
                 ((), ("--old-key", other)), (sealed, ())]
        for now, old in steps:
            assert f.good("rekey", options=now + old).stdout == "rekeyed 2 unchanged 0\n"
            assert f.good("rekey", options=now + old).stdout == "rekeyed 0 unchanged 2\n"
            for label in "ab":
                assert f.record(label=label, options=now) == (3, "at-secretword-3", "rt-secretword-3")
        assert not f.leftovers()
    check.figure("CRD-09", "%d uses of a wrong, missing or loose key or a changed file refused; %d rotations"
                 % (checked, len(steps)))


# ---- failing calls and kills ----

def one_of(f, options, words):
    """Which of the words' saves is in the file; it is whole and can be read."""
    _, access, refresh = f.record(options=options)
    found = [(w, saved_by(w, access, refresh)) for w in words if saved_by(w, access, refresh)]
    assert len(found) == 1, (access, refresh)
    return found[0][0]


def fail_each(f, options, said):
    """Every call of a save fails once: (calls, reported, tolerated)."""
    f.good("save", "p", "a", "1", "old", options=options)
    calls = shim.calls(f, "save", "p", "a", "1", "old", options=options)
    reported = 0
    for n in range(1, len(calls) + 1):
        done = subprocess.run(f.command("save", "p", "a", "1", "new", options=options), env=shim.env(SYSCALLS_FAIL=n),
                              capture_output=True, text=True, timeout=60)
        now, told = one_of(f, options, ("old", "new")), done.returncode == 0
        where = "%d %s: %s%s" % (n, calls[n - 1], done.stdout, done.stderr)
        assert not (told and now != "new"), "told to be saved and is not: " + where
        assert told or re.match(r"error \d .{20,}", done.stdout), "no word about it: " + where
        assert not (told and calls[n - 1] in NEEDED), "not reported: " + where
        reported += not told
        if not told:
            said.append(done.stdout)
        f.good("save", "p", "a", "1", "old", options=options)
        assert not f.leftovers() and mode(f.path(RECORD)) == 0o600, where
    return len(calls), reported


def test_each_call_fails():
    total = reported = 0
    said = []
    with Folder() as f:
        key = f.outside("key", os.urandom(32))
        for options in ((), ("--key", key)) if check.LONG else ((),):
            calls, told = fail_each(f, options, said)
            total, reported = total + calls, reported + told
            os.unlink(f.path(RECORD))
        f.good("save", "p", "a", "1", "old")
        short = 0
        for n, name in enumerate(shim.calls(f, "save", "p", "a", "1", "old"), 1):
            if name == "write":
                f.good("save", "p", "a", "1", "half", env=shim.env(SYSCALLS_SHORT=n))
                assert f.record()[1] == "at-half-1"
                short += 1
        assert short and total > 30 and reported > 20, (short, total, reported)
        assert all(f.top in line for line in said), [line for line in said if f.top not in line][:3]
    check.figure("FLT-09", "%d calls failed once: old or new each time, %d reported, rest harmless; short writes whole"
                 % (total, reported))


def kill_at_each_call(f):
    f.good("save", "p", "a", "1", "old")
    calls = shim.calls(f, "save", "p", "a", "1", "old")
    for n in range(1, len(calls) + 1):
        f.good("save", "p", "a", "1", "old")
        done = subprocess.run(f.command("save", "p", "a", "1", "new"), env=shim.env(SYSCALLS_KILL=n),
                              capture_output=True, timeout=60)
        assert done.returncode == -9, done
        now = one_of(f, (), ("old", "new"))
        assert all(mode(f.path(name)) == 0o600 for name in os.listdir(f.store)), n
        assert not (b"saved" in done.stdout and now != "new"), n
    return len(calls)


def test_killed_at_random():
    """The process is killed in the middle of saving again and again; each save that it told of is there."""
    rounds = max(1, 1000 // SCALE)
    wrong_mode = left = told = 0
    with Folder() as f:
        points = kill_at_each_call(f)
        chance = random.Random(8)
        word, last = "w0", 0
        f.good("save", "p", "a", "1", word)
        left_before = 0
        for n in range(1, rounds + 1):
            previous, word = word, "w%d" % n
            process = subprocess.Popen(f.command("save", "p", "a", "1000000", word), env=traced(),
                                       stdout=subprocess.PIPE)
            process.stdout.readline()  # it is at work
            time.sleep(chance.random() * 0.02)
            process.kill()
            lines = process.stdout.read().split(b"\n")
            process.wait(), process.stdout.close()
            told = len([l for l in lines if l.startswith(b"saved")]) + 1  # the first line was read before
            left_before += len(f.leftovers())
            wrong_mode += sum(mode(f.path(name)) != 0o600 for name in os.listdir(f.store))
            _, access, refresh = f.record()
            now = saved_by(word, access, refresh)
            assert now is not None and told <= now <= told + 1, (previous, word, told, access, refresh)
            last += now
            f.good("keep", "p", "a", "1")
            left += len(f.leftovers())
        assert wrong_mode == 0 and left == 0
    check.figure("FLT-08", "store: %d random SIGKILLs, %d at calls: 0 unparsable, 0 wrong modes, 0 temp (%d before)"
                 % (rounds, points, left_before))


# ---- the directory ----

def as_nobody(f):
    """A copy of the tool that another user can run, and what to put in front of it."""
    os.chmod(f.top, 0o755)
    tool = f.outside("tool")
    shutil.copy(TOOL, tool)
    os.chmod(tool, 0o755)
    return tool, ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups"]


def everything(top):
    return sorted(os.path.join(w, n) for w, d, names in os.walk(top) for n in d + names)


def unwritable(f):
    """The folder of a user who may not write to it: his own, mode 0500. Root passes all modes, so it is another's."""
    tool, wrap = as_nobody(f)
    os.mkdir(f.store, 0o700)
    os.chown(f.store, NOBODY, NOBODY)

    def run(*arguments):
        return subprocess.run([*wrap, tool, f.store, *arguments], env=environment(), capture_output=True, text=True,
                              cwd="/", timeout=60)
    assert run("save", "p", "a", "1", "old").returncode == 0
    os.chmod(f.store, 0o500)
    files = everything(f.top)
    done = run("save", "p", "a", "1", "new")
    assert done.returncode == 10 + IO and f.store in done.stdout and "must belong to the user" in done.stdout, done
    assert run("read", "p", "a").stdout.split()[2] == "at-old-1" and everything(f.top) == files
    os.chmod(f.top, 0o755)
    done = subprocess.run([*wrap, tool, f.outside("elsewhere/auth"), "save", "p", "a", "1", "x"], env=environment(),
                          capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == 10 + IO and "elsewhere" in done.stdout and everything(f.top) == files, done
    return 2


def read_only(f):
    """A file system that is mounted read-only."""
    point = f.outside("disk")
    os.mkdir(point)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", point], capture_output=True).returncode:
        return 0
    try:
        f.store = os.path.join(point, "auth")
        f.good("save", "p", "a", "1", "old")
        subprocess.run(["mount", "-o", "remount,ro", point], check=True, capture_output=True)
        files = everything(f.top)
        said = f.fails(IO, "save", "p", "a", "1", "new")
        assert f.store in said and "Read-only file system" in said and "auth.directory" in said, said
        assert f.record()[1] == "at-old-1" and everything(f.top) == files
    finally:
        subprocess.run(["umount", point], check=True)
    return 1


def test_directory_cannot_be_written():
    if os.geteuid() != 0:
        raise check.Skip("needs root, to become another user and to mount")
    with Folder() as f:
        cases = unwritable(f)
    with Folder() as f:
        cases += read_only(f)
    check.figure("FLT-11", "%d folders that cannot be written: error with path and advice, nothing written elsewhere"
                 % cases)


def test_directory_is_removed():
    """It goes away between any two calls of a save: an error, or a save that is really there; nothing elsewhere."""
    with Folder() as f:
        f.good("save", "p", "a", "1", "old")
        calls = len(shim.calls(f, "save", "p", "a", "1", "old"))
        errors = 0
        for n in range(1, calls + 1):
            shutil.rmtree(f.store, ignore_errors=True)
            f.good("save", "p", "a", "1", "old")
            _, code, said = at_each_stop(f.command("save", "p", "a", "1", "new"), shim.env(SYSCALLS_STOP=1),
                                         lambda at: shutil.rmtree(f.store) if at == n else None)
            assert (code == 0) == (said.startswith("saved")), said
            if code == 0 and os.path.exists(f.store):
                assert f.record()[1] == "at-new-1", (n, said)
            errors += code != 0
            stray = [p for p in everything(f.top) if not p.startswith(f.store)]
            assert not stray, stray
        assert errors > 3, errors
        f.fails(MISSING, "read", "none", "a")
    check.figure("FLT-11", "folder removed at each of %d calls of a save: %d errors, 0 files elsewhere"
                 % (calls, errors))


def test_other_file_system():
    """The temporary file is beside its target, wherever that is: no rename across file systems, TMPDIR is no matter."""
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == os.stat("/tmp").st_dev:
        raise check.Skip("no second file system")
    with Folder("/dev/shm") as far, Folder() as f:
        far.good("save", "p", "a", "3", "w", env={"TMPDIR": f.top})
        f.good("save", "p", "a", "1", "w")
        shutil.move(f.path(RECORD), far.outside("tokens.json"))
        os.symlink(far.outside("tokens.json"), f.path(RECORD))
        f.good("save", "p", "a", "1", "v", env={"TMPDIR": far.top})
        assert f.record()[1] == "at-v-1" and os.path.islink(f.path(RECORD)) and not f.leftovers() + far.leftovers()
    check.figure("FLT-11", "store, link target on another file system than TMPDIR: saved, temp file beside its target")


if __name__ == "__main__":
    check.main(globals(), "blackbox/credential_store", before, after)
