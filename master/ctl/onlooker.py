"""A framework that is offered resources and takes its time: for looking at offers."""

import asyncio
import random
import secrets

from master.ctl.asking import identify
from master.ctl.target import Target
from protocol.codecs.framework import decode_framework_message, encode_framework_message
from protocol.master_links import MasterLinks
from protocol.messages.framework import CallDone, Offers, Subscribe, Teardown
from protocol.messages.link import LinkRole
from protocol.peer import Peer

WAIT_S_MAX = 10.0


class Onlooker:
    """Subscribes, holds what it is offered, and goes without having answered."""

    def __init__(self, target: Target, role: str) -> None:
        identity = identify(target, LinkRole.FRAMEWORK)
        self._role = role
        self._token = secrets.token_hex(16)
        self._links = MasterLinks(target.masters, identity, self, random.Random())
        self._peer: Peer | None = None
        self._offered = asyncio.Event()
        self._removed = asyncio.Event()

    async def look(self) -> None:
        """Return when something is offered.

        Raises: TimeoutError.
        """
        self._links.start()
        async with asyncio.timeout(WAIT_S_MAX):
            await self._offered.wait()

    async def leave(self) -> None:
        """Remove the framework, so that its offers are free again."""
        if self._peer is not None:
            self._peer.send(encode_framework_message(Teardown(call=2)))
            async with asyncio.timeout(WAIT_S_MAX):
                await self._removed.wait()
        await self._links.stop()

    def leader_found(self, peer: Peer, epoch: int) -> None:
        self._peer = peer
        call = Subscribe(call=1, token=self._token, name="onlooker", roles=(self._role,))
        peer.send(encode_framework_message(call))

    def leader_lost(self) -> None:
        self._peer = None

    def received(self, payload: bytes, epoch: int) -> None:
        match decode_framework_message(payload):
            case Offers():
                self._offered.set()
            case CallDone(call=2):
                self._removed.set()

    def refused(self, address: str, code: str, text: str) -> None:
        """The wait for an offer ends by itself."""
