"""The checks of an audit on a data set: its seal, its release, and every ε it claims."""

import json
import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path

from server.audit.checks import guarded
from server.dataset.files.claims import privacy_claims
from server.dataset.files.seal import SUMS, seal_faults, sealed_by
from server.dataset.viewer import VIEWER
from server.ledger.export import CHECKPOINT, LINES, jsonl, read_checkpoint
from shared.canonical import Json, canonical, digest
from shared.ledger.finding import Finding
from shared.ledger.log import Head, SignedEvent
from shared.ledger.view import RunView, first_release, head_of, lines_of, view

# An ε and the figure that follows in the same breath, in whatever words; past "∞" or "δ" it is another's figure.
_EPSILON = re.compile(r"(?:[εϵ]|epsilon|\beps\b)[^\n\d;|δ∞]{0,20}?(\d[\d.]*)", re.IGNORECASE)
_SCRIPT = re.compile("<script.*?</script>", re.DOTALL)
_CLAIMING = (
    "README.md",
    "croissant.json",
    "zenodo.json",
    VIEWER,
)  # files of a data set that people read claims in


def check_seal(dataset: Path, key: str) -> Finding:
    """Check every file of the data set against SHA256SUMS, and the signature on it."""
    check = "the data set is complete, unchanged and signed"

    def compare() -> Finding:
        faults = seal_faults(dataset)
        if sealed_by(dataset) != key:
            faults.append("SHA256SUMS is not signed by the coordinator")
        listed = len((dataset / SUMS).read_text().splitlines())
        return Finding.of(check, faults, f"{listed} files")

    return guarded(check, compare)


def check_release(dataset: Path, events: Sequence[SignedEvent], run: str, key: str) -> Finding:
    """Check that the data set is one the ledger released, and that it claims what the ledger says."""
    check = "the data set is the one released, and claims what the ledger says"

    def compare() -> Finding:
        seen = view(events, run)
        known = list(events[: first_release(seen, len(events))])
        lines = lines_of(known)
        problems = []
        manifest = digest((dataset / SUMS).read_bytes())
        cases = next((r.cases for r in seen.releases if r.manifest == manifest), None)
        if cases is None:
            problems.append("the ledger has no release of this data set")
        then = read_checkpoint(dataset / CHECKPOINT)
        if then.head != head_of(lines) or not then.is_by(key):
            problems.append("its checkpoint is not of the ledger as it was before the release")
        if (dataset / LINES).read_bytes() != jsonl(lines):
            problems.append("ledger.jsonl is not the beginning of this ledger")
        problems += claim_problems(dataset, view(known, run), then.head)
        return Finding.of(check, problems, f"release of {cases} cases")

    return guarded(check, compare)


def claim_problems(dataset: Path, seen: RunView, head: Head) -> list[str]:
    """Return what a data set claims of privacy that the log with that head does not say of its run.

    Raises:
        OSError, ValueError, AttributeError: a file cannot be read.
    """
    right = privacy_claims(seen, head)
    problems = []
    if _loaded(dataset / "dataset_description.json").get("DifferentialPrivacy") != right:
        problems.append("dataset_description.json claims another privacy than the ledger gives")
    follows = _figures(canonical(right).decode())
    for name in _CLAIMING:
        if strange := sorted(_named(dataset / name) - follows):
            problems.append(f"{name} names an ε that does not follow from the ledger: {', '.join(strange)}")
    return problems


def _named(path: Path) -> set[str]:
    """Return every ε that a file names, of a page outside scripts; of before a kind of file was written, none."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return _figures(unescape(_SCRIPT.sub("", text)) if path.name == VIEWER else text)


def _figures(text: str) -> set[str]:
    return {figure.rstrip(".") for figure in _EPSILON.findall(text)}


def _loaded(path: Path) -> dict[str, Json]:
    value: dict[str, Json] = json.loads(path.read_bytes())
    return value
