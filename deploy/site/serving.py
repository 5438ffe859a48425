"""`willis site nginx`: the sidecar's rules, for nginx."""

import click

from deploy.nginx import show
from deploy.site.home import SiteHome
from deploy.site.sidecar import sidecar_proxy


@click.command()
@click.option("--write", is_flag=True, help="Write nginx/nginx.conf in the hospital's folder.")
@click.pass_obj
def nginx(home: SiteHome, *, write: bool) -> None:
    """Print the configuration by which nginx is the sidecar.

    With `sidecar = "nginx"` in the settings, `up` writes it and starts nginx; with `external` it is for a sidecar
    of your own.
    """
    show(sidecar_proxy(home), write=write)
