"""`willis portal`: pages for data stewards and auditors, on this machine."""

import ipaddress
from pathlib import Path

import click

from shared.errors import UsageError

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "--dataset", "datasets", multiple=True, type=_FOLDER, help="A released data set outside its run's folder."
)
@click.option("--port", default=8765, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--name",
    "names",
    multiple=True,
    help="A name or address that visitors use for it, behind a proxy for instance.",
)
def portal(
    runs: tuple[Path, ...], datasets: tuple[Path, ...], port: int, host: str, names: tuple[str, ...]
) -> None:
    """Show the runs in the folders RUN as web pages: budget, ledger, data sets, and what waits for approval.

    Reads anew at every visit, writes nothing but a steward's signed approval, and holds no key. Listens on this
    machine alone; for other machines put a proxy with TLS and a login before it.

    \b
    Examples:
      willis portal run
      willis portal centre/first centre/second --dataset releases/march --port 9000
    """
    import uvicorn

    from server.portal.app import portal_app

    known = hosts_of(host, names)
    if not is_loopback(host):
        click.echo(
            f"warning   everybody who can reach {host}:{port} can read every page; there is no login and no TLS",
            err=True,
        )
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"portal    http://{shown}:{port}/   (Ctrl-C ends it)")
    app = portal_app(runs, datasets, known)
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        proxy_headers=False,
        limit_concurrency=64,
        h11_max_incomplete_event_size=16 * 1024,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "centre.example.org")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(host: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that requests may be to: a page elsewhere, whose own name leads here, is not answered.

    >>> hosts_of("0.0.0.0", ("a.example",))
    ('127.0.0.1', 'localhost', '[::1]', 'a.example')

    Raises:
        UsageError: it listens on every address, and no name was given.
    """
    from server.portal.guard import LOOPBACK

    if is_loopback(host):
        return (*LOOPBACK, *names)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (*LOOPBACK, host, *names)
    if address.is_unspecified:
        if not names:
            raise UsageError(f"--host {host} is every address; say with --name by which of them visitors come")
        return (*LOOPBACK, *names)
    return (*LOOPBACK, f"[{host}]" if address.version == 6 else host, *names)
