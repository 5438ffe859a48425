"""One description of a table, three ways to read it: CSV for machines, Markdown for a page, a terminal.

>>> table = Table("dice", "Dice", (Column("row"), Column("Dice", 2)), (("real", Spread(0.5, 0.25)),))
>>> print(markdown(table), end="")
**Dice**
<BLANKLINE>
| row | Dice |
|---|--:|
| real | 0.50 ± 0.25 |
>>> print(csv_text(table), end="")
row,Dice,Dice: SD
real,0.5,0.25
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table as Shown

from shared.evaluation.bootstrap import Interval
from shared.files import write_durably

NOTHING = "–"  # in a table for people; an empty field in CSV


@dataclass(frozen=True)
class Spread:
    """A mean and the sample standard deviation around it."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.float64]) -> "Spread":
        """Return mean and SD; the SD of a single value is 0."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)


Value = str | int | float | Spread | Interval | None


@dataclass(frozen=True)
class Column:
    """One column. Without digits its values are text."""

    heading: str
    digits: int | None = None  # after the point
    signed: bool = False  # differences: with + or -


@dataclass(frozen=True)
class Table:
    """A table and what must be said of it."""

    name: str  # of its files
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a row that does not fit the columns."""
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.name}: a row has not {len(self.columns)} values")


def write(table: Table, folder: Path) -> None:
    """Write `<name>.csv` and `<name>.md` into `folder`."""
    write_durably(folder / f"{table.name}.csv", csv_text(table).encode())
    write_durably(folder / f"{table.name}.md", markdown(table).encode())


def markdown(table: Table) -> str:
    """Return the table as Markdown, its title above and its notes below."""
    lines = [f"**{table.title}**", "", _line(column.heading for column in table.columns)]
    lines.append("|" + "|".join("---" if column.digits is None else "--:" for column in table.columns) + "|")
    lines += [_line(_texts(table, row)) for row in table.rows]
    lines += ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n".join(lines) + "\n"


def terminal(table: Table, width: int) -> Shown:
    """Return the table for a terminal of so many columns; its notes are printed apart.

    A table that is too wide becomes a list: under each row its values, one a line, those there are.
    """
    texts = [_texts(table, row) for row in table.rows]
    headings = [column.heading for column in table.columns]
    if sum(max(map(len, column)) + 2 for column in zip(headings, *texts, strict=True)) > width:
        return _listed(table.title, headings, texts)
    shown = Shown(title=table.title, title_justify="left", box=SIMPLE_HEAD)
    for column in table.columns:
        shown.add_column(column.heading, justify="left" if column.digits is None else "right")
    for row in texts:
        shown.add_row(*row)
    return shown


def csv_text(table: Table) -> str:
    """Return the table as CSV: of a column of numbers value (or mean), and SD and 95 % CI where it has them."""
    stream = io.StringIO()
    out = csv.writer(stream, lineterminator="\n")
    parts = [_parts([row[place] for row in table.rows]) for place in range(len(table.columns))]
    out.writerow(
        [
            f"{column.heading}: {part}" if part else column.heading
            for column, mine in zip(table.columns, parts, strict=True)
            for part in mine
        ]
    )
    for row in table.rows:
        out.writerow([_field(value, part) for value, mine in zip(row, parts, strict=True) for part in mine])
    return stream.getvalue()


def text(value: Value, column: Column) -> str:
    """Return a value as people read it."""
    if value is None:
        return NOTHING
    if isinstance(value, str) or column.digits is None:
        return str(value)
    form = f"{'+' if column.signed else ''},.{column.digits}f"
    match value:
        case Spread(mean, sd):
            # A single value has no spread: "± 0" would claim one.
            return f"{mean:{form}} ± {sd:.{column.digits}f}" if sd else f"{mean:{form}}"
        case Interval(estimate, low, high):
            return f"{estimate:{form}} ({low:{form}} to {high:{form}})"
    return f"{value:{form}}"


def _listed(title: str, headings: Sequence[str], texts: Sequence[Sequence[str]]) -> Shown:
    shown = Shown(title=title, title_justify="left", box=SIMPLE_HEAD, show_header=False)
    for row in texts:
        shown.add_row(row[0], "", style="bold")
        for heading, value in zip(headings[1:], row[1:], strict=True):
            if value not in ("", NOTHING):
                shown.add_row(f"  {heading}", value)
    return shown


def _texts(table: Table, row: Sequence[Value]) -> list[str]:
    return [text(value, column) for column, value in zip(table.columns, row, strict=True)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _parts(values: Sequence[Value]) -> list[str]:
    """Return what a column has in CSV: "" for the value itself."""
    spread = ["SD"] if any(isinstance(value, Spread) for value in values) else []
    interval = ["low", "high"] if any(isinstance(value, Interval) for value in values) else []
    return ["", *spread, *interval]


def _field(value: Value, part: str) -> str | int | float | None:
    match value:
        case Spread(mean, sd):
            return {"": mean, "SD": sd}.get(part)
        case Interval(estimate, low, high):
            return {"": estimate, "low": low, "high": high}.get(part)
    return None if part else value
