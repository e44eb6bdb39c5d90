"""What each vendor demands of a request, and what the request says once it is understood.

One function per format (vendor_anthropic.py, vendor_openai.py, vendor_gemini.py) turns a parsed body into an Ask, the
same for all four, or refuses it with the vendor's own words. The rules are the vendors': which members exist, where
tool results stand, whose proofs of thinking count. They are not a list of what is convenient; a translator that breaks
one of them would be refused by the real service, too.
"""
import base64
import re
from types import SimpleNamespace

OLD = re.compile(r"claude-sonnet-4-5|gpt-4\.1|gemini-2\.5|judge-old")  # generations before adaptive thinking


class Refuse(Exception):
    def __init__(self, message, status=400, code=None, param=None, details=None):
        super().__init__(message)
        self.message, self.status, self.code, self.param, self.details = message, status, code, param, details


def want(good, message, *values, **more):
    if not good:
        raise Refuse(message % values if values else message, **more)


def known(value, names, message, where=""):
    """Members that the vendor has never heard of are refused with `message` % member."""
    want(isinstance(value, dict), "%s: expected an object", where or "body")
    for name in value:
        want(name in names.split(), message, where + name)


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_base64(text):
    try:
        return isinstance(text, str) and len(base64.b64decode(text, validate=True)) > 0
    except ValueError:
        return False


def new_ask(fmt, model):
    return SimpleNamespace(format=fmt, model=model, old=bool(OLD.match(model)), stream=False, system=[], turns=[],
                           tools={},
                           choice=None, parallel=None, max_tokens=None, schema=None, thinking=None, show=False,
                           usage=True,
                           stops=[], temperature=None)


def part(kind, **more):
    return dict(kind=kind, **more)


def turn(ask, role):
    """The turn that the next part belongs to: neighbours of one role are one turn."""
    if not ask.turns or ask.turns[-1][0] != role:
        ask.turns.append((role, []))
    return ask.turns[-1][1]
