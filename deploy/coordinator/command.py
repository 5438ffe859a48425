"""`willis coordinator`: the coordinating centre."""

from pathlib import Path

import click

from shared.lazy_group import LazyGroup

_COMMANDS = {
    "init": "deploy.coordinator.provisioning:init",
    "approve": "deploy.coordinator.provisioning:approve",
    "revoke": "deploy.coordinator.provisioning:revoke",
    "sites": "deploy.coordinator.provisioning:sites",
    "auditor": "deploy.coordinator.auditing:auditor",
    "nginx": "deploy.coordinator.serving:nginx",
    "up": "deploy.coordinator.up:up",
    "estimate": "deploy.coordinator.running:estimate",
    "run": "deploy.coordinator.run:run",
    "query": "deploy.coordinator.query:query",
    "resume": "deploy.coordinator.run:resume",
    "status": "deploy.coordinator.watching:status",
    "watch": "deploy.coordinator.watching:watch",
}

_EPILOG = """\b
A federation, from nothing:
  willis coordinator --home centre init --name stroke-net --host centre.example.org
  willis coordinator --home centre approve hospital-a.request     # once its fingerprint was read to you
  willis coordinator --home centre up                              # stays; the next in another terminal
  willis coordinator --home centre run first --recipe vessels-2d --epsilon 8 --sites 3
"""


@click.group(cls=LazyGroup, commands=_COMMANDS, epilog=_EPILOG)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default="this folder",
    envvar="WILLIS_HOME",
    help="The centre's folder (also $WILLIS_HOME).",
)
@click.pass_context
def coordinator(ctx: click.Context, home: Path) -> None:
    """Run the coordinating centre of a federation of hospitals."""
    from deploy.coordinator.home import CoordinatorHome

    ctx.obj = CoordinatorHome(home)
