"""Patients with a time-of-flight angiogram: image, arteries and brain, all from one seed."""

from dataclasses import replace

import numpy as np

from shared.imaging.scan import Role, Scan
from simulations.hospitals.artefacts import spoil
from simulations.hospitals.arteries import arteries
from simulations.hospitals.branching import Branch
from simulations.hospitals.distractors import add_distractors
from simulations.hospitals.findings import findings, protocol
from simulations.hospitals.grid import make_grid
from simulations.hospitals.head import make_head
from simulations.hospitals.pathology import diseased
from simulations.hospitals.patient import describe
from simulations.hospitals.rasterise import coverage
from simulations.hospitals.scanner import acquire, inflow
from simulations.hospitals.shapes import paint
from simulations.hospitals.site import site_profile
from simulations.hospitals.stenosis import narrow

SHAPE = (128, 128, 64)
LABEL_SHARE = 0.5  # a voxel is labelled artery when arteries fill at least this share of it


def tree_of(seed: int, site: int) -> list[Branch]:
    """Return the patient's arteries as centrelines in millimetres, with what disease did to them."""
    patient = describe(seed, site)
    rng = np.random.default_rng([seed, site, 1])
    tree = arteries(rng, patient.age)
    if patient.stenosis:
        tree = narrow(rng, tree)
    return diseased(rng, tree, findings(seed, site))


def tof_patient(seed: int, site: int, shape: tuple[int, int, int] = SHAPE) -> list[Scan]:
    """Return the sessions of one patient of hospital number `site`, each with angiogram, vessels and brain.

    The label VESSELS holds the voxels of which arteries fill at least half (`LABEL_SHARE`); arteries too thin
    for that are seen in the angiogram but not labelled. Volumes are (I, J, K) = `shape`; for their
    millimetres see `grid`.

    Raises:
        UsageError: there is no hospital of that number.
    """
    patient, tree = describe(seed, site), tree_of(seed, site)
    return [_session(seed, site, number, tree, shape, patient.age) for number in range(patient.sessions)]


def _session(seed: int, site: int, number: int, tree: list[Branch], shape: tuple[int, int, int], age: int) -> Scan:
    """Return one visit: the same head in another position, with other noise, gain and shading."""
    found = findings(seed, site)
    profile = protocol(site_profile(site), found)
    anatomy = np.random.default_rng([seed, site, 2])  # restarted for each session: the same head
    visit = np.random.default_rng([seed, site, 3, number])
    grid = make_grid(shape, profile.voxel, visit.normal(0, (1.5, 2.0, 2.0)))
    head = make_head(anatomy, grid, profile, atrophy=min(max((age - 40) / 50, 0.0), 1.0))
    picture = head.brightness
    add_distractors(anatomy, picture, grid, profile, found)
    sheath, _ = coverage([replace(b, radius=1.3 * b.radius + 0.9) for b in tree], grid)
    paint(picture, profile.csf, 0.7 * sheath * head.brain)  # arteries run in fluid
    filled, fresh = coverage(tree, grid)
    picture += fresh * inflow(grid, profile) - filled * picture
    picture = spoil(np.random.default_rng([seed, site, 5]), picture, grid, found)
    volumes = {
        Role.ANGIO: acquire(visit, picture, grid, profile),
        Role.VESSELS: (filled >= LABEL_SHARE).astype(np.float32),
        Role.BRAIN: (head.brain >= 0.5).astype(np.float32),
    }
    return Scan(volumes, grid.affine)
