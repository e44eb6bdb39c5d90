"""What the Python SDK scripts share; the same lines and environment as client.mjs."""
import json
import os
import time
import traceback
import urllib.request

BASE, KEY = os.environ["BASE"], os.environ.get("KEY", "sk-dummy")


def fail_once(status):
    if not os.environ.get("CONTROL"):
        return False
    body = json.dumps({"status": status, "body": {"message": "once", "type": "api_error"}}).encode()
    with urllib.request.urlopen(os.environ["CONTROL"] + "/__aimock/error", data=body) as answer:
        return answer.status == 200


def thrown(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was thrown")


def main(names, more):
    checks = [(n[6:].replace("_", "-"), f) for n, f in names.items() if n.startswith("check_")] + list(more)
    for name, check in checks:
        started, word, text = time.time(), "ok", ""
        try:
            word = check() or "ok"
        except Exception:
            word, text = "FAIL", traceback.format_exc()
        print("%s %s %.2f" % (word, name, time.time() - started))
        for line in text.splitlines()[-8:]:
            print("    " + line)
