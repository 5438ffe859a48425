"""The small files around the cases: description, participants, manifest, licence, and the privacy claim."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from server.dataset.cases import Case
from server.dataset.claims import privacy_claims
from server.ledger.export import CHECKPOINT, LINES, jsonl
from shared.canonical import Json
from shared.imaging.scan import Role
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.release_rules import kind_of
from shared.ledger.view import RunView

BIDS_VERSION = "1.11.2"
LICENCE = "CC-BY-4.0"
_LICENCE_TEXT = (
    "These synthetic images and labels are offered under Creative Commons Attribution 4.0 International\n"
    "(CC-BY-4.0, https://creativecommons.org/licenses/by/4.0/). When you use them, name the run given in\n"
    "dataset_description.json. The publishing hospitals may choose another licence before they pass them on.\n"
)
# Root files BIDS does not know; a validator is told to leave them alone.
_OWN_FILES = (
    "contact-sheet.png",
    "manifest.*",
    CHECKPOINT,
    LINES,
    "SHA256SUMS*",
    "allowed_signers",
    "LICENSE",
    "release.json",
)


def write_files(
    folder: Path, view: RunView, cases: Sequence[Case], checkpoint: Checkpoint, lines: list[bytes]
) -> None:
    """Write every small file but README, SHA256SUMS and what belongs to the seal."""
    _json(folder / "dataset_description.json", description(view, checkpoint))
    _json(folder / "participants.json", {"synthetic": {"Description": "yes: no such person exists"}})
    _table(folder / "participants.tsv", [("participant_id", "synthetic"), *((c.name, "yes") for c in cases)])
    _json(folder / "manifest.json", [case.row() for case in cases])
    _table(folder / "manifest.tsv", manifest_table(cases))
    (folder / CHECKPOINT).write_text(checkpoint.text, encoding="utf-8")
    (folder / LINES).write_bytes(jsonl(lines))
    (folder / "LICENSE").write_text(_LICENCE_TEXT)
    (folder / ".bidsignore").write_text("\n".join(_OWN_FILES) + "\n")


def description(view: RunView, checkpoint: Checkpoint) -> dict[str, Json]:
    """Return dataset_description.json; `Synthetic` and `DifferentialPrivacy` are Willis' own keys."""
    run = view.run
    kind = "Synthetic" if kind_of(view) == "release" else "SIMULATION, not a release: synthetic"
    about = f"run {run.run}: {run.system}"
    return {
        "Name": f"{kind} {run.recipe} (Willis run {run.run[:12]})",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": LICENCE,
        "GeneratedBy": [{"Name": "willis", "Version": version("willis"), "Description": about}],
        "Synthetic": True,
        "DifferentialPrivacy": privacy_claims(view, checkpoint.head),
    }


def manifest_table(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """Return the manifest as rows of text: one a case, one column a role's file and a label's voxel count."""
    roles = sorted({role for case in cases for role in case.files})
    labels = [role for role in roles if role.is_label]
    header = ("participant_id", *roles, "shape", "spacing_mm", *(f"voxels_{role.value}" for role in labels))
    return [header, *(_row(case, roles, labels) for case in cases)]


def _row(case: Case, roles: Sequence[Role], labels: Sequence[Role]) -> tuple[str, ...]:
    files = [case.files.get(role, "n/a") for role in roles]
    counts = [str(case.label_voxels.get(role, "n/a")) for role in labels]
    spacing = "x".join(f"{edge:g}" for edge in case.spacing)
    return (case.name, *files, "x".join(map(str, case.shape)), spacing, *counts)


def _json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _table(path: Path, rows: Sequence[Sequence[str]]) -> None:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
