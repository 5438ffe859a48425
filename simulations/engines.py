"""Two ways to run one federation on one machine: embedded, or Flower's simulation runtime on Ray.

Both drive the same apps over the same folders; same seeds give the same weights and events, byte for byte.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from client.app import Seat
from client.app import build_app as build_client
from client.site import Site
from server.app import build_app as build_server
from server.run.coordinator import Extent, conduct
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.recipes.base import Progress
from simulations.embedded import EmbeddedGrid

Engine = Literal["embedded", "ray"]


def run_engine(
    engine: Engine,
    run: Path,
    sites: Sequence[Path],
    noise_seed: int | None,
    progress: Progress,
    extent: Extent = Extent.TRAIN,
) -> None:
    """Take the run in folder `run` to settlement, or as far as asked, with the given site folders.

    Raises:
        WillisError: as `server.run.coordinator.conduct`.
        UsageError: Ray is asked for and not installed.
    """
    client = build_client(partial(_seat_of, tuple(sites), noise_seed))
    if engine == "embedded":
        _run_embedded(run, client, len(sites), progress, extent)
    else:
        _run_ray(run, client, len(sites), progress, extent)


def _run_embedded(run: Path, client: ClientApp, sites: int, progress: Progress, extent: Extent) -> None:
    contexts = [Context(1, i + 1, {"partition-id": i}, RecordDict(), {}) for i in range(sites)]
    grid = EmbeddedGrid(client, contexts, workers=min(sites, os.cpu_count() or 1))
    try:
        conduct(grid, RunFolder(run), progress, extent=extent)
    finally:
        grid.close()


def _run_ray(run: Path, client: ClientApp, sites: int, progress: Progress, extent: Extent) -> None:
    try:
        import ray  # noqa: F401
        from flwr.simulation import run_simulation
    except ImportError as err:
        raise UsageError("the ray engine needs Ray: pip install 'willis[ray]', or --engine embedded") from err
    run_simulation(
        server_app=build_server(run, progress, extent),
        client_app=client,
        num_supernodes=sites,
        backend_config={
            "init_args": {
                "num_cpus": os.cpu_count() or 1,
                "include_dashboard": False,
                "log_to_driver": False,
            },
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
        },
    )


def _seat_of(sites: tuple[Path, ...], noise_seed: int | None, context: Context) -> Seat:
    return Seat(Site(sites[int(context.node_config["partition-id"])]), noise_seed=noise_seed, threads=1)
