"""How often the two queries `query-distance` find a generator that memorises, and how often they accuse another.

The generator is made here: its data set holds a copy of one record of some of the patients it was trained on, as
such a copy is published, among cases of the public simulator. Everything behind it is the real thing: distances,
public edges, the door's noise at three sites, and the test. Simulation only: patients are phantoms of hospitals
whose family differs from the public simulator's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.evaluation.copying import Finding, Histogram, find_copies
from shared.evaluation.nearness import bin_of, image_vectors, mask_vectors, public_edges
from shared.imaging.lesion_grid import from_grid, to_grid
from shared.phantoms.lesions import simulate_lesions
from shared.phantoms.vessels import draw_parameters, simulate
from shared.privacy.accounting import noise_multiplier_for
from shared.privacy.mechanism import Drawn, PoissonSums
from shared.privacy.randomness import SeededRandomness
from shared.recipes.lesions_3d import LesionRecords
from shared.recipes.query_distance import BINS, DistanceQuery, LesionDistance, VesselDistance
from shared.recipes.vessel_records import EDGE
from simulations.hospitals.lesions import lesion_patient
from simulations.hospitals.tof import tof_patient

SITES, HONEST, DELTA = 3, 60, 1e-5
COPY_NOISE = 0.1  # of a copied image's intensities in [-1, 1]: nobody memorises to the last bit
PATIENTS, EPSILONS = (30, 100, 300), (0.5, 1.0, 2.0, 4.0)
SHARES = (0.0, 0.1, 0.25, 0.5, 1.0)  # of the patients trained on that are copied
_HEAD = (64, 64, 32)  # voxels: 300 heads in a minute
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """Distances from which any split into groups and any choice of copies is made.

    Attributes:
        honest: (patients,), to the public cases of the data set.
        copies: (patients, patients), to the published copy of a record of each.
        phantoms: of public phantoms to the public cases (phantoms,).
        phantom_copies: (phantoms, patients).
    """

    honest: Floats
    copies: Floats
    phantoms: Floats
    phantom_copies: Floats

    @classmethod
    def of(cls, patients: Sequence[Tensor], phantoms: Sequence[Tensor], honest: Tensor, copies: Tensor) -> "Pool":
        """Return the distances of everybody's records (r, d) to the cases (n, d) and the copies (patients, d)."""
        return cls(
            _least(patients, honest).min(axis=1),
            _least(patients, copies),
            _least(phantoms, honest).min(axis=1),
            _least(phantoms, copies),
        )


def lesion_pool(masks: Sequence[LesionRecords]) -> Pool:
    """Return the pool of patients with these masks; copies are cut at half a cell and written at 2 mm."""
    query = LesionDistance("small", private=True)
    rng = np.random.default_rng(1)
    published = [from_grid(np.asarray(one.all()[0, 0]), spacing_mm=2.0)[0] for one in masks]
    copied = np.stack([to_grid(mask, (2.0, 2.0, 2.0)) for mask in published])
    honest = mask_vectors(torch.from_numpy(simulate_lesions(HONEST, rng)))
    vectors = [query.vectors(one) for one in masks]
    return Pool.of(vectors, list(query.phantom_vectors(2)), honest, mask_vectors(torch.from_numpy(copied)))


def hospital_lesions(count: int) -> Pool:
    """Return the pool of so many phantom patients of three hospitals, by their lesions."""
    return lesion_pool([LesionRecords.of([lesion_patient(n, n % SITES)]) for n in range(count)])


def hospital_vessels(count: int) -> Pool:
    """Return the pool of so many phantom patients of three hospitals, by patches of their angiograms."""
    query, rng = VesselDistance("small", private=True), np.random.default_rng(1)
    patients = [query.records(tof_patient(n, n % SITES, _HEAD), n) for n in range(count)]
    chosen = np.stack([mine.all()[rng.integers(len(mine)), 0] for mine in patients])
    copied = chosen + COPY_NOISE * rng.standard_normal(chosen.shape)
    thetas = draw_parameters(HONEST, rng)
    honest = np.concatenate([simulate(theta, 1, EDGE["small"], rng)[:, 0] for theta in thetas])
    return Pool.of(
        [query.vectors(mine) for mine in patients],
        list(query.phantom_vectors(2)),
        image_vectors(torch.from_numpy(honest)),
        image_vectors(torch.from_numpy(copied.astype(np.float32))),
    )


def ask(pool: Pool, patients: int, share: float, epsilon: float, seed: int) -> Finding:
    """Return what is found of a split of `patients` into halves, when a share of the one half is copied."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(pool.honest))[:patients]
    trained, held_out = drawn[: patients // 2], drawn[patients // 2 :]
    copied = trained[: round(share * len(trained))]
    edges = public_edges(np.minimum(pool.phantoms, _nearest(pool.phantom_copies[:, copied])).tolist())
    distances = np.minimum(pool.honest, _nearest(pool.copies[:, copied]))
    groups = [
        _answer(torch.from_numpy(distances[group]), edges, epsilon, SeededRandomness(seed, name))
        for name, group in (("trained", trained), ("held-out", held_out))
    ]
    return find_copies(groups[0], groups[1], edges.tolist())


def _answer(distances: Tensor, edges: Tensor, epsilon: float, randomness: SeededRandomness) -> Histogram:
    """Return a group's histogram through the door of three sites."""
    clip = DistanceQuery.defaults("small", private=True).clip_norm
    sigma = noise_multiplier_for(epsilon, DELTA, 1.0, 1)
    total = torch.zeros(BINS)
    for mine in torch.tensor_split(distances, SITES):
        door = PoissonSums(
            noise_multiplier=sigma, clip_norm=clip, sampling_rate=1.0, units=len(mine), randomness=randomness
        )

        def contributions(chosen: Drawn, mine: Tensor = mine) -> Iterator[list[Tensor]]:
            for index in chosen:
                yield [torch.eye(BINS)[bin_of(mine[index], edges)] - DistanceQuery.centre]

        total += door.release([total], contributions)[0]
    shares = total / len(distances) + DistanceQuery.centre
    return Histogram(tuple(shares.tolist()), sigma * clip * SITES**0.5 / len(distances), len(distances))


def _least(patients: Sequence[Tensor], cases: Tensor) -> Floats:
    return np.stack([(1 - (mine @ cases.T).amax(dim=0)).double().numpy() for mine in patients])


def _nearest(distances: Floats) -> Floats:
    return np.asarray(distances.min(axis=1, initial=np.inf))


@click.command()
@click.option("--repeats", default=400, show_default=True, help="Splits of each size, each with noise of its own.")
def main(repeats: int) -> None:
    """Print how often the queries fail a data set, and pass it, by patients, ε and share copied."""
    for name, pool_of in (("lesions-3d", hospital_lesions), ("vessels-2d", hospital_vessels)):
        pool = pool_of(max(PATIENTS))
        click.echo(f"{name}: failed / passed, % of {repeats}; half of the patients trained on; δ = {DELTA:g}, PLD")
        click.echo("patients  ε     " + "".join(f"{share:>10.0%}" for share in SHARES) + "   found in 80 %")
        for patients in PATIENTS:
            for epsilon in EPSILONS:
                click.echo(_row(pool, patients, epsilon, repeats))


def _row(pool: Pool, patients: int, epsilon: float, repeats: int) -> str:
    cells, least = [], []
    for share in SHARES:
        found = [ask(pool, patients, share, epsilon, seed) for seed in range(repeats)]
        least += [1.0 if one.detectable is None else one.detectable for one in found if not share]
        rates = [np.mean([one.verdict == verdict for one in found]) for verdict in ("failed", "passed")]
        cells.append(f"{rates[0] * 100:.0f} / {rates[1] * 100:.0f}")
    smallest = float(np.median(least))
    said = "none" if smallest >= 1 else f"{smallest:.0%}"
    return f"{patients:>8}  {epsilon:<4g}  " + "".join(f"{cell:>10}" for cell in cells) + f"   {said:>6}"


if __name__ == "__main__":
    main()
