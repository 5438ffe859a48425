"""What an auditor keeps of a ledger, and what is kept when the ledger shown later does not grow out of it."""

import fcntl
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from server.audit.remote import OutOfRange, Remote, ServiceError
from server.ledger.export import LINES, jsonl, read_checkpoint
from shared.errors import LedgerError, UsageError
from shared.files import write_durably
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.log import Log
from shared.ledger.view import founding
from shared.ledger.witness import check_growth, read_shown

EVIDENCE = "evidence"
_SECONDS = 60.0  # for what a service may withhold without keeping back an alarm
_WITHHELD = "unproven"  # folder of checkpoints that were shown without the proof that they grew
_PATIENCE = 3  # looks without a proof until that is an alarm: a service may go away once between two questions
_MOST_BYTES = 256 * 1024**2  # of another history, which may be made up as it comes


class Contradicted(LedgerError):
    """The ledger was rewound or forked since it was last seen; the evidence was kept."""


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the folder, made where it is missing, so that two commands never work in it at once.

    Raises:
        UsageError: another holds it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            raise UsageError(f"{out}: another command works in it; wait, or name another folder") from err
        yield


def kept_at(path: Path) -> Checkpoint | None:
    """Return the checkpoint in a file, if there is one.

    Raises:
        LedgerError: it is damaged.
    """
    return read_checkpoint(path) if path.exists() else None


def coordinator_of(remote: Remote) -> str:
    """Return the key (hexadecimal) that the ledger's first entry names, and is signed with.

    It is to be believed as far as the service is: a key that was pinned is better.

    Raises:
        LedgerError: the first entry is not a federation's.
        ServiceError: the service fails.
    """
    lines = next(remote.events(0, 1, within=_SECONDS), [])
    events = [Log(remote.host).follow(line) for line in lines]
    return founding(events, f"{remote.host}: its ledger").public_key


def observe(remote: Remote, kept: Checkpoint | None, key: str, out: Path) -> Checkpoint:
    """Return the newest checkpoint, signed with `key`, after checking that it grew out of the one kept.

    Raises:
        Contradicted: it did not; both are in OUT/evidence.
        LedgerError, ProtocolError: it is no checkpoint, or another signed it.
        ServiceError: the service fails.
    """
    shown = read_shown(remote.checkpoint()[0], key)
    old = kept.head.size if kept else 0
    try:
        proof = _proof(remote, old, shown.head.size)
    except ServiceError as err:
        _keep_unproven(shown, out / _WITHHELD, remote.host, err)
        raise
    try:
        check_growth(kept, shown, proof)
    except LedgerError as err:
        assert kept is not None  # from nothing, everything grows
        where = _keep_evidence(remote, kept, shown, proof, out / EVIDENCE)
        raise Contradicted(
            f"{remote.host}: {err}; both checkpoints are in {where}: show them to all hospitals"
        ) from err
    shutil.rmtree(out / _WITHHELD, ignore_errors=True)
    return shown


def _proof(remote: Remote, old: int, new: int) -> Sequence[bytes]:
    """Return what is to show that the ledger grew; nothing where it did not, or the service denies its size."""
    if old >= new:
        return []
    try:
        return remote.consistency(old, new)
    except OutOfRange:
        return []


def _keep_unproven(shown: Checkpoint, folder: Path, host: str, err: ServiceError) -> None:
    """Keep a checkpoint that was shown, and its proof withheld; too often, and it is as good as a fork.

    Raises:
        Contradicted: it is the last that is let pass.
    """
    looks = len(list(folder.glob("*"))) + 1
    write_durably(folder / f"{looks:04d}", shown.text.encode())
    if looks >= _PATIENCE:
        raise Contradicted(
            f"{host}: shows a longer ledger and withheld {looks} times the proof that it grew ({err}); what it "
            f"showed is in {folder}: show it to all hospitals"
        ) from err


def _keep_evidence(
    remote: Remote, kept: Checkpoint, shown: Checkpoint, proof: Sequence[bytes], folder: Path
) -> Path:
    """Write down both checkpoints, the proof that proves nothing, and the other history as far as it is served.

    Two checkpoints of one size, or the other history's entries, convince anybody who knows the coordinator's key.
    """
    where = folder / f"{shown.head.size}-{shown.head.root[:16]}"
    write_durably(where / "kept", kept.text.encode())
    write_durably(where / "shown", shown.text.encode())
    write_durably(where / "proof", "".join(f"{hash_.hex()}\n" for hash_ in proof).encode())
    lines, room = list[bytes](), _MOST_BYTES
    with suppress(ServiceError):
        for batch in remote.events(0, shown.head.size, within=_SECONDS):
            lines.extend(batch)
            room -= sum(map(len, batch))
            if room < 0:
                break
    write_durably(where / LINES, jsonl(lines))
    return where
