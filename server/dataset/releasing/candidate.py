"""A candidate: a data set or a network that is whole and sealed, but not released; kept in RUN/candidates.

A data set is a folder named by the first digits of its manifest, the SHA-256 of its SHA256SUMS; what the ledger
will be told of it is in `release.json`. A network is a file named by those of its own SHA-256. One that the gate
shut out is kept aside to be looked at, marked and without its signature, until a person deletes it.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from server.dataset.files.seal import SIGNATURE, SUMS, seal_faults, sealed_by
from server.dataset.gate.distance import DISTANCE
from server.run.folder import RunFolder
from shared.canonical import canonical, digest
from shared.errors import PublicationRefused, UsageError
from shared.files import move_durably, remove
from shared.ledger.events import Check, Gate, Release
from shared.ledger.release_rules import kind_of
from shared.ledger.view import RunView
from shared.recipes.network_file import about_of

FOLDER, STATEMENT, WHY = "candidates", "release.json", "SHUT-OUT-BY-THE-GATE.txt"
NETWORK = ".safetensors"
DIGITS = 12  # of the manifest, in names


class GateShut(PublicationRefused):
    """The gate found a data set broken; `kept` is where it lies, to be looked at."""

    def __init__(self, gate: Gate, kept: Path) -> None:
        self.kept = kept
        failed = "\n".join(f"  {check.name}: {check.words}" for check in gate.failed)
        super().__init__(f"the release gate refuses it; it is kept, marked, in {kept}\n{failed}")


@dataclass(frozen=True)
class Candidate:
    """What is to be released, and what it says of itself."""

    path: Path  # a folder, or a network's file
    run: str
    manifest: str
    cases: int  # 0: a network
    earlier: tuple[str, ...] = ()  # other runs whose networks drew too

    @classmethod
    def at(cls, path: Path) -> "Candidate":
        """Return the candidate at `path`; its seal is not yet checked.

        Raises:
            PublicationRefused: there is none, it is damaged, or it is a link, which would be released in place of
                what it leads to.
        """
        if path.is_symlink():
            raise PublicationRefused(f"{path}: a link, not a candidate; name the one it leads to")
        if path.is_file():
            return cls(path, _run_of_network(path), digest(path.read_bytes()), 0)
        try:
            said = json.loads((path / STATEMENT).read_bytes())
            manifest, cases = digest((path / SUMS).read_bytes()), int(said["cases"])
            if cases < 1:
                raise ValueError("a data set without cases")
            return cls(path, str(said["run"]), manifest, cases, tuple(said["earlier"]))
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise PublicationRefused(f"{path}: no whole candidate; take a folder of RUN/{FOLDER}") from err

    def check_seal(self, key: str) -> None:
        """Check every byte of a data set against the signature of the coordinator with this key (hexadecimal).

        A network's file has no seal: its manifest is the file's own digest.

        Raises:
            PublicationRefused: something was changed, or the signature is another's.
        """
        if self.path.is_file():  # not by what it says of itself, which is under the seal
            return
        try:
            faults, signer = seal_faults(self.path), sealed_by(self.path)
        except OSError as err:
            raise PublicationRefused(f"{self.path}: its seal cannot be read ({err}); get it again") from err
        if faults or signer != key:
            why = "; ".join(faults[:3]) or "its SHA256SUMS is not signed by the coordinator"
            raise PublicationRefused(f"{self.path}: {why}; get the candidate again, or publish again")

    def release(self, seen: RunView) -> Release:
        """Return what the ledger is told when it is released."""
        what = "data set" if self.cases else "network"
        kind = kind_of(seen)
        return Release(
            run=self.run, kind=kind, cases=self.cases, manifest=self.manifest, what=what, earlier=self.earlier
        )


def write_statement(folder: Path, run: str, cases: int, earlier: tuple[str, ...]) -> None:
    """Write `release.json`: what the ledger is told of a data set, beside its manifest, if it is released."""
    (folder / STATEMENT).write_bytes(canonical({"run": run, "cases": cases, "earlier": list(earlier)}) + b"\n")


@contextmanager
def drawing_place(run: RunFolder, out: Path) -> Iterator[Path]:
    """Yield a new folder among the run's candidates for what will be `out`; it is gone unless it was placed."""
    partial = run.path / FOLDER / f".{out.name}.partial"
    remove(partial)  # left by a crash; nothing refers to it
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        remove(partial)
        tidy(run)


def tidy(run: RunFolder) -> None:
    """Remove the folder of candidates where there are none."""
    with suppress(OSError):
        (run.path / FOLDER).rmdir()


def place(run: RunFolder, made: Path, gate: Gate) -> Path:
    """Move what was drawn to where its gate sends it; return the candidate's path.

    Raises:
        GateShut: it was shut out, by more than an answer that is still to be asked for.
    """
    name = gate.manifest[:DIGITS] + "".join(made.suffixes[-1:] if made.is_file() else ())
    if any(check.name != DISTANCE for check in gate.failed):
        aside = run.path / FOLDER / f"shut-{name}"
        remove(aside)
        _mark(made, gate.failed)
        move_durably(made, aside)
        raise GateShut(gate, aside)
    target = run.path / FOLDER / name
    if not _is_whole(target, gate.manifest, run.home.identity.public_key):
        remove(target)
        move_durably(made, target)
    return target


def _is_whole(path: Path, manifest: str, key: str) -> bool:
    """Whether the candidate with this manifest lies at `path`, sealed by the coordinator with this key."""
    try:
        found = Candidate.at(path)
        found.check_seal(key)
    except PublicationRefused:
        return False
    return found.manifest == manifest


def _mark(made: Path, failed: tuple[Check, ...]) -> None:
    """Say in a data set that it was shut out, and take away what would let it pass for a sealed one."""
    if made.is_dir():
        remove(made / SIGNATURE)
        lines = [f"{check.name}: {check.words}\n" for check in failed]
        text = "NOT FOR PUBLICATION: the release gate refused these cases.\n\n" + "\n".join(lines)
        (made / WHY).write_text(text, encoding="utf-8")


def _run_of_network(path: Path) -> str:
    try:
        return about_of(path).run
    except UsageError as err:
        raise PublicationRefused(str(err)) from err
