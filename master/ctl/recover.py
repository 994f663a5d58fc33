"""`quorate log recover`: one master goes on alone when a majority is lost for good."""

import sys
from typing import Annotated

import typer

Directory = Annotated[
    str, typer.Option("--data-dir", metavar="DIR", help="Of the master that survived, stopped.")
]


def recover_log(
    data_dir: Directory,
    voters: Annotated[
        str, typer.Option(metavar="LIST", help="Who votes from now on: the survivor.")
    ] = "",
    i_know_that_data_may_be_lost: Annotated[
        bool,
        typer.Option(
            "--i-know-that-data-may-be-lost",
            help="Do it; without this it only shows what is there.",
        ),
    ] = False,
) -> None:
    """Go on with one master when a majority of them is lost for good.

    What only the lost ones held is lost. Add new masters afterwards with `quorate masters add`.
    """
    from master.ctl.target import CommandError, MisuseError
    from rlog.recovery import Holding, inspect, recover

    def show(held: Holding) -> None:
        known = held.configuration
        learners = f", learners {', '.join(known.learners)}" if known.learners else ""
        sys.stdout.write(
            f"{data_dir}: the log of {held.name} in cluster {held.cluster!r}, id "
            f"{held.cluster_id or 'not known'}\n"
            f"  last entry {held.last} of term {held.last_term}, committed {held.committed}, "
            f"snapshot {held.snapshot}, term {held.term}\n"
            f"  voters {', '.join(known.voters)}{learners}\n"
        )
        if held.is_amnesiac:
            sys.stdout.write("  it was still being filled: another directory surely holds more\n")

    held = inspect(data_dir)
    show(held)
    named = tuple(part.strip() for part in voters.split(",") if part.strip())
    if named and named != (held.name,):
        raise MisuseError(
            f"--voters {voters}: only {held.name} can vote at first, whose directory this is; "
            "start the others with empty directories and --join, and add them"
        )
    if not named or not i_know_that_data_may_be_lost:
        raise CommandError(
            "nothing was changed. When a majority of the voters is lost for good, choose among the "
            "directories that are left the one with the highest term of the last entry, then the "
            f"highest last entry, and give --voters {held.name} --i-know-that-data-may-be-lost"
        )
    show(recover(data_dir))
    sys.stdout.write(
        f"recovered: start {held.name} as before, then new masters with empty directories and "
        f"--join {held.name}, and add them; never start the lost ones with their old directories\n"
    )
