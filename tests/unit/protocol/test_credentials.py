"""Credentials files: what is read from them, and what makes them unusable."""

from pathlib import Path

import pytest

from protocol.credentials import (
    PRINCIPALS_MAX,
    Credentials,
    CredentialsError,
    load_credentials,
    parse_credentials,
)
from protocol.messages.link import LinkRole


def test_principals_have_secrets_and_roles() -> None:
    found = parse_credentials("# who may\nagents s3cret agent\n\nroot #pass # everything\n")
    assert found.principals == ("agents", "root")
    assert found.secret_of("agents") == "s3cret"
    assert found.secret_of("root") == "#pass"
    assert found.secret_of("nobody") is None
    assert found.may("agents", LinkRole.AGENT)
    assert not found.may("agents", LinkRole.OPERATOR)
    assert found.may("root", LinkRole.OPERATOR)
    assert not found.may("nobody", LinkRole.OPERATOR)


def test_several_roles_are_separated_by_commas() -> None:
    found = parse_credentials("ops x framework,operator")
    assert found.may("ops", LinkRole.FRAMEWORK)
    assert found.may("ops", LinkRole.OPERATOR)
    assert not found.may("ops", LinkRole.REPLICA)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alone", "line 1: expected"),
        ("a b agent more", "line 1: expected"),
        ("a secret\nb secret king", "line 2: no role 'king'; roles are agent, framework"),
        ("a secret unset", "no role 'unset'"),
        ("a secret agent,", "no role ''"),
        ("a secret\na other", "line 2: principal a is named twice"),
        ("a" * 129 + " secret", "at most 128"),
        ("a " + "s" * 1025, "at most 1024"),
        ("a\x07 secret", "printable"),
        ("# nothing\n", "names no principal"),
        ("\n".join(f"p{n} s" for n in range(PRINCIPALS_MAX + 1)), "more than 1000"),
    ],
)
def test_malformed_text_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(CredentialsError, match=says):
        parse_credentials(text)


def test_file_of_the_owner_alone_is_read(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("root open-sesame\n")
    file.chmod(0o600)
    assert load_credentials(str(file)).secret_of("root") == "open-sesame"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "credentials"
    file.write_text("root open-sesame\n")
    file.chmod(mode)
    with pytest.raises(CredentialsError, match=rf"mode {mode:04o}\).*chmod 600 {file}"):
        load_credentials(str(file))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"nowhere cannot be read: No such file"):
        load_credentials(str(tmp_path / "nowhere"))


def test_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(b"\xff\xfe\x00")
    file.chmod(0o600)
    with pytest.raises(CredentialsError, match="not UTF-8"):
        load_credentials(str(file))


def test_oversized_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(b"#" * ((1 << 20) + 1))
    file.chmod(0o600)
    with pytest.raises(CredentialsError, match="is over"):
        load_credentials(str(file))


def test_insecure_ones_let_everybody_act() -> None:
    assert Credentials.insecure().may("anybody", LinkRole.REPLICA)


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(parse_credentials("a hidden")._by_principal)
    with pytest.raises(CredentialsError) as caught:
        parse_credentials("a hidden king")
    assert "hidden" not in str(caught.value)


def test_first_principal_that_may_speaks_for_a_role() -> None:
    found = parse_credentials("a1 x agent\nops y\nm1 z replica")
    assert found.principal_for(LinkRole.AGENT) == "a1"
    assert found.principal_for(LinkRole.REPLICA) == "ops"
    assert Credentials.insecure().principal_for(LinkRole.AGENT) == ""


def test_role_of_nobody_is_refused_with_the_line_that_lacks() -> None:
    with pytest.raises(CredentialsError, match="add a line `NAME SECRET operator`"):
        parse_credentials("a1 x agent").principal_for(LinkRole.OPERATOR)
