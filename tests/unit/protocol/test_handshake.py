"""The greeting without I/O: who is let in, who is refused and why, what is bound by the proofs."""

import base64
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from protocol import scram
from protocol.credentials import Credential, Credentials
from protocol.errors import Denied, Malformed
from protocol.handshake import ClientHandshake, LinkIdentity, ServerHandshake, ServerTerms
from protocol.messages.link import Challenge, Hello, LinkRefused, LinkRole, Proof, Welcome
from tests.unit.protocol.loopback import CREDENTIALS, credentials_of, make_identity

TOKENS = random.Random(11).randbytes
VERIFIERS = scram.Verifiers(CREDENTIALS, TOKENS, scram.ITERATIONS)
ROLES = frozenset({LinkRole.AGENT, LinkRole.OPERATOR})
TERMS = ServerTerms("m1", "test", CREDENTIALS, VERIFIERS, ROLES, token_bytes=TOKENS)
OPEN_TERMS = replace(TERMS, is_insecure=True)
INSECURE = Credentials.insecure()


def greet(
    identity: LinkIdentity, terms: ServerTerms = TERMS
) -> tuple[ClientHandshake, ServerHandshake, Challenge | Welcome | LinkRefused]:
    """Both sides after the greeting, and the server's last word, which the client has not seen."""
    client, server = ClientHandshake(identity), ServerHandshake(terms)
    hello = client.first()
    assert hello is not None
    word = server.receive(hello)
    if isinstance(word, Challenge):
        proof = client.receive(word)
        assert isinstance(proof, Proof)
        word = server.receive(proof)
    return client, server, word


def refusal_code(identity: LinkIdentity, terms: ServerTerms = TERMS) -> str:
    _, server, word = greet(identity, terms)
    assert isinstance(word, LinkRefused)
    assert not word.is_retryable
    assert server.agreement is None
    return word.code


def test_right_secret_is_welcomed_by_a_proven_server() -> None:
    client, server, welcome = greet(make_identity(cluster="test"))
    assert isinstance(welcome, Welcome)
    assert client.receive(welcome) is None
    assert server.agreement is not None
    assert (server.agreement.name, server.agreement.principal) == ("a1", "agents")
    assert server.agreement.role == LinkRole.AGENT
    assert client.agreement is not None
    assert (client.agreement.name, client.agreement.cluster) == ("m1", "test")
    assert client.agreement.frame_bytes_max == server.agreement.frame_bytes_max
    assert client.agreement.heartbeat_s == server.agreement.heartbeat_s


def test_computations_are_those_of_rfc_7677() -> None:
    # The example of RFC 7677 §3, whose auth message is its own text.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    first = "n=user,r=rOprNGfwEbeRWgbNEkqO,"
    nonce = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    message = f"{first}{nonce}s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,{nonce}"[:-1].encode()
    keys = scram.derive_keys("pencil", salt, 4096)
    proof = base64.b64encode(scram.prove(keys, message)).decode()
    assert proof == "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    signature = base64.b64encode(hmac.digest(keys.server, message, "sha256")).decode()
    assert signature == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    verifier = scram.Verifier(salt, hashlib.sha256(keys.client).digest(), keys.server)
    assert scram.is_proven(verifier, message, scram.prove(keys, message))


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (make_identity(credentials=credentials_of("agents", "wrong")), "WRONG_SECRET"),
        (
            make_identity(principal="ghost", credentials=credentials_of("ghost", "x")),
            "WRONG_SECRET",
        ),
        (make_identity(LinkRole.OPERATOR), "WRONG_ROLE"),
        (make_identity(LinkRole.REPLICA, principal="root"), "ROLE_NOT_SERVED"),
        (make_identity(cluster="other"), "WRONG_CLUSTER"),
        (make_identity(credentials=INSECURE), "SECRET_NEEDED"),
    ],
)
def test_server_refuses_with_a_code(identity: LinkIdentity, code: str) -> None:
    assert refusal_code(identity) == code


@pytest.mark.parametrize("terms", [TERMS, OPEN_TERMS])
def test_server_refuses_whom_its_owner_does_not_admit(terms: ServerTerms) -> None:
    asked: list[tuple[LinkRole, str]] = []

    def admit(hello: Hello) -> LinkRefused:
        asked.append((hello.role, hello.name))
        return LinkRefused("NOT_A_VOTER", f"{hello.name} is not one of us")

    credentials = INSECURE if terms.is_insecure else CREDENTIALS
    identity = make_identity(credentials=credentials)
    assert refusal_code(identity, replace(terms, admit=admit)) == "NOT_A_VOTER"
    assert asked == [(LinkRole.AGENT, "a1")]


def test_caller_without_the_secret_does_not_learn_who_is_admitted() -> None:
    def admit(hello: Hello) -> LinkRefused:
        raise AssertionError("asked before the proof")

    wrong = make_identity(credentials=credentials_of("agents", "wrong"))
    assert refusal_code(wrong, replace(TERMS, admit=admit)) == "WRONG_SECRET"


def test_insecure_server_refuses_a_caller_who_wants_proof() -> None:
    assert refusal_code(make_identity(), OPEN_TERMS) == "SERVER_INSECURE"


def test_insecure_server_welcomes_an_insecure_caller_without_a_principal() -> None:
    client, server, welcome = greet(make_identity(credentials=INSECURE), OPEN_TERMS)
    assert isinstance(welcome, Welcome)
    assert client.receive(welcome) is None
    assert server.agreement is not None
    assert server.agreement.principal == ""


@pytest.mark.parametrize("versions", [(0, 0), (2, 9)])
def test_other_protocol_versions_are_refused(versions: tuple[int, int]) -> None:
    hello = ClientHandshake(make_identity()).first()
    assert hello is not None
    hello = replace(hello, protocol_min=versions[0], protocol_max=versions[1])
    word = ServerHandshake(TERMS).receive(hello)
    assert isinstance(word, LinkRefused)
    assert word.code == "PROTOCOL_VERSION"


def test_unknown_mechanism_is_refused() -> None:
    hello = ClientHandshake(make_identity()).first()
    assert hello is not None
    word = ServerHandshake(TERMS).receive(replace(hello, mechanism="PLAIN"))
    assert isinstance(word, LinkRefused)
    assert word.code == "WRONG_MECHANISM"


def test_unknown_principal_cannot_be_told_from_a_known_one() -> None:
    known, unknown = (
        ServerHandshake(TERMS).receive(_hello_of(principal)) for principal in ("agents", "ghost")
    )
    again = ServerHandshake(TERMS).receive(_hello_of("ghost"))
    assert isinstance(known, Challenge)
    assert isinstance(unknown, Challenge)
    assert isinstance(again, Challenge)
    assert (len(unknown.salt), unknown.iterations) == (len(known.salt), known.iterations)
    assert again.salt == unknown.salt
    refused = [
        greet(make_identity(principal=name, credentials=credentials_of(name, "guess")))[2]
        for name in ("agents", "ghost")
    ]
    assert refused[0] == refused[1]


def _hello_of(principal: str) -> Hello:
    hello = ClientHandshake(make_identity()).first()
    assert hello is not None
    return replace(hello, principal=principal)


HELLO_CHANGES: list[Callable[[Hello], Hello]] = [
    lambda hello: replace(hello, name="a2"),
    lambda hello: replace(hello, principal="root"),
    lambda hello: replace(hello, role=LinkRole.OPERATOR),
    lambda hello: replace(hello, cluster="test"),
    lambda hello: replace(hello, protocol_max=2),
    lambda hello: replace(hello, protocol_min=0),
    lambda hello: replace(hello, nonce=bytes(24)),
]


@pytest.mark.parametrize("change", HELLO_CHANGES)
def test_proof_does_not_hold_for_a_changed_hello(change: Callable[[Hello], Hello]) -> None:
    credentials = Credentials({"agents": Credential("same"), "root": Credential("same")})
    verifiers = scram.Verifiers(credentials, TOKENS, scram.ITERATIONS)
    terms = replace(TERMS, credentials=credentials, verifiers=verifiers)
    client, server = ClientHandshake(make_identity(credentials=credentials)), ServerHandshake(terms)
    hello = client.first()
    assert hello is not None
    challenge = server.receive(change(hello))
    assert isinstance(challenge, Challenge)
    proof = client.receive(challenge)
    assert proof is not None
    word = server.receive(proof)
    assert isinstance(word, LinkRefused)
    assert word.code == "WRONG_SECRET"


@pytest.mark.parametrize(
    "change",
    [
        {"signature": b""},
        {"signature": bytes(32)},
        {"name": "m2"},
        {"cluster": "other"},
        {"heartbeat_ns": 1},
        {"frame_bytes_max": 4 << 20},
    ],
)
def test_client_denies_a_server_that_does_not_sign_its_welcome(change: dict[str, bytes]) -> None:
    client, _, welcome = greet(make_identity())
    assert isinstance(welcome, Welcome)
    with pytest.raises(Denied, match="WRONG_SERVER"):
        client.receive(replace(welcome, **change))  # type: ignore[arg-type]
    assert client.agreement is None


def test_client_denies_a_welcome_that_asked_for_no_proof() -> None:
    with pytest.raises(Denied, match="WRONG_SERVER"):
        ClientHandshake(make_identity()).receive(
            Welcome(protocol=1, heartbeat_ns=10**9, frame_bytes_max=1 << 20, name="m1")
        )


def test_client_denies_a_server_of_another_name() -> None:
    client = ClientHandshake(make_identity(credentials=INSECURE, expects="m2"))
    with pytest.raises(Denied, match="WRONG_NAME: m2 calls itself m1"):
        client.receive(Welcome(1, 10**9, 1 << 20, name="m1", cluster="test"))
    assert client.agreement is None


def test_client_denies_a_server_of_another_cluster() -> None:
    client = ClientHandshake(make_identity(credentials=INSECURE, cluster="mine"))
    with pytest.raises(Denied, match="WRONG_CLUSTER"):
        client.receive(Welcome(1, 10**9, 1 << 20, name="m1", cluster="theirs"))


@pytest.mark.parametrize(
    "challenge",
    [
        Challenge(bytes(8), bytes(16), 4096),
        Challenge(bytes(24), bytes(4), 4096),
        Challenge(bytes(24), bytes(65), 4096),
        Challenge(bytes(24), bytes(16), 1),
        Challenge(bytes(24), bytes(16), 10**9),
    ],
)
def test_client_drops_a_challenge_out_of_bounds(challenge: Challenge) -> None:
    with pytest.raises(Malformed):
        ClientHandshake(make_identity()).receive(challenge)


def test_insecure_caller_drops_a_challenge() -> None:
    with pytest.raises(Malformed):
        ClientHandshake(make_identity(credentials=INSECURE)).receive(
            Challenge(bytes(24), bytes(16), 4096)
        )


@pytest.mark.parametrize(
    "change",
    [
        {"role": LinkRole.UNSET},
        {"protocol_min": 3},
        {"name": "x" * 256},
        {"name": "a\n1"},
        {"principal": "p" * 129},
        {"cluster": "c\x1b[2J"},
        {"nonce": b"short"},
        {"nonce": bytes(65)},
    ],
)
def test_server_drops_a_hello_out_of_bounds(change: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        ServerHandshake(TERMS).receive(replace(_hello_of("agents"), **change))  # type: ignore[arg-type]


def test_words_out_of_turn_are_malformed() -> None:
    with pytest.raises(Malformed):
        ServerHandshake(TERMS).receive(Proof(bytes(32)))
    server = ServerHandshake(TERMS)
    server.receive(_hello_of("agents"))
    with pytest.raises(Malformed):
        server.receive(_hello_of("agents"))
    with pytest.raises(Malformed):
        ClientHandshake(make_identity()).receive(Proof())


def test_second_proof_for_one_challenge_is_malformed() -> None:
    server = ServerHandshake(TERMS)
    server.receive(_hello_of("agents"))
    assert isinstance(server.receive(Proof(bytes(32))), LinkRefused)
    with pytest.raises(Malformed):
        server.receive(Proof(bytes(32)))


def test_identity_without_its_secret_is_an_error_that_names_those_known() -> None:
    with pytest.raises(ValueError, match=r"no secret of 'nobody'; they name agents, root"):
        make_identity(principal="nobody")


def test_secrets_are_not_shown() -> None:
    shown = repr(make_identity()) + repr(TERMS) + repr(VERIFIERS.of("agents"))
    assert "tree-house" not in shown
    assert VERIFIERS.of("agents").stored.hex() not in shown
    assert str(VERIFIERS.of("agents").stored) not in shown
