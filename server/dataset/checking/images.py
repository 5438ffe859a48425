"""The images of a data set, read whole: on one grid, finite, labelled as they should be, and marked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from server.dataset.files.cases import Case, described, read_case
from server.dataset.files.mark import Mark
from shared.errors import WillisError
from shared.imaging import nifti
from shared.imaging.anatomy import STRUCTURES
from shared.imaging.scan import Role, Scan
from shared.ledger.finding import Finding

_NUMBERS = [structure.number for structure in STRUCTURES]


def check_images(folder: Path, rows: Sequence[dict[str, Any]], mark: Mark, cases: list[Case]) -> Finding:
    """Read every case that the manifest lists, compare, and add it to `cases`."""
    check = "every image is readable, finite, marked, and as the manifest says"
    problems = _unlisted(folder, rows)
    for row in rows:
        files = {Role(role): str(file) for role, file in row["files"].items()}
        try:
            scan = read_case(folder, files)
            case = described(str(row["participant_id"]), files, scan)
            cases.append(case)
            problems += _problems(folder, case, scan, row, mark)
        except WillisError as err:
            problems.append(str(err).replace(f"{folder}/", ""))
    return Finding.of(check, problems, f"{sum(len(row['files']) for row in rows)} files of {len(rows)} cases")


def _unlisted(folder: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    listed = {file for row in rows for file in row["files"].values()}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*.nii*")}
    return [f"{file} is not in the manifest" for file in sorted(present - listed)]


def _problems(folder: Path, case: Case, scan: Scan, row: dict[str, Any], mark: Mark) -> list[str]:
    problems = [f"{case.name}: manifest.json says something else"] * (case.row() != row)
    anatomy = scan.volumes.get(Role.ANATOMY)
    if anatomy is not None and not np.isin(anatomy, _NUMBERS).all():
        problems.append(f"{case.files[Role.ANATOMY]}: a number that the label table does not have")
    for file in case.files.values():
        description, comments = nifti.read_words(folder / file)
        if description != mark.description or comments != [mark.comment]:
            problems.append(f"{file}: its header does not say that it is synthetic, of this run and ledger")
    return problems
