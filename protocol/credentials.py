"""Who may open links: principals, their secrets, and the link roles each may take."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.messages.link import LinkRole

CREDENTIALS_BYTES_MAX = 1 << 20
PRINCIPALS_MAX = 1000  # a server derives a key for each when it starts, about a millisecond apiece
PRINCIPAL_CHARS_MAX = 128
SECRET_CHARS_MAX = 1024

_ROLES = {role.name.lower(): role for role in LinkRole if role != LinkRole.UNSET}


class CredentialsError(ValueError):
    """A credentials file that cannot be used; the text says which line or mode and what to do."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One principal's secret; no roles means every role."""

    secret: str = field(repr=False)
    roles: frozenset[LinkRole] = frozenset()


class Credentials:
    """The principals known to this process; insecure ones prove nothing and check nothing."""

    __slots__ = ("_by_principal", "is_insecure")

    def __init__(self, by_principal: Mapping[str, Credential], is_insecure: bool = False) -> None:
        self._by_principal = dict(by_principal)
        self.is_insecure = is_insecure

    @classmethod
    def insecure(cls) -> "Credentials":
        return cls({}, is_insecure=True)

    @property
    def principals(self) -> tuple[str, ...]:
        return tuple(self._by_principal)

    def secret_of(self, principal: str) -> str | None:
        credential = self._by_principal.get(principal)
        return None if credential is None else credential.secret

    def may(self, principal: str, role: LinkRole) -> bool:
        """Whether the principal may open links of this role; in insecure ones everybody may."""
        if self.is_insecure:
            return True
        credential = self._by_principal.get(principal)
        return credential is not None and (not credential.roles or role in credential.roles)

    def principal_for(self, role: LinkRole) -> str:
        """The first principal that may open links of this role; nobody in insecure ones.

        Raises: CredentialsError when there is none.
        """
        if self.is_insecure:
            return ""
        for principal in self._by_principal:
            if self.may(principal, role):
                return principal
        name = role.name.lower()
        raise CredentialsError(
            f"the credentials name nobody with the role {name}; add a line `NAME SECRET {name}`"
        )


def load_credentials(path: str) -> Credentials:
    """The credentials of a file with lines `principal secret [role,role…]` and `#` comments.

    Raises: CredentialsError when it is unreadable, open to group or others, or malformed.
    """
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(CREDENTIALS_BYTES_MAX + 1)
    except OSError as error:
        raise CredentialsError(
            f"credentials file {path} cannot be read: {error.strerror}"
        ) from error
    if mode & 0o077:
        raise CredentialsError(
            f"credentials file {path} is open to group or others (mode {mode:04o}); "
            f"close it with: chmod 600 {path}"
        )
    if len(content) > CREDENTIALS_BYTES_MAX:
        raise CredentialsError(f"credentials file {path} is over {CREDENTIALS_BYTES_MAX} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise CredentialsError(f"credentials file {path} is not UTF-8 text") from error
    return parse_credentials(text, path)


def parse_credentials(text: str, source: str = "credentials") -> Credentials:
    """The credentials of such a file's text; `source` names it in errors.

    Raises: CredentialsError naming the line, never the secret.
    """
    by_principal: dict[str, Credential] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = _without_comment(line.split())
        if not words:
            continue
        where = f"{source} line {number}"
        if len(words) not in (2, 3):
            raise CredentialsError(f"{where}: expected `principal secret [role,role…]`")
        principal, secret = words[0], words[1]
        if len(principal) > PRINCIPAL_CHARS_MAX or not principal.isprintable():
            raise CredentialsError(
                f"{where}: a principal is at most {PRINCIPAL_CHARS_MAX} printable characters"
            )
        if len(secret) > SECRET_CHARS_MAX:
            raise CredentialsError(f"{where}: a secret is at most {SECRET_CHARS_MAX} characters")
        if principal in by_principal:
            raise CredentialsError(f"{where}: principal {principal} is named twice")
        if len(by_principal) >= PRINCIPALS_MAX:
            raise CredentialsError(f"{where}: more than {PRINCIPALS_MAX} principals")
        by_principal[principal] = Credential(secret, _parse_roles(words[2:], where))
    if not by_principal:
        raise CredentialsError(f"{source} names no principal")
    return Credentials(by_principal)


def _without_comment(words: list[str]) -> list[str]:
    for position, word in enumerate(words):
        if word.startswith("#") and position != 1:  # a secret may start with the sign
            return words[:position]
    return words


def _parse_roles(words: list[str], where: str) -> frozenset[LinkRole]:
    names = words[0].split(",") if words else []
    for name in names:
        if name not in _ROLES:
            raise CredentialsError(f"{where}: no role {name!r}; roles are {', '.join(_ROLES)}")
    return frozenset(_ROLES[name] for name in names)
