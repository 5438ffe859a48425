"""Patients with a diffusion-weighted image: image, anatomical map and acute infarcts, all from one seed."""

import numpy as np

from shared.imaging.scan import Role, Scan, Volume
from simulations.hospitals.artefacts import ghosts
from simulations.hospitals.bending import DIFFUSION, bent_head
from simulations.hospitals.brain import aged_shape, draw_brain
from simulations.hospitals.cortex import Cortex, fold
from simulations.hospitals.diffusion import levels, protocol_of
from simulations.hospitals.grid import Grid, make_grid, smooth_noise
from simulations.hospitals.infarct import Supply, infarcts
from simulations.hospitals.patient import describe
from simulations.hospitals.scanner import acquire
from simulations.hospitals.shapes import border, paint
from simulations.hospitals.stroke import Stroke, stroke_of
from simulations.hospitals.territories import territories

SHAPE = (128, 128, 32)
_HOLE = 0.45  # brightness of an old infarct
_SHINE = 1.35  # of an old lesion whose long T2 shines through, relative to the tissue before
_SCALP = 0.08  # fat is suppressed in diffusion-weighted images


def dwi_patient(seed: int, site: int, shape: tuple[int, int, int] = SHAPE) -> list[Scan]:
    """Return the sessions of one patient of hospital number `site`, each with DWI, anatomy and lesion.

    Volumes are (I, J, K) = `shape` and show 210 x 210 x 144 mm, in proportion to the site's voxels. ANATOMY
    holds the FreeSurfer numbers of `shared.imaging.anatomy` as if there were no lesion; LESION is empty in
    about one patient in six. Labels are drawn on the distorted image.

    Raises:
        UsageError: there is no hospital of that number.
    """
    return [_session(seed, site, number, shape) for number in range(describe(seed, site).sessions)]


def _session(seed: int, site: int, number: int, shape: tuple[int, int, int]) -> Scan:
    """Return one visit: the same head and infarcts in another position, with other noise and shading."""
    age = describe(seed, site).age
    protocol, scanner = protocol_of(site)
    stroke = stroke_of(seed, site, age, protocol.severity, number)
    anatomy = np.random.default_rng([seed, site, 2])  # restarted for each session: the same head
    visit = np.random.default_rng([seed, site, 3, number])
    grid = make_grid(shape, scanner.voxel, visit.normal(0, (2.0, 3.0, 3.0)), DIFFUSION)
    brain_shape = aged_shape(anatomy, age)
    head = bent_head(anatomy, visit, grid, protocol.shift_mm * stroke.rim)
    cortex = fold(anatomy, grid, head, brain_shape.atrophy)
    brain = draw_brain(head, cortex, brain_shape, levels(protocol), grid.edge)
    supply = Supply(head, *territories(head, brain.labels, 4 * smooth_noise(anatomy, grid, 20.0)))
    lesion = _add_findings(anatomy, brain.signal, grid, cortex, supply, stroke)
    paint(brain.signal, _SCALP, border(2.5 - np.abs(cortex.skull + 8), 3.0))
    picture = ghosts(brain.signal * head.pile, protocol.ghost, 2)
    volumes = {
        Role.DWI: acquire(visit, picture, grid, scanner),
        Role.ANATOMY: brain.labels.astype(np.float32),
        Role.LESION: lesion,
    }
    return Scan(volumes, grid.affine)


def _add_findings(
    rng: np.random.Generator, signal: Volume, grid: Grid, cortex: Cortex, supply: Supply, stroke: Stroke
) -> Volume:
    """Change the brightness where disease did, in place; return the mask (I, J, K) of the acute infarcts."""
    acute, outline = infarcts(rng, grid, supply, stroke.foci)
    for foci, brightness in ((stroke.shine, _SHINE), (stroke.holes, _HOLE)):
        old, _ = infarcts(rng, grid, supply, foci)
        signal *= 1 + (brightness - 1) * np.where(outline, 0, old)
    mottled = 1 + np.float32(stroke.mottled) * (cortex.texture + 0.5 * cortex.fine)
    signal *= 1 + acute * np.maximum(stroke.ratio * mottled - 1, 0.1)
    return outline.astype(np.float32)
