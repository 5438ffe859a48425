"""`willis site request`, `join` and `renew`: how a hospital comes in, and stays."""

from pathlib import Path

import click

from client.policy import POLICY_FILE, Policy
from deploy.certificates import certificate_at, present
from deploy.requests import Answer
from deploy.settings import settings_from, write_settings
from deploy.site.elsewhere import REMEDY, not_counted, other_ledgers
from deploy.site.home import SiteHome, SiteSettings
from deploy.site.joined import check_answer, install, known_centre
from deploy.site.keys import forget_keys, make_local_certificate, make_request
from deploy.site.renewing import renew as renew_now
from shared.errors import UsageError
from shared.files import write_durably
from shared.fingerprint import check_fingerprint

_POLICY_HEAD = (
    "What this hospital allows. It wins over whatever the coordinating centre asks: a run that goes beyond is "
    "refused here, and the refusal is written down. The values below are the defaults; an edit holds from the "
    "next decision on."
)


@click.command()
@click.option("--name", help="Of the hospital: small letters, digits and hyphens. It cannot change later.")
@click.option(
    "--cohort",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    help="Folder of the patients' images; it is only read.",
)
@click.option(
    "--new-keys",
    is_flag=True,
    help="Make another node key and TLS key, where they were stolen, lost or revoked; the hospital is out until "
    "they are approved. The signing key stays.",
)
@click.pass_obj
def request(home: SiteHome, name: str | None, cohort: Path | None, new_keys: bool) -> None:
    """Make the hospital's keys, settings and policy, and NAME.request, which the centre has to approve.

    Private keys are made here and stay here; the request holds their public halves. Send it to the centre by any
    way, by mail for instance, and read the fingerprint to the person there by telephone.

    Run it again for the same request: nothing that exists is made anew. That is how a certificate is renewed by
    files, too.

    \b
    Examples:
      willis site --home hospital-a request --name hospital-a --cohort /data/tof
      willis site --home hospital-a request
    """
    if home.settings_file.exists():
        _check_same(home, name, cohort)
    else:
        _settle_in(home, name, cohort)
    if new_keys:
        forget_keys(home)
    made = make_request(home)
    make_local_certificate(home)
    path = Path(f"{made.name}.request")
    write_durably(path, made.file())
    click.echo(f"wrote     {path}; there is nothing secret in it")
    click.echo(f"read out  {made.fingerprint}  (to the centre, by telephone)")
    click.echo(f"next      look through {home.path / POLICY_FILE}; send {path} to the centre")
    click.echo("          then, with what it sends back: willis site join FILE")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fingerprint", help="As the centre read it to you; asked for where it is not given.")
@click.option("--leave", metavar="NAME", help="The federation to leave, where the answer is of another.")
@click.pass_obj
def join(home: SiteHome, file: Path, fingerprint: str | None, leave: str | None) -> None:
    """Install FILE, the centre's answer: whom the hospital trusts, and its own certificate.

    The centre reads its fingerprint to you by telephone, once; `willis coordinator sites` shows it there. It is
    not shown here: what you type has to come from them. Later answers of the same centre need no call.

    \b
    Example:
      willis site --home hospital-a join hospital-a.answer
    """
    answer = Answer.at(file)
    check_answer(home, answer, present())
    known = known_centre(home)
    if known and known.signing_key != answer.signing_key and leave != known.name:
        raise UsageError(
            f"{file}: of another centre ({answer.federation}) than the one joined ({known.name}); if you mean to "
            f"leave that one, add --leave {known.name}"
        )
    if fingerprint or known is None or known.signing_key != answer.signing_key:
        said = fingerprint or click.prompt("The fingerprint that the centre reads to you")
        check_fingerprint(said, bytes.fromhex(answer.signing_key), "the centre that answered")
    install(home, answer)
    end = certificate_at(home.keys / "tls.crt").not_valid_after_utc
    click.echo(f"joined    {answer.federation}; the certificate lasts until {end:%Y-%m-%d}, and renews by itself")
    if home.policy.delta != answer.delta:
        click.echo(
            f"warning   the federation's delta is {answer.delta:g} and {POLICY_FILE} says {home.policy.delta:g}: "
            "every run would be refused; agree on one"
        )
    click.echo("next      willis site preflight")


@click.command()
@click.pass_obj
def renew(home: SiteHome) -> None:
    """Ask the centre over the network for another certificate; `willis site up` does so by itself.

    The centre makes another once half of the old one's life is over. An expired certificate is renewed by files:
    `willis site request`, and `willis site join` with what the centre sends back.
    """
    changed = renew_now(home)
    end = certificate_at(home.keys / "tls.crt").not_valid_after_utc
    click.echo(f"{'renewed ' if changed else 'not due '}  the certificate lasts until {end:%Y-%m-%d}")


def _settle_in(home: SiteHome, name: str | None, cohort: Path | None) -> None:
    """Write settings and policy; the policy first, for the settings are what says that both are there."""
    if name is None or cohort is None:
        raise UsageError(f"{home.settings_file}: missing; the first time, name the hospital and its --cohort")
    settings = settings_from(SiteSettings, {"name": name, "cohort": cohort})
    for ledger in other_ledgers(home, cohort):
        raise UsageError(f"{not_counted(ledger)}; {REMEDY}")
    policy = home.path / POLICY_FILE
    if not policy.exists():
        write_settings(policy, Policy(), _POLICY_HEAD)
    write_settings(home.settings_file, settings)


def _check_same(home: SiteHome, name: str | None, cohort: Path | None) -> None:
    if name not in (None, home.settings.name):
        raise UsageError(
            f"{home.settings_file}: this is {home.settings.name}, whose name is in ledgers and cannot change; for "
            "another hospital name another folder with --home"
        )
    if cohort not in (None, home.cohort):
        raise UsageError(f"{home.settings_file}: the cohort is {home.cohort}; change it there")
