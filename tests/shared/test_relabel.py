"""A table turns a foreign parcellation into an anatomical map, and no label is guessed."""

from pathlib import Path

import numpy as np
import pytest

from shared.errors import CohortError
from shared.imaging.relabel import read_table, relabel


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_label_is_replaced_and_zero_stays(tmp_path: Path) -> None:
    table = written(tmp_path, "from,to\n1219,11\n-3,2\n\n8,3\n")
    labels = np.array([[[1219.0, 0.0], [8.0, -3.0]]], np.float32)
    np.testing.assert_array_equal(relabel(labels, table), [[[11, 0], [3, 2]]])


def test_what_a_parcellation_calls_zero_may_be_a_structure(tmp_path: Path) -> None:
    np.testing.assert_array_equal(relabel(np.array([0, 0]), written(tmp_path, "from,to\n0,24\n")), [24, 24])


def test_a_label_the_table_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"2 labels.*\(5, 6\).*add a line"):
        relabel(np.array([0, 1, 5, 6]), written(tmp_path, "from,to\n1,2\n"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "first line must be from,to"),
        ("1,2\n", "first line must be from,to"),
        ("from,to\n1,2\n1,3\n", "line 3: label 1 is listed twice"),
        ("from,to\n1,5\n", "line 2: 5 is none of our structures"),
        ("from,to\n1\n", "line 2: '1' is not a pair"),
        ("from,to\n1,left\n", "line 2: '1,left' is not a pair"),
    ],
)
def test_a_table_that_is_none_is_refused_by_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(CohortError, match=problem):
        read_table(written(tmp_path, text))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="not a readable table"):
        read_table(tmp_path / "none.csv")
