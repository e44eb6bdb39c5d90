"""The vendors' doubles with a user in front of them, and the smallest requests of three formats."""
import json

from claude import Claude
from cli import User
from codex import Codex
from copilot import Copilot
from formats import ANTHROPIC, CHAT, RESPONSES
from server import free_port

PATHS = {ANTHROPIC: "/v1/messages", CHAT: "/v1/chat/completions", RESPONSES: "/v1/responses"}


class Vendor:
    """A double, a user, and at the end: nothing was asked that the vendor would not know."""

    def __init__(self, double, config, refresh_before="1s"):
        self.double = double
        self.user = User('refresh_before = "%s"\n%s' % (refresh_before, config))

    def __enter__(self):
        return self.double, self.user

    def __exit__(self, kind, *_):
        self.user.__exit__()
        self.double.close()
        if kind is None:
            assert not self.double.wrong, self.double.wrong


def claude():
    double = Claude()
    return Vendor(double, double.config())


def codex():
    double = Codex()
    return Vendor(double, double.config(free_port()))


def copilot(**more):
    double = Copilot()
    return Vendor(double, double.config(**more))


def body(fmt, model, stream=False):
    if fmt is RESPONSES:
        value = {"model": model, "input": "hi", "max_output_tokens": 50, "temperature": 0.5}
    else:
        value = {"model": model, "max_tokens": 50,
                 "messages": [{"role": "user", "content": "hi"}]}
    return {**value, **({"stream": True} if stream else {})}


def text_of(fmt, response):
    value = json.loads(response.body)
    if fmt is ANTHROPIC:
        return "".join(b.get("text", "") for b in value["content"])
    if fmt is CHAT:
        return value["choices"][0]["message"]["content"]
    return "".join(c["text"] for item in value["output"] if item["type"] == "message" for c in item["content"])
