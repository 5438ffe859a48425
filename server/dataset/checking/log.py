"""What a data set says of its run, compared with the federation's log: claims, registry record, release."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.audit.checks import guarded
from server.audit.dataset_checks import claim_problems
from server.dataset.files.bids import DESCRIPTION
from server.dataset.files.deposit import REGISTRY, registry
from server.dataset.files.manifest import listed_cases
from server.dataset.files.seal import PROOF, SIGNERS, SUMS
from server.ledger.export import CHECKPOINT, read_checkpoint, read_lines
from shared.canonical import digest
from shared.ledger.events import Release
from shared.ledger.finding import Finding
from shared.ledger.log import Head, SignedEvent, parse, read_entry
from shared.ledger.release_rules import kind_of
from shared.ledger.tlog_proof import TlogProof, parse_tlog_proof
from shared.ledger.verify import check_checkpoint, reasons_against
from shared.ledger.view import RunView, founding, head_of, view
from shared.sshsig import allowed_signer

RULES = "the ledger lets this run be published"


@dataclass(frozen=True)
class Evidence:
    """A data set, and what its own copy of the log says of its run."""

    folder: Path
    key: str  # the coordinator's, hexadecimal: as the verifier got it, else as the log has it
    lines: list[bytes]
    events: list[SignedEvent]
    seen: RunView

    @property
    def head(self) -> Head:
        """Size and root of the log in the folder."""
        return head_of(self.lines)


def evidence_in(folder: Path, key: str | None) -> Evidence:
    """Read the log in a data set, checking every entry.

    Raises:
        LedgerError: it is damaged, or does not know the run.
        OSError, ValueError, KeyError, TypeError, RecursionError: the description does not name a run.
    """
    lines = read_lines(folder)
    events = parse(lines, "ledger.jsonl")
    about: Any = json.loads((folder / DESCRIPTION).read_bytes())
    return Evidence(folder, key or founding(events).public_key, lines, events, view(events, str(about["Run"])))


def check_signers(found: Evidence) -> Finding:
    """Check that `ssh-keygen` is told to trust the key that sealed the data set, and no other."""
    check = "allowed_signers names the key of the seal"

    def compare() -> Finding:
        words = (found.folder / SIGNERS).read_text(encoding="utf-8").split()
        key = allowed_signer("", found.key, "").split()[-1]
        return Finding.of(check, ["it names another"] * (words[-1:] != [key]), f"{found.key[:16]}…")

    return guarded(check, compare)


def check_head(found: Evidence) -> Finding:
    """Check that the coordinator signed the log in the folder."""
    path = found.folder / CHECKPOINT
    check = "the ledger is the one its checkpoint fixes"
    return guarded(check, lambda: check_checkpoint(found.lines, read_checkpoint(path), found.key))


def check_rules(found: Evidence) -> Finding:
    """Check that the run may be published, by what the log says of it; of a simulation that does not arise."""
    check = RULES

    def compare() -> Finding:
        problems, system = reasons_against(found.seen), found.seen.run.system
        if kind_of(found.seen) == "simulation" and not problems:
            return Finding(check, None, f"SIMULATION: the noise is seeded and protects nobody; {system}")
        return Finding.of(check, problems, system)

    return guarded(check, compare)


def check_claims(found: Evidence) -> Finding:
    """Check the claims of privacy, computed again from the log."""
    check = "the claims of privacy follow from the ledger"

    def compare() -> Finding:
        problems = claim_problems(found.folder, found.seen, found.head)
        return Finding.of(
            check, problems, "computed again; no figure after an ε in the texts beside them is another"
        )

    return guarded(check, compare)


def check_registry(found: Evidence) -> Finding:
    """Make the registry record again and compare."""
    check, path = "registry.yaml follows from the ledger", found.folder / REGISTRY

    def compare() -> Finding:
        made = registry(found.events, found.seen.run.run, len(listed_cases(found.folder)))
        stored = path.read_bytes() if path.exists() else None
        fine = "every byte" if made else "there is none, as nothing finite is guaranteed"
        return Finding.of(check, ["it says something else"] * (made != stored), fine)

    return guarded(check, compare)


def check_proof(found: Evidence) -> Finding:
    """Check the proof that the federation's log holds the release of exactly this data set."""
    check, path = "the release of exactly this data set is in the federation's log", found.folder / PROOF
    if not path.exists():
        return Finding(check, None, f"there is no {PROOF}: nothing here shows that it was ever released")

    def compare() -> Finding:
        proof = parse_tlog_proof(path.read_bytes().decode(), PROOF)
        problems = _entry_problems(found, proof) + _release_problems(found, proof)
        between = proof.index - len(found.lines)
        apart = f"; {between} entries between it and the ledger here are not shown" if between > 0 else ""
        place = f"entry {proof.index} of {proof.checkpoint.head.size}{apart}"
        return Finding.of(check, problems, f"as a {kind_of(found.seen)}; {place}")

    return guarded(check, compare)


def _entry_problems(found: Evidence, proof: TlogProof) -> list[str]:
    """Return why the entry is in no log, or in another than the one in the folder."""
    size = len(found.lines)
    problems = [f"no log of key {found.key[:16]}… is shown to hold it"] * (not proof.holds(found.key))
    if proof.index < size and found.lines[proof.index] != proof.entry:
        problems.append("the ledger in the folder has another entry at its place")
    if proof.index == size and head_of([*found.lines, proof.entry]) != proof.checkpoint.head:
        problems.append("it does not continue the ledger in the folder")
    return problems


def _release_problems(found: Evidence, proof: TlogProof) -> list[str]:
    """Return why the entry does not release this data set."""
    signed = read_entry(proof.entry, proof.index, PROOF)
    event, cases, kind = signed.event, len(listed_cases(found.folder)), kind_of(found.seen)
    if not isinstance(event, Release):
        return [f"the entry is no release, but: {event.type}"]
    wrong = {
        "the coordinator did not sign it": not signed.is_signed_by(found.key),
        "it is of another data set": event.manifest != digest((found.folder / SUMS).read_bytes()),
        "it is of another run": event.run != found.seen.run.run,
        f"it is of {event.cases} cases; {cases} are here": event.cases != cases,
        f"it calls a {kind} a {event.kind}": event.kind != kind,
    }
    return [problem for problem, holds in wrong.items() if holds]
