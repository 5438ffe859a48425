"""The list of the cases: manifest.json for programs, manifest.tsv, with a checksum of every file, for both."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.dataset.files.cases import Case
from server.dataset.files.seal import sha256
from server.dataset.files.text import Row, write_json, write_table
from shared.errors import UsageError
from shared.imaging.case_names import case_file
from shared.imaging.scan import Role

LIST, TABLE = "manifest.json", "manifest.tsv"
_CASE = re.compile(r"sub-syn\d{4,}")


def write_manifest(folder: Path, cases: Sequence[Case]) -> None:
    """Write both forms of the list."""
    write_json(folder / LIST, [case.row() for case in cases])
    write_table(folder / TABLE, manifest_table(folder, cases))


def manifest_table(folder: Path, cases: Sequence[Case]) -> list[Row]:
    """Return the manifest as rows: one a case, for each role its file, checksum, and a label's voxel count."""
    roles = sorted({role for case in cases for role in case.files})
    labels = [role for role in roles if role.is_label]
    names = [name_of(role) for role in roles]
    header = (
        "participant_id",
        *names,
        *(f"sha256_{name}" for name in names),
        "shape",
        "spacing_mm",
        *(f"voxels_{name_of(role)}" for role in labels),
    )
    return [header, *(_row(folder, case, roles, labels) for case in cases)]


def name_of(role: Role) -> str:
    """Return what a role is called in tables, where a name has no hyphens: `vessels`."""
    return role.name.lower()


def listed_cases(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of manifest.json, each with the files that its case must have, and no others.

    Raises:
        UsageError: an entry is of no case, or names files that are not the case's own.
        ValueError, TypeError, KeyError: it is not such a list.
    """
    rows: list[dict[str, Any]] = json.loads((folder / LIST).read_bytes())
    for number, row in enumerate(rows):
        name, roles = str(row["participant_id"]), [Role(role) for role in row["files"]]
        right = {role.value: case_file(name, role, roles) for role in roles}
        if not _CASE.fullmatch(name) or not roles or row["files"] != right:
            raise UsageError(f"{LIST}, entry {number}: {name[:40]!r} has other files than a case of that name")
    return rows


def _row(folder: Path, case: Case, roles: Sequence[Role], labels: Sequence[Role]) -> Row:
    files = [case.files.get(role, "n/a") for role in roles]
    sums = [sha256(folder / case.files[role]) if role in case.files else "n/a" for role in roles]
    counts = [str(case.label_voxels.get(role, "n/a")) for role in labels]
    spacing = "x".join(f"{edge:g}" for edge in case.spacing)
    return (case.name, *files, *sums, "x".join(map(str, case.shape)), spacing, *counts)
