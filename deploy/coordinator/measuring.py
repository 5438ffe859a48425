"""How long one patient's private step takes on this machine, measured on a public phantom: nobody's image."""

import time

import numpy as np
from numpy.typing import NDArray

from client.training import public_stream, train_round
from server.run.job import Job
from server.run.planning import plan
from shared.errors import UsageError
from shared.imaging.lesion_grid import from_grid
from shared.imaging.scan import Role, Scan
from shared.phantoms import dsc, dwi
from shared.phantoms.lesions import simulate_lesions
from shared.phantoms.vessels import draw_parameters, simulate_3d
from shared.privacy.events import NoiseSource
from shared.privacy.randomness import SystemRandomness
from shared.recipes.base import Recipe
from shared.recipes.catalogue import load

STEPS = 3
_SLAB, _HEAD = (128, 128, 24), (96, 96, 12)  # of phantoms, voxels along i, j, k


def patient_step(recipe: Recipe) -> float:
    """Return the seconds of one private step in which one patient is drawn, all of a step's own work included.

    Raises:
        UsageError: no public phantom has what the recipe reads.
    """
    settings = recipe.schedule.model_dump(exclude={"rounds"}) | {"sampling_rate": 1.0, "steps": STEPS}
    timed = load(recipe.name, recipe.variant, recipe.preset, settings=settings)
    job = Job(
        recipe=recipe.name,
        variant=recipe.variant,
        preset=recipe.preset,
        settings=settings,
        epsilon=8.0,
        delta=1e-5,
        rounds=1,
        sites=1,
        noise_source=NoiseSource.SYSTEM,
        public_seed=1,
        pretrain=False,
        cases=1,
        nonce="",
    )
    run, model = plan(job, timed, []), timed.build(1)
    records = timed.records([phantom(timed.roles)], 1)
    seconds = []
    for _ in range(2):  # the first warms up
        start = time.perf_counter()
        train_round(timed, run, model, {"phantom": records}, {}, SystemRandomness(), public_stream(run, "here", 1))
        seconds.append(time.perf_counter() - start)
    return seconds[-1] / STEPS


def phantom(roles: tuple[Role, ...]) -> Scan:
    """Return one public phantom patient with these roles.

    Raises:
        UsageError: there is none.
    """
    rng = np.random.default_rng(1)
    for made in (_vessels, _lesion):
        scan = made(rng)
        if set(roles) <= scan.volumes.keys():
            return scan
    for simulated in (dwi.simulate_patients, dsc.simulate_patients):
        scan = next(simulated(_HEAD, rng))
        if set(roles) <= scan.volumes.keys():
            return scan
    raise UsageError(f"no public phantom has {', '.join(roles)}; leave out --measure")


def _vessels(rng: np.random.Generator) -> Scan:
    (patch,) = simulate_3d(draw_parameters(1, rng)[0], 1, _SLAB, rng)
    image: NDArray[np.float32] = (patch[0] + 1) / 2
    volumes = {Role.ANGIO: image, Role.VESSELS: (patch[1] > 0).astype(np.float32), Role.BRAIN: np.ones_like(image)}
    return Scan(volumes, np.diag([0.5, 0.5, 0.7, 1.0]))


def _lesion(rng: np.random.Generator) -> Scan:
    mask, affine = from_grid(simulate_lesions(1, rng)[0])
    return Scan({Role.LESION: mask.astype(np.float32)}, affine)
