"""`quorate task`: what operators do with one task that runs."""

from typing import Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters

app = typer.Typer(no_args_is_help=True)


@app.callback()
def main() -> None:
    """Change a running task."""


@app.command("resize")
def resize(
    task: Annotated[str, typer.Argument(metavar="TASK", help="task, or framework/task.")],
    *,
    cpus: Annotated[str, typer.Option(metavar="NUMBER", help="2, 0.5; as now unless given.")] = "",
    mem: Annotated[str, typer.Option(metavar="SIZE", help="512MiB; as now unless given.")] = "",
    wait: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="For its agent to have done it.", min=0, max=3600),
    ] = 30,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would happen, and do nothing.")
    ] = False,
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Give a running task more or less cpus and memory, without a restart.

    It is refused where the agent has no more left, or the task uses more memory already.
    """
    from master.ctl.resizing import ResizeTerms, resize
    from master.ctl.target import find_target

    terms = ResizeTerms(task, cpus, mem)
    resize(find_target(masters, credentials, insecure), terms, wait, is_plan=plan)
