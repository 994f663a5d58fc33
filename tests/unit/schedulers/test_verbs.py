"""What schedulers ask beside offers: it is passed on, repeated, or said to be uncertain."""

from protocol.messages.framework import (
    AgentState,
    AnswerInverse,
    ClusterView,
    Conflict,
    InverseOffer,
    InverseOffers,
    InverseRescinded,
    Observe,
    Placement,
    Recall,
    Recalls,
    Request,
    ResizeTask,
    Subscribe,
    Transact,
    Transacted,
    Want,
)
from protocol.resources import parse_resources
from tests.unit.schedulers.stage import TASK, Stage, play


def test_driver_passes_on_that_an_agent_shall_be_left_and_says_what_is_answered() -> None:
    async def act(stage: Stage) -> None:
        assert (await stage.master.hear(Subscribe)).takes_inverse
        asked = InverseOffer("i1-1", "a1", "host", 7, 9, ("t1",))
        stage.master.say(InverseOffers((asked,)))
        assert await stage.told("asked_to_leave") == ("asked_to_leave", (asked,))
        number = stage.driver.answer(["i1-1"], is_leaving=False, refuse_s=2)
        said = await stage.master.hear(AnswerInverse)
        assert said == AnswerInverse(number, ("i1-1",), False, 2_000_000_000)
        assert await stage.told("done") == ("done", number)
        stage.master.say(InverseRescinded(("i1-1",)))
        assert await stage.told("may_stay") == ("may_stay", ("i1-1",))

    play(act)


def test_driver_does_not_repeat_an_answer_that_ended_with_its_link() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to |= {AnswerInverse}
        stage.driver.answer(["i1-1"], is_leaving=True)
        await stage.master.hear(AnswerInverse)
        stage.master.cut()
        await stage.master.hear(Subscribe, 2)
        revive = stage.driver.revive()
        assert await stage.told("done") == ("done", revive)
        assert len(stage.master.all_of(AnswerInverse)) == 1

    play(act)


def test_driver_repeats_a_resize_whose_answer_was_lost() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to |= {ResizeTask}
        number = stage.driver.resize("t1", parse_resources("cpus:2"))
        await stage.master.hear(ResizeTask)
        stage.master.deaf_to.clear()
        stage.master.cut()
        again = await stage.master.hear(ResizeTask, 2)
        assert again == ResizeTask(number, "t1", parse_resources("cpus:2"))
        assert await stage.told("done") == ("done", number)

    play(act)


def test_driver_passes_on_what_it_observes_and_how_its_transactions_end() -> None:
    async def act(stage: Stage) -> None:
        stage.driver.observe()
        assert (await stage.master.hear(Observe)).role == "default"
        view = ClusterView("default", (AgentState("a1", version=1),), True)
        stage.master.say(view)
        assert await stage.told("viewed") == ("viewed", view)
        stage.master.deaf_to.add(Transact)
        number = stage.driver.transact([Placement("a1", 1, (TASK,))], is_all_or_nothing=True)
        asked = await stage.master.hear(Transact)
        assert (asked.call, asked.role, asked.is_all_or_nothing) == (number, "default", True)
        answer = Transacted(number, False, (Conflict(0, "AGENT_CHANGED", "it is at version 2"),))
        stage.master.say(answer)
        assert await stage.told("transacted") == ("transacted", answer)

    play(act)


def test_driver_cannot_say_what_became_of_a_transaction_on_a_broken_link() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to.add(Transact)
        number = stage.driver.transact([Placement("a1", 0, (TASK,))])
        await stage.master.hear(Transact)
        stage.master.cut()
        assert await stage.told("refused") == ("refused", number, "UNCERTAIN")
        await stage.master.hear(Subscribe, 2)
        assert len(stage.master.all_of(Transact)) == 1

    play(act)


def test_driver_repeats_what_it_wants_to_the_next_leader() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to.add(Request)
        stage.driver.request([Want(count=3)], "default")
        assert (await stage.master.hear(Request)).wants == (Want(count=3),)
        stage.master.cut()
        await stage.master.hear(Request, 2)

    play(act)


def test_driver_passes_on_what_is_asked_back() -> None:
    async def act(stage: Stage) -> None:
        recall = Recall("a1", "default", ("t1", "t2"), 10_000_000_000)
        stage.master.say(Recalls((recall,)))
        assert await stage.told("asked_back") == ("asked_back", (recall,))

    play(act)
