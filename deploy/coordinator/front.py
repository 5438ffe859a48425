"""The centre's front as a process: `python -m deploy.coordinator.front --home H`."""

import logging
from pathlib import Path

import click
from starlette.routing import Route

from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.renewal import renewal_route
from deploy.front import front_app, service_app
from deploy.listener import Listener
from deploy.nginx import Proxy, configuration
from deploy.nginx_process import Nginx
from deploy.tls import ClientFiles, ServerFiles

_LOOPBACK = "127.0.0.1"


def serve_front(home: CoordinatorHome, renewal: Route | None = None) -> None:
    """Serve hospitals, as the settings say, until a signal comes.

    Where somebody else is the front, what is served is the centre's own service, for that front to pass on to.

    Raises:
        UsageError: an address cannot be bound, a certificate does not serve, or nginx is not installed.
    """
    settings = home.settings
    if settings.front == "builtin":
        app = front_app(f"https://{_LOOPBACK}:{settings.superlink_port}", home.ca / "ca.crt", renewal)
        Listener(app, settings.listen, settings.port, _files(home)).run()
        return
    service = Listener(service_app(renewal), _LOOPBACK, settings.service_port, None)
    if settings.front == "external":
        service.run()
        return
    proxy = front_proxy(home)
    with Nginx(proxy.folder, configuration(proxy), proxy.paths):
        service.run()


def front_proxy(home: CoordinatorHome) -> Proxy:
    """Return what nginx does in the front's place."""
    settings = home.settings
    address = f"[{settings.listen}]" if ":" in settings.listen else settings.listen
    return Proxy(
        folder=home.nginx,
        listen=f"{address}:{settings.port}",
        files=_files(home),
        beyond=f"{_LOOPBACK}:{settings.superlink_port}",
        beyond_name="localhost",
        towards=ClientFiles(home.ca / "ca.crt"),
        own=f"{_LOOPBACK}:{settings.service_port}",
    )


def _files(home: CoordinatorHome) -> ServerFiles:
    return ServerFiles(home.tls / "server.crt", home.tls / "server.key", home.ca / "ca.crt", home.ca / "crl.pem")


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True, help="The centre's folder.")
def main(home: Path) -> None:
    """Serve the centre's front."""
    logging.basicConfig(level=logging.INFO)
    centre = CoordinatorHome(home)
    serve_front(centre, renewal_route(centre))


if __name__ == "__main__":
    main()
