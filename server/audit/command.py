"""`willis audit`: check a run, offline, without trusting the one who made it."""

from pathlib import Path

import click

from server.audit.steps import Evidence, examine
from server.audit.words import verdict
from shared.ledger.finding import Finding

_MARKS = {True: "✓", False: "✗", None: "–"}

_BEYOND = (
    "that a site really has the patients it declares, and that no patient is at more sites than declared",
    "that a site really clipped and added the noise it signed for, with the code it should run",
    "how good the random numbers were",
    "that card, headers and pictures of the data set claim no more than its description, but for the card's ε",
    "that a steward's key is in the hands of the person named, who looked at what was approved",
    "what was tried on the same patients outside these ledgers: hyper-parameters, earlier models",
    "what happened after this checkpoint; keep it, and give it to a later audit with --kept",
)


@click.group()
def audit() -> None:
    """Check what a run says of itself, without trusting who made it."""


@audit.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key", help="The coordinator's public key, as you got it (64 hexadecimal digits).")
@click.option(
    "--kept",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint of this federation that you kept earlier; may be given several times.",
)
@click.option(
    "--site",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A hospital's own folder: compare what it signed with what the ledger says it signed.",
)
@click.option(
    "--dataset",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The published data set, if it is not RUN/dataset.",
)
def verify(run: Path, key: str | None, kept: tuple[Path, ...], site: Path | None, dataset: Path | None) -> None:
    """Verify the run in folder RUN: ledger, budget, report, data set.

    Needs no network, no secret, and neither torch nor flwr. Every line answers one question: ✓ it holds, ✗ it
    does not, – it does not arise or cannot be answered from this copy. The exit status is 0 when nothing
    failed, else 1.

    \b
    What is read; ledger.jsonl and checkpoint must be there, and without plan.json only the ledger is checked:
      RUN/ledger/ledger.jsonl, checkpoint  the log of all runs, and the coordinator's signature of it
      RUN/ledger/witnessed                 the checkpoint that hospitals cosigned last
      RUN/plan.json                        which run of the log this folder is about
      RUN/report/                          made again from the log and compared
      RUN/dataset/                         every file, the signature, the privacy it claims
      RUN/checkpoints/                     the model the last round names

    \b
    Examples:
      willis audit verify run
      willis audit verify run --key 19e900a7... --kept last-year/checkpoint --dataset downloads/dataset
    """
    findings = list(examine(Evidence(run, key, kept, site, dataset or run / "dataset")))
    for finding in findings:
        click.echo(f"{_MARKS[finding.passed]} {finding.check}: {finding.detail}")
    click.echo("\nWhat this could not verify:")
    for line in beyond(findings, key):
        click.echo(f"  - {line}")
    click.echo(f"\n{verdict(findings)}")
    if any(finding.passed is False for finding in findings):
        raise SystemExit(1)


@audit.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
def explain(run: Path) -> None:
    """Say in plain words what the privacy figures of the run in folder RUN mean.

    Reads RUN/ledger and RUN/plan.json only. It checks nothing: `willis audit verify` does.
    """
    from server.report.explain import explain_run

    click.echo(explain_run(run))


def beyond(findings: list[Finding], key: str | None) -> list[str]:
    """Return what was not verified: what no ledger can show, and what this copy lacks."""
    found = [f"{f.check}: {f.detail}" for f in findings if f.passed is None]
    if key is None:
        found.append("that the key which signed the ledger is the coordinator's: give --key to check it")
    return [*found, *_BEYOND]
