"""SCRAM-SHA-256: how a secret is proven over a link without ever crossing it.

Source: RFC 5802 §3, RFC 7677; the auth message is our own, over every field of hello and challenge.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from protocol.credentials import Credentials
from protocol.messages.link import Challenge, Hello, Welcome

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 4096  # a millisecond for whoever knows the secret, RFC 7677's minimum
ITERATIONS_MIN = 4096  # a client refuses less: a false server must not make guessing cheap
ITERATIONS_MAX = 200_000  # a client refuses more: about 60 ms in which its loop stands still
SALT_BYTES = 16
NONCE_BYTES = 24
NONCE_BYTES_MIN = 16
NONCE_BYTES_MAX = 64
KEYS_CACHED_MAX = 4096


@dataclass(frozen=True, slots=True)
class Keys:
    """What a secret becomes with one salt: enough to prove it and to check a server."""

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a secret: enough to check a proof, not to make one."""

    salt: bytes
    stored: bytes = field(repr=False)
    server: bytes = field(repr=False)


class Verifiers:
    """A verifier for every principal, known or not, so that an answer tells nobody who exists."""

    __slots__ = ("_by_principal", "_fake_key", "iterations")

    def __init__(
        self, credentials: Credentials, token_bytes: Callable[[int], bytes], iterations: int
    ) -> None:
        assert ITERATIONS_MIN <= iterations <= ITERATIONS_MAX
        self.iterations = iterations
        self._fake_key = token_bytes(32)
        self._by_principal: dict[str, Verifier] = {}
        for principal in credentials.principals:
            secret = credentials.secret_of(principal)
            assert secret is not None
            self._by_principal[principal] = self._derive(principal, secret)

    def of(self, principal: str) -> Verifier:
        """The principal's verifier; one that no proof satisfies when it is unknown."""
        # Both are looked up and made every time, so both cases take the same time.
        fake = Verifier(
            salt=self._salt(principal),
            stored=hmac.digest(self._fake_key, b"stored" + principal.encode(), "sha256"),
            server=hmac.digest(self._fake_key, b"server" + principal.encode(), "sha256"),
        )
        return self._by_principal.get(principal, fake)

    def _derive(self, principal: str, secret: str) -> Verifier:
        salt = self._salt(principal)
        keys = derive_keys(secret, salt, self.iterations)
        return Verifier(salt, hashlib.sha256(keys.client).digest(), keys.server)

    def _salt(self, principal: str) -> bytes:
        return hmac.digest(self._fake_key, b"salt" + principal.encode(), "sha256")[:SALT_BYTES]


@lru_cache(maxsize=KEYS_CACHED_MAX)
def derive_keys(secret: str, salt: bytes, iterations: int) -> Keys:
    """The keys of a secret; slow on purpose, hence kept."""
    salted = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, iterations)
    return Keys(
        client=hmac.digest(salted, b"Client Key", "sha256"),
        server=hmac.digest(salted, b"Server Key", "sha256"),
    )


def greeting_transcript(hello: Hello, challenge: Challenge) -> bytes:
    """The auth message: what both sides said so far, so that nothing of it can be changed.

    Later fields of a hello do not belong to it, or no older server could tell who calls.
    """
    return _joined(
        b"quorate link",
        _number(hello.protocol_min),
        _number(hello.protocol_max),
        _number(hello.role),
        hello.name.encode(),
        hello.principal.encode(),
        hello.mechanism.encode(),
        hello.nonce,
        hello.cluster.encode(),
        *([hello.cluster_id.encode()] if hello.cluster_id else []),
        challenge.nonce,
        challenge.salt,
        _number(challenge.iterations),
    )


def prove(keys: Keys, transcript: bytes) -> bytes:
    """The client's proof that it knows the secret."""
    stored = hashlib.sha256(keys.client).digest()
    return _xor(keys.client, hmac.digest(stored, transcript, "sha256"))


def is_proven(verifier: Verifier, transcript: bytes, proof: bytes) -> bool:
    """Whether the proof was made with the secret behind the verifier."""
    signature = hmac.digest(verifier.stored, transcript, "sha256")
    if len(proof) != len(signature):
        return False
    client = _xor(proof, signature)
    return hmac.compare_digest(hashlib.sha256(client).digest(), verifier.stored)


def sign(server_key: bytes, transcript: bytes, welcome: Welcome) -> bytes:
    """The server's own proof, over the welcome that carries it too."""
    terms = _joined(
        transcript,
        _number(welcome.protocol),
        _number(welcome.heartbeat_ns),
        _number(welcome.frame_bytes_max),
        welcome.name.encode(),
        welcome.cluster.encode(),
    )
    return hmac.digest(server_key, terms, "sha256")


def _joined(*fields: bytes) -> bytes:
    # Lengths first: no two different lists of fields may give the same bytes.
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
