"""The benchmark itself works: a quick run, no failed request, one row for each case and server."""
import json
import os
import subprocess
import sys
import tempfile

import check

HERE = os.path.dirname(os.path.abspath(__file__))


def test_quick_run():
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        result = subprocess.run([sys.executable, os.path.join(HERE, "run"), "--quick", "--json", file.name],
                                capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        rows = json.load(open(file.name))["medians"]
    mine = [r for r in rows if r["target"] == "ccproxy"]
    assert len(mine) == 5 and all(r["per_second"] > 0 and r["bad"] == 0 for r in mine), result.stdout
    with open(os.path.join(os.environ.get("TEST_LOGS", "/tmp"), "bench.md"), "w") as out:
        out.write(result.stdout)


if __name__ == "__main__":
    check.main(globals(), "bench/bench")
