"""What a comparison is given: two reports, and where there are run folders their ledgers."""

import json
from dataclasses import dataclass
from enum import Enum
from itertools import takewhile
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from server.ledger.export import LINES, read_lines
from server.report.build import FORMAT
from server.report.schema import report_schema
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.ledger.log import SignedEvent, parse
from shared.ledger.view import founding

_SHOWN = 120  # characters of what is wrong with a report


@dataclass(frozen=True)
class Source:
    """A report, and the ledger it is of; None where only the report is at hand."""

    path: Path
    report: dict[str, Any]
    ledger: list[SignedEvent] | None


class Relation(Enum):
    """How the second ledger lies to the first."""

    SAME = "same"
    CONTINUED = "continued"  # the second continues the first
    EARLIER = "earlier"  # the first continues the second
    FORKED = "forked"
    UNRELATED = "unrelated"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Lineage:
    """How two ledgers lie to each other, and how many entries they have in common."""

    relation: Relation
    common: int


def read_source(path: Path) -> Source:
    """Return the report in a run folder with the folder's ledger, or the report in a file.

    Raises:
        UsageError: there is no report, or it is not of the form that this version writes.
        LedgerError: the ledger is damaged.
    """
    if not path.is_dir():
        return Source(path, _report(path), None)
    folder = RunFolder(path).ledger
    ledger = parse(read_lines(folder), str(folder)) if (folder / LINES).exists() else None
    return Source(path, _report(path / "report" / "report.json"), ledger)


def lineage(first: list[SignedEvent] | None, second: list[SignedEvent] | None) -> Lineage:
    """Say whether one ledger is the beginning of the other.

    Two ledgers of one coordinator's key of which neither begins the other are a fork: somebody was shown another
    past. Ledgers of different keys have nothing to do with each other.
    """
    if first is None or second is None:
        return Lineage(Relation.UNKNOWN, 0)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
    if common == len(first) == len(second):
        return Lineage(Relation.SAME, common)
    if common == len(first):
        return Lineage(Relation.CONTINUED, common)
    if common == len(second):
        return Lineage(Relation.EARLIER, common)
    forked = common > 0 or founding(first).public_key == founding(second).public_key
    return Lineage(Relation.FORKED if forked else Relation.UNRELATED, common)


def _report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_bytes())
    except OSError as err:
        raise UsageError(f"{path}: cannot be read ({err.strerror}); give a run folder or a report.json") from err
    except ValueError as err:
        raise UsageError(f"{path}: not JSON; give a run folder or a report.json") from err
    problem = next(iter(Draft202012Validator(report_schema()).iter_errors(report)), None)
    if problem is not None:
        where = "/".join(map(str, problem.absolute_path)) or "the whole"
        wrong = f"{where}: {problem.message:.{_SHOWN}}"
        raise UsageError(f"{path}: not a report of form {FORMAT} ({wrong}); make it again with this version")
    checked: dict[str, Any] = report
    return checked
