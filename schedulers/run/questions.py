"""What a run asks the masters as an operator would."""

from protocol.client import OperatorClient
from protocol.errors import Fault
from protocol.handshake import LinkIdentity
from protocol.messages.operator import Explain, Explanation, ListTasks, OperatorMessage, Tasks
from schedulers.run.output import Source

ANSWER_S = 3.0  # for the masters to say it
SHORTAGE = "SHORTAGE"


async def find_agent(masters: tuple[str, ...], identity: LinkIdentity, source: Source) -> str:
    """Return where the masters say that the source's agent is; empty when they do not."""
    name = f"{source.framework_id}/{source.task_id}"
    answer = await _ask(masters, identity, ListTasks(task=name))
    views = answer.tasks if isinstance(answer, Tasks) else ()
    return max(views, key=lambda view: view.status.launch).agent_address if views else ""


async def find_shortage(masters: tuple[str, ...], identity: LinkIdentity, framework_id: str) -> str:
    """Return what the masters lack for what a framework asked for; empty when they do not say."""
    answer = await _ask(masters, identity, Explain(framework_id=framework_id))
    findings = answer.findings if isinstance(answer, Explanation) else ()
    return next((each.text for each in findings if each.reason == SHORTAGE), "")


async def _ask(
    masters: tuple[str, ...], identity: LinkIdentity, question: ListTasks | Explain
) -> OperatorMessage | None:
    try:
        client = await OperatorClient.connect(masters, identity, ANSWER_S)
        try:
            return await client.ask(question, ANSWER_S)
        finally:
            await client.close()
    except Fault:
        return None
