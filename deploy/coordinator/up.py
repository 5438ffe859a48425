"""`willis coordinator up`: the centre's programs, who may connect to them, and certificates that stay fresh."""

import logging
import os
import sys
import time
from collections.abc import Callable

import click

from deploy import flower
from deploy.coordinator.authority import ensure_server_certificates
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import all_sites
from deploy.orphans import end_orphans
from deploy.processes import LOOPBACK, Program, Supervisor
from shared.errors import WillisError

SUPERLINK = "superlink"
_LOOK_SECONDS = 5.0  # between looks at who is approved
_CERTIFICATE_SECONDS = 3600.0  # between looks at certificates
_log = logging.getLogger("willis.up")


@click.command()
@click.pass_obj
def up(home: CoordinatorHome) -> None:
    """Start the coordinating centre, and keep it running until SIGTERM or Ctrl-C.

    Starts Flower's SuperLink on loopback, SuperExec for the runs, and the front that hospitals reach; registers
    the hospitals that were approved and shuts out those revoked, also while it runs; renews its own certificates;
    serves metrics on loopback. Logs are in HOME/logs.

    \b
    In another terminal:
      willis coordinator --home centre run first --recipe vessels-2d --epsilon 8
    """
    from deploy.coordinator import metrics
    from deploy.logs import set_up

    settings = home.settings
    home.federation.terms()  # a damaged ledger is told before anything starts
    set_up(home.logs, "up", megabytes=settings.log_megabytes, files=settings.log_files)
    ensure_server_certificates(home)
    flower.write_connection(home.flower, port=settings.superlink_port, root_certificates=home.ca / "ca.crt")
    end_orphans(home.flower)
    supervisor = Supervisor(programs(home))
    supervisor.heed_signals()
    metrics.serve(home)
    supervisor.start()
    _log.info("hospitals reach this centre at %s, port %d", ", ".join(settings.hosts), settings.port)
    supervisor.watch(Upkeep(home, lambda: _renew(home, supervisor)).tick)


def programs(home: CoordinatorHome) -> list[Program]:
    """Return what runs at the centre, in the order of starting."""
    settings = home.settings
    environment = flower.environment(home.flower)
    loopback = {"certificate": home.tls / "loopback.crt", "key": home.tls / "loopback.key"}
    superlink = flower.superlink_command(
        home.flower, port=settings.superlink_port, ca=home.ca / "ca.crt", **loopback
    )
    superexec = flower.superexec_command(
        home.flower, port=settings.superlink_port, root_certificates=home.ca / "ca.crt", parent=os.getpid()
    )
    return [
        Program(SUPERLINK, superlink, environment, settings.superlink_port),
        Program("superexec", superexec, environment),
        _front(home),
    ]


def _front(home: CoordinatorHome) -> Program:
    """Return what ends the hospitals' TLS; somebody else's front finds the centre's own service beside it."""
    settings = home.settings
    command = [sys.executable, "-m", "deploy.coordinator.front", "--home", str(home.path)]
    if settings.front == "external":
        return Program("front", command, os.environ, settings.service_port)
    anywhere = settings.listen in ("0.0.0.0", "::")
    return Program("front", command, os.environ, settings.port, LOOPBACK if anywhere else settings.listen)


class Upkeep:
    """What is looked after while the programs run."""

    def __init__(self, home: CoordinatorHome, renew: Callable[[], None]) -> None:
        self._home = home
        self._renew = renew
        self._seen: object = None
        self._look, self._renewal = 0.0, 0.0

    def tick(self) -> None:
        """Look at approvals every few seconds and at certificates every hour."""
        now = time.monotonic()
        if now >= self._look:
            self._look = now + _LOOK_SECONDS
            self._register()
        if now >= self._renewal:
            self._renewal = now + _CERTIFICATE_SECONDS
            try:
                self._renew()
            except (WillisError, OSError) as err:  # a full disk, say, ends no run
                _log.warning("the centre's certificates could not be renewed: %s", err)

    def _register(self) -> None:
        try:
            approved = all_sites(self._home)
            if approved != self._seen:
                register(self._home)
                self._seen = approved
        except (WillisError, OSError) as err:  # the SuperLink may be starting anew; the next look tries again
            _log.warning("approvals are not all in force yet: %s", err)


def register(home: CoordinatorHome) -> None:
    """Have the SuperLink know exactly the nodes of the hospitals that are approved and not revoked.

    Raises:
        UsageError: it cannot be reached.
    """
    wanted = {flower.bare_key(site.node_key): site.name for site in all_sites(home) if not site.revoked}
    known = {flower.bare_key(node.key): node for node in flower.registered(home.flower)}
    for key, node in known.items():
        if key not in wanted and node.status != "unregistered":
            flower.unregister(home.flower, node.id)
            _log.info("%s is shut out", node.name)
    for key, name in wanted.items():
        if key not in known:
            flower.register(home.flower, key, name)
            _log.info("%s may connect", name)
        elif known[key].status == "unregistered":
            _log.error(
                "%s was revoked once, and Flower never takes its node key again; have it make another", name
            )


def _renew(home: CoordinatorHome, supervisor: Supervisor) -> None:
    if ensure_server_certificates(home):
        supervisor.restart(SUPERLINK)  # it reads its certificate once; hospitals and runs reconnect
        _log.info("the centre's certificates were renewed")
