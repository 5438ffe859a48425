"""The centre's front as a process: `python -m deploy.coordinator.front --home H`."""

from pathlib import Path

import click

from deploy.coordinator.home import CoordinatorHome
from deploy.front import Endpoint, front_app
from deploy.listener import Listener
from deploy.tls import ServerFiles


def serve_front(home: CoordinatorHome, renew: Endpoint | None = None) -> None:
    """Serve hospitals until a signal comes.

    Raises:
        UsageError: the address cannot be bound, or a certificate does not serve.
    """
    settings, ca = home.settings, home.ca / "ca.crt"
    files = ServerFiles(home.tls / "server.crt", home.tls / "server.key", clients=ca, crl=home.ca / "crl.pem")
    app = front_app(f"https://127.0.0.1:{settings.superlink_port}", ca, renew)
    Listener(app, settings.listen, settings.port, files).run()


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True, help="The centre's folder.")
def main(home: Path) -> None:
    """Serve the centre's front."""
    serve_front(CoordinatorHome(home))


if __name__ == "__main__":
    main()
