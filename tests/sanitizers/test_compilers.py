"""The other compiler: clang in release, every warning an error. What it builds answers, too."""
import os
import subprocess

import check
import driver

BUILT = os.path.join(driver.TOP, "build-clang")
check.LIMIT = max(check.LIMIT, 600)


def test_clang_builds_without_a_warning():
    assert driver.build("clang", BUILT, ["ccproxy"]), "clang does not build it"
    said = subprocess.run([os.path.join(BUILT, "ccproxy"), "config", "check"], capture_output=True, text=True)
    assert said.returncode == 0 and said.stdout == "ok\n", said


if __name__ == "__main__":
    check.main(globals(), "sanitizers/compilers")
