"""`willis dataset verify`: check a data set that somebody published, offline."""

from pathlib import Path

import click

_BEYOND = (
    "that the hospitals have the patients they declare, and clipped and noised as they signed",
    "how good the images are, or whether one resembles a patient's; noise bounds the latter as claimed",
    "pictures, the data card's other words, and index.html",
    "the federation's log after the release, and what hospitals witnessed: `willis audit verify` of the run does",
)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--key", help="The coordinator's public key, as you got it (64 hexadecimal digits).")
def verify(folder: Path, key: str | None) -> None:
    """Verify the data set in FOLDER: seal, ledger, claims, every image, every table, the proof of its release.

    Needs no network, no secret, and neither torch nor flwr. Every line answers one question: ✓ it holds, ✗ it
    does not, – it does not arise or cannot be answered from this folder. The exit status is 0 when nothing
    failed, else 1.

    \b
    Examples:
      willis dataset verify downloads/dataset
      willis dataset verify downloads/dataset --key 19e900a7...
    """
    from server.dataset.checking.log import RULES
    from server.dataset.checking.verify import examine_dataset

    findings = []
    for finding in examine_dataset(folder, key):
        click.echo(finding.line)
        findings.append(finding)
    unasked = () if key else ("that the key which signed it is the coordinator's: give --key to check it",)
    click.echo("\nWhat this could not verify:")
    for line in (*unasked, *_BEYOND):
        click.echo(f"  - {line}")
    failed = [finding for finding in findings if finding.passed is False]
    if failed:
        click.echo(f"\n{len(failed)} of {len(findings)} checks failed. Do not use this data set or pass it on.")
        raise SystemExit(1)
    simulated = any(finding.check == RULES and finding.passed is None for finding in findings)
    click.echo("\nNothing failed." + " It is a SIMULATION, and protects nobody: cite no privacy." * simulated)
