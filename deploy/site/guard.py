"""Flower's SuperNode with the hospital's word in front of it: `python -m deploy.site.guard --home HOME`."""

import logging
import os
import sys
from pathlib import Path

import click

from deploy import flower
from deploy.logs import set_up
from deploy.site.approvals import Approvals
from deploy.site.home import SiteHome


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False, exists=True), required=True)
def main(home: Path) -> None:
    """Start Flower's SuperNode for the hospital in HOME, and let it run only what was approved there."""
    site = SiteHome(home)
    os.environ.update(flower.environment(site.flower))  # before Flower is imported: it reads some of it then
    settings = site.settings
    context = {"site": settings.name}
    set_up(site.logs, "guard", megabytes=settings.log_megabytes, files=settings.log_files, context=context)
    for talkative in ("httpx", "alembic"):  # a line every three seconds
        logging.getLogger(talkative).setLevel(logging.WARNING)
    logging.getLogger("flwr").propagate = False  # its lines go to stdout, which `willis site up` keeps
    from flwr.supernode.cli.flower_supernode import flower_supernode

    from deploy.site.supernode import Guard

    Guard(Approvals(site.bundles), site.flower).install()
    sys.argv = ["flower-supernode", *_arguments(site)]
    flower_supernode()


def _arguments(site: SiteHome) -> list[str]:
    """Return the SuperNode's arguments; of its node configuration, what `client.app` reads."""
    from deploy.site.joined import read_joined

    settings = site.settings
    node: dict[str, str | int] = {
        "site-folder": str(site.path),
        "site-name": settings.name,
        "cohort": str(site.cohort),
        "coordinator-key": read_joined(site).signing_key,
    }
    if settings.threads is not None:
        node["threads"] = settings.threads
    if settings.noise_seed is not None:
        node["noise-seed"] = settings.noise_seed
    return flower.supernode_arguments(
        site.flower,
        superlink_port=settings.sidecar_port,
        root_certificates=site.keys / "local.crt",
        node_key=site.keys / "node",
        port=settings.supernode_port,
        certificate=site.keys / "local.crt",
        key=site.keys / "local.key",
        node=node,
    )


if __name__ == "__main__":
    main()
