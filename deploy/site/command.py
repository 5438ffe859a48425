"""`willis site`: a hospital."""

from pathlib import Path

import click

from shared.lazy_group import LazyGroup

_COMMANDS = {
    "request": "deploy.site.provisioning:request",
    "join": "deploy.site.provisioning:join",
    "renew": "deploy.site.provisioning:renew",
    "preflight": "deploy.site.preflight:preflight",
    "review": "deploy.site.bundles:review",
    "approve": "deploy.site.bundles:approve",
    "revoke": "deploy.site.bundles:revoke",
    "nginx": "deploy.site.serving:nginx",
    "up": "deploy.site.up:up",
    "status": "deploy.site.watching:status",
}

_EPILOG = """\b
A hospital, from nothing:
  willis site --home hospital-a request --name hospital-a --cohort /data/tof   # makes keys and a request file
  willis site --home hospital-a join hospital-a.answer                         # what the centre sent back
  willis site --home hospital-a preflight
  willis site --home hospital-a review                                         # the code that asks to run here
  willis site --home hospital-a approve                                        # what was shown, and nothing else
  willis site --home hospital-a up
"""


@click.group(cls=LazyGroup, commands=_COMMANDS, epilog=_EPILOG)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default="this folder",
    envvar="WILLIS_HOME",
    help="The hospital's folder (also $WILLIS_HOME).",
)
@click.pass_context
def site(ctx: click.Context, home: Path) -> None:
    """Take part in a federation, as a hospital."""
    from deploy.site.home import SiteHome

    ctx.obj = SiteHome(home)
