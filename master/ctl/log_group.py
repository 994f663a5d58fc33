"""`quorate log`: the masters' log from outside, for operators."""

from typing import Annotated

import typer

from master.ctl.options import Credentials, Insecure, Masters, Output
from master.ctl.recover import recover_log

app = typer.Typer(
    help="Look at the masters' log, prove it, copy it, bring it back.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("recover")(recover_log)

DataDir = Annotated[
    str, typer.Option("--data-dir", metavar="DIR", help="A master's data directory.")
]


@app.command("status")
def show_status(
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
    output: Output = "table",
) -> None:
    """Show how each replica is: role, term, entries, lag, disk."""
    from master.ctl.log_status import show_status
    from master.ctl.target import find_target

    show_status(find_target(masters, credentials, insecure), output)


@app.command("verify")
def verify(data_dir: DataDir) -> None:
    """Read all of a data directory and say what is damaged; its master may run meanwhile."""
    from master.ctl.log_files import verify

    verify(data_dir)


@app.command("export")
def export(
    data_dir: DataDir,
    first: Annotated[int, typer.Option("--from", metavar="INDEX", help="First entry.", min=1)] = 1,
    last: Annotated[int, typer.Option("--to", metavar="INDEX", help="Last entry.", min=0)] = 0,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="Instead of stdout.")
    ] = "-",
    state: Annotated[
        bool, typer.Option("--state", help="With the state that the snapshot holds.")
    ] = False,
) -> None:
    """Print every event as a line of JSON."""
    from master.ctl.log_files import export

    export(data_dir, first, last, output, is_with_state=state)


@app.command("replay")
def replay(
    data_dir: DataDir,
    until: Annotated[
        str, typer.Option(metavar="INDEX|TIME", help="Stop after this entry, or this time.")
    ] = "",
    digest_every: Annotated[
        int, typer.Option(metavar="EVENTS", help="Print a digest of the state so often.", min=0)
    ] = 0,
    output: Output = "table",
) -> None:
    """Fold the log and show the cluster as it was at a point of it."""
    from master.ctl.past import past_of_archive
    from master.ctl.replay import open_masters_log, replay

    with open_masters_log(data_dir) as archive:
        replay(past_of_archive(archive), until, digest_every, output)


@app.command("compact")
def compact(
    address: Annotated[
        str, typer.Argument(metavar="[ADDRESS]", help="host:port of one master; all unless given.")
    ] = "",
    data_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Of a stopped master, whose file is made small.")
    ] = "",
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Take a snapshot now and drop the entries it covers; give a stopped master's disk back."""
    from master.ctl import compact
    from master.ctl.target import find_target

    if data_dir:
        compact.compact_directory(data_dir)
    else:
        compact.compact_masters(find_target(masters, credentials, insecure), address)


@app.command("backup")
def back_up(
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The new file.")],
    data_dir: Annotated[
        str, typer.Option(metavar="DIR", help="Copy this master's directory, masters up or down.")
    ] = "",
    masters: Masters = "",
    credentials: Credentials = "",
    insecure: Insecure = False,
) -> None:
    """Copy the log of a running cluster into a file."""
    from master.ctl import backup
    from master.ctl.target import find_target

    if data_dir:
        backup.back_up_directory(data_dir, output)
    else:
        backup.back_up(find_target(masters, credentials, insecure), output)


@app.command("restore")
def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Made by `quorate log backup`.")],
    data_dir: Annotated[
        str,
        typer.Option(metavar="DIR", help="The master's new data directory; empty or not there."),
    ],
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="host:port of the master, as the others know it.")
    ],
    peers: Annotated[
        str, typer.Option(metavar="LIST", help="host:port,… of all masters; none: it is alone.")
    ] = "",
) -> None:
    """Make a master's data directory from a backup; do so for every master, then start them."""
    from master.ctl.backup import restore

    restore(file, data_dir, listen, peers)
