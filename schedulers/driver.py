"""The driver: keeps a scheduler subscribed to whichever master leads, and carries its calls."""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence

import structlog

from protocol.codecs.framework import decode_framework_message, encode_framework_message
from protocol.errors import Denied, UnknownMessage
from protocol.links import LinkPace
from protocol.master_links import MasterLinks
from protocol.messages.framework import (
    Accept,
    AcknowledgeOperations,
    AnswerInverse,
    CallDone,
    ClusterView,
    Decline,
    FrameworkFailed,
    FrameworkMessage,
    InverseOffers,
    InverseRescinded,
    Leave,
    Offer,
    Offers,
    OperationUpdates,
    Recalls,
    Rescinded,
    Subscribed,
    Teardown,
    Transact,
    Transacted,
    Updates,
)
from protocol.messages.values import OperationState, OperationStatus, TaskState, TaskStatus
from protocol.peer import Peer
from schedulers.calls import Call, Calls, operation_key
from schedulers.framework import Framework, Scheduler
from schedulers.offers import OffersInHand
from schedulers.updates import UpdateLedger
from schedulers.verbs import Verbs

log = structlog.get_logger()

ANSWER_S_MAX = 10.0  # a subscription without answer is repeated after so long
AGAIN_S = 0.5  # after a master said that it does not lead, or not now
STOP_S_MAX = 10.0  # to be torn down; masters that do not answer by then are left
ENDED = (OperationState.FINISHED, OperationState.FAILED)
PASSING = frozenset({"NOT_LEADER", "NOT_SUBSCRIBED", "OVERLOADED", "INTERNAL"})


class Driver(Verbs):
    """One framework's connection. `run` it; call its verbs from the scheduler's callbacks.

    Verbs return the number of the call, which `done` or `refused` will name.
    """

    def __init__(
        self,
        framework: Framework,
        scheduler: Scheduler,
        *,
        rng: random.Random | None = None,
        pace: LinkPace | None = None,
    ) -> None:
        """Raises: ValueError when an address or the credentials cannot be used."""
        self.framework_id = framework.framework_id  # empty until first subscribed
        self.is_subscribed = False
        self._framework = framework
        self._scheduler = scheduler
        self._token = framework.token or secrets.token_hex(16)
        self._links = MasterLinks(
            framework.addresses, framework.identify(), self, rng or random.Random(), pace
        )
        self._peer: Peer | None = None
        self._calls = Calls()
        self._subscribe_call = 0
        self._timer: asyncio.TimerHandle | None = None
        self._offers = OffersInHand()
        self._ledger = UpdateLedger()
        self._refusals: dict[str, tuple[str, str]] = {}
        self._is_stopping = False
        self._ended: asyncio.Future[None] | None = None

    @property
    def offers(self) -> dict[str, Offer]:
        """What is lent to us and not answered, by id."""
        return self._offers.open

    @property
    def _first_role(self) -> str:
        return self._framework.roles[0]

    @property
    def silent_masters(self) -> dict[str, str]:
        """The masters that are not connected, and why."""
        return self._links.silent

    async def run(self) -> None:
        """Serve the scheduler until `stop`.

        Raises: Denied when the masters will not have it; whatever a callback raised. When
        cancelled, the framework lives on for its failover timeout.
        """
        self._ended = asyncio.get_running_loop().create_future()
        self._links.start()
        try:
            await self._ended
        finally:
            self._cancel_timer()
            self._is_stopping = True
            await self._links.stop()

    def leave(self) -> None:
        """Let `run` return once it is durable that the tasks run on without a scheduler.

        They do so for the failover timeout at most; the framework is removed with the last one.
        """
        self._is_stopping = True
        self._call(Leave(0))
        asyncio.get_running_loop().call_later(STOP_S_MAX, self._end)

    def stop(self, *, failover: bool = False) -> None:
        """Let `run` return: after a teardown, or at once, leaving the framework to fail over."""
        if self._is_stopping:
            return
        self._is_stopping = True
        if failover or (self._peer is None and not self.framework_id):
            self._end()
            return
        self.teardown()
        asyncio.get_running_loop().call_later(STOP_S_MAX, self._end)

    def leader_found(self, peer: Peer, epoch: int) -> None:
        """Subscribe with the leader."""
        self._peer = peer
        self._refusals.clear()
        self._subscribe()

    def leader_lost(self) -> None:
        """Offers are void, and so is certainty about what was sent."""
        self._peer = None
        self._lose()

    def refused(self, address: str, code: str, text: str) -> None:
        """A master does not let us in; when none does, it is over."""
        self._refusals[address] = (code, text)
        if set(self._refusals) >= set(self._framework.addresses):
            self._fail(code, f"{text} (said {address})")

    def received(self, payload: bytes, epoch: int) -> None:
        """Take one message of the leader."""
        message = decode_framework_message(payload)
        match message:
            case Subscribed():
                self._subscribed(message)
            case CallDone():
                self._answered(message)
            case Transacted():
                self._calls.settle(message.call)
                self._tell(self._scheduler.transacted, message)
            case FrameworkFailed():
                self._fail(message.reason, message.text)
            case _ if not self.is_subscribed:
                return  # of an earlier subscription; updates come again
            case Offers(offers):
                self._offers.add(offers)
                self._tell(self._scheduler.offered, offers)
            case Recalls(recalls):
                self._tell(self._scheduler.asked_back, recalls)
            case ClusterView():
                self._tell(self._scheduler.viewed, message)
            case Rescinded(ids):
                self._rescind(ids)
            case InverseOffers(asked):
                self._tell(self._scheduler.asked_to_leave, asked)
            case InverseRescinded(ids):
                self._tell(self._scheduler.may_stay, ids)
            case Updates(statuses):
                for status in statuses:
                    self._updated(status)
            case OperationUpdates(statuses):
                for operation in statuses:
                    self._operated(operation)
            case _:
                raise UnknownMessage(f"{type(message).__name__} from a master")

    def _subscribe(self) -> None:
        self._cancel_timer()
        self._subscribe_call = self._calls.next_number()
        self._send(self._framework.subscribe(self._subscribe_call, self.framework_id, self._token))
        self._again_in(ANSWER_S_MAX)

    def _subscribed(self, message: Subscribed) -> None:
        if message.call != self._subscribe_call:
            return
        self._cancel_timer()
        self.framework_id = message.framework_id
        self.is_subscribed = True
        for call in self._calls.repeatable():
            self._send(call)
        known = self._calls.believe(status.task_id for status in message.tasks)
        if not self._is_stopping:
            self._tell(self._scheduler.subscribed, message.tasks)
            for number in known:
                self._tell(self._scheduler.done, number)
        for question in self._calls.questions():
            self._send(self._calls.add(question, is_internal=True))

    def _lose(self) -> None:
        self._cancel_timer()
        uncertain = self._calls.interrupt()
        self._offers.forget_calls()
        if not self.is_subscribed:
            return
        self.is_subscribed = False
        self._rescind(tuple(self.offers))
        self._tell(self._scheduler.disconnected)
        for number in uncertain:
            text = "the link broke before the masters answered; ask for its tasks"
            self._tell(self._scheduler.refused, number, "UNCERTAIN", text)

    def _again_in(self, delay_s: float) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._resubscribe)

    def _resubscribe(self) -> None:
        """Make certain again what is in doubt, over the same link."""
        self._lose()
        if self._peer is not None:
            self._subscribe()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Calls.

    def _use(self, offers: Sequence[Offer | str], call: Accept | Decline) -> int:
        number = self._call(call)
        self._offers.use(number, offers)
        return number

    def _call(self, call: Call) -> int:
        """Keep a call and send it; one that rests on offers is void while disconnected."""
        call = self._calls.add(call)
        if self.is_subscribed:
            self._send(call)
        elif isinstance(call, Decline | AnswerInverse):
            self._calls.settle(call.call)  # offers end with the link
        elif isinstance(call, Accept):
            asyncio.get_running_loop().call_soon(
                self._refuse, call.call, "LOST_OFFER", "the link to the leading master broke"
            )
        elif isinstance(call, Transact):
            asyncio.get_running_loop().call_soon(
                self._refuse, call.call, "NOT_LEADER", "no leading master is connected"
            )
        return call.call

    def _send(self, message: FrameworkMessage) -> None:
        peer = self._peer
        assert peer is not None
        content = encode_framework_message(message)
        if len(content) > peer.payload_bytes_max and isinstance(message, Call):
            text = f"a call of {len(content)} bytes; at most {peer.payload_bytes_max}"
            asyncio.get_running_loop().call_soon(self._refuse, message.call, "TOO_LARGE", text)
        else:
            peer.send(content)

    def _answered(self, answer: CallDone) -> None:
        if answer.call == self._subscribe_call and not self.is_subscribed:
            if answer.refused in PASSING:
                self._again_in(AGAIN_S)
            elif answer.refused:
                self._fail(answer.refused, answer.text)
        elif answer.refused:
            self._call_refused(answer)
        else:
            is_internal = self._calls.is_internal(answer.call)
            call = self._calls.settle(answer.call)
            self._offers.settle(answer.call)
            if isinstance(call, Teardown | Leave):
                self._end()
            elif call is not None and not is_internal:
                self._tell(self._scheduler.done, answer.call)

    def _call_refused(self, answer: CallDone) -> None:
        """Find out, try again, or report: by what the refusal leaves in doubt."""
        call = self._calls.find(answer.call)
        is_accept = isinstance(call, Accept)
        if answer.refused in ("NOT_LEADER", "NOT_SUBSCRIBED") or (
            answer.refused == "INTERNAL" and is_accept
        ):
            self._again_in(AGAIN_S)  # unless the links find another leader before
        elif answer.refused == "OVERLOADED" and not is_accept and call is not None:
            asyncio.get_running_loop().call_later(AGAIN_S, self._send_again, answer.call)
        else:
            self._refuse(answer.call, answer.refused, answer.text)

    def _send_again(self, number: int) -> None:
        call = self._calls.find(number)
        if call is not None and self.is_subscribed:
            self._send(call)

    def _refuse(self, number: int, reason: str, text: str) -> None:
        is_internal = self._calls.is_internal(number)
        call = self._calls.settle(number)
        open_again = self._offers.reopen(number, call, reason)
        if call is None or is_internal:
            return
        if isinstance(call, Teardown | Leave):
            self._fail(reason, text)
            return
        self._tell(self._scheduler.refused, number, reason, text)
        if left := [offer_id for offer_id in open_again if offer_id in self.offers]:
            self.decline(left)

    # Offers and updates.

    def _rescind(self, ids: Sequence[str]) -> None:
        if void := self._offers.rescind(ids):
            self._tell(self._scheduler.rescinded, void)

    def _updated(self, status: TaskStatus) -> None:
        if status.state == TaskState.UNKNOWN:
            number = self._calls.disbelieve(status.task_id)
            if number is not None:
                text = "the link broke before the masters heard of it"
                self._tell(self._scheduler.refused, number, "LOST_OFFER", text)
                return
        for number in self._calls.believe((status.task_id,)):
            self._tell(self._scheduler.done, number)
        if self._ledger.is_news(status):
            self._tell(self._scheduler.updated, status)
        if status.sequence and self._ledger.note(status):
            asyncio.get_running_loop().call_soon(self._acknowledge)

    def _operated(self, status: OperationStatus) -> None:
        """Tell how an operation went, and say that it was heard."""
        if status.state == OperationState.UNKNOWN:
            number = self._calls.disbelieve(operation_key(status.operation_id))
            if number is not None:
                text = "the link broke before the masters heard of it"
                self._tell(self._scheduler.refused, number, "LOST_OFFER", text)
                return
        for number in self._calls.believe((operation_key(status.operation_id),)):
            self._tell(self._scheduler.done, number)
        self._tell(self._scheduler.operated, status)
        if status.state in ENDED and self.is_subscribed:
            self._send(AcknowledgeOperations((status.operation_id,)))

    def _acknowledge(self) -> None:
        for message in self._ledger.take():  # while disconnected: dropped, updates come again
            if self.is_subscribed:
                self._send(message)

    def _tell(self, callback: Callable[..., None], *what: object) -> None:
        if self._ended is None or self._ended.done():
            return
        try:
            callback(self, *what)
        except Exception as error:
            log.error("a callback of the scheduler failed", callback=callback.__name__)
            self._end(error)
            raise

    def _fail(self, reason: str, text: str) -> None:
        if self._is_stopping:
            self._end()  # gone already, as was wanted
            return
        self._tell(self._scheduler.failed, reason, text)
        self._end(Denied(reason, text))

    def _end(self, error: Exception | None = None) -> None:
        self._is_stopping = True
        if self._ended is None or self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
