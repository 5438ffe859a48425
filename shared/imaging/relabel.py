"""Foreign parcellations as anatomical maps: a table says which of our structures each of their labels is.

The table is a CSV file with the columns `from,to`: their label, and a FreeSurfer number of
`shared.imaging.anatomy`. 0 stays 0 where the table does not say otherwise.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging.anatomy import STRUCTURES

COLUMNS = ["from", "to"]


def relabel(labels: NDArray[np.generic], table: Path) -> NDArray[np.int16]:
    """Return a map of the same shape with every label replaced as the table says.

    Raises:
        CohortError: the table cannot be read (see `read_table`), or says nothing of a label of the map.
    """
    numbers = {0: 0} | read_table(table)
    present, where = np.unique(labels, return_inverse=True)
    missing = [label for label in present.tolist() if label not in numbers]
    if missing:
        some = ", ".join(f"{label:g}" for label in missing[:5])
        raise CohortError(
            f"{table}: {len(missing)} labels of the map are not in the table ({some}); add a line for each"
        )
    return np.array([numbers[label] for label in present.tolist()], dtype=np.int16)[where].reshape(labels.shape)


def read_table(path: Path) -> dict[int, int]:
    """Return our number for each foreign label.

    Raises:
        CohortError: the file is missing or not such a table; a label is listed twice or is no whole number;
            or a number is not one of `STRUCTURES`.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise CohortError(f"{path}: not a readable table ({err}); save it again as CSV in UTF-8") from err
    if not rows or [cell.strip() for cell in rows[0]] != COLUMNS:
        raise CohortError(f"{path}: the first line must be {','.join(COLUMNS)}")
    numbers: dict[int, int] = {}
    known = {structure.number for structure in STRUCTURES}
    for line, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        try:
            label, number = (int(cell) for cell in row)
        except ValueError as err:
            raise CohortError(f"{path}, line {line}: {','.join(row)!r} is not a pair of whole numbers") from err
        if label in numbers or number not in known:
            problem = (
                f"label {label} is listed twice" if label in numbers else f"{number} is none of our structures"
            )
            raise CohortError(f"{path}, line {line}: {problem}; mend that line")
        numbers[label] = number
    return numbers
