"""The hospital's sidecar as a process: `python -m deploy.site.sidecar --home H`."""

import logging
from pathlib import Path

import click

from deploy.front import sidecar_app
from deploy.listener import Listener
from deploy.nginx import Proxy, configuration
from deploy.nginx_process import Nginx
from deploy.site.home import SiteHome
from deploy.tls import ClientFiles, ServerFiles
from shared.errors import UsageError

_LOOPBACK = "127.0.0.1"


def serve_sidecar(home: SiteHome) -> None:
    """Serve the hospital's SuperNode, as the settings say, until a signal comes.

    Raises:
        UsageError: no centre is named, the address cannot be bound, a certificate does not serve, or nginx is not
            installed or cannot do what is asked.
    """
    settings = home.settings
    _check_named(home)
    if settings.sidecar == "builtin":
        app = sidecar_app(f"https://{settings.coordinator}", client_files(home), settings.proxy)
        Listener(app, _LOOPBACK, settings.sidecar_port, _local_files(home)).run()
    elif settings.sidecar == "nginx":
        proxy = sidecar_proxy(home)
        with Nginx(proxy.folder, configuration(proxy), proxy.paths) as nginx:
            nginx.wait()
    else:
        raise UsageError(f"{home.settings_file}: sidecar = external: start yours; there is none of ours to serve")


def sidecar_proxy(home: SiteHome) -> Proxy:
    """Return what nginx does in the sidecar's place.

    Raises:
        UsageError: no centre is named, or there is a proxy on the way, which nginx cannot go through.
    """
    settings = home.settings
    _check_named(home)
    if settings.proxy:
        msg = "nginx cannot go out through a proxy"
        raise UsageError(f"{home.settings_file}: proxy: {msg}; set sidecar to builtin, or take the proxy out")
    return Proxy(
        folder=home.nginx,
        listen=f"{_LOOPBACK}:{settings.sidecar_port}",
        files=_local_files(home),
        beyond=settings.coordinator,
        beyond_name=settings.coordinator.rpartition(":")[0],
        towards=client_files(home),
    )


def client_files(home: SiteHome) -> ClientFiles:
    """Return what the hospital shows the centre, and whom it believes."""
    return ClientFiles(home.ca, home.keys / "tls.crt", home.keys / "tls.key")


def _local_files(home: SiteHome) -> ServerFiles:
    return ServerFiles(home.keys / "local.crt", home.keys / "local.key")


def _check_named(home: SiteHome) -> None:
    if not home.settings.coordinator:
        raise UsageError(f"{home.settings_file}: coordinator is empty; run `willis site join` first")


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True, help="The hospital's folder.")
def main(home: Path) -> None:
    """Serve the hospital's sidecar."""
    logging.basicConfig(level=logging.INFO)
    serve_sidecar(SiteHome(home))


if __name__ == "__main__":
    main()
