"""A hospital's files, read strictly.

A cohort is a folder in one of two shapes:

  * BIDS-like: `sub-<patient>/[ses-<session>/]anat/sub-<patient>[_ses-<session>]_<role>.nii.gz`, or in `perf/`
    instead of `anat/`
  * a table `cohort.csv` with the columns `patient`, optionally `session`, and one column of paths a role
    (`angio`, `vessels`, `brain`, `lesion`, `dwi`, `anatomy`, `dsc`, `cbf`, `cbv`, `mtt`, `tmax`, `ttp`),
    relative to the table.

A series (`dsc`) has its timing in a JSON sidecar beside it (see `shared.imaging.series`).

The patient is the unit of privacy: all sessions of one patient id are one unit.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging import nifti
from shared.imaging.scan import Role, Scan, Timing, Volume
from shared.imaging.series import read_series

TABLE = "cohort.csv"
COLUMNS = {
    "angio": Role.ANGIO,
    "vessels": Role.VESSELS,
    "brain": Role.BRAIN,
    "lesion": Role.LESION,
    "dwi": Role.DWI,
    "anatomy": Role.ANATOMY,
    "dsc": Role.DSC,
    "cbf": Role.CBF,
    "cbv": Role.CBV,
    "mtt": Role.MTT,
    "tmax": Role.TMAX,
    "ttp": Role.TTP,
}
_FOLDERS, _ENDINGS = ("anat", "perf"), (".nii.gz", ".nii")
_KNOWN = {"patient", "session", *COLUMNS}
_AFFINE_TOLERANCE_MM = 1e-2  # headers written by different tools round differently

Session = Mapping[Role, Path]  # the files of one imaging session


@dataclass(frozen=True)
class Cohort:
    """The patients of one site: ids in order, and each one's sessions as files (nothing is read yet)."""

    folder: Path
    patients: Mapping[str, Sequence[Session]]

    @property
    def ids(self) -> list[str]:
        """Patient ids in a fixed order."""
        return sorted(self.patients)

    def scans(self, patient: str) -> list[Scan]:
        """Read and check every session of a patient.

        Raises:
            CohortError: naming the file, what is wrong with it, and the remedy.
        """
        return [read_session(session) for session in self.patients[patient]]


def find_cohort(folder: Path, roles: Sequence[Role]) -> Cohort:
    """List a site's patients and check that every session has a file of each of `roles`.

    Raises:
        CohortError: no patients, a missing or extra file, or a malformed table.
    """
    table = folder / TABLE
    sessions = _from_table(table) if table.exists() else _from_folders(folder)
    patients: dict[str, list[Session]] = defaultdict(list)
    for (patient, session), files in sorted(sessions.items()):
        kept = _complete(files, roles, where=f"{folder.name}, patient {patient} {session}".rstrip())
        if kept:
            patients[patient].append(kept)
    if not patients:
        wanted = f"sub-<patient>/anat/sub-<patient>_{roles[0].value}.nii.gz or {TABLE}"
        raise CohortError(f"{folder}: no patients here; expected {wanted}")
    return Cohort(folder, patients)


def is_site(folder: Path) -> bool:
    """Whether a folder holds a cohort in one of the two shapes."""
    return (folder / TABLE).exists() or any(folder.glob("sub-*"))


def read_session(session: Session) -> Scan:
    """Read the files of one session and check that they belong together.

    Raises:
        CohortError: naming the file, what is wrong with it, and the remedy.
    """
    read, timing = _read(session)
    first = next(iter(session))
    voxels, affine = read[first]
    for role, (other, other_affine) in read.items():
        if other.shape[:3] != voxels.shape[:3]:
            msg = f"shape {other.shape} differs from {voxels.shape} of {session[first].name}"
            raise CohortError(f"{session[role]}: {msg}; resample one onto the other")
        if not np.allclose(affine, other_affine, atol=_AFFINE_TOLERANCE_MM):
            msg = f"its affine differs from that of {session[first].name}"
            raise CohortError(f"{session[role]}: {msg}; the images are not aligned, register or re-export them")
        _check_labels(session[role], role, other)
    return Scan({role: volume for role, (volume, _) in read.items()}, affine, timing)


def _read(session: Session) -> tuple[dict[Role, tuple[Volume, NDArray[np.float64]]], Timing | None]:
    """Return the voxels and affine of every file, and the timing of the series if there is one."""
    read: dict[Role, tuple[Volume, NDArray[np.float64]]] = {}
    timing = None
    for role, path in session.items():
        if role.is_series:
            voxels, affine, timing = read_series(path)
            read[role] = voxels, affine
        else:
            read[role] = nifti.read(path)
    return read, timing


def _check_labels(path: Path, role: Role, voxels: Volume) -> None:
    """Refuse a mask that is not of 0 and 1, and a map that is not of whole numbers from 0."""
    if role.is_mask and not np.isin(voxels, (0.0, 1.0)).all():
        raise CohortError(f"{path}: a mask must hold only 0 and 1; binarise it")
    if role.is_label and ((voxels < 0) | (voxels != np.rint(voxels))).any():
        msg = "a label map must hold whole numbers from 0"
        raise CohortError(f"{path}: {msg}; resample it by nearest neighbour, not by interpolation")


def _from_folders(folder: Path) -> dict[tuple[str, str], dict[Role, Path]]:
    sessions: dict[tuple[str, str], dict[Role, Path]] = defaultdict(dict)
    for subject in sorted(folder.glob("sub-*")):
        for home in sorted([subject, *subject.glob("ses-*")]):
            session = home.name if home != subject else ""
            stem = "_".join(part for part in (subject.name, session) if part)
            for role in Role:
                found = [home / name / f"{stem}_{role.value}{end}" for name in _FOLDERS for end in _ENDINGS]
                found = [path for path in found if path.exists()]
                if len(found) > 1:
                    raise CohortError(f"{found[1]}: {found[0].name} is there too; keep only one of them")
                if found:
                    sessions[subject.name, session][role] = found[0]
    return sessions


def _from_table(table: Path) -> dict[tuple[str, str], dict[Role, Path]]:
    sessions: dict[tuple[str, str], dict[Role, Path]] = {}
    columns, rows = _rows(table)
    if "patient" not in columns or len(set(columns)) < len(columns) or not set(columns) <= _KNOWN:
        raise CohortError(f"{table}: columns must be patient, session and some of {', '.join(COLUMNS)}")
    for number, cells in rows:
        if len(cells) != len(columns):
            msg = f"{len(cells)} cells under {len(columns)} columns; mend that line"
            raise CohortError(f"{table}, line {number}: {msg}")
        row = dict(zip(columns, cells, strict=True))
        key = row["patient"], row.get("session", "")
        if not key[0] or key in sessions:
            msg = f"patient {key[0]!r} is empty or listed twice; mend the line or number the sessions"
            raise CohortError(f"{table}, line {number}: {msg}")
        sessions[key] = {role: table.parent / row[c] for c, role in COLUMNS.items() if row.get(c)}
    return sessions


def _rows(table: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return a table's header, and its rows with their line numbers; cells are stripped, empty rows left out."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        msg = f"not a readable table in UTF-8 ({' '.join(str(err).split())}); save it again as CSV"
        raise CohortError(f"{table}: {msg}") from err
    filled = [(number, row) for number, row in numbered if any(row)]
    return (filled[0][1], filled[1:]) if filled else ([], [])


def _complete(files: Mapping[Role, Path], roles: Sequence[Role], where: str) -> Session:
    """Return the files a recipe needs; a session with none of them is left out, one with some refused."""
    present = [role for role in roles if role in files]
    if not present:
        return {}
    for role in roles:
        if role not in files:
            beside = files[present[0]]
            extra = "a label without its image" if not role.is_label else f"{role.value} is missing"
            raise CohortError(f"{beside}: {where}: {extra}; add the {role.value} file or remove this one")
        if not files[role].is_file():
            raise CohortError(f"{files[role]}: no such file ({where}); mend the path or remove the row")
    return {role: files[role] for role in roles}
