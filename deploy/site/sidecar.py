"""The hospital's sidecar as a process: `python -m deploy.site.sidecar --home H`."""

from pathlib import Path

import click

from deploy.front import sidecar_app
from deploy.listener import Listener
from deploy.site.home import SiteHome
from deploy.tls import ClientFiles, ServerFiles


def serve_sidecar(home: SiteHome) -> None:
    """Serve the hospital's SuperNode, on loopback, until a signal comes.

    Raises:
        UsageError: the address cannot be bound, or a certificate does not serve.
    """
    settings = home.settings
    app = sidecar_app(f"https://{settings.coordinator}", client_files(home), settings.proxy)
    local = ServerFiles(home.keys / "local.crt", home.keys / "local.key")
    Listener(app, "127.0.0.1", settings.sidecar_port, local).run()


def client_files(home: SiteHome) -> ClientFiles:
    """Return what the hospital shows the centre, and whom it believes."""
    return ClientFiles(home.ca, home.keys / "tls.crt", home.keys / "tls.key")


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True, help="The hospital's folder.")
def main(home: Path) -> None:
    """Serve the hospital's sidecar."""
    serve_sidecar(SiteHome(home))


if __name__ == "__main__":
    main()
