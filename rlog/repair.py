"""A damaged data file set aside by its own member, which begins anew as one whose disk was lost."""

import os
import shutil
from datetime import UTC, datetime

import msgspec
import structlog

from protocol.errors import CorruptLog, DamagedLog, Fault
from rlog.directory import DATA, LogDirectory, how_to_repair
from rlog.examine import Say, ask_child, examine
from rlog.membership import CONFIGURATION, Configuration, kind_of, members_of
from rlog.rows import INDEX, SCHEMA, Standing, unpack_entry
from rlog.store import Store, look_into

KEPT_MAX = 3  # damaged files; a disk that makes more of them is to be replaced
KEPT = f"{DATA}.damaged-"
UNSEEN = 1  # of `Standing.amnesia_until`, with no term: whatever leader comes first names the entry

log = structlog.get_logger()


class Proof(msgspec.Struct, frozen=True):
    """Whose a damaged file is, and who belongs with it, by rows whose checksums are right."""

    name: str
    cluster: str
    cluster_id: str
    voters: tuple[str, ...]

    @property
    def is_replaceable(self) -> bool:
        """Whether the others are a majority: what is lost here, they hold and may agree on."""
        return Configuration(0, self.voters).is_quorum(set(self.voters) - {self.name})


def prepare(directory: str, name: str, cluster: str, *, is_repairing: bool) -> bool:
    """See that a directory can be opened; return whether its file had to be set aside for that.

    Raises: CorruptLog, saying what is damaged, why it was not repaired, and how that is done.
    """
    try:
        examine(directory)
    except DamagedLog as damage:
        objection = "repair is set to refuse"
        if is_repairing:
            objection = _repair(directory, name, cluster, damage)
        if not objection:
            return True
        text = f"{damage}; not repaired: {objection}; {how_to_repair(directory)}"
        raise CorruptLog(text) from None
    except CorruptLog as error:
        raise CorruptLog(f"{error}; {how_to_repair(directory)}") from None
    return False


def _repair(directory: str, name: str, cluster: str, damage: DamagedLog) -> str:
    """Set the file aside; return why not, empty when it is done."""
    proof = _prove(directory)
    if proof is None:
        return "it does not tell any more whose it is"
    if (proof.name, proof.cluster) != (name, cluster):
        return f"it belongs to {proof.name} of cluster {proof.cluster!r}"
    if not proof.is_replaceable:
        voters = ", ".join(proof.voters)
        return f"without it no majority of the voters is left ({voters})"
    try:
        if objection := _find_no_room(directory):
            return objection
        kept = _set_aside(directory, proof)
    except (OSError, Fault) as error:
        return f"it cannot be set aside: {error}"
    log.error(
        "the data file is damaged and was set aside; the others fill this one anew",
        damage=str(damage),
        kept=kept,
    )
    return ""


def _prove(directory: str) -> Proof | None:
    """Return what the newest readable rows prove; None: not even whose the file is."""
    said, _ = ask_child(lambda say: _read_proof(directory, say))
    return msgspec.json.decode(said[-1], type=Proof) if said else None


def _read_proof(directory: str, say: Say) -> None:
    """Say a proof, and a better one whenever a newer configuration is found.

    Reading further may crash, or find nothing but damage: what was said by then stands.
    """
    with look_into(directory) as (tables, txn):
        identity, standing = tables.identity(txn), tables.standing(txn)
        snapshot, voters = tables.snapshot(txn), tables.founded(txn)
        if identity is None or identity.schema != f"schema {SCHEMA}" or not standing.cluster_id:
            return
        proof = Proof(identity.name, identity.cluster, standing.cluster_id, voters)
        if snapshot.index:
            proof = msgspec.structs.replace(proof, voters=snapshot.voters)
        say(msgspec.json.encode(proof).decode())
        for key, row in tables.rows(txn, snapshot.index + 1):
            try:
                command = unpack_entry(INDEX.unpack(key)[0], row).command
            except DamagedLog:
                continue
            if command and kind_of(command) == CONFIGURATION:
                proof = msgspec.structs.replace(proof, voters=members_of(command)[0])
                say(msgspec.json.encode(proof).decode())


def _find_no_room(directory: str) -> str:
    kept = [name for name in os.listdir(directory) if name.startswith(KEPT)]
    if len(kept) >= KEPT_MAX:
        return (
            f"{len(kept)} damaged files are kept in {directory} already; see what is wrong with "
            "the disk, then delete them"
        )
    needed = os.stat(os.path.join(directory, DATA)).st_blocks * 512
    free = shutil.disk_usage(directory).free
    if free < needed:
        return f"{needed} bytes are needed beside it, and {free} are free"
    return ""


def _set_aside(directory: str, proof: Proof) -> str:
    """Put a file that knows its cluster, and that it forgot the rest, in place of the damaged one.

    Returns where that is kept. At every moment there is one of the two: a member with no file at
    all could help to found the cluster a second time.
    """
    guard = LogDirectory(directory)
    try:
        fresh = os.path.join(directory, "fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        store = Store(fresh, proof.name, proof.cluster)
        try:
            store.found(proof.voters)
            store.set_standing(Standing(proof.cluster_id, amnesia_until=UNSEEN))
            store.prove_room()
        finally:
            store.close()
        kept = os.path.join(directory, f"{KEPT}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        os.link(os.path.join(directory, DATA), kept)
        guard.take_over(fresh)
    finally:
        guard.release()
    return kept
