"""`willis audit`: check a run, offline, without trusting the one who made it."""

from collections.abc import Iterator
from pathlib import Path

import click

from server import audit_checks as files
from server.ledger_export import read_head, read_lines
from server.report import second_opinion
from shared.errors import LedgerError
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent, parse
from shared.ledger.signed_head import SignedHead
from shared.ledger.verify import check_head, verify_run
from shared.ledger.verify_spending import Pricer, check_second_opinion
from shared.ledger.view import only_run, view

_MARKS = {True: "✓", False: "✗", None: "–"}

_BEYOND = (
    "that a site really has the patients it declares, and that no patient is at two sites",
    "that a site really clipped and added the noise it signed for, with the code it should run",
    "how good the random numbers were",
    "what was tried on the same patients outside these ledgers: hyper-parameters, earlier models",
    "that no other ledger of this run exists: compare the head with the one each site keeps",
)


@click.group()
def audit() -> None:
    """Check what a run says of itself, without trusting who made it."""


@audit.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key", help="The coordinator's public key, as you got it (64 hexadecimal digits).")
@click.option(
    "--dataset",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The published data set, if it is not RUN/dataset.",
)
def verify(run: Path, key: str | None, dataset: Path | None) -> None:
    """Verify the run in folder RUN: ledger, budget, report, data set.

    Needs no network and no secret. Every line answers one question: ✓ it holds, ✗ it does not, – it does not
    arise or cannot be answered from this copy. The exit status is 0 when nothing failed, else 1.

    \b
    What is read, all of it optional but the first two:
      RUN/ledger/ledger.jsonl, head.json   the log and the coordinator's signature of it
      RUN/ledger/ledger.sqlite             the coordinator's own copy
      RUN/report/                          made again from the log and compared
      RUN/dataset/                         every file, the signature, the privacy it claims
      RUN/checkpoints/                     the model the last round names

    \b
    Examples:
      willis audit verify run
      willis audit verify run --key 19e900a7... --dataset downloads/dataset
    """
    findings = list(examine(run, key=key, dataset=dataset or run / "dataset"))
    for finding in findings:
        click.echo(f"{_MARKS[finding.passed]} {finding.check}: {finding.detail}")
    click.echo("\nWhat this could not verify:")
    for line in beyond(findings, key):
        click.echo(f"  - {line}")
    failed = sum(finding.passed is False for finding in findings)
    click.echo(f"\n{failed} of {len(findings)} checks failed" if failed else "\nNothing failed.")
    if failed:
        raise SystemExit(1)


def examine(run_dir: Path, *, key: str | None, dataset: Path) -> Iterator[Finding]:
    """Yield every finding about a run folder, the cheap ones first; stops where nothing more can be said."""
    check = "every entry follows from the one before, rightly signed"
    try:
        lines, head = read_lines(run_dir / "ledger"), read_head(run_dir / "ledger")
        yield check_head(lines, head, key)
        events = parse(lines, "ledger.jsonl")
        name = only_run(events)
    except LedgerError as err:
        yield Finding(check, False, str(err))
        return
    yield Finding(check, True, f"{len(events)} entries")
    yield files.check_sqlite(run_dir, lines)
    yield from verify_run(events, name)
    second = second_opinion()
    yield check_second_opinion(events, name, second)
    yield from _examine_files(run_dir, events, name, second, head, dataset)


def _examine_files(
    run_dir: Path,
    events: list[SignedEvent],
    name: str,
    second: Pricer | None,
    head: SignedHead,
    dataset: Path,
) -> Iterator[Finding]:
    yield files.check_report(run_dir, events, name, second)
    yield files.check_page(run_dir)
    yield files.check_checkpoint(run_dir, events, name)
    if dataset.exists():
        yield files.check_seal(dataset, head)
        yield files.check_release(dataset, events, name, head)
    else:
        count = len(view(events, name).releases)
        yield Finding("the data set is the one released", None, f"not in this copy; {count} releases recorded")


def beyond(findings: list[Finding], key: str | None) -> list[str]:
    """Return what was not verified: what no ledger can show, and what this copy lacks."""
    found = [f"{f.check}: {f.detail}" for f in findings if f.passed is None]
    if key is None:
        found.append("that the key which signed the head is the coordinator's: give --key to check it")
    return [*found, *_BEYOND]
