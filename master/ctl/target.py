"""Which cluster a command speaks to, and as whom."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_MASTERS = "127.0.0.1:7000"
DEV_FILE = ".quorate/dev.json"  # in the home directory; there while `quorate dev` runs


class CommandError(Exception):
    """What a command cannot do; its text is for the operator and says what to do next."""


class MisuseError(CommandError):
    """A command that is wrong whatever the cluster is like."""


@dataclass(frozen=True, slots=True)
class Target:
    """Masters to ask, and the secret to show them."""

    masters: tuple[str, ...]
    credentials: str = ""
    is_insecure: bool = False


def find_target(masters: str, credentials: str, is_insecure: bool) -> Target:
    """Return what was named, else the running dev cluster, else this machine's master.

    Raises: MisuseError when there is no secret to show.
    """
    dev = read_dev_file()
    if not masters and dev is not None:
        return Target(dev.masters, credentials or dev.credentials, is_insecure)
    addresses = tuple(part.strip() for part in (masters or DEFAULT_MASTERS).split(","))
    if not credentials and not is_insecure and dev is not None and addresses[0] in dev.masters:
        credentials = dev.credentials
    if not credentials and not is_insecure:
        raise MisuseError(
            f"no secret for {','.join(addresses)}: give --credentials FILE (or set "
            "QUORATE_CREDENTIALS), or --insecure when the masters run so; "
            "`quorate dev` starts a cluster that needs neither"
        )
    return Target(addresses, credentials, is_insecure)


def dev_file() -> Path:
    return Path.home() / DEV_FILE


def read_dev_file() -> Target | None:
    """Return the running dev cluster; None when there is none (or its process is gone)."""
    try:
        found = json.loads(dev_file().read_text())
        os.kill(int(found["pid"]), 0)
        return Target(tuple(found["masters"]), str(found["credentials"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_dev_file(target: Target, pid: int) -> None:
    path = dev_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {"pid": pid, "masters": target.masters, "credentials": target.credentials}
    path.write_text(json.dumps(content) + "\n")


def remove_dev_file() -> None:
    dev_file().unlink(missing_ok=True)
