"""valgrind memcheck over unit programs and every case file, in a build without sanitizers. With --long only."""
import concurrent.futures
import os
import re
import subprocess

import check
import driver

BUILT = os.path.join(driver.TOP, "build-debug")
WANTED = 200
ERRORS = 99  # exit status of a program whose memory is not clean
PROGRAMS = (
    "chain/test_cases",
    "chain/test_chain",
    "http/test_http2",
    "http/test_server",
    "http/test_guard",
    "http/test_peer",
    "config/test_file",
    "config/test_precedence",
    "config/test_secrets",
    "config/test_show",
    "config/test_types",
    "config/test_unknown",
    "wire/test_json_tree",
    "wire/test_json_grammar",
    "wire/test_sse",
    "wire/test_coding",
    "wire/test_headers",
    "base/test_arena",
    "base/test_log",
    "base/test_loop",
    "base/test_secret",
    "base/test_url",
    "upstream/test_transfer",
    "upstream/test_head",
    "upstream/test_address",
    "plugin/test_settings",
    "plugin/test_order",
     "mock/test_mock")
MEMCHECK = [
    "valgrind",
    "--quiet",
    "--leak-check=full",
    "--show-leak-kinds=definite",
    "--errors-for-leak-kinds=definite",
    "--error-exitcode=%d" %
    ERRORS,
    "--num-callers=20",
    "--suppressions=" +
    os.path.join(
        os.path.dirname(__file__),
         "valgrind.supp")]
check.LIMIT = max(check.LIMIT, 3000)


def examined(name):
    """(tests that passed, what is wrong)"""
    program = os.path.join(BUILT, "tests", "unit_" + name.replace("/", "_"))
    done = subprocess.run(MEMCHECK + [program], capture_output=True, text=True, errors="replace", timeout=2500)
    said = done.stdout + done.stderr
    with open(os.path.join(driver.LOGS, "memcheck_%s.log" % name.replace("/", "_")), "w") as log:
        log.write(said)
    passed = len(re.findall(r"^\[       OK \]", said, re.M))
    if done.returncode not in (0, ERRORS) and 0 < done.returncode < 9:  # cmocka: so many tests failed
        print("    %s: %d tests failed at valgrind's speed; their memory was examined all the same" % (
            name, done.returncode))
        return passed, None
    return passed, said[-3000:] if done.returncode else None


def memcheck():
    """SAN-03: no definite leak, no read or write that is not ours."""
    if not driver.build("debug", BUILT, ["unit_" + p.replace("/", "_") for p in PROGRAMS]):
        yield "build", "the debug preset does not build"
        return
    tests = wrong = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, (passed, problem) in zip(PROGRAMS, pool.map(examined, PROGRAMS)):
            tests += passed
            wrong += problem is not None
            yield name, problem
    check.figure("SAN-03", "%d tests in %d programs under valgrind, %d programs with leaks or errors" % (
        tests, len(PROGRAMS), wrong))
    yield "at least 200", None if tests >= WANTED else "%d tests" % tests


if check.LONG:
    test_memcheck = memcheck

if __name__ == "__main__":
    check.main(globals(), "sanitizers/memory")
