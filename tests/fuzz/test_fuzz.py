"""Every fuzz target replays its corpus and goes on for 2 s (10 minutes with --long), two targets at a time."""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import tempfile

import check
import driver

HERE = os.path.join(driver.TOP, "tests", "fuzz")
BUILT = os.path.join(driver.TOP, "build-fuzz")
SECONDS = 600 if check.LONG else 2
FILES, BYTES = 200, 200 * 1024  # what a target's corpus may hold
check.LIMIT = max(check.LIMIT, 6 * 3600 if check.LONG else 300)
FORMATS = ("anthropic", "chat", "responses", "gemini")
READERS = [kind + "_" + f for kind in ("request", "answer") for f in FORMATS]
PAIRS = ["pair_%s_%s" % (a, b) for a in FORMATS for b in FORMATS if a != b]
TARGETS = sorted([os.path.basename(p)[5:-2] for p in glob.glob(os.path.join(HERE, "fuzz_*.c"))] + READERS + PAIRS)


def corpus(target):
    return os.path.join(HERE, "corpus", target)


def play(target):
    """One target: (its last words, or what is wrong)."""
    if not os.path.isdir(corpus(target)):
        return "", "no corpus: make one as tests/fuzz/README.md tells"
    grown = tempfile.mkdtemp(prefix="ccp-fuzz-")
    try:
        command = [os.path.join(BUILT, "tests", "fuzz_" + target), "-max_total_time=%d" % SECONDS, "-timeout=10",
                   "-rss_limit_mb=1024", "-print_final_stats=1", "-artifact_prefix=%s/" % driver.LOGS, grown,
                   corpus(target)]
        if not check.LONG:
            command.insert(1, "-seed=1")
        if target in READERS + PAIRS:
            command[1:1] = ["-max_len=12000", "-dict=" + os.path.join(HERE, "format.dict")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=SECONDS + 200,
                              env=dict(os.environ, **driver.SANITIZERS))
    finally:
        shutil.rmtree(grown, ignore_errors=True)
    with open(os.path.join(driver.LOGS, "fuzz_%s.log" % target), "w") as log:
        log.write(done.stderr)
    covered = re.findall(r"\bcov: (\d+) ft: (\d+) corp: (\d+)", done.stderr)
    execs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode or not covered or not execs:
        return "", "exit %d, see fuzz_%s.log:\n%s" % (done.returncode, target, done.stderr[-2500:])
    return "%s: %s execs, %s edges, %s features, %s inputs" % ((target, execs.group(1)) + covered[-1]), None


def test_targets():
    if not driver.build("fuzz", BUILT, ["fuzz_" + t for t in TARGETS]):
        yield "build", "the fuzz preset does not build"
        return
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for target, (words, problem) in zip(TARGETS, pool.map(play, TARGETS)):
            if words:
                print("    " + words)
            yield target, problem


def test_corpora_are_small():
    for target in TARGETS:
        sizes = [os.path.getsize(p) for p in glob.glob(os.path.join(corpus(target), "*"))]
        good = 0 < len(sizes) <= FILES and sum(sizes) <= BYTES
        yield target, None if good else "%d files, %d bytes" % (len(sizes), sum(sizes))


if __name__ == "__main__":
    check.main(globals(), "fuzz/fuzz")
