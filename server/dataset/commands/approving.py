"""`willis dataset approve` and `release`: a steward looks and decides; then the coordinator lets it leave."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.printable import printable

if TYPE_CHECKING:
    from server.dataset.releasing.looking import Looked
    from shared.ledger.events import Check

_MARKS = {True: "✓", False: "✗"}
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_CANDIDATE = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("candidate", type=_CANDIDATE)
@click.option("--key", "folder", required=True, type=_FOLDER, help="Folder of `willis dataset steward keys`.")
@click.option("--as", "name", required=True, help="Your name, as the coordinator named you.")
@click.option("--refuse", metavar="WHY", help="Refuse it, for good, and say why: the words go into the ledger.")
@click.option("--words", default="", help="What you looked at, where you approve: goes into the ledger.")
@click.option("--coordinator", help="The coordinator's public key, as you know it (64 hexadecimal digits).")
@click.option("--yes", is_flag=True, help="Do not ask again.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="approval.json",
    show_default=True,
    help="The file to send back.",
)
def approve(
    candidate: Path,
    folder: Path,
    name: str,
    refuse: str | None,
    words: str,
    coordinator: str | None,
    yes: bool,
    out: Path,
) -> None:
    """Look at CANDIDATE as its steward, and approve or refuse its release. Done on any machine, without network.

    CANDIDATE is a folder that `willis dataset publish` left in RUN/candidates. Its seal, its ledger, its claim and
    every image are checked anew here. Look at its contact sheet and its README.md yourself: what you sign is that
    you did. Of a network's file, which `willis network` left there, nothing can be checked here but its SHA-256.
    Your key stays where it is; the file that is written holds nothing secret.

    \b
    Examples:
      willis dataset approve 3f1c09ab77d2 --key ~/steward --as "Ada Meyer" --words "12 of 100 cases looked at"
      willis dataset approve 3f1c09ab77d2 --key ~/steward --as "Ada Meyer" --refuse "vessels end in mid-air"
    """
    from server.dataset.releasing.approval import approval_bytes
    from server.dataset.releasing.looking import look
    from server.dataset.releasing.stewards import own_key
    from shared.errors import PublicationRefused, UsageError
    from shared.files import write_durably
    from shared.ledger.events import Approval

    own = own_key(folder, name)
    if out.exists():
        raise UsageError(f"{out}: exists already; move it away, or name another file with --out")
    found = look(candidate)
    if found.key and coordinator and coordinator != found.key:
        raise PublicationRefused(
            f"{candidate}: sealed by another coordinator than the one you know; ask for it again"
        )
    if found.stewards.get(name, own.public_key) != own.public_key:
        raise UsageError(f"{name} has another key in the ledger; use that, or have the coordinator withdraw it")
    _show(found)
    if refuse is None and any(not check.passed for check in found.checks):
        raise PublicationRefused(f"{candidate}: a check failed, so it cannot be approved; --refuse WHY refuses it")
    if not yes:
        click.confirm(f"{'Refuse' if refuse is not None else 'Approve'} it as {name}, for good?", abort=True)
    decision = Approval(
        run=found.candidate.run,
        manifest=found.candidate.manifest,
        steward=name,
        decision="approved" if refuse is None else "refused",
        words=words if refuse is None else refuse,
    )
    write_durably(out, approval_bytes(own, decision))
    click.echo(f"wrote     {out}: {decision.decision} {decision.manifest[:12]}; nothing in it is secret")
    click.echo(f"next      the coordinator runs: willis dataset release RUN CANDIDATE OUT --approval {out}")


@click.command()
@click.argument("run", type=_FOLDER)
@click.argument("candidate", type=_CANDIDATE)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--approval", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A steward's approval.json."
)
@click.option(
    "--distance",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The hospitals' answer.json about it, of `willis query distance`.",
)
def release(run: Path, candidate: Path, out: Path, approval: Path | None, distance: Path | None) -> None:
    """Record a steward's decision and release CANDIDATE of RUN as OUT, if gate and stewards let it leave.

    A refusal is recorded too, and then nothing is released. Nothing is drawn or computed anew, and it can be
    repeated after a crash.

    \b
    Example:
      willis dataset release run run/candidates/3f1c09ab77d2 published --approval approval.json
    """
    from contextlib import closing

    from server.dataset.releasing.candidate import Candidate
    from server.dataset.releasing.release import release as release_candidate
    from server.dataset.releasing.stewards import run_of
    from shared.evaluation.distance_answer import DistanceAnswer

    folder = run_of(run)
    decision = approval.read_bytes() if approval else None
    answer = DistanceAnswer.read(distance) if distance else None
    made = Candidate.at(candidate)
    with closing(folder.home.open_ledger()) as store:
        done = release_candidate(folder, made, out, store=store, approval=decision, distance=answer)
    click.echo(f"released  {done.path} ({done.manifest[:12]})")
    click.echo(f"next      willis audit verify {folder.path} --dataset {done.path}")


def gate_lines(checks: "tuple[Check, ...]") -> list[str]:
    """Return what a gate found, a line for each check."""
    return [printable(f"{_MARKS[check.passed]} {check.name}: {check.words}") for check in checks]


def _show(found: "Looked") -> None:
    from shared.fingerprint import key_fingerprint

    click.echo(f"candidate {found.candidate.manifest}")
    click.echo(printable(f"          {found.what}"))
    if found.key:
        click.echo(f"sealed by {key_fingerprint(found.key)} (key {found.key}); compare it with the coordinator's")
    for line in gate_lines(found.checks):
        click.echo(line)
    unchecked = "" if found.key else "  (as the file says of itself: not checked here)"
    click.echo(printable(f"claim     {found.claim}{unchecked}"))
    if found.candidate.path.is_dir():
        click.echo(
            f"look at   {found.candidate.path / 'contact-sheet.png'} and {found.candidate.path / 'README.md'}"
        )
    else:
        click.echo("compare   the SHA-256 above with the one the coordinator reads to you: the file is not sealed")
