"""Patients with a perfusion series: signal during a bolus and the true maps, all from one seed.

What each truth is. All maps are of the tissue of a voxel, large vessels left out, and 0 where less than
`LEAST_TISSUE` of it is tissue:

  * CBF (ml/100 g/min) and CBV (ml/100 g) of the whole voxel: where half is fluid, half the tissue's
  * MTT = 60 · CBV / CBF (s)
  * TMAX (s): when flow · residue is highest, after the bolus comes to the arteries at the base of the brain: the
    delay and, where the bolus is dispersed on its way, the later maximum of what dispersion makes of the residue
  * TTP (s): when the tissue's own noise-free concentration peaks, after the bolus comes to those arteries
"""

from dataclasses import dataclass

import numpy as np

from shared.imaging.anatomy import is_parenchyma
from shared.imaging.scan import Role, Scan, Volume
from simulations.hospitals.bending import DIFFUSION, bent_head
from simulations.hospitals.bloodstream import Vessels, vessels_of
from simulations.hospitals.brain import aged_shape, draw_brain
from simulations.hospitals.concentration import Tissue, signals
from simulations.hospitals.cortex import fold
from simulations.hospitals.grid import Grid, make_grid, smooth_noise
from simulations.hospitals.haemodynamics import blood_of, deficit_of
from simulations.hospitals.infarct import Supply
from simulations.hospitals.passage import movement, passage_of
from simulations.hospitals.patient import describe
from simulations.hospitals.perfusion import levels, protocol_of
from simulations.hospitals.series import acquire_series
from simulations.hospitals.shapes import border, paint
from simulations.hospitals.stroke import stroke_of
from simulations.hospitals.territories import territories

SHAPE = (128, 128, 21)
FRAMES = 80
LEAST_TISSUE = 0.25  # of a voxel; where there is less, maps are 0
_THIN_MM = 3.6  # slices are drawn at most so thick, and averaged: partial volume
_FLUID = 24  # FreeSurfer number of cerebrospinal fluid outside the ventricles
_PIAL = 0.4  # share of blood in the fluid over the cortex, where the brain's small vessels run
_SCALP = 0.15  # fat is suppressed in echo-planar images


@dataclass(frozen=True)
class Anatomy:
    """What one visit's scan shows, on its voxels (I, J, K), before any contrast agent."""

    grid: Grid
    picture: Volume  # brightness, white matter is 1
    tissue: Tissue
    vessels: Vessels
    inside: Volume  # share of the voxel inside the skull
    core: Volume  # share that a reader outlines as infarct


def dsc_patient(seed: int, site: int, shape: tuple[int, int, int] = SHAPE, frames: int = FRAMES) -> list[Scan]:
    """Return the sessions of one patient of hospital number `site`, each with series, maps and masks.

    DSC is (I, J, K, `frames`), the rest (I, J, K) = `shape`: the five maps, BRAIN (all inside the skull, fluid
    too) and LESION, the core of fresh infarcts, empty in about one patient in six. They show 210 x 210 x 144 mm,
    in proportion to the site's voxels, as the head lies in the first frame.

    Raises:
        UsageError: there is no hospital of that number.
    """
    sessions = range(describe(seed, site).sessions)
    return [_session(seed, site, number, shape, frames) for number in sessions]


def _session(seed: int, site: int, number: int, shape: tuple[int, int, int], frames: int) -> Scan:
    """Return one visit: the same head in another position, another bolus's noise, a deficit that may recover."""
    seen = draw_anatomy(seed, site, number, shape)
    protocol, scanner = protocol_of(site)
    passage = passage_of(seed, site, frames)
    times = protocol.timing.repetition_s * np.arange(frames, dtype=np.float64)
    within, curves, maps = signals(
        seen.picture, seen.tissue, seen.vessels, seen.grid, passage, times, protocol.timing.echo_s
    )
    scan = np.random.default_rng([seed, site, 9, number])
    bright = np.ones(frames, dtype=np.float32)
    bright[:2] += passage.first

    def picture(t: int) -> Volume:
        frame = bright[t] * seen.picture
        frame[within] = bright[t] * curves[:, t]
        return np.asarray(frame, dtype=np.float32)

    series = acquire_series(
        scan,
        map(picture, range(frames)),
        seen.grid,
        scanner,
        noise=1 / passage.snr,
        ghost=protocol.ghost,
        motion=movement(scan, frames) if passage.moves else None,
        number=frames,
    )
    tissue = seen.tissue.share[within] >= LEAST_TISSUE
    volumes = {Role.DSC: series}
    for role, values in zip((Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP), maps, strict=True):
        volumes[role] = np.zeros(shape, dtype=np.float32)
        volumes[role][within] = np.where(tissue, values, 0)
    volumes[Role.BRAIN] = (seen.inside >= 0.5).astype(np.float32)
    volumes[Role.LESION] = (seen.core >= 0.5).astype(np.float32)
    return Scan(volumes, seen.grid.affine, protocol.timing)


def draw_anatomy(seed: int, site: int, number: int, shape: tuple[int, int, int]) -> Anatomy:
    """Return what is there to be seen at visit `number` of a patient, on the voxels of `dsc_patient`'s scan.

    Raises:
        UsageError: there is no hospital of that number.
    """
    visit = np.random.default_rng([seed, site, 3, number])
    position = visit.normal(0, (2.0, 3.0, 3.0))
    voxel = protocol_of(site)[1].voxel
    grid = make_grid(shape, voxel, position, DIFFUSION)
    thin = int(np.ceil(grid.voxel[2] / _THIN_MM))
    fine = _draw(seed, site, number, visit, make_grid((*shape[:2], thin * shape[2]), voxel, position, DIFFUSION))

    def pooled(volume: Volume) -> Volume:
        return np.asarray(volume.reshape(*shape, thin).mean(axis=3), dtype=np.float32)

    tissue, vessels = fine.tissue, fine.vessels
    flow = pooled(tissue.cbf)
    delay = (pooled(tissue.cbf * tissue.delay_s) / np.maximum(flow, 1e-6)).astype(np.float32)
    return Anatomy(
        grid,
        pooled(fine.picture),
        Tissue(pooled(tissue.share), flow, pooled(tissue.cbv), delay),
        Vessels(pooled(vessels.arteries), pooled(vessels.veins)),
        pooled(fine.inside),
        pooled(fine.core),
    )


def _draw(seed: int, site: int, number: int, visit: np.random.Generator, grid: Grid) -> Anatomy:
    """Return what is seen in slices so thin that a voxel holds one structure."""
    patient = describe(seed, site)
    protocol, _ = protocol_of(site)
    stroke = stroke_of(seed, site, patient.age, protocol.severity, number)
    deficit = deficit_of(seed, site, patient.stenosis, number)
    rng = np.random.default_rng([seed, site, 2])  # restarted for each session: the same head
    shape = aged_shape(rng, patient.age)
    head = bent_head(rng, visit, grid, protocol.shift_mm * stroke.rim)
    cortex = fold(rng, grid, head, shape.atrophy)
    brain = draw_brain(head, cortex, shape, levels(protocol), grid.edge)
    paint(brain.signal, _SCALP, border(2.5 - np.abs(cortex.skull + 8), 3.0))
    supply = Supply(head, *territories(head, brain.labels, 4 * smooth_noise(rng, grid, 20.0)))
    blood = blood_of(rng, grid, brain.labels, cortex, supply, stroke, deficit, patient.age)
    vessels = vessels_of(rng, head, grid, patient.age)
    pial = border(1.5 - np.abs(cortex.pial + 0.8), 2.0) * (brain.labels == _FLUID)
    pial *= _PIAL * np.maximum(cortex.fine, 0)  # in patches
    return Anatomy(
        grid,
        brain.signal * head.pile,
        Tissue(is_parenchyma(brain.labels).astype(np.float32), blood.cbf, blood.cbv, blood.delay_s),
        Vessels(vessels.arteries, np.minimum(vessels.veins + pial, 1 - vessels.arteries)),
        (brain.labels > 0).astype(np.float32),
        blood.core.astype(np.float32),
    )
