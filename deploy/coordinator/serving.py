"""`willis coordinator nginx`: the front's rules, for nginx."""

import click

from deploy.coordinator.front import front_proxy
from deploy.coordinator.home import CoordinatorHome
from deploy.nginx import show


@click.command()
@click.option("--write", is_flag=True, help="Write nginx/nginx.conf in the centre's folder.")
@click.pass_obj
def nginx(home: CoordinatorHome, *, write: bool) -> None:
    """Print the configuration by which nginx is the front.

    With `front = "nginx"` in the settings, `up` writes it and starts nginx; with `external` it is for a front of
    your own. Either way `up` serves the centre's clock and renewals at service_port.
    """
    show(front_proxy(home), write=write)
