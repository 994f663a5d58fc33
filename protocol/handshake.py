"""The greeting of a link, both its sides, without I/O: hello, challenge, proof, welcome."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from protocol import scram
from protocol.credentials import PRINCIPAL_CHARS_MAX, Credentials
from protocol.errors import BadFrame, Denied, UnknownMessage
from protocol.framing import FRAME_BYTES_HARD_MAX, FRAME_BYTES_MAX, GREETING_BYTES_MAX
from protocol.messages.link import Challenge, Hello, LinkRefused, LinkRole, Proof, Welcome

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
NAME_CHARS_MAX = 255
NO_MECHANISM = "NONE"
HEARTBEAT_S_MIN = 0.01
HEARTBEAT_S_MAX = 60.0

TokenBytes = Callable[[int], bytes]
Admit = Callable[[Hello], LinkRefused | None]


def admit_all(hello: Hello) -> None:
    """Let in whoever has proven the right to the role."""


def no_id() -> str:
    """Return the id of those who need none."""
    return ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides know once a link is welcomed; name and principal are the other side's."""

    role: LinkRole
    name: str
    principal: str
    cluster: str
    protocol: int
    heartbeat_s: float
    frame_bytes_max: int


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Who opens a link, and what it proves that with; an empty cluster accepts any.

    `expects` is the name that the server must give; empty accepts any.

    Raises: ValueError when the credentials hold no secret of the principal.
    """

    role: LinkRole
    name: str
    principal: str
    credentials: Credentials = field(repr=False)
    cluster: str = ""
    expects: str = ""
    cluster_id: Callable[[], str] = no_id  # asked at each call: replicas learn it late
    log_version: int = 0
    token_bytes: TokenBytes = field(default=secrets.token_bytes, repr=False)

    def __post_init__(self) -> None:
        if self.credentials.is_insecure or self.credentials.secret_of(self.principal) is not None:
            return
        known = ", ".join(self.credentials.principals) or "none"
        raise ValueError(f"the credentials hold no secret of {self.principal!r}; they name {known}")


@dataclass(frozen=True, slots=True)
class ServerTerms:
    """What a server tells and demands in every greeting; `roles` are those it receives.

    `admit` is asked last, of a caller that has proven itself.
    """

    name: str
    cluster: str
    credentials: Credentials = field(repr=False)
    verifiers: scram.Verifiers = field(repr=False)
    roles: frozenset[LinkRole]
    is_insecure: bool = False
    heartbeat_s: float = 2.0
    frame_bytes_max: int = FRAME_BYTES_MAX
    admit: Admit = admit_all
    token_bytes: TokenBytes = field(default=secrets.token_bytes, repr=False)


class ServerHandshake:
    """The answering side: takes hello and proof, gives challenge, welcome or a refusal."""

    __slots__ = ("_challenge", "_hello", "_terms", "_verifier", "agreement")

    def __init__(self, terms: ServerTerms) -> None:
        self.agreement: Agreement | None = None  # set once the welcome is given
        self._terms = terms
        self._hello: Hello | None = None
        self._challenge: Challenge | None = None
        self._verifier: scram.Verifier | None = None

    def first(self) -> Hello | None:
        """Nothing: the caller speaks first."""
        return None

    def receive(self, body: object) -> Challenge | Welcome | LinkRefused:
        """The answer to a greeting message.

        Raises: Malformed when it is not the next one, or breaks a bound.
        """
        assert self.agreement is None
        if isinstance(body, Hello) and self._hello is None:
            return self._receive_hello(body)
        if isinstance(body, Proof) and self._challenge is not None:
            return self._receive_proof(body)
        raise UnknownMessage(f"{type(body).__name__} is not the next word of a greeting")

    def _receive_hello(self, hello: Hello) -> Challenge | Welcome | LinkRefused:
        _check_hello(hello)
        refusal = self._refusal_of(hello)
        if refusal is not None:
            return refusal
        self._hello = hello
        if hello.mechanism == NO_MECHANISM:
            return self._terms.admit(hello) or self._welcome(hello, principal="")
        verifier = self._terms.verifiers.of(hello.principal)
        self._verifier = verifier
        self._challenge = Challenge(
            nonce=self._terms.token_bytes(scram.NONCE_BYTES),
            salt=verifier.salt,
            iterations=self._terms.verifiers.iterations,
        )
        return self._challenge

    def _receive_proof(self, proof: Proof) -> Welcome | LinkRefused:
        hello, challenge, verifier = self._hello, self._challenge, self._verifier
        assert hello is not None
        assert challenge is not None
        assert verifier is not None
        self._challenge = None  # one proof per challenge
        transcript = scram.greeting_transcript(hello, challenge)
        if not scram.is_proven(verifier, transcript, proof.proof):
            return LinkRefused("WRONG_SECRET", "the principal or its secret is wrong")
        if not self._terms.credentials.may(hello.principal, hello.role):
            return LinkRefused(
                "WRONG_ROLE",
                f"principal {hello.principal} may not act as {hello.role.name.lower()}",
            )
        refusal = self._terms.admit(hello)
        if refusal is not None:
            return refusal
        welcome = self._welcome(hello, hello.principal)
        return replace(welcome, signature=scram.sign(verifier.server, transcript, welcome))

    def _refusal_of(self, hello: Hello) -> LinkRefused | None:
        terms = self._terms
        if hello.protocol_min > PROTOCOL_MAX or hello.protocol_max < PROTOCOL_MIN:
            return LinkRefused(
                "PROTOCOL_VERSION",
                f"{terms.name} speaks protocol {PROTOCOL_MIN} to {PROTOCOL_MAX}, "
                f"the caller {hello.protocol_min} to {hello.protocol_max}",
            )
        if hello.cluster and hello.cluster != terms.cluster:
            return LinkRefused(
                "WRONG_CLUSTER",
                f"{terms.name} belongs to cluster {terms.cluster!r}, not {hello.cluster!r}",
            )
        if hello.role not in terms.roles:
            return LinkRefused(
                "ROLE_NOT_SERVED", f"{terms.name} takes no {hello.role.name.lower()} links"
            )
        if hello.mechanism == NO_MECHANISM and not terms.is_insecure:
            return LinkRefused("SECRET_NEEDED", f"{terms.name} asks for a principal and its secret")
        if hello.mechanism != NO_MECHANISM and terms.is_insecure:
            return LinkRefused(
                "SERVER_INSECURE",
                f"{terms.name} runs insecure and checks no secrets; start the caller insecure too",
            )
        if hello.mechanism not in (NO_MECHANISM, scram.MECHANISM):
            return LinkRefused("WRONG_MECHANISM", f"{terms.name} knows only {scram.MECHANISM}")
        return None

    def _welcome(self, hello: Hello, principal: str) -> Welcome:
        terms = self._terms
        protocol = min(PROTOCOL_MAX, hello.protocol_max)
        self.agreement = Agreement(
            role=hello.role,
            name=hello.name,
            principal=principal,
            cluster=terms.cluster,
            protocol=protocol,
            heartbeat_s=terms.heartbeat_s,
            frame_bytes_max=terms.frame_bytes_max,
        )
        return Welcome(
            protocol=protocol,
            heartbeat_ns=round(terms.heartbeat_s * 1e9),
            frame_bytes_max=terms.frame_bytes_max,
            name=terms.name,
            cluster=terms.cluster,
        )


class ClientHandshake:
    """The calling side: gives hello and proof, takes challenge and welcome."""

    __slots__ = ("_hello", "_identity", "_keys", "_transcript", "agreement")

    def __init__(self, identity: LinkIdentity) -> None:
        self.agreement: Agreement | None = None  # set once the welcome is taken
        self._identity = identity
        is_insecure = identity.credentials.is_insecure
        self._hello = Hello(
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            role=identity.role,
            name=identity.name,
            principal="" if is_insecure else identity.principal,
            mechanism=NO_MECHANISM if is_insecure else scram.MECHANISM,
            nonce=identity.token_bytes(scram.NONCE_BYTES),
            cluster=identity.cluster,
            cluster_id=identity.cluster_id(),
            log_version=identity.log_version,
        )
        self._keys: scram.Keys | None = None
        self._transcript = b""

    def first(self) -> Hello | None:
        """The hello that opens the greeting."""
        return self._hello

    def receive(self, body: object) -> Proof | None:
        """The answer to a greeting message, None once welcomed.

        Raises: Denied when the server refuses or cannot prove itself; Malformed when the message
        is not the next one, or breaks a bound.
        """
        assert self.agreement is None
        if isinstance(body, Challenge) and self._keys is None:
            return self._receive_challenge(body)
        if isinstance(body, Welcome):
            self._receive_welcome(body)
            return None
        raise UnknownMessage(f"{type(body).__name__} is not the next word of a greeting")

    def _receive_challenge(self, challenge: Challenge) -> Proof:
        secret = self._identity.credentials.secret_of(self._identity.principal)
        if secret is None:
            raise UnknownMessage("a challenge to a caller without a secret")
        _check_nonce(challenge.nonce)
        if not scram.ITERATIONS_MIN <= challenge.iterations <= scram.ITERATIONS_MAX:
            raise BadFrame(f"a challenge of {challenge.iterations} iterations")
        if not 8 <= len(challenge.salt) <= scram.NONCE_BYTES_MAX:
            raise BadFrame(f"a salt of {len(challenge.salt)} bytes")
        self._keys = scram.derive_keys(secret, challenge.salt, challenge.iterations)
        self._transcript = scram.greeting_transcript(self._hello, challenge)
        return Proof(scram.prove(self._keys, self._transcript))

    def _receive_welcome(self, welcome: Welcome) -> None:
        _check_welcome(welcome)
        if not self._identity.credentials.is_insecure:
            self._verify_server(welcome)
        if self._identity.cluster and welcome.cluster != self._identity.cluster:
            raise Denied(
                "WRONG_CLUSTER",
                f"{welcome.name} belongs to cluster {welcome.cluster!r}, "
                f"not {self._identity.cluster!r}",
            )
        if self._identity.expects not in ("", welcome.name):
            raise Denied(
                "WRONG_NAME",
                f"{self._identity.expects} calls itself {welcome.name}; use that name for it",
            )
        self.agreement = Agreement(
            role=self._identity.role,
            name=welcome.name,
            principal="",
            cluster=welcome.cluster,
            protocol=welcome.protocol,
            heartbeat_s=min(max(welcome.heartbeat_ns / 1e9, HEARTBEAT_S_MIN), HEARTBEAT_S_MAX),
            frame_bytes_max=min(welcome.frame_bytes_max, FRAME_BYTES_HARD_MAX),
        )

    def _verify_server(self, welcome: Welcome) -> None:
        if self._keys is None:
            raise Denied("WRONG_SERVER", "the server asked for no proof; it may be a false one")
        expected = scram.sign(self._keys.server, self._transcript, welcome)
        if not hmac.compare_digest(expected, welcome.signature):
            raise Denied("WRONG_SERVER", "the server does not know the secret; it may be false")


def _check_hello(hello: Hello) -> None:
    if hello.role == LinkRole.UNSET or hello.protocol_min > hello.protocol_max:
        raise BadFrame("a hello without a role or with an empty protocol range")
    _check_text(hello.name, NAME_CHARS_MAX)
    _check_text(hello.principal, PRINCIPAL_CHARS_MAX)
    _check_text(hello.cluster, NAME_CHARS_MAX)
    _check_text(hello.cluster_id, NAME_CHARS_MAX)
    _check_nonce(hello.nonce)


def _check_welcome(welcome: Welcome) -> None:
    if not PROTOCOL_MIN <= welcome.protocol <= PROTOCOL_MAX:
        raise BadFrame(f"a welcome to protocol {welcome.protocol}")
    if welcome.frame_bytes_max < GREETING_BYTES_MAX:
        raise BadFrame(f"a welcome to frames of {welcome.frame_bytes_max} bytes")
    _check_text(welcome.name, NAME_CHARS_MAX)
    _check_text(welcome.cluster, NAME_CHARS_MAX)


def _check_text(text: str, chars_max: int) -> None:
    # Names go into logs and screens: nothing unprintable may reach them.
    if len(text) > chars_max or not text.isprintable():
        raise BadFrame(f"a name over {chars_max} characters or with unprintable ones")


def _check_nonce(nonce: bytes) -> None:
    if not scram.NONCE_BYTES_MIN <= len(nonce) <= scram.NONCE_BYTES_MAX:
        raise BadFrame(f"a nonce of {len(nonce)} bytes")
