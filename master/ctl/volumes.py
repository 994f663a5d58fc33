"""`quorate volume`: reserved disk that outlives tasks, made, resized and destroyed."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output, Plan, target_of

if TYPE_CHECKING:
    from protocol.messages.operator import ChangeVolume, VolumeView

WAIT_S_MAX = 60.0
POLL_S = 0.2

app = typer.Typer(no_args_is_help=False)

Agent = Annotated[str, typer.Argument(metavar="AGENT")]
Volume = Annotated[str, typer.Argument(metavar="VOLUME")]
Size = Annotated[str, typer.Argument(metavar="SIZE", help="Such as 20GiB.")]


@app.callback(invoke_without_command=True)
def list_volumes(
    context: typer.Context,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """List the volumes and who uses them; or create, resize and destroy them."""
    context.obj = (masters, credentials, insecure)
    if context.invoked_subcommand is None:
        from master.ctl.lists import show_list
        from master.ctl.target import find_target

        show_list("volumes", find_target(masters, credentials, insecure), output)


@app.command("create")
def create_volume(
    context: typer.Context,
    agent: Agent,
    reservation: Annotated[str, typer.Argument(metavar="RESERVATION", help="Whose disk it takes.")],
    size: Size,
    name: Annotated[str, typer.Option(metavar="NAME")] = "",
    shared: Annotated[
        bool, typer.Option("--shared", help="Several tasks may use it at once.")
    ] = False,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Make a volume of reserved disk, for tasks of the reservation's role and those below it."""
    change = _change(agent, name, "create", size=size, reservation=reservation, plan=plan)
    change["is_shared"] = shared
    _do(context, change, masters, credentials, insecure)


@app.command("resize")
def resize_volume(
    context: typer.Context,
    agent: Agent,
    volume: Volume,
    size: Size,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Make a volume larger, from its reservation, or smaller, if what is in it fits."""
    change = _change(agent, volume, "resize", size=size, plan=plan)
    _do(context, change, masters, credentials, insecure)


@app.command("destroy")
def destroy_volume(
    context: typer.Context,
    agent: Agent,
    volume: Volume,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    plan: Plan = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Delete a volume and all that is in it; nobody can bring it back."""
    if not plan and not yes:
        typer.confirm(f"delete volume {volume} of {agent} and all that is in it?", abort=True)
    change = _change(agent, volume, "destroy", plan=plan)
    _do(context, change, masters, credentials, insecure)


def _change(
    agent: str, volume: str, verb: str, *, size: str = "", reservation: str = "", plan: bool
) -> dict[str, Any]:
    from master.ctl.target import MisuseError
    from protocol.resources import parse_resources

    size_bytes = 0
    if size:
        try:
            size_bytes = parse_resources(f"disk:{size}").scalars.get("disk", 0)
        except ValueError as error:
            raise MisuseError(f"SIZE: {error}") from None
    return {
        "agent_id": agent,
        "volume": volume,
        "verb": verb,
        "reservation": reservation,
        "size_bytes": size_bytes,
        "plan": plan,
    }


def _do(
    context: typer.Context, change: dict[str, Any], masters: str, credentials: str, insecure: bool
) -> None:
    """Ask for a change, and wait until the agent has done it. Raises: CommandError."""
    from master.ctl.asking import run
    from protocol.messages.operator import ChangeVolume

    target = target_of(context, masters, credentials, insecure)
    run(_ask_and_wait(target, ChangeVolume(**change)))


async def _ask_and_wait(target: Any, change: "ChangeVolume") -> None:
    import asyncio

    from master.ctl.asking import ask_over, connect, list_all
    from master.ctl.target import CommandError
    from protocol.messages.operator import Done, ListVolumes

    client = await connect(target)
    try:
        text = (await ask_over(client, change, Done)).text
        if change.plan:
            sys.stdout.write(f"would be done: {text}\n")
            return
        name = text.split(":")[0].split()[-1]  # `agent volume: …`
        deadline_s = asyncio.get_running_loop().time() + WAIT_S_MAX
        while True:
            views = await list_all(client, ListVolumes())
            mine = (change.agent_id, name)
            view = next((each for each in views if (each.agent_id, each.volume.id) == mine), None)
            fault = _fault_of(change, view)
            if fault is None:
                break
            if fault:
                raise CommandError(f"{change.agent_id} {name}: {fault}")
            if asyncio.get_running_loop().time() > deadline_s:
                state = view.volume.state.name.lower() if view else "unknown"
                raise CommandError(
                    f"{change.agent_id} {name}: its agent has not answered for {WAIT_S_MAX:.0f} s; "
                    f"it is {state}, and the masters go on asking: see `quorate volume`"
                )
            await asyncio.sleep(POLL_S)
        sys.stdout.write(f"{text}\n")
    finally:
        await client.close()


def _fault_of(change: "ChangeVolume", view: "VolumeView | None") -> str | None:
    """Return why a change failed, nothing while it is not known, None when it is done."""
    from protocol.messages.values import VolumeState

    if view is None:
        return None if change.verb == "destroy" else "its agent could not make it; see its log"
    if view.volume.state is not VolumeState.READY or change.verb == "destroy":
        return ""
    return view.fault or None
