"""`willis audit serve`: offer what was published to auditors elsewhere."""

import logging
import os
import signal
import sys
from pathlib import Path

import click

from server.audit.service.limits import Limits
from shared.errors import UsageError

# gRPC has no setting for the oldest version of TLS. What can be chosen are the ciphers of TLS 1.2: this one needs
# a secret agreed on beforehand, which nobody has, so that 1.3 remains (its ciphers are not chosen here).
_NO_CIPHER_OF_TLS_1_2 = "ECDHE-PSK-AES128-CBC-SHA"

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("places", metavar="RUN_OR_HOME...", type=_FOLDER, nargs=-1, required=True)
@click.option("--listen", default="127.0.0.1:8445", show_default=True, metavar="HOST:PORT", help="Where to serve.")
@click.option("--certificate", type=_FILE, required=True, help="The service's own certificate (PEM).")
@click.option("--key", type=_FILE, required=True, help="The key of that certificate (PEM).")
@click.option(
    "--clients",
    type=_FILE,
    required=True,
    multiple=True,
    help="Authority of those let in. Repeatable.",
)
@click.option("--revoked", type=_FILE, multiple=True, help="A list of revoked certificates (PEM). Repeatable.")
@click.option("--dataset", "datasets", type=_FOLDER, multiple=True, help="A data set that is not in RUN/dataset.")
@click.option(
    "--requests",
    default=Limits.per_minute,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of one client, a minute.",
)
@click.option(
    "--streams",
    default=Limits.at_once,
    show_default=True,
    type=click.IntRange(min=1),
    help="Of one client, at once.",
)
def serve(
    places: tuple[Path, ...],
    listen: str,
    certificate: Path,
    key: Path,
    clients: tuple[Path, ...],
    revoked: tuple[Path, ...],
    datasets: tuple[Path, ...],
    requests: int,
    streams: int,
) -> None:
    """Serve the ledger, reports and released data sets of RUN_OR_HOME to auditors, over gRPC and TLS 1.3.

    RUN_OR_HOME is the folder of a run, or the centre's folder, whose runs are then all served, new ones too. All
    have to be of one federation. Only what is published anyway can be read: the exported ledger and its signed
    checkpoint, signed reports, and data sets whose release the ledger records; no keys, no candidates, no plans.

    Nobody is let in without a certificate: an auditor makes a request with `willis audit request`, and the centre
    answers it with `willis coordinator auditor approve`.

    \b
    Example:
      willis audit serve centre --listen 0.0.0.0:8445 --certificate centre/tls/server.crt \\
        --key centre/tls/server.key --clients centre/auditors/ca.crt --revoked centre/auditors/crl.pem
    """
    os.environ["GRPC_SSL_CIPHER_SUITES"] = _NO_CIPHER_OF_TLS_1_2  # read when gRPC is loaded

    from server.audit.service.archive import Archive
    from server.audit.service.tls import ServerFiles

    try:
        from server.audit.service.serving import AuditServer, Service
    except ModuleNotFoundError as err:
        raise UsageError(f"{err.name} is not installed here; pip install 'willis[audit]'") from err
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    archive = Archive(places, datasets)
    files = ServerFiles(certificate, key, clients)
    server = AuditServer(Service(archive, listen, files, revoked, Limits(requests, streams)))
    history = archive.history()
    try:
        click.echo(
            f"serving   {len(history.lines)} entries, {len(archive.datasets())} data sets, port {server.port}"
        )
        click.echo(f"key       {history.key}  (auditors pin it)")
        server.wait()
    finally:
        server.stop()
