"""`willis coordinator auditor`: who may read the audit service."""

import re
from pathlib import Path

import click

from deploy.coordinator import auditors
from deploy.coordinator.authority import Authority
from deploy.coordinator.home import CoordinatorHome
from deploy.requests import MOST_BYTES
from deploy.settings import NAME
from shared.certificates import pem, present
from shared.errors import ProtocolError
from shared.files import write_durably
from shared.fingerprint import check_fingerprint

_EPILOG = """\b
Example:
  willis coordinator --home centre auditor approve ethics-board.csr
  willis audit serve centre --certificate centre/tls/server.crt --key centre/tls/server.key \\
    --clients centre/auditors/ca.crt --revoked centre/auditors/crl.pem
"""


@click.group(epilog=_EPILOG)
def auditor() -> None:
    """Decide who may read the audit service: certificates that open nothing else."""


@auditor.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fingerprint", help="As the auditor read it to you; asked for where it is not given.")
@click.pass_obj
def approve(home: CoordinatorHome, file: Path, fingerprint: str | None) -> None:
    """Give the auditor whose request is FILE a certificate; writes NAME.crt and centre.crt here, to be sent back.

    FILE is NAME.csr, as `willis audit request` made it. Ring the auditor, at a number you know, and have the
    fingerprint read to you that was shown there. An auditor can read what the audit service offers, and cannot
    take part as a hospital.
    """
    name = file.stem
    if not re.fullmatch(NAME, name):
        raise ProtocolError(f"{file}: not a request's name, which is NAME.csr; have it sent again, or rename it")
    asked = file.read_bytes()[: MOST_BYTES + 1]
    said = fingerprint or click.prompt(f"The fingerprint that {name} reads to you")
    check_fingerprint(said, asked, f"{name}'s request")
    certificate = auditors.approve(home, name, asked.decode("ascii", errors="replace"), present())
    write_durably(Path(f"{name}.crt"), pem(certificate).encode())
    write_durably(Path("centre.crt"), pem(Authority(home.ca).certificate).encode())
    click.echo(f"approved  {name}, until {certificate.not_valid_after_utc:%Y-%m-%d}")
    click.echo(f"wrote     {name}.crt and centre.crt; there is nothing secret in them: send both")
    click.echo(f"read out  {home.federation.identity.public_key}  (the key that the auditor pins)")


@auditor.command()
@click.argument("name")
@click.pass_obj
def revoke(home: CoordinatorHome, name: str) -> None:
    """Shut the auditor NAME out; a running audit service sees it at once, where it was given --revoked."""
    auditors.revoke(home, name, present())
    click.echo(f"revoked   {name}: all certificates are in {home.auditors / 'crl.pem'}")


@auditor.command("list")
@click.pass_obj
def list_auditors(home: CoordinatorHome) -> None:
    """List the auditors that were approved."""
    now = present()
    for name in auditors.auditors(home):
        newest = auditors.issued(home, name)[0]
        revoked = newest.serial_number in auditors.authority(home, now).revoked
        state = "revoked" if revoked else "expired" if newest.not_valid_after_utc < now else "active"
        click.echo(f"{name:24}  {state:8}  certificate until {newest.not_valid_after_utc:%Y-%m-%d}")
