"""`willis site up`: the hospital's programs, and a certificate that stays fresh."""

import logging
import os
import sys
import time

import click

from deploy import flower
from deploy.orphans import end_orphans
from deploy.processes import Program, Supervisor
from deploy.site.home import SiteHome
from shared.errors import WillisError

_CERTIFICATE_SECONDS = 3600.0  # between looks at the certificate
_log = logging.getLogger("willis.up")


@click.command()
@click.pass_obj
def up(home: SiteHome) -> None:
    """Connect this hospital to its coordinating centre, and keep it so until SIGTERM or Ctrl-C.

    Opens no port to the outside: the sidecar connects out to the centre, everything else is on loopback. Only app
    bundles that were approved here run (see `willis site review`), within policy.toml. Logs are in HOME/logs, and
    never leave; they are shown as well where this is run at a terminal.
    """
    from deploy.logs import set_up

    settings = home.settings
    click.echo(f"logs      of {settings.name} are in {home.logs}")
    set_up(
        home.logs,
        "up",
        megabytes=settings.log_megabytes,
        files=settings.log_files,
        context={"site": settings.name},
        shown=sys.stderr.isatty(),
    )
    try:
        _run(home)
    except WillisError as err:
        _log.error("%s", err)  # a service's stderr is kept nowhere
        raise


def _run(home: SiteHome) -> None:
    from deploy.site import metrics
    from deploy.site.joined import read_joined

    read_joined(home)
    home.policy  # noqa: B018  # what is wrong with it is told before anything starts
    home.site.check_state()
    end_orphans(home.flower)
    supervisor = Supervisor(programs(home))
    supervisor.heed_signals()
    metrics.serve(home)
    supervisor.start()
    _log.info("%s connects to %s", home.settings.name, home.settings.coordinator)
    supervisor.watch(Renewal(home).tick)


def programs(home: SiteHome) -> list[Program]:
    """Return what runs at a hospital, in the order of starting."""
    settings = home.settings
    environment = flower.environment(home.flower)
    guard = [sys.executable, "-m", "deploy.site.guard", "--home", str(home.path)]
    superexec = flower.superexec_command(
        home.flower,
        port=settings.supernode_port,
        root_certificates=home.keys / "local.crt",
        parent=os.getpid(),
    )
    return [
        *sidecars(home),
        Program("supernode", guard, environment, settings.supernode_port),
        Program("superexec", superexec, environment),
    ]


def sidecars(home: SiteHome) -> list[Program]:
    """Return what speaks mutual TLS to the centre, where it is not somebody else's."""
    if home.settings.sidecar == "external":
        return []
    command = [sys.executable, "-m", "deploy.site.sidecar", "--home", str(home.path)]
    return [Program("sidecar", command, os.environ, home.settings.sidecar_port)]


class Renewal:
    """Renews the hospital's certificate at half its life."""

    def __init__(self, home: SiteHome) -> None:
        self._home = home
        self._next = 0.0

    def tick(self) -> None:
        """Look once an hour; what fails is logged and tried again."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _CERTIFICATE_SECONDS
        from deploy.site.renewing import renew_if_due

        try:
            if renew_if_due(self._home):
                _log.info("the certificate was renewed; the sidecar sees the new file by itself")
        except (WillisError, OSError) as err:
            _log.warning("the certificate could not be renewed: %s", err)
