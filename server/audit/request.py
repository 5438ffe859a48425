"""`willis audit request`: an auditor's key, made where it is used, and the request for a certificate of it."""

import re
from pathlib import Path

import click

from shared.certificates import key_at, pem, signing_request
from shared.errors import UsageError
from shared.files import write_durably
from shared.fingerprint import fingerprint

NAME = r"[a-z0-9][a-z0-9-]{0,62}"


@click.command()
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def request(name: str, folder: Path) -> None:
    """Make a key for the auditor NAME in FOLDER, and NAME.csr, which the centre has to approve.

    NAME is of small letters, digits and hyphens. The key is made here and stays here; the request holds its public
    half. Send it to the centre by any way, and read the fingerprint to the person there by telephone. Run it again
    for the same request.

    What comes back is NAME.crt, your certificate, and centre.crt, by which you know the centre's service.

    \b
    Example:
      willis audit request ethics-board auditing
    """
    if not re.fullmatch(NAME, name):
        raise UsageError(f"{name!r}: a name is of small letters, digits and hyphens, at most 63; choose another")
    asked = pem(signing_request(key_at(folder / f"{name}.key"), name)).encode()
    path = folder / f"{name}.csr"
    write_durably(path, asked)
    click.echo(f"wrote     {path}; there is nothing secret in it, as there is in {name}.key")
    click.echo(f"read out  {fingerprint(asked)}  (to the centre, by telephone)")
    click.echo(f"next      send {path.name} to the centre; with what comes back: willis audit fetch --help")
