"""`willis coordinator init`, `approve`, `revoke` and `sites`: who belongs to the federation."""

from pathlib import Path

import click

from deploy.certificates import certificate_at, present
from deploy.coordinator import approval
from deploy.coordinator.authority import Authority, ensure_server_certificates
from deploy.coordinator.home import CoordinatorHome, CoordinatorSettings
from deploy.coordinator.sites import all_sites, certificate_file
from deploy.requests import Request
from deploy.settings import settings_from, write_settings
from server.ledger.home import DELTA
from shared.errors import UsageError
from shared.files import write_durably
from shared.fingerprint import check_fingerprint, key_fingerprint

_PORT = str(CoordinatorSettings.model_fields["port"].default)


@click.command()
@click.option("--name", required=True, help="Of the federation: small letters, digits and hyphens.")
@click.option(
    "--host", "hosts", required=True, multiple=True, help="Name or address hospitals reach you by. Repeatable."
)
@click.option("--port", type=int, show_default=_PORT, help="The one port to open for hospitals.")
@click.option(
    "--delta",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    show_default=f"{DELTA:g}",
    help="Of all runs, for good.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=1),
    show_default="1",
    help="At how many hospitals one patient may be, for good.",
)
@click.pass_obj
def init(
    home: CoordinatorHome,
    name: str,
    hosts: tuple[str, ...],
    port: int | None,
    delta: float | None,
    overlap: int | None,
) -> None:
    """Found a federation in the centre's folder: settings, certificate authority, signing key and ledger.

    Nothing there is overwritten. The ledger's terms, delta and overlap, hold for all runs of the federation;
    everything else can be edited in coordinator.toml.

    \b
    Example:
      willis coordinator --home centre init --name stroke-net --host centre.example.org --host 10.0.0.1
    """
    if home.settings_file.exists():
        raise UsageError(f"{home.settings_file}: exists already; edit it, or name another folder with --home")
    settings = settings_from(CoordinatorSettings, {"name": name, "hosts": hosts, "port": port})
    terms = home.federation.agree(delta, overlap)
    home.federation.found(*terms)
    Authority(home.ca).found(name, present())
    write_settings(home.settings_file, settings)
    ensure_server_certificates(home)
    click.echo(f"wrote     {home.path}; keep a copy of ca/ and federation/ where nobody else reads it")
    click.echo(f"terms     delta {terms[0]:g}, a patient at {terms[1]} of the hospitals at most")
    _say_fingerprint(home)
    click.echo("next      have each hospital run `willis site request`, then: willis coordinator approve FILE")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--fingerprint", help="As the hospital read it to you; asked for where it is not given.")
@click.pass_obj
def approve(home: CoordinatorHome, file: Path, fingerprint: str | None) -> None:
    """Let the hospital in whose request is FILE; writes NAME.answer here, to be sent back to it.

    Ring the hospital, at a number you know, and have it read the fingerprint that `willis site request` showed
    there. It is not shown here: what you type has to come from them. A hospital that is in already, and asks for
    its certificate to be renewed for the same keys, needs no call.

    \b
    Example:
      willis coordinator approve hospital-a.request
      willis coordinator approve hospital-a.request --fingerprint "FD0A C497 CDC1 A17F 9D9A EC6E 2992 85A0"
    """
    request = Request.at(file)
    known = approval.known_as(request, all_sites(home))
    if fingerprint or approval.needs_fingerprint(request, known):
        said = fingerprint or click.prompt(f"The fingerprint that {request.name} reads to you")
        check_fingerprint(said, request.body(), f"{request.name}'s request")
    answer = approval.approve(home, request, present())
    path = Path(f"{request.name}.answer")
    write_durably(path, answer.file())
    until = f"{certificate_at(certificate_file(home, request.name)).not_valid_after_utc:%Y-%m-%d}"
    click.echo(f"approved  {request.name}, with a certificate until {until} that it renews by itself")
    click.echo(f"wrote     {path}; there is nothing secret in it")
    _say_fingerprint(home)
    click.echo(f"next      send {path} to the hospital, which runs: willis site join {path}")


@click.command()
@click.argument("name")
@click.option("--reason", default="", help="Kept beside the name, for those who come after you.")
@click.pass_obj
def revoke(home: CoordinatorHome, name: str, reason: str) -> None:
    """Shut the hospital NAME out: its certificates hold no more. What it took part in stays in the ledger.

    A hospital whose key was stolen or lost is revoked first; then it makes other keys with
    `willis site request --new-keys`, and is approved as a new one would be, under the same name.

    \b
    Example:
      willis coordinator revoke hospital-a --reason "laptop stolen"
    """
    approval.revoke(home, name, reason, present())
    click.echo(f"revoked   {name}: its certificates are in {Authority(home.ca).revocations_file}")
    click.echo("next      `willis coordinator up`, where it runs, sees it and unregisters the node key, for good")


@click.command()
@click.pass_obj
def sites(home: CoordinatorHome) -> None:
    """List the hospitals that were approved, and the fingerprint of the centre that they compare."""
    for site in all_sites(home):
        end = certificate_at(certificate_file(home, site.name)).not_valid_after_utc
        state = "expired" if end < present() else "active"
        state = "revoked" if site.revoked else state
        click.echo(f"{site.name:24}  {state:8}  certificate until {end:%Y-%m-%d}  {site.reason}".rstrip())
    _say_fingerprint(home)


def _say_fingerprint(home: CoordinatorHome) -> None:
    shown = key_fingerprint(home.federation.identity.public_key)
    click.echo(f"read out  {shown}  (the centre's fingerprint, to hospitals that join)")
