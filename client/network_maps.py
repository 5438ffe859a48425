"""Maps of a hospital's own patient by a network that hospitals trained together: no artery is looked for."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from shared.files import new_folder
from shared.imaging.perfusion.files import Progress, Read, Request, naming, read_request, write_all
from shared.imaging.perfusion.maps import NAMES, UNITS
from shared.imaging.perfusion.mismatch import Mismatch, mismatch
from shared.imaging.perfusion.picture import drawn_picture
from shared.imaging.perfusion.sidecar import DISCLAIMER, Json, mismatch_json
from shared.imaging.scan import Role, Scan
from shared.recipes.network_file import About, read_network
from shared.recipes.perfusion_2d import Perfusion
from shared.recipes.perfusion_records import brain_of, draw_maps

RELATIVE = "CBF and CBV are as the maps it learnt from were: relative, unless those were calibrated"


@dataclass(frozen=True)
class Drawn:
    """What a network drew, and what a person should know of it."""

    about: About  # what the network's file says of itself
    read_out: Mismatch | None  # if it draws Tmax
    read: Read


def draw_by_network(request: Request, network: Path, out: Path, progress: Progress) -> Drawn:
    """Write the maps that a network draws of a series, their sidecar and picture into the new folder `out`.

    Raises:
        CohortError: the series or a mask cannot be read, or shows no brain or bolus.
        UsageError: `out` exists, or the file is no such network.
    """
    recipe, generator, about = read_network(network, Perfusion.name)
    assert isinstance(recipe, Perfusion)
    with new_folder(out) as partial:
        read = read_request(request, progress)
        scan = _scan(read)
        with naming(request.series):
            brain = brain_of(scan)
            maps = draw_maps(generator, scan, recipe.edge, recipe.maps)
        found = mismatch(maps[Role.TMAX], brain, read.voxel_ml, read.core) if Role.TMAX in maps else None
        told = _told(request, read, network, about, recipe.maps, found)
        words = f"drawn by {about.recipe} {about.variant}, run {about.run[:12]}; no artery was looked for"
        page = drawn_picture(maps, brain, read.affine, words, request.palette, read.motion)
        write_all(partial, maps, brain, read.affine, told, page)
    return Drawn(about, found, read)


def _scan(read: Read) -> Scan:
    volumes = {Role.DSC: read.voxels}
    if read.brain is not None:
        volumes[Role.BRAIN] = read.brain.astype(np.float32)
    return Scan(volumes, read.affine, read.timing)


def _told(
    request: Request, read: Read, network: Path, about: About, maps: tuple[Role, ...], found: Mismatch | None
) -> Json:
    """Return the sidecar: of which series, by which network, what it cost whom to train."""
    return {
        "disclaimer": DISCLAIMER,
        "software": {"name": "willis", "version": version("willis")},
        "series": request.series.name,
        "maps": {role.value: {"what": NAMES[role], "unit": UNITS[role]} for role in maps},
        "notes": [*read.notes, RELATIVE],
        "repetition_time_s": read.timing.repetition_s,
        "echo_time_s": read.timing.echo_s,
        "network": {
            "file": network.name,
            "sha256": hashlib.sha256(network.read_bytes()).hexdigest(),
            **about.model_dump(mode="json"),
        },
        "mismatch": None if found is None else mismatch_json(found),
        **read.told_of_motion,
    }
