"""The keeper of a scheduler: a space in the masters' log, over links of its framework."""

import random

from protocol.codecs.framework import decode_framework_message, encode_framework_message
from protocol.links import LinkPace
from protocol.messages.framework import Keep, Kept
from rlog.client import keeper
from rlog.client.asking import DEADLINE_S, Asking, Door, Refusal
from rlog.client.keeper import Held
from schedulers.framework import Framework

__all__ = ["Held", "Keeper", "Refusal"]


class Keeper(keeper.Keeper):
    """One space, as one scheduler uses it; `async with` it."""

    def __init__(
        self,
        framework: Framework,
        space: str,
        *,
        deadline_s: float = DEADLINE_S,
        rng: random.Random | None = None,
        pace: LinkPace | None = None,
    ) -> None:
        """Raises: ValueError when an address or the credentials cannot be used."""
        super().__init__(
            Asking(door_of(framework), deadline_s=deadline_s, rng=rng, pace=pace), space
        )

    async def __aenter__(self) -> "Keeper":
        await self.asking.__aenter__()
        return self

    async def __aexit__(self, *what: object) -> None:
        await self.asking.__aexit__(*what)


def door_of(framework: Framework) -> Door:
    """Return how a framework's scheduler reaches what it keeps.

    Raises: ValueError when the credentials hold no secret for a framework.
    """
    return Door(framework.addresses, framework.identify(), _wrap, _unwrap)


def _wrap(request: bytes) -> bytes:
    return encode_framework_message(Keep(request))


def _unwrap(payload: bytes) -> bytes | None:
    message = decode_framework_message(payload)
    return message.answer if isinstance(message, Kept) else None
