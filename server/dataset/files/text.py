"""Small text files with the same bytes on every machine: JSON, and tables with tabs or commas."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

Row = Sequence[str]


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON for people to read: indented, in order of key."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows of cells, with tabs in `*.tsv` and commas in `*.csv`."""
    path.write_bytes(table_bytes(rows, path.suffix))


def table_bytes(rows: Sequence[Row], suffix: str) -> bytes:
    """Return rows of cells as the bytes of a file that ends in `suffix`: `.tsv` or `.csv`."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
