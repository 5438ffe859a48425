"""`willis audit watch`: a witness outside the hospitals, who shouts when the ledger was rewound or forked."""

import shlex
import subprocess
import time
from pathlib import Path

import click

from server.audit.kept import EVIDENCE, alone, coordinator_of, kept_at, observe
from server.audit.options import service_options
from server.audit.remote import ClientFiles, Remote, ServiceAway, remote
from server.ledger.export import CHECKPOINT
from shared.errors import LedgerError, ProtocolError
from shared.files import write_durably

ALARM = 3  # exit status: the ledger contradicts what was seen before
_LONGEST = 3600.0  # seconds between tries while the service is away


@click.command()
@click.argument("host")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@service_options
@click.option(
    "--every", default=300.0, show_default=True, type=click.FloatRange(min=0.1), help="Seconds between two looks."
)
@click.option("--once", is_flag=True, help="Look once, for a timer that calls again.")
@click.option("--run", "command", help="What to run on alarm; the folder of the evidence is added to it.")
def watch(
    host: str,
    out: Path,
    certificate: Path,
    key: Path,
    ca: Path,
    pin: str | None,
    every: float,
    once: bool,
    command: str | None,
) -> None:
    """Keep an eye on the ledger that the audit service at HOST (host:port) serves.

    OUT/checkpoint is the last state seen; the next has to be signed and to grow out of it. When it does not, the
    ledger was rewound or forked: both checkpoints go to OUT/evidence, the command given with --run is run, and the
    exit status is 3. The state in OUT stays what it was, so that every later look says the same.

    While the service is away, it is asked again, less and less often, up to once an hour.

    \b
    Example:
      willis audit watch centre.example.org:8445 seen --certificate me.crt --key me.key --ca centre.crt \\
        --pin 19e9... --run "mail-the-hospitals --subject fork"
    """
    with remote(host, ClientFiles(certificate, key, ca), patience=0.0) as service, alone(out):
        try:
            _watch(service, out, pin, None if once else every)
        except (LedgerError, ProtocolError) as err:
            click.echo(f"ALARM     {err}", err=True)
            if command:
                subprocess.run([*shlex.split(command), str(out / EVIDENCE)], check=False)
            raise SystemExit(ALARM) from err


def look(service: Remote, out: Path, pin: str | None) -> tuple[int, int]:
    """Look once; return how many entries the ledger has, and how many of them are new.

    Raises:
        Contradicted: it was rewound or forked since the last look.
        LedgerError, ProtocolError: what is shown, or was kept, is not signed as it has to be.
        ServiceError: the service fails.
    """
    path = out / CHECKPOINT
    kept = kept_at(path)
    key = pin or coordinator_of(service)
    if kept and not kept.is_by(key):
        raise LedgerError(f"{path}: not signed with {key[:16]}…, the key of what is served now")
    shown = observe(service, kept, key, out)
    if kept is None or shown.head != kept.head:
        write_durably(path, shown.text.encode())
    return shown.head.size, shown.head.size - (kept.head.size if kept else 0)


def _watch(service: Remote, out: Path, pin: str | None, every: float | None) -> None:
    """Look again and again; once where `every` is None."""
    wait = every
    while True:
        try:
            size, grown = look(service, out, pin)
            click.echo(f"seen      {size} entries, {grown} of them new")
            wait = every
        except ServiceAway as err:
            if wait is None:
                raise
            click.echo(f"away      {err}", err=True)
            wait = min(2 * wait, max(wait, _LONGEST))
        if wait is None:
            return
        time.sleep(wait)
