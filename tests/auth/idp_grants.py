"""What idp.py knows of tokens: families of single-use refresh tokens, and the access tokens they gave.

A family begins with a login. Each refresh uses its newest refresh token up and gives the next one. An older one that
comes back is a replay and revokes the family (RFC 9700 section 4.14.2), except that for `grace` seconds the repeat of
the one that was used last is answered again.
"""
import base64
import hashlib
import json
import secrets
import subprocess
import threading
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Refused(Exception):
    """An OAuth error answer (RFC 6749 section 5.2)."""

    def __init__(self, error, description="", status=400):
        super().__init__(error)
        self.error, self.description, self.status = error, description, status


class Family:
    def __init__(self, account, scope, client_id):
        self.account, self.scope, self.client_id, self.revoked = account, scope, client_id, False
        self.rotations = 0
        self.newest = None  # the refresh token that is good


class Grants:
    def __init__(self):
        self.lock = threading.RLock()
        self.access_lifetime, self.grace, self.grace_answer, self.rotate = 3600, 0.0, "same", True
        self.expires_in = True  # whether answers say it
        self.access, self.refresh = {}, {}  # token -> (family, expires at), token -> [family, used at, answer]
        self.families, self.reuses, self.rotations = [], 0, 0
        self.committed = []  # time.monotonic() of each rotation
        self.issuer, self.key = "", None

    def begin(self, account="user@example.com", scope="", client_id="", nonce=None):
        """A new family; the token answer."""
        with self.lock:
            family = Family(account, scope, client_id)
            self.families.append(family)
            return self._mint(family, nonce)

    def renew(self, token, client_id):
        with self.lock:
            if token not in self.refresh:
                raise Refused("invalid_grant", "Refresh token not found or invalid")
            entry = self.refresh[token]
            family, used_at, answer = entry
            if family.revoked or family.client_id != client_id:
                raise Refused("invalid_grant", "the grant was revoked" if family.revoked else "another client's")
            if used_at is not None:
                return self._repeat(family, token, used_at, answer)
            self.rotations += 1
            family.rotations += 1
            answer = self._mint(family)
            if self.rotate:
                entry[1:] = [time.monotonic(), answer]
            else:
                self.refresh.pop(answer["refresh_token"])
                family.newest = token
                answer = {k: v for k, v in answer.items() if k != "refresh_token"}
            self.committed.append(time.monotonic())
            return answer

    def _repeat(self, family, token, used_at, answer):
        last = self.refresh.get(answer["refresh_token"], (None, None, None))[1] is None
        if last and time.monotonic() - used_at <= self.grace:
            return answer if self.grace_answer == "same" else self._mint(family)
        self.reuses += 1
        self.revoke_family(family)
        raise Refused("invalid_grant", "refresh token reused: all tokens of this login are revoked")

    def _mint(self, family, nonce=None):
        access, refresh = "at-" + secrets.token_urlsafe(24), "rt-" + secrets.token_urlsafe(24)
        self.access[access] = (family, time.time() + self.access_lifetime)
        self.refresh[refresh] = [family, None, None]
        family.newest = refresh
        answer = {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "scope": family.scope}
        if self.expires_in:
            answer["expires_in"] = self.access_lifetime
        if "openid" in family.scope.split():
            answer["id_token"] = self.id_token(family, nonce)
        return answer

    def revoke_family(self, family):
        with self.lock:
            family.revoked = True

    def revoke(self, token):
        with self.lock:
            entry = self.refresh.get(token) or self.access.get(token)
            if entry:
                self.revoke_family(entry[0])
            return entry is not None

    def active(self, token):
        with self.lock:
            family, expires_at = self.access.get(token, (None, 0))
            return family is not None and not family.revoked and time.time() < expires_at

    def usable(self, token):
        """Would this refresh token be taken now?"""
        with self.lock:
            family, used_at, answer = self.refresh.get(token, (None, None, None))
            if family is None or family.revoked:
                return False
            return used_at is None or time.monotonic() - used_at <= self.grace

    def expire(self, token=None):
        """Ends one access token now, or all."""
        with self.lock:
            for t in [token] if token else list(self.access):
                self.access[t] = (self.access[t][0], 0)

    # -- id_tokens (RS256) --

    def id_token(self, family, nonce=None, **claims):
        key = self.signing_key()
        now = int(time.time())
        payload = {"iss": self.issuer, "aud": family.client_id, "sub": family.account, "email": family.account,
                   "iat": now, "exp": now + 3600, **({"nonce": nonce} if nonce else {}), **claims}
        head = {"alg": "RS256", "typ": "JWT", "kid": key.kid}
        signed = b64(json.dumps(head).encode()) + "." + b64(json.dumps(payload).encode())
        return signed + "." + b64(key.sign(signed.encode()))

    def signing_key(self):
        with self.lock:
            if self.key is None:
                self.key = Key()
            return self.key


class Key:
    """An RSA key made by the openssl tool; PKCS #1 v1.5 with SHA-256."""

    PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")

    def __init__(self):
        made = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, check=True).stdout
        text = subprocess.run(["openssl", "rsa", "-text", "-noout"], input=made, capture_output=True,
                              check=True).stdout.decode()
        self.n, self.d, self.kid = self._field(text, "modulus:"), self._field(text, "privateExponent:"), "key-1"

    @staticmethod
    def _field(text, name):
        digits = ""
        for line in text.split(name, 1)[1].splitlines()[1:]:
            if not line.startswith("    "):
                break
            digits += line.strip().replace(":", "")
        return int(digits, 16)

    def sign(self, data):
        size = (self.n.bit_length() + 7) // 8
        digest = self.PREFIX + hashlib.sha256(data).digest()
        block = b"\0\x01" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
        return pow(int.from_bytes(block, "big"), self.d, self.n).to_bytes(size, "big")

    def jwks(self):
        size = (self.n.bit_length() + 7) // 8
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                          "n": b64(self.n.to_bytes(size, "big")), "e": "AQAB"}]}
