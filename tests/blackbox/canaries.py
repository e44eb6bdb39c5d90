"""Secrets that are planted, and the search for them in whatever form they may have been written down."""
import base64
import os
import urllib.parse


def canary(place):
    """A secret that nobody else has, marked with where it was planted."""
    return "sk-CANARY-%s-%s" % (place, base64.b16encode(os.urandom(6)).decode())


def spellings(secret):
    """The forms in which a secret may stand in a file."""
    raw = secret.encode()
    yield raw
    yield base64.b64encode(raw).rstrip(b"=")
    yield base64.urlsafe_b64encode(raw).rstrip(b"=")
    yield base64.b64encode(b"user:" + raw).rstrip(b"=")[8:]
    yield urllib.parse.quote(secret, safe="").replace("-", "%2D").encode()
    yield "".join("%%%02x" % b for b in raw).encode()
    yield raw.hex().encode()
    yield raw[::-1]


def found(places, texts):
    """(canary's place, where it was found) for every spelling in every text."""
    return [(place, where) for place, secret in places.items() for where, text in texts.items()
            for form in spellings(secret) if form in text]
