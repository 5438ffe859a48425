"""`python -m benchmarks.tampering`: every way to falsify a small ledger, by whom, and what catches it.

The auditor is `server.audit.steps.examine`, on files. It is asked first with the export alone, as the forger
leaves it and without a cosigned checkpoint, then with one more piece of evidence at a time.
"""

import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.forgeries import (
    FORGERS,
    SITES,
    TRUE,
    TRUE_LINES,
    Export,
    Forger,
    Mutation,
    export,
    key_of,
    mutations,
)
from server.audit.steps import Evidence, examine
from server.ledger.export import CHECKPOINT, LINES, WITNESSED, jsonl
from shared.ledger.log import COORDINATOR, SignedEvent, bound, line, parse

ALONE = "the export alone"
KEY, WITNESSES, KEPT, FOLDERS = "--key", "witnesses' file", "--kept", "--site, all sites"
EVIDENCE = (ALONE, KEY, WITNESSES, KEPT, FOLDERS)


class Auditor:
    """Audits exports in one scratch folder, with what an honest auditor may hold of the true ledger."""

    def __init__(self, folder: Path) -> None:
        self._ledger = folder / "run" / "ledger"
        self._ledger.mkdir(parents=True)
        self._kept = folder / "kept"
        self._kept.write_text(TRUE.checkpoint.text, encoding="utf-8")
        self._sites = [folder / site for site in SITES]
        events = parse(TRUE_LINES, "true")
        for site in self._sites:
            own = [raw for raw, s in zip(TRUE_LINES, events, strict=True) if bound(s.event) == site.name]
            _write_site(site, own)

    def catches(self, shown: Export, evidence: str) -> str:
        """Return the first check that fails with one piece of evidence, or ""."""
        (self._ledger / LINES).write_bytes(jsonl(list(shown.lines)))
        (self._ledger / CHECKPOINT).write_text(shown.checkpoint.text, encoding="utf-8")
        (self._ledger / WITNESSED).unlink(missing_ok=True)
        if evidence == WITNESSES:
            (self._ledger / WITNESSED).write_text(shown.witnessed.text, encoding="utf-8")
        key = key_of(COORDINATOR).public_key if evidence == KEY else None
        kept = [self._kept] if evidence == KEPT else []
        for site in self._sites if evidence == FOLDERS else [None]:
            given = Evidence(self._ledger.parent, key, kept, site, self._ledger.parent / "dataset")
            for finding in examine(given):
                if finding.passed is False:
                    return finding.check
        return ""


def _write_site(folder: Path, lines: list[bytes]) -> None:
    """Write a site's own ledger: the same events, at the places they have there."""
    (folder / ".willis").mkdir(parents=True)
    events = [SignedEvent.model_validate(_without_place(raw)) for raw in lines]
    own = [line(index, signed) for index, signed in enumerate(events)]
    (folder / ".willis" / "ledger.jsonl").write_bytes(jsonl(own))


def _without_place(raw: bytes) -> dict[str, object]:
    return {name: value for name, value in json.loads(raw).items() if name not in ("index", "version")}


@dataclass
class Tally:
    """What became of the forgeries of one class by one forger."""

    tried: int = 0
    caught: Counter[str] = field(default_factory=Counter)  # by evidence
    checks: Counter[str] = field(default_factory=Counter)  # by the check that failed, with the export alone
    passed: Counter[str] = field(default_factory=Counter)  # what the export alone does not show


def campaign(
    auditor: Auditor, made: Iterable[Mutation], forgers: Iterable[Forger]
) -> dict[tuple[str, str], Tally]:
    """Try every mutation by every forger; return tallies by forger and class.

    Where a forger arrives at the true lines (it signed a damaged signature again) there is no forgery.
    """
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    forgers = list(forgers)
    for kind, what, history in made:
        for forger in forgers:
            shown = forger.make(history)
            if shown.lines[: len(TRUE.lines)] == TRUE.lines:
                continue  # the true ledger, or one that honestly grew out of it
            tally = tallies[forger.name, kind]
            tally.tried += 1
            check = auditor.catches(shown, ALONE)
            if check:
                tally.checks[check] += 1
                tally.caught.update(EVIDENCE)
                continue
            tally.passed[what] += 1
            tally.caught.update(e for e in EVIDENCE[1:] if auditor.catches(shown, e))
    return dict(tallies)


def replays(auditor: Auditor) -> Tally:
    """Show every earlier export of the coordinator, genuine at its time, instead of the last one."""
    tally = Tally()
    for size in range(1, len(TRUE_LINES)):
        old = export(TRUE_LINES[:size], key_of(COORDINATOR))
        tally.tried += 1
        tally.caught.update(e for e in EVIDENCE if auditor.catches(old, e))
    return tally


@click.command()
def main() -> None:
    """Try them all; takes a few minutes."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        auditor = Auditor(Path(folder))
        tallies = campaign(auditor, mutations(), FORGERS)
        tallies["the coordinator, signing anew", "replay an older export"] = replays(auditor)
    console = Console(width=150)
    table = Table(box=SIMPLE_HEAD, title=f"{len(TRUE_LINES)} entries; forgeries tried, and caught with")
    for name in ("by", "tried", *EVIDENCE):
        table.add_column(name, justify="left" if name == "by" else "right")
    for who in (forger.name for forger in FORGERS):
        mine = [tally for (name, _), tally in tallies.items() if name == who]
        caught = (sum(tally.caught[evidence] for tally in mine) for evidence in EVIDENCE)
        table.add_row(who, str(sum(tally.tried for tally in mine)), *map(str, caught))
    console.print(table)
    for (forger, kind), tally in sorted(tallies.items(), key=lambda item: _order(item[0])):
        checks = ", ".join(f"{check} {count}" for check, count in tally.checks.most_common())
        console.print(f"{forger}, {kind}, {tally.tried} tried: {checks}", soft_wrap=True)
    console.print("\nNot shown by the export alone:")
    for (forger, kind), tally in tallies.items():
        if tally.passed and "thief, signing everything" not in forger:
            console.print(f"  {forger}, {kind}: {', '.join(f'{w} {n}' for w, n in tally.passed.items())}")
    console.print(f"{sum(t.tried for t in tallies.values())} forgeries in {time.monotonic() - began:.0f} s")


def _order(name: tuple[str, str]) -> tuple[int, str]:
    return [forger.name for forger in FORGERS].index(name[0]), name[1]


if __name__ == "__main__":
    main()
